"""Monitoring as one page: tables and small plots, self-contained, light and dark."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genai.reports.monitor_text import HEADS, groups, guard_table, period, row
from genai.reports.pages import escaped, frame, table

if TYPE_CHECKING:
    from genai.reports.monitor import Line, Monitor

_STYLE = """
body{max-width:72rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1rem}
figure{margin:0}
.line{fill:none;stroke:#38a;stroke-width:2}
.axis{stroke:currentColor;opacity:.4}
"""
_W, _H = 320.0, 120.0


def page(found: "Monitor") -> str:
    """Give the page. Nothing in it comes from outside, and no content of a call is on it."""
    plots = "".join(
        _plot(title, found.days, value)
        for title, value in (
            ("questions a day", lambda line: float(line.calls)),
            ("95th percentile, seconds", lambda line: line.p95),
            ("refused, share", lambda line: line.refused and line.refused[0]),
            ("dollars a day", lambda line: float(line.money.total)),
        )
    )
    more = "".join(
        f"<h2>{escaped(title)}</h2>{table(heads, rows)}" for title, (heads, *rows) in groups(found)
    )
    reasons = [(reason, f"{count:,}") for reason, count in found.whole.reasons.items()]
    heads = ("reason", "questions")
    why = f"<h2>why not answered</h2>{table(heads, reasons)}" if reasons else ""
    places, *decided = guard_table(found)
    guards = f"<h2>guards</h2>{table(places, decided)}" if decided else ""
    empty = "" if found.whole.calls else "<p>No question yet: ask one with genai ask.</p>"
    days = table(HEADS, list(map(row, (found.whole, *found.days))))
    return frame(
        "Monitoring", _STYLE,
        f'<h1>Monitoring</h1><p>{escaped(period(found))}</p>{empty}<div class="plots">{plots}</div>'
        f"<h2>days</h2>{days}{more}{guards}{why}",
    )  # fmt: skip


def _plot(title: str, days: "Sequence[Line]", value: object) -> str:
    points = [value(line) for line in days]  # type: ignore[operator]
    known = [each for each in points if each is not None]
    if len(known) < 2:
        return ""
    top = max(known) or 1.0
    step = (_W - 8) / (len(points) - 1)
    parts = " L".join(
        f"{4 + step * n:.1f} {_H - 4 - (_H - 24) * each / top:.1f}"
        for n, each in enumerate(points)
        if each is not None
    )
    return (
        f"<figure><figcaption>{escaped(title)} (most {top:.3g})</figcaption>"
        f'<svg viewBox="0 0 {_W:g} {_H:g}" role="img" aria-label="{escaped(title)}">'
        f'<line class="axis" x1="4" y1="{_H - 4}" x2="{_W - 4}" y2="{_H - 4}"/>'
        f'<path class="line" d="M{parts}"/></svg></figure>'
    )
