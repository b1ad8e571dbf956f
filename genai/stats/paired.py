"""Paired tests whose question is: is the candidate worse?"""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import product
from statistics import NormalDist

from genai import extras

_EXACT, _NORMAL = 14, 2000  # clusters
_BLOCK = 500


def mcnemar(losses: int, gains: int) -> float:
    """Give the one-sided mid-p of McNemar's test that losses outweigh gains.

    No discordant pair gives 1. Fagerland, Lydersen and Laake, BMC Med Res Methodol 13:91 (2013).
    """
    n = losses + gains
    if n == 0:
        return 1.0
    over = sum(math.comb(n, k) for k in range(losses + 1, n + 1))
    return float((2 * over + math.comb(n, losses)) / 2 ** (n + 1))


def sign_flip(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = 10_000,
    seed: int = 20_260,
) -> float:
    """Give the one-sided p that the mean difference is below zero, flipping signs by cluster.

    Exact up to 14 clusters, drawn with a fixed seed up to 2,000, and above that by the normal form
    with the exact variance of the null. Clusters whose sum is zero change nothing and are left out.
    """
    sums: dict[Hashable, float] = defaultdict(float)
    for position, value in enumerate(differences):
        sums[clusters[position] if clusters is not None else position] += value
    totals = [each for each in sums.values() if each]
    seen = math.fsum(totals)
    if not totals:
        return 1.0
    if len(totals) <= _EXACT:
        flips = product(*((each, -each) for each in totals))
        low = sum(math.fsum(each) <= seen + 1e-12 for each in flips)
        return float(low / 2 ** len(totals))
    if len(totals) > _NORMAL:
        return NormalDist().cdf(seen / math.sqrt(math.fsum(each * each for each in totals)))
    np = extras.load("numpy", "evals")
    random = np.random.default_rng(seed)
    # sorted, so that the order of the rows does not change the verdict
    values, low = np.sort(np.asarray(totals)), 0
    for start in range(0, draws, _BLOCK):
        signs = random.integers(0, 2, (min(_BLOCK, draws - start), len(totals))) * 2 - 1
        low += int((signs @ values <= seen + 1e-12).sum())
    return (1 + low) / (draws + 1)
