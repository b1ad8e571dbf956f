"""Judge and person: how far they agree, and what a judge's score is worth after correction."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from genai.stats.intervals import Interval, wilson

Weights = Literal["", "linear", "quadratic"]
_Z975 = 1.959963984540054


def kappa(table: Sequence[Sequence[float]], weights: Weights = "") -> float | None:
    """Give Cohen's kappa of a square table of counts; None where it is undefined.

    Undefined means that both sides gave one and the same label throughout, or no label.
    Cohen, Psychol Bull 70 (1968) for `weights`.
    """
    size, total = len(table), sum(map(sum, table))
    if total == 0:
        return None
    rows = [sum(row) for row in table]
    columns = [sum(row[j] for row in table) for j in range(size)]

    def apart(i: int, j: int) -> float:
        if not weights:
            return float(i != j)
        return float(abs(i - j) ** (1 if weights == "linear" else 2))

    pairs = [(i, j) for i in range(size) for j in range(size)]
    expected = math.fsum(apart(i, j) * rows[i] * columns[j] for i, j in pairs) / total
    if expected == 0:
        return None
    return 1 - math.fsum(apart(i, j) * table[i][j] for i, j in pairs) / expected


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a judge stands to people: kappa with its 95 % interval, and its two error rates.

    `hit` is the share of cases people pass that the judge passes too, `slip` the share of cases
    people fail that it passes; each with its Wilson interval.
    """

    n: int
    kappa: float | None
    low: float | None
    high: float | None
    hit: tuple[float, float, float] | None
    slip: tuple[float, float, float] | None


def agreement(
    person: Sequence[bool], judge: Sequence[bool], *, draws: int = 2000, seed: int = 20_260
) -> Agreement:
    """Compare a judge with a person on the same cases; the interval is a percentile bootstrap.

    A draw in which kappa is undefined counts as 0: it shows no agreement beyond chance. So a judge
    that was right on the only answer which people fail has no lower bound from it.
    """
    pairs = list(zip(map(bool, person), map(bool, judge), strict=True))
    value = kappa(_counts(pairs))
    low = high = None
    if value is not None:
        dice = random.Random(seed)
        drawn = [kappa(_counts(dice.choices(pairs, k=len(pairs)))) for _ in range(draws)]
        found = sorted(each or 0.0 for each in drawn)
        low, high = found[int(0.025 * len(found))], found[int(0.975 * len(found))]
    return Agreement(len(pairs), value, low, high, _share(pairs, True), _share(pairs, False))


def _counts(pairs: Sequence[tuple[bool, bool]]) -> list[list[int]]:
    both = sum(a and b for a, b in pairs)
    only = sum(a and not b for a, b in pairs)
    slip = sum(b and not a for a, b in pairs)
    return [[both, only], [slip, len(pairs) - both - only - slip]]


def _share(pairs: Sequence[tuple[bool, bool]], passed: bool) -> tuple[float, float, float] | None:
    found = [judged for said, judged in pairs if said is passed]
    if not found:
        return None
    return sum(found) / len(found), *wilson(sum(found), len(found))


def corrected(
    labels: Sequence[float], judged: Sequence[float], others: Sequence[float]
) -> Interval:
    """Give the mean a person would give, from labels on some cases and a judge on all (PPI++).

    `labels` and `judged` are person and judge on the same cases, `others` the judge alone on
    other cases; the labelled ones must be a random sample. Bounds at 97.5 % a side.
    Angelopoulos, Duchi and Zrnic, PPI++, arXiv 2311.01453 (2023).
    """
    n, more = len(labels), len(others)
    if n < 2 or len(judged) != n or more < 2:
        raise ValueError(f"{n} labels, {len(judged)} judged, {more} others: at least 2 of each")
    spread = _variance([*judged, *others])
    factor, pairs = 0.0, list(zip(labels, judged, strict=True))
    if spread:
        mean = math.fsum(judged) / n
        products = (y * (f - mean) for y, f in pairs)
        factor = min(max(math.fsum(products) / (n - 1) / ((1 + n / more) * spread), 0.0), 1.0)
    rest = [y - factor * f for y, f in pairs]
    mean = factor * math.fsum(others) / more + math.fsum(rest) / n
    se = math.sqrt(factor * factor * _variance(others) / more + _variance(rest) / n)
    return Interval(mean, se, mean - _Z975 * se, mean + _Z975 * se, n + more, 0.975)


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((each - mean) ** 2 for each in values) / (len(values) - 1)
