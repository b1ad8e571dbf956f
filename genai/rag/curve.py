"""Risk over coverage: how wrong the answers are when only the surest share of them is given."""

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from html import escape
from itertools import groupby
from statistics import fmean

from genai import extras

Rows = Sequence[tuple[float, bool]]  # a confidence, and whether the answer is right
_RESAMPLES, _SEED = 1000, 20_26
_WIDE, _HIGH, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 400, 60, 50, 56, 20
_BLUE, _GREY = "#1f5fa8", "#767676"


def risk_coverage(rows: Rows) -> list[tuple[float, float, float]]:
    """Give (coverage, risk, confidence) a step, from the surest answer to all of them.

    Answers of one confidence come or stay together, so they are one step.
    """
    points, n, wrong = [], 0, 0
    ordered = sorted(rows, key=lambda row: -row[0])
    for score, group in groupby(ordered, key=lambda row: row[0]):
        rights = [right for _, right in group]
        n, wrong = n + len(rights), wrong + rights.count(False)
        points.append((n / len(rows), wrong / n, score))
    return points


def aurc(rows: Rows) -> float:
    """Give the area under the curve: the mean risk over coverages 1/n, 2/n ... 1.

    Within one confidence the order is unknown, so each answer counts its group's share of errors.
    Geifman, Uziel and El-Yaniv, ICLR 2019. Raises `ValueError` without rows.
    """
    if not rows:
        raise ValueError("no answers: there is no curve")
    risks, n, wrong = [], 0, 0.0
    ordered = sorted(rows, key=lambda row: -row[0])
    for _, group in groupby(ordered, key=lambda row: row[0]):
        rights = [right for _, right in group]
        share = rights.count(False) / len(rights)
        for _ in rights:
            n, wrong = n + 1, wrong + share
            risks.append(wrong / n)
    return fmean(risks)


def balanced_accuracy(rows: Rows, threshold: float) -> float:
    """Give the mean of the share rightly let through and the share rightly held back.

    The rows say whether a question has an answer. Raises `ValueError` where one kind is missing.
    """
    held = [score >= threshold for score, answerable in rows if answerable]
    absent = [score < threshold for score, answerable in rows if not answerable]
    if not held or not absent:
        raise ValueError("both questions with and without an answer are needed")
    return (fmean(held) + fmean(absent)) / 2


def bootstrap(
    figure: Callable[[Rows], float], rows: Rows, clusters: Sequence[Hashable]
) -> tuple[float, float]:
    """Give the 95 % interval of a figure, drawing whole clusters again; the seed is fixed.

    A draw in which the figure does not exist (one kind of row is missing) is drawn again.
    """
    groups: dict[Hashable, list[tuple[float, bool]]] = defaultdict(list)
    for row, cluster in zip(rows, clusters, strict=True):
        groups[cluster].append(row)
    parts, draw, found = list(groups.values()), random.Random(_SEED), []
    for _ in range(10 * _RESAMPLES):
        chosen = draw.choices(parts, k=len(parts))
        try:
            found.append(figure([row for part in chosen for row in part]))
        except ValueError:
            continue
        if len(found) == _RESAMPLES:
            break
    found.sort()
    return found[int(0.025 * len(found))], found[int(0.975 * len(found)) - 1]


def risk_bound(wrong: int, n: int) -> float:
    """Give the upper 95 % Clopper-Pearson bound of a share of errors; 1 without answers."""
    if wrong >= n:
        return 1.0
    return float(extras.load("scipy.special", "evals").betaincinv(wrong + 1, n - wrong, 0.95))


def draw(
    rows: Rows, threshold: float, title: str, area: float, interval: tuple[float, float]
) -> str:
    """Give the curve as one SVG file without script, font or network."""
    points = risk_coverage(rows)
    most = max(0.05, *(risk for _, risk, _ in points)) * 1.08

    def x(coverage: float) -> float:
        return _LEFT + coverage * (_WIDE - _LEFT - _RIGHT)

    def y(risk: float) -> float:
        return _HIGH - _BOTTOM - risk / most * (_HIGH - _TOP - _BOTTOM)

    low, high = interval
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="38" fill="{_GREY}">area under the curve {area:.3f}'
        f" ({low:.3f} to {high:.3f}, 95 %), {len(rows)} questions</text>",
    ]
    for n in range(5):
        coverage, risk = n / 4, n / 4 * most
        parts += [
            f'<path d="M{_LEFT} {y(risk):.1f}H{_WIDE - _RIGHT}" stroke="#dddddd"/>',
            f'<text x="{_LEFT - 6}" y="{y(risk) + 4:.1f}" text-anchor="end">{risk:.2f}</text>',
            f'<text x="{x(coverage):.1f}" y="{_HIGH - _BOTTOM + 18}" text-anchor="middle">'
            f"{coverage:.2f}</text>",
        ]
    line = " ".join(f"{x(coverage):.1f},{y(risk):.1f}" for coverage, risk, _ in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{_BLUE}" stroke-width="1.5"/>')
    parts += _mark(points, threshold, x, y)
    parts.append(
        f'<text x="{x(0.5):.1f}" y="{_HIGH - 12}" text-anchor="middle">'
        "coverage: share of the questions that are answered</text>"
    )
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 6}" fill="{_GREY}">risk: share wrong</text>')
    return "\n".join([*parts, "</svg>", ""])


def _mark(
    points: Sequence[tuple[float, float, float]],
    threshold: float,
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> list[str]:
    """Show where the threshold stands; nowhere if it lets nothing through."""
    kept = [point for point in points if point[2] >= threshold]
    if not kept:
        return []
    coverage, risk, _ = kept[-1]
    side, shift = ("end", -8) if coverage > 0.5 else ("start", 8)  # never over the edge
    return [
        f'<circle cx="{x(coverage):.1f}" cy="{y(risk):.1f}" r="5" fill="{_BLUE}"/>',
        f'<text x="{x(coverage) + shift:.1f}" y="{y(risk) - 8:.1f}" text-anchor="{side}">'
        f"threshold {threshold:.3f}: {coverage:.0%} answered, {risk:.1%} of them wrong</text>",
    ]
