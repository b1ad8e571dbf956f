"""Draw quality over cost as one SVG file without script, font or network."""

from collections.abc import Sequence
from html import escape

# label, cost, quality, its interval, tied with the best, on the frontier
Point = tuple[str, float, float, float | None, float | None, bool, bool]
_WIDE, _HIGH = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 200, 52, 60
_NEAR, _LINE = 200, 13  # labels closer than this would cover each other
_BLUE, _GREY = "#1f5fa8", "#767676"


def scatter(points: Sequence[Point], metric: str, absent: Sequence[str] = ()) -> str:
    """Give the drawing; filled points are tied with the best, the line joins the frontier.

    `absent` are cells that have no place in it, as their cost or quality is unknown.
    """
    tall = _HIGH + 16 * len(absent)
    title = f"{metric} over dollars a case"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {tall}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDE}" height="{tall}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="34" fill="{_GREY}">filled: tied with the best; dashed: the frontier,'
        " no cell is as good and cheaper; bars: 95 %</text>",
    ]
    if points:
        parts += _drawing(points)
    for n, label in enumerate(absent):
        y = _HIGH + 16 * n
        parts.append(f'<text x="{_LEFT}" y="{y}">{escape(label)}: cost or quality unknown</text>')
    return "\n".join([*parts, "</svg>", ""])


def _drawing(points: Sequence[Point]) -> list[str]:
    costs = [point[1] for point in points]
    ends = [value for point in points for value in point[2:5] if value is not None]
    x0, x1 = _range(min(costs), max(costs))
    y0, y1 = _range(min(ends), max(ends))

    def x(cost: float) -> float:
        return _LEFT + (cost - x0) / (x1 - x0) * (_WIDE - _LEFT - _RIGHT)

    def y(quality: float) -> float:
        return _HIGH - _BOTTOM - (quality - y0) / (y1 - y0) * (_HIGH - _TOP - _BOTTOM)

    parts = []
    for n in range(5):
        cost, quality = x0 + n / 4 * (x1 - x0), y0 + n / 4 * (y1 - y0)
        parts += [
            f'<path d="M{_LEFT} {y(quality):.1f}H{_WIDE - _RIGHT}" stroke="#dddddd"/>',
            f'<text x="{_LEFT - 6}" y="{y(quality) + 4:.1f}" text-anchor="end">'
            f"{quality:.3g}</text>",
            f'<text x="{x(cost):.1f}" y="{_HIGH - _BOTTOM + 18}" text-anchor="middle">'
            f"{cost:.3g}</text>",
        ]
    line = sorted((point[1], point[2]) for point in points if point[6])
    path = " ".join(f"{x(cost):.1f},{y(quality):.1f}" for cost, quality in line)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{_BLUE}" stroke-dasharray="4 3"/>')
    taken: list[tuple[float, float]] = []
    for label, cost, quality, low, high, tied, frontier in points:
        at, colour = f"{x(cost):.1f}", _BLUE if frontier else _GREY
        if low is not None and high is not None:
            parts.append(f'<path d="M{at} {y(low):.1f}V{y(high):.1f}" stroke="{colour}"/>')
        fill = colour if tied else "white"
        parts += [
            f'<circle cx="{at}" cy="{y(quality):.1f}" r="5" fill="{fill}" stroke="{colour}">'
            f"<title>{escape(label)}: {quality:.4f}, ${cost:.6f}</title></circle>",
            f'<text x="{x(cost) + 9:.1f}" y="{_free(taken, x(cost), y(quality) - 6):.1f}">'
            f"{escape(label)}</text>",
        ]
    return parts


def _free(taken: list[tuple[float, float]], x: float, y: float) -> float:
    """Give the next height at which a label covers no other."""
    while any(abs(x - a) < _NEAR and abs(y - b) < _LINE for a, b in taken):
        y += _LINE
    taken.append((x, y))
    return y


def _range(low: float, high: float) -> tuple[float, float]:
    """Give the ends of an axis, with some air; never two ends at one place."""
    air = (high - low) * 0.08 or abs(high) * 0.5 or 0.5
    return (max(low - air, 0.0) if low >= 0 else low - air), high + air
