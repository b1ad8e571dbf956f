"""Re-pricing: later opinions in layers, the booking unchanged to the last digit."""

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from makers import call

from genai.errors import InputError
from genai.ledger import Ledger, Prices
from genai.types import Call, Cost, CostStatus, Usage


def test_a_layer_is_appended_and_the_booking_stays(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    usage = Usage(1000, 500, 0, "provider")
    for n in range(7000):
        ledger.record(call(id=f"{n:05}", model="m", usage=usage, cost=Decimal("0.002")))
    ledger.record(call(id="z", model="unknown", usage=usage, cost=None))
    before = ledger.summary().cost
    new = Prices.read({"models": {"m": {"input": "0.000001", "output": "0.000001"}}}, "contract")

    def cost(row: Call) -> Cost:
        return new.cost(row.model, row.usage)

    tried = ledger.reprice("contract", cost)
    assert (tried.looked_at, tried.calls, tried.unknown) == (7001, 7000, 1)
    assert (tried.booked, tried.repriced, tried.delta) == (14, Decimal("10.5"), Decimal("-3.5"))
    with sqlite3.connect(ledger.path) as db:
        assert db.execute("SELECT count(*) FROM cost_layer").fetchone() == (0,)
    assert ledger.reprice("contract", cost, dry_run=False) == tried
    ledger.reprice("contract", cost, dry_run=False)  # the same layer twice is once
    with sqlite3.connect(ledger.path) as db:
        found = db.execute("SELECT count(*), sum(cost) FROM cost_layer").fetchone()
    assert found == (7000, 10_500_000_000_000)
    assert ledger.summary().cost == before
    assert ledger.call("00000").cost.amount == Decimal("0.002")  # type: ignore[union-attr]


def test_free_stays_free(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.record(call(id="a", cost=Decimal("0.5")))
    free = Cost(Decimal(0), CostStatus.DECLARED_FREE)
    assert ledger.reprice("free", lambda _: free).delta == Decimal("-0.5")


def test_a_layer_is_never_changed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for name in "ab":
        ledger.record(call(id=name, cost=Decimal("0.5")))
    free = Cost(Decimal(0), CostStatus.DECLARED_FREE)
    ledger.reprice("free", lambda _: free, dry_run=False)
    ledger.record(call(id="c", cost=Decimal("0.5")))
    dear = Cost(Decimal(2), CostStatus.PRICED)
    with pytest.raises(InputError, match="layer `free`: holds another cost of 2 calls; .* name"):
        ledger.reprice("free", lambda _: dear, dry_run=False)
    with sqlite3.connect(ledger.path) as db:
        assert db.execute("SELECT call_id, cost FROM cost_layer").fetchall() == [("a", 0), ("b", 0)]
    assert ledger.reprice("free", lambda _: free, dry_run=False).calls == 3  # `c` joins them
