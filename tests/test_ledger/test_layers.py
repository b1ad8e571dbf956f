"""Re-pricing: later opinions in layers, the booking unchanged to the last digit."""

from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from makers import call

from genai.errors import InputError
from genai.ledger import Ledger, Prices
from genai.ledger.tables import layers
from genai.types import Call, Cost, CostStatus, Usage


def stored(ledger: Ledger) -> list[tuple[str, int]]:
    """Give the calls that stand in a layer, with their cost there in picodollars."""
    query = sa.select(layers.c.call_id, layers.c.cost).order_by(layers.c.call_id)
    with ledger.database.begin(write=False) as db:
        return [(row.call_id, row.cost) for row in db.execute(query)]


def test_a_layer_is_appended_and_the_booking_stays(tmp_path: Path, url: str) -> None:
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    usage = Usage(1000, 500, 0, "provider")
    for n in range(7000):
        ledger.record(call(id=f"{n:05}", model="m", usage=usage, cost=Decimal("0.002")))
    ledger.record(call(id="z", model="unknown", usage=usage, cost=None))
    ledger.record(call(id="y", model="n", usage=usage, cost=Decimal("0.001")))  # as before
    before = ledger.summary().cost
    rates = {"m": {"input": "0.000001", "output": "0.000001"},
             "n": {"input": "0.000001", "output": "0"}}  # fmt: skip
    new = Prices.read({"models": rates}, "contract")

    def cost(row: Call) -> Cost:
        return new.cost(row.model, row.usage)

    tried = ledger.reprice("contract", cost)
    assert (tried.looked_at, tried.calls, tried.unknown) == (7002, 7000, 1)
    assert (tried.booked, tried.repriced) == (Decimal("14.001"), Decimal("10.501"))
    assert tried.by_model == {"m": tried.delta} == {"m": Decimal("-3.5")}
    assert stored(ledger) == []
    assert ledger.reprice("contract", cost, dry_run=False) == tried
    ledger.reprice("contract", cost, dry_run=False)  # the same layer twice is once
    found = stored(ledger)
    assert (len(found), sum(cost for _, cost in found)) == (7000, 10_500_000_000_000)
    assert ledger.summary().cost == before
    assert ledger.call("00000").cost.amount == Decimal("0.002")  # type: ignore[union-attr]


def test_free_stays_free(tmp_path: Path, url: str) -> None:
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    ledger.record(call(id="a", cost=Decimal("0.5")))
    free = Cost(Decimal(0), CostStatus.DECLARED_FREE)
    assert ledger.reprice("free", lambda _: free).delta == Decimal("-0.5")


def test_a_layer_is_never_changed(tmp_path: Path, url: str) -> None:
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    for name in "ab":
        ledger.record(call(id=name, cost=Decimal("0.5")))
    free = Cost(Decimal(0), CostStatus.DECLARED_FREE)
    ledger.reprice("free", lambda _: free, dry_run=False)
    ledger.record(call(id="c", cost=Decimal("0.5")))
    dear = Cost(Decimal(2), CostStatus.PRICED)
    with pytest.raises(InputError, match="layer `free`: holds another cost of 2 calls; .* name"):
        ledger.reprice("free", lambda _: dear, dry_run=False)
    assert stored(ledger) == [("a", 0), ("b", 0)]
    assert ledger.reprice("free", lambda _: free, dry_run=False).calls == 3  # `c` joins them
