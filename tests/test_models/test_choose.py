"""Choosing a model: filters with reasons, our own measurements, and a record that can be read."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from makers import call

from genai.ledger import Ledger, Prices
from genai.models.choose import Wanted, compare, record

OWN: dict[str, Any] = {
    "p/small": {"input": "0.0000001", "output": "0.0000002", "context": 8000,
                "licence": "Apache-2.0", "regions": ["eu"]},
    "p/large": {"input": "0.000003", "output": "0.000015", "context": 200000,
                "end_of_life": "2027-01-31", "regions": ["us", "eu"], "modalities": ["image"]},
    "p/bare": {"input": "0.000001", "output": "0.000001"},
}  # fmt: skip
PRICES = Prices.read({"models": OWN}, "x")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.db")
    for n in range(40):
        made.record(call(id=f"a{n}", model="p/small", seconds=0.1 + n / 100))
        made.record(call(id=f"b{n}", model="p/large", seconds=1.0 + n / 10))
        for model, share in (("p/small", 2), ("p/large", 1)):
            hit = float(n % share == 0)
            made.record(
                call(id=f"{model}{n}", kind="eval", model=model,
                     tags={"case": f"c{n}", "recall": hit, "score": n / 40})
            )  # fmt: skip
    return made


def test_times_and_quality_under_different_names_are_both_taken(tmp_path: Path) -> None:
    made = Ledger(tmp_path / "ledger.db")
    made.record(call(id="a", model="p/small", seconds=0.5))
    made.record(call(id="b", kind="eval", model="tiny", tags={"case": "c", "recall": 1.0}))
    prices = Prices.read({"models": OWN, "aliases": {"tiny": "p/small"}}, "x")
    (found,) = compare(["p/small"], prices, made, Wanted())
    assert found.p95 == pytest.approx(0.5)
    assert found.quality["recall"].mean == 1


def remaining(ledger: Ledger, **wanted: Any) -> list[str]:
    found = compare([], PRICES, ledger, Wanted(**wanted))
    assert len(found) == 3
    return [each.name for each in found if not each.excluded]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["p/small", "p/bare", "p/large"]),
        ({"licences": ("Apache-2.0",)}, ["p/small"]),
        ({"regions": ("us",)}, ["p/large"]),
        ({"min_context": 10_000}, ["p/large"]),
        ({"max_input_price": Decimal("1")}, ["p/small", "p/bare"]),
        ({"max_output_price": Decimal("0.5")}, ["p/small"]),
        ({"lives_until": date(2027, 6, 1)}, ["p/small", "p/bare"]),
        ({"max_p95": 1.0}, ["p/small"]),
        ({"metric": "recall"}, ["p/large", "p/small", "p/bare"]),
        ({"metric": "recall", "min_quality": 0.9}, ["p/large"]),
        ({"modalities": ("image",)}, ["p/large"]),
        ({"modalities": ("image", "tools")}, []),
        ({"licences": ("MIT",)}, []),
        ({"licences": ("MIT", "Apache-2.0")}, ["p/small"]),
        ({"regions": ("us", "eu")}, ["p/small", "p/large"]),
        ({"regions": ("eu",), "licences": ("Apache-2.0",)}, ["p/small"]),
    ],
)
def test_filters_and_order(ledger: Ledger, wanted: dict[str, Any], names: list[str]) -> None:
    assert remaining(ledger, **wanted) == names


def test_the_record_says_what_was_asked_measured_and_why_the_rest_fell_out(ledger: Ledger) -> None:
    wanted = Wanted(min_context=1000, metric="recall")
    text = record(compare([], PRICES, ledger, wanted), wanted, date(2026, 11, 24), "abc")
    assert "Chosen: **p/large**." in text
    assert "- min_context: 1000" in text
    assert "| p/small | 8000 | 0.1 | 0.2 | not said | 40 | 0.290 | 0.470 |" in text
    assert "0.500 (0.352 to 0.648, n 40)" in text
    assert "- 1 by context unknown" in text
    assert "snapshot abc" in text


def test_a_choice_that_is_empty_says_so(ledger: Ledger) -> None:
    wanted = Wanted(licences=("none such",))
    text = record(compare(["p/small"], PRICES, ledger, wanted), wanted, date(2026, 11, 24), "")
    assert "No model satisfies" in text
