"""Intervals as small inline pictures; everything they show stands beside them as numbers."""

from genai.evals.gate import Comparison
from genai.evals.report.base import Measured

_WIDE, _HIGH = 200, 20
_MOST = 12.0  # margins to each side; what lies beyond is drawn at the edge


def difference_bar(each: Comparison, reach: float) -> str:
    """Draw a difference in units of its margin, from `-reach` to `reach`."""
    if each.low is None or each.high is None or not each.margin:
        return ""
    middle = (each.low + each.high) / 2
    places = [_place(value / each.margin, -reach, reach) for value in (each.low, middle, each.high)]
    lines = [
        _line("margin", _place(-1, -reach, reach)),
        _line("zero", _place(0, -reach, reach)),
    ]
    return _bar(places, lines)


def reach_of(found: tuple[Comparison, ...]) -> float:
    """Say how many margins the widest interval reaches, so that all rows share one scale."""
    ends = [
        abs(bound) / each.margin
        for each in found
        for bound in (each.low, each.high)
        if bound is not None and each.margin
    ]
    return min(max([1.5, *ends]) * 1.1, _MOST)


def value_bar(each: Measured) -> str:
    """Draw a value with its interval and its limits, from 0 to 1 or to a little above the most."""
    known = [
        value
        for value in (each.low, each.high, each.value, each.min, each.max)
        if value is not None
    ]
    if each.low is None or each.high is None or each.value is None or min(known) < 0:
        return ""
    share = max(known) <= 1 and each.statistic == "mean" and not each.name.startswith("cost")
    top = 1.0 if share else max(known) * 1.1 or 1.0
    limits = [_line("margin", _place(at, 0, top)) for at in (each.min, each.max) if at is not None]
    return _bar([_place(value, 0, top) for value in (each.low, each.value, each.high)], limits)


def share_bar(low: float | None, value: float | None, high: float | None) -> str:
    """Draw a share from 0 to 1; nothing for what is no share."""
    if low is None or value is None or high is None or low < 0 or high > 1:
        return ""
    return _bar([_place(at, 0, 1) for at in (low, value, high)], [])


def _place(value: float, least: float, most: float) -> float:
    share = (min(max(value, least), most) - least) / (most - least)
    return round(4 + share * (_WIDE - 8), 1)


def _line(kind: str, at: float) -> str:
    return f'<line class="{kind}" x1="{at}" x2="{at}" y1="1" y2="{_HIGH - 1}"/>'


def _bar(places: list[float], lines: list[str]) -> str:
    low, value, high = places
    middle, end = _HIGH // 2, max(high, low + 0.5)  # no width is drawn as a little
    return (
        f'<svg class="bar" viewBox="0 0 {_WIDE} {_HIGH}" aria-hidden="true">'
        f'<line class="track" x1="4" x2="{_WIDE - 4}" y1="{middle}" y2="{middle}"/>'
        f'<line class="between" x1="{low}" x2="{end}" y1="{middle}" y2="{middle}"/>'
        f'{"".join(lines)}<circle class="at" cx="{value}" cy="{middle}" r="4"/></svg>'
    )
