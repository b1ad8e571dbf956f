"""Several tests at once: adjusted p-values, in the order given."""

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """Adjust so that the chance of any false alarm is kept. Holm, Scand J Statist 6 (1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = list(values), 0.0
    for rank, position in enumerate(order):
        highest = max(highest, min(values[position] * (len(values) - rank), 1.0))
        adjusted[position] = highest
    return adjusted


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Adjust so that the share of false alarms among the alarms is kept. JRSS B 57 (1995)."""
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    adjusted, lowest = list(values), 1.0
    for rank, position in enumerate(order):
        lowest = min(lowest, values[position] * len(values) / (len(values) - rank))
        adjusted[position] = lowest
    return adjusted
