"""Two groups that are not paired: the difference of their means, and whether a split is fair."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from statistics import NormalDist

from genai import extras
from genai.stats.intervals import Interval, wilson


def newcombe(
    passed_a: int, n_a: int, passed_b: int, n_b: int, confidence: float = 0.95
) -> Interval:
    """Give the difference of two shares, b minus a, with one-sided bounds from Wilson's intervals.

    Newcombe, Interval estimation for the difference between independent proportions, Stat Med 17
    (1998), method 10.
    """
    if n_a < 1 or n_b < 1:
        raise ValueError(f"{n_a} and {n_b} outcomes: at least 1 of each")
    a, b = passed_a / n_a, passed_b / n_b
    low_a, high_a = wilson(passed_a, n_a, 2 * confidence - 1)
    low_b, high_b = wilson(passed_b, n_b, 2 * confidence - 1)
    mean, se = b - a, math.sqrt(a * (1 - a) / n_a + b * (1 - b) / n_b)
    low = mean - math.hypot(b - low_b, high_a - a)
    high = mean + math.hypot(high_b - b, a - low_a)
    return Interval(mean, se, low, high, n_a + n_b, confidence)


def score_test(passed_a: int, n_a: int, passed_b: int, n_b: int) -> float:
    """Give the one-sided p that the share of b is below that of a (pooled z); 1 if none differs."""
    pooled = (passed_a + passed_b) / (n_a + n_b)
    se = math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    return NormalDist().cdf((passed_b / n_b - passed_a / n_a) / se) if se else 1.0


def clustered_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters_a: Sequence[Hashable],
    clusters_b: Sequence[Hashable],
    *,
    confidence: float = 0.95,
) -> tuple[Interval, float]:
    """Give mean b minus mean a with cluster-robust bounds, and the one-sided p that it is below 0.

    A cluster may have values on both sides. CR1 standard error; t with as many degrees of freedom
    as the side with fewer clusters has, less one. Where nothing varies inside a side the bounds
    are 3/C of each, and p is the chance that shuffled clusters fall apart like that.
    """
    if not a or not b:
        raise ValueError(f"{len(a)} and {len(b)} values: at least 1 of each")
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    sums: dict[Hashable, float] = defaultdict(float)
    for value, cluster in zip(a, clusters_a, strict=True):
        sums[cluster] -= (value - mean_a) / len(a)
    for value, cluster in zip(b, clusters_b, strict=True):
        sums[cluster] += (value - mean_b) / len(b)
    count, mean = len(sums), mean_b - mean_a
    square = math.fsum(each * each for each in sums.values())
    se = math.sqrt(count / (count - 1) * square) if count > 1 else 0.0
    n = len(a) + len(b)
    sizes = len(set(clusters_a)), len(set(clusters_b))
    fewer = min(sizes) - 1
    if se < 1e-12 or fewer < 1:
        half = 3 / sizes[0] + 3 / sizes[1] if fewer >= 1 else 1.0
        p = 1 / math.comb(sum(sizes), sizes[0]) if mean < 0 else 1.0
        return Interval(mean, se, mean - half, mean + half, n, confidence), p
    special = extras.load("scipy.special", "evals")
    half = float(special.stdtrit(fewer, confidence)) * se
    p = float(special.stdtr(fewer, mean / se))
    return Interval(mean, se, mean - half, mean + half, n, confidence), p


def split_p(n_a: int, n_b: int, share: float = 0.5) -> float:
    """Give the p of a split against the planned share of a (chi-square, 1 degree of freedom)."""
    total = n_a + n_b
    if total == 0:
        return 1.0
    wanted = total * share, total * (1 - share)
    square = (n_a - wanted[0]) ** 2 / wanted[0] + (n_b - wanted[1]) ** 2 / wanted[1]
    return math.erfc(math.sqrt(square / 2))
