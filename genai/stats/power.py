"""How many cases a question needs, one-sided at 5 % with a power of 80 %, and what repeats say."""

import math
from statistics import NormalDist

_Z = NormalDist().inv_cdf(0.95) + NormalDist().inv_cdf(0.8)  # one-sided 5 %, power 80 %


def cases_for_drop(drop: float, *, discordant: float = 0.0, sd: float = 0.0) -> int:
    """Give the pairs needed to see a drop: of a share by its `discordant`, of a score by its `sd`.

    `sd` is that of the differences. Several cases a cluster need 1 + (size - 1) ICC times as many.
    """
    spread = sd * sd if sd else discordant - drop * drop
    if drop <= 0 or spread <= 0:
        raise ValueError(f"a drop of {drop:g} at this spread cannot be planned for")
    return math.ceil(_Z * _Z * spread / (drop * drop))


def cases_to_prove(margin: float, discordant: float) -> int:
    """Give the pairs needed to show that an unchanged task is not worse than by `margin`."""
    return math.ceil(_Z * _Z * discordant / (margin * margin))


def cases_unmoved(margin: float) -> int:
    """Give the cases with which a score that moved in none of them is within `margin`, a share.

    `clustered` then bounds its difference by 3/n.
    """
    return math.floor(3 / margin) + 1


def detectable(sd: float, n: int) -> float:
    """Give the smallest drop that `n` pairs show."""
    return _Z * sd / math.sqrt(n)


def pass_at(k: int, passed: int, n: int) -> float:
    """Give the chance that one of `k` tries passes, from `passed` of `n` repeats, unbiased.

    Chen et al., Evaluating large language models trained on code, arXiv 2107.03374 (2021).
    """
    return 1 - math.comb(n - passed, k) / math.comb(n, k)


def pass_hat(k: int, passed: int, n: int) -> float:
    """Give the chance that all of `k` tries pass, from `passed` of `n` repeats, unbiased."""
    return math.comb(passed, k) / math.comb(n, k)
