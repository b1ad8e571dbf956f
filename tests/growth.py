"""Whether work takes time in proportion to its input: the same answer on any machine."""

import time
from collections.abc import Callable

_QUICK = 1.0  # seconds of the processor; what is quadratic takes far longer at the sizes asked for
_LINEAR = 24  # between 8, which linear time gives, and 64, which quadratic time gives


def grows_as_its_input(work: Callable[[int], object], size: int) -> bool:
    """Whether `work(size)` is quick, or takes no more than its input's share of `work(size / 8)`.

    The least of three tries counts, for a machine that is busy with others slows any one of them.
    """
    few = many = float("inf")
    for again in range(3):  # of other sizes, so that nothing remembered makes one of them quick
        many = min(many, _spent(work, size - again))
        if many < _QUICK:
            return True
        few = min(few, _spent(work, (size - again) // 8))
        if many < _LINEAR * few:
            return True
    return False


def _spent(work: Callable[[int], object], size: int) -> float:
    start = time.process_time()
    work(size)
    return time.process_time() - start
