"""Has a distribution moved between two periods? Effect sizes, and a test that keeps days whole.

Days are the units, since questions of one day have more in common than questions of two. Each day
is a row of counts; a share has two columns, a number is counted in bins.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from genai import extras

_FLOOR = 1e-4  # of a share, so that an empty bin has a logarithm


def psi(reference: Sequence[float], current: Sequence[float]) -> float:
    """Give the population stability index of two distributions, as counts or shares.

    0 is none, .1 is worth a look, .25 is a different population. Shares below 1e-4 count as that.
    """
    one, other = _shares(reference), _shares(current)
    pairs = [(max(a, _FLOOR), max(b, _FLOOR)) for a, b in zip(one, other, strict=True)]
    return math.fsum((b - a) * math.log(b / a) for a, b in pairs)


def _shares(counts: Sequence[float]) -> list[float]:
    total = math.fsum(counts)
    if total <= 0:
        raise ValueError("no count: nothing can be said of the distribution")
    return [each / total for each in counts]


def edges(values: Sequence[float], bins: int = 10) -> list[float]:
    """Give the inner edges of bins that hold about as many values each.

    Where there are no more values than bins, such as 0 and 1, each is a bin of its own.
    """
    ordered, distinct = sorted(values), sorted(set(values))
    if len(distinct) <= bins:
        return [(a + b) / 2 for a, b in zip(distinct, distinct[1:], strict=False)]
    return sorted({ordered[len(ordered) * n // bins] for n in range(1, bins)})


def histogram(values: Sequence[float], inner: Sequence[float]) -> list[int]:
    """Count values between the edges; one equal to an edge lies above it."""
    counts = [0] * (len(inner) + 1)
    for value in values:
        counts[bisect_right(inner, value)] += 1
    return counts


def day_permutation(
    reference: Sequence[Sequence[float]], current: Sequence[Sequence[float]], *,
    ordered: bool = False, draws: int = 999, seed: int = 20_260,
) -> float:  # fmt: skip
    """Give the p that the days of two periods come from one source, by exchanging whole days.

    Rows are days, columns are counts. The statistic is the squared distance of the shares, each
    weighted by how common it is; where the columns are `ordered` bins of a number, that of the
    cumulative shares, which sees a small shift of everything (Anderson and Darling's weights).
    Fewer than 2 days on a side give 1: nothing can be exchanged.
    """
    np = extras.load("numpy", "evals")
    days = np.asarray([*reference, *current], dtype=float)
    size, count = len(reference), len(days)
    if size < 2 or count - size < 2 or not days.sum():
        return 1.0
    totals = days.sum(axis=1, keepdims=True)
    if ordered:
        days = np.concatenate([days.cumsum(axis=1)[:, :-1], totals], axis=1)
        pooled = days.sum(axis=0) / totals.sum()
        weight = 1 / np.maximum(pooled * (1 - pooled), _FLOOR)
    else:
        pooled = days.sum(axis=0) / days.sum()
        weight = 1 / np.maximum(pooled, _FLOOR)

    def distance(first: Any) -> Any:
        one, counted = first @ days, first @ totals
        other, rest = days.sum(axis=0) - one, totals.sum() - counted
        a, b = one / np.maximum(counted, 1), other / np.maximum(rest, 1)
        return ((a - b) ** 2 * weight).sum(axis=1)

    seen = np.zeros((1, count))
    seen[0, :size] = 1
    random = np.random.default_rng(seed)
    drawn = np.zeros((draws, count))
    order = random.random((draws, count)).argsort(axis=1)[:, :size]
    np.put_along_axis(drawn, order, 1.0, axis=1)
    least = distance(seen)[0] - 1e-12
    return float((1 + (distance(drawn) >= least).sum()) / (draws + 1))
