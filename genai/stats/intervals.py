"""Intervals: a share without one is a rumour."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

from genai import extras


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Give the two-sided Wilson score interval of `k` successes in `n` trials.

    Wilson, Probable inference, JASA 22 (1927). With n = 0 nothing is known: (0, 1).
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} successes in {n} trials cannot be")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, z2 = k / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def rule_of_three(n: int) -> float:
    """Give the exact 95 % bound of a failure rate after `n` trials without one; 1 for n = 0."""
    return 1 - 0.05 ** (1 / n) if n else 1.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its standard error and two one-sided bounds, each at `confidence`."""

    mean: float
    se: float
    low: float
    high: float
    n: int
    confidence: float = 0.95


def bonett_price(losses: int, gains: int, n: int, confidence: float = 0.95) -> Interval:
    """Give the difference of two paired shares, candidate minus baseline, with its bounds.

    `losses` passed before and fail now, `gains` the other way round, of `n` pairs. The mean is
    the adjusted one of Bonett and Price, Adjusted Wald confidence interval for a difference of
    binomial proportions based on paired data, JEBS 37 (2012); show (gains - losses)/n beside it.
    """
    if min(losses, gains) < 0 or losses + gains > n or n < 1:
        raise ValueError(f"{losses} losses and {gains} gains in {n} pairs cannot be")
    p10, p01 = (losses + 1) / (n + 2), (gains + 1) / (n + 2)
    mean = p01 - p10
    se = math.sqrt((p10 + p01 - mean * mean) / (n + 2))
    z = NormalDist().inv_cdf(confidence)
    return Interval(mean, se, mean - z * se, mean + z * se, n, confidence)


def clustered(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    width: float = 1.0,
    confidence: float = 0.95,
) -> Interval:
    """Give the mean of differences with cluster-robust bounds (CR1, t with C - 1 degrees).

    Without `clusters` every difference is its own. Where all differences are equal the sample says
    nothing of the spread, so the bounds are mean -/+ 3/C of `width`, the range of the metric.
    Liang and Zeger, Biometrika 73 (1986), with the correction C/(C - 1).
    """
    n = len(differences)
    if n == 0:
        raise ValueError("no differences: nothing can be said of their mean")
    mean = math.fsum(differences) / n
    sums: dict[Hashable, float] = defaultdict(float)
    for position, value in enumerate(differences):
        sums[clusters[position] if clusters is not None else position] += value - mean
    count = len(sums)
    square = math.fsum(each * each for each in sums.values())
    se = math.sqrt(count / (count - 1) * square) / n if count > 1 else 0.0
    if max(differences) - min(differences) < 1e-12 or count < 2:
        half = 3 / count * width if count > 1 else width
    else:
        half = float(extras.load("scipy.special", "evals").stdtrit(count - 1, confidence)) * se
    return Interval(mean, se, mean - half, mean + half, n, confidence)


def log_ratio(before: Sequence[float], after: Sequence[float]) -> Interval:
    """Give the mean paired ratio after/before of amounts, by their logs, bounds at 95 % a side.

    Pairs with an amount that is not positive have no ratio and are an error.
    """
    logs = [math.log(b / a) for a, b in zip(before, after, strict=True)]
    found = clustered(logs)
    return Interval(
        math.exp(found.mean), found.se, math.exp(found.low), math.exp(found.high), found.n
    )


def percentile_ranks(n: int, share: float = 0.95) -> tuple[int, int]:
    """Give the 1-based ranks of the order statistics around a percentile, 5 % on each side.

    The upper rank is n + 1 where no value bounds it, as for the 95th percentile under n = 59.
    """

    def chance(rank: int) -> float:
        """That so many values lie under the percentile."""
        log = math.lgamma(n + 1) - math.lgamma(rank + 1) - math.lgamma(n - rank + 1)
        return math.exp(log + rank * math.log(share) + (n - rank) * math.log1p(-share))

    sums = list(accumulate(map(chance, range(n + 1))))
    return max(sum(each <= 0.05 for each in sums), 1), sum(each < 0.95 for each in sums) + 1
