"""Intervals against published values."""

import pytest

from genai.stats import wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (18, 20, 0.698966, 0.972134),
        (7, 10, 0.396778, 0.892209),
        (170, 200, 0.793944, 0.892864),
        (50, 50, 0.928652, 1.0),
        (0, 50, 0.0, 0.071348),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == pytest.approx((low, high), abs=1e-6)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        wilson(3, 2)
