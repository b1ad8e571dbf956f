"""Four plots, drawn by hand: as SVG, which needs nothing from outside, and as PNG for slides."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from genai import extras
from genai.reports.business.draws import Outlook, Swing

_W, _H, _PAD = 640.0, 260.0, 56.0
_SWINGS = 8  # inputs of a tornado
_SCALE = 3  # pixels of a PNG to one unit
_INK, _LINE, _BAND = "#222", "#38a", "#c5dbea"
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
_Points = Sequence[tuple[float, float]]


@dataclass(slots=True)
class Plot:
    """A drawing of lines (`axis`, `middle`), areas (`band`), bars and words; units are pixels."""

    title: str
    height: float = _H
    paths: list[tuple[str, _Points]] = field(default_factory=list)
    bars: list[tuple[float, float, float, float]] = field(default_factory=list)
    words: list[tuple[float, float, str, str]] = field(default_factory=list)

    def path(self, points: _Points, style: str) -> None:
        """Draw a line, or an area where the style is `band`."""
        self.paths.append((style, points))

    def axis(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw a straight line."""
        self.path([(x1, y1), (x2, y2)], "axis")

    def bar(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a filled bar."""
        self.bars.append((x, y, width, height))

    def say(self, x: float, y: float, words: str, anchor: str = "start") -> None:
        """Write words at a place."""
        self.words.append((x, y, words, anchor))

    def svg(self) -> str:
        """Give it as SVG; the page's style sheet gives the colours."""
        inner = ""
        for style, points in self.paths:
            steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            inner += f'<path class="{style}" d="M{steps}"/>'
        for x, y, width, height in self.bars:
            place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:g}"'
            inner += f'<rect class="bar" {place}/>'
        for x, y, words, anchor in self.words:
            place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            inner += f'<text {place} fill="currentColor">{words}</text>'
        return (
            f'<svg viewBox="0 0 {_W:g} {self.height:g}" role="img" aria-label="{self.title}"'
            ' xmlns="http://www.w3.org/2000/svg" font-family="system-ui" font-size="12">'
            f"<title>{self.title}</title>{inner}</svg>"
        )

    def png(self) -> bytes:
        """Give it as PNG on white, three pixels a unit."""
        images: Any = extras.load("PIL.Image", "reports")
        drawing: Any = extras.load("PIL.ImageDraw", "reports")
        fonts: Any = extras.load("PIL.ImageFont", "reports")
        image = images.new("RGB", (int(_W * _SCALE), int(self.height * _SCALE)), "white")
        draw, font = drawing.Draw(image), fonts.load_default(12 * _SCALE)
        for style, points in self.paths:
            places = [(x * _SCALE, y * _SCALE) for x, y in points]
            if style == "band":
                draw.polygon(places, fill=_BAND)
            else:
                wide = style == "middle"
                draw.line(places, fill=_LINE if wide else _INK, width=_SCALE * (1 + wide))
        for x, y, width, height in self.bars:
            ends = (x * _SCALE, y * _SCALE, (x + width) * _SCALE, (y + height) * _SCALE)
            draw.rectangle(ends, fill=_LINE)
        for x, y, words, anchor in self.words:
            place = (x * _SCALE, y * _SCALE)
            draw.text(place, words, fill=_INK, font=font, anchor=_ANCHORS[anchor])
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()


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


def fan(found: Outlook) -> Plot:
    """Plot the cumulative cash: the middle, and the band from P10 to P90."""
    plot = Plot("Cumulative cash, P10 to P90")
    lows, highs = [row[0] for row in found.fan], [row[2] for row in found.fan]
    a, b = _scale(1, len(found.fan), _PAD, _W - 16)
    c, d = _scale(min(*lows, 0.0), max(*highs, 0.0), _H - 28, 12)
    xs = [a * (n + 1) + b for n in range(len(found.fan))]
    upper = [(x, c * v + d) for x, v in zip(xs, highs, strict=True)]
    lower = [(x, c * v + d) for x, v in zip(xs, lows, strict=True)]
    plot.path([*upper, *lower[::-1]], "band")
    plot.path([(x, c * row[1] + d) for x, row in zip(xs, found.fan, strict=True)], "middle")
    plot.axis(_PAD, d, _W - 16, d)
    plot.say(_PAD - 6, d + 4, "0", "end")
    plot.say(_PAD - 6, 22, money(max(highs)), "end")
    plot.say(_PAD - 6, _H - 30, money(min(lows)), "end")
    plot.say(_W / 2, _H - 6, f"months 1 to {len(found.fan)}", "middle")
    return plot


def tornado(swings: Sequence[Swing]) -> Plot:
    """Plot what moves the value most, from P10 to P90 of each input."""
    shown = list(swings[:_SWINGS])
    plot = Plot("What moves the value most", 30.0 * len(shown) + 16)
    ends = [end for each in shown for end in (each.low, each.high)] or [0.0, 1.0]
    a, b = _scale(min(ends), max(ends), 130, _W - 150)
    for row, each in enumerate(shown):
        y = 30.0 * row + 8
        left, right = sorted((a * each.low + b, a * each.high + b))
        plot.bar(left, y, right - left, 18)
        plot.say(124, y + 13, each.name, "end")
        low, high = sorted((each.low, each.high))
        plot.say(_W - 140, y + 13, f"{money(low)} to {money(high)}")
    return plot


def curve(found: Outlook) -> Plot:
    """Plot how likely at most each value is; the part below zero is a loss."""
    plot = Plot("How likely at most this value is")
    a, b = _scale(min(found.curve[0], 0.0), max(found.curve[-1], 0.0), _PAD, _W - 16)
    c, d = _scale(0, 1, _H - 28, 12)
    plot.path([(a * value + b, c * n / 100 + d) for n, value in enumerate(found.curve)], "middle")
    plot.axis(b, 12, b, _H - 28)
    plot.axis(_PAD, _H - 28, _W - 16, _H - 28)
    plot.say(b, _H - 12, "0", "middle")
    plot.say(_PAD, _H - 12, money(found.curve[0]))
    plot.say(_W - 16, _H - 12, money(found.curve[-1]), "end")
    plot.say(_PAD - 6, 18, "100 %", "end")
    plot.say(_PAD - 6, _H - 28, "0 %", "end")
    return plot


def bands(found: Sequence[tuple[float, float]], most: float) -> Plot:
    """Plot the monthly requests for which own GPUs are cheaper than the API."""
    plot = Plot("Requests a month for which own GPUs are cheaper", 72)
    a, b = _scale(0, most, 16, _W - 16)
    plot.axis(16, 30, _W - 16, 30)
    for start, end in found:
        plot.bar(a * start + b, 18, a * (min(end, most) - start), 24)
        plot.say(a * start + b, 60, money(start))
    return plot
