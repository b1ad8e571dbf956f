"""Four plots as SVG, drawn by hand so that the page needs nothing from outside."""

from collections.abc import Sequence

from genai.reports.business.draws import Outlook, Swing

_W, _H, _PAD = 640.0, 260.0, 56.0


def money(value: float) -> str:
    """Write an amount short: 1.2 M, 45 k, 300."""
    for size, unit in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _scale(low: float, high: float, start: float, end: float) -> tuple[float, float]:
    span = (high - low) or 1.0
    slope = (end - start) / span
    return slope, start - slope * low


def _frame(title: str, inner: str, height: float = _H) -> str:
    return (
        f'<svg viewBox="0 0 {_W:g} {height:g}" role="img" aria-label="{title}"'
        f' xmlns="http://www.w3.org/2000/svg" font-family="system-ui" font-size="12">'
        f"<title>{title}</title>{inner}</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{words}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str = "axis") -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _path(points: Sequence[tuple[float, float]], style: str) -> str:
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{style}" d="M{steps}"/>'


def fan(found: Outlook) -> str:
    """Plot the cumulative cash: the middle, and the band from P10 to P90."""
    lows, highs = [row[0] for row in found.fan], [row[2] for row in found.fan]
    a, b = _scale(1, len(found.fan), _PAD, _W - 16)
    c, d = _scale(min(*lows, 0.0), max(*highs, 0.0), _H - 28, 12)
    xs = [a * (n + 1) + b for n in range(len(found.fan))]
    upper = [(x, c * v + d) for x, v in zip(xs, highs, strict=True)]
    lower = [(x, c * v + d) for x, v in zip(xs, lows, strict=True)]
    middle = [(x, c * row[1] + d) for x, row in zip(xs, found.fan, strict=True)]
    inner = _path([*upper, *lower[::-1]], "band") + _path(middle, "middle")
    inner += _line(_PAD, d, _W - 16, d) + _text(_PAD - 6, d + 4, "0", "end")
    inner += _text(_PAD - 6, 22, money(max(highs)), "end")
    inner += _text(_PAD - 6, _H - 30, money(min(lows)), "end")
    inner += _text(_W / 2, _H - 6, f"months 1 to {len(found.fan)}", "middle")
    return _frame("Cumulative cash, P10 to P90", inner)


def tornado(swings: Sequence[Swing], most: int = 8) -> str:
    """Plot what moves the value most, from P10 to P90 of each input."""
    shown = list(swings[:most])
    ends = [end for each in shown for end in (each.low, each.high)] or [0.0, 1.0]
    a, b = _scale(min(ends), max(ends), 130, _W - 150)
    inner, height = "", 30.0 * len(shown) + 16
    for row, each in enumerate(shown):
        y = 30.0 * row + 8
        left, right = sorted((a * each.low + b, a * each.high + b))
        inner += (
            f'<rect class="bar" x="{left:.1f}" y="{y:g}" width="{right - left:.1f}" height="18"/>'
        )
        inner += _text(124, y + 13, each.name, "end")
        inner += _text(_W - 140, y + 13, f"{money(min(each.low, each.high))} to "
                       f"{money(max(each.low, each.high))}")  # fmt: skip
    return _frame("What moves the value most", inner, height)


def curve(found: Outlook) -> str:
    """Plot how likely at most each value is; the part below zero is a loss."""
    a, b = _scale(min(found.curve[0], 0.0), max(found.curve[-1], 0.0), _PAD, _W - 16)
    c, d = _scale(0, 1, _H - 28, 12)
    points = [(a * value + b, c * n / 100 + d) for n, value in enumerate(found.curve)]
    inner = _path(points, "middle") + _line(b, 12, b, _H - 28)
    inner += _line(_PAD, _H - 28, _W - 16, _H - 28)
    inner += _text(b, _H - 12, "0", "middle") + _text(_PAD, _H - 12, money(found.curve[0]))
    inner += _text(_W - 16, _H - 12, money(found.curve[-1]), "end")
    inner += _text(_PAD - 6, 18, "100 %", "end") + _text(_PAD - 6, _H - 28, "0 %", "end")
    return _frame("How likely at most this value is", inner)


def bands(found: Sequence[tuple[float, float]], most: float) -> str:
    """Plot the monthly requests for which own GPUs are cheaper than the API."""
    a, b = _scale(0, most, 16, _W - 16)
    inner = _line(16, 30, _W - 16, 30)
    for start, end in found:
        right = min(end, most)
        inner += (
            f'<rect class="bar" x="{a * start + b:.1f}" y="18" width="{a * (right - start):.1f}"'
            ' height="24"/>'
        )
        inner += _text(a * start + b, 60, money(start))
    return _frame("Requests a month for which own GPUs are cheaper", inner, 72)
