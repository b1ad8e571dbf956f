"""Later opinions of what booked calls cost: appended in layers, never written over the booking."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from genai.errors import InputError
from genai.ledger import tables
from genai.ledger.database import Database
from genai.ledger.drain import insert_for
from genai.ledger.row import to_pico
from genai.ledger.walk import walk
from genai.types import Call, Cost


@dataclass(frozen=True, slots=True)
class Repriced:
    """The difference a layer makes: `calls` differ, of `looked_at`; totals of the known costs.

    `by_model` is what the layer adds to each model's booked dollars, where it adds or takes any.
    """

    layer: str
    looked_at: int
    calls: int
    booked: Decimal
    repriced: Decimal
    unknown: int
    by_model: Mapping[str, Decimal]

    @property
    def delta(self) -> Decimal:
        """Dollars that the layer adds to what was booked."""
        return self.repriced - self.booked


def reprice(
    database: Database, layer: str, cost: Callable[[Call], Cost], since: float, dry_run: bool
) -> Repriced:
    """Price every model and embedding call since a time again, in the order of their ids.

    Raises:
        InputError: the layer holds another opinion of a call already; nothing is written then.
    """
    if not dry_run:
        _check(database, layer, cost, since)
    looked_at = calls = unknown = 0
    booked = repriced = Decimal(0)
    more: dict[str, Decimal] = {}
    for rows in walk(database, since):
        found = []
        for call in rows:
            new = cost(call)
            unknown += new.amount is None
            if new.amount is not None:
                before = call.cost.amount or Decimal(0)
                repriced += new.amount
                booked += before
                more[call.model] = more.get(call.model, Decimal(0)) + new.amount - before
            if (new.amount, new.status) != (call.cost.amount, call.cost.status):
                calls += 1
                found.append(_row(call, layer, new))
        looked_at += len(rows)
        if found and not dry_run:
            with database.begin() as db:
                db.execute(insert_for(db, tables.layers).on_conflict_do_nothing(), found)
    changed = {model: delta for model, delta in sorted(more.items()) if delta}
    return Repriced(layer, looked_at, calls, booked, repriced, unknown, changed)


def _check(database: Database, layer: str, cost: Callable[[Call], Cost], since: float) -> None:
    import sqlalchemy as sa

    table = tables.layers.c
    named = sa.select(table.call_id, table.cost, table.cost_status).where(table.layer == layer)
    with database.begin(write=False) as db:
        if db.execute(named.limit(1)).first() is None:
            return
    others = 0
    for rows in walk(database, since):
        of_these = named.where(table.call_id.in_([call.id for call in rows]))
        with database.begin(write=False) as db:
            held = {row.call_id: (row.cost, row.cost_status) for row in db.execute(of_these)}
        for call in rows:
            if call.id in held:
                new = cost(call)
                others += held[call.id] != (to_pico(new.amount), new.status.value)
    if others:
        raise InputError(
            f"layer `{layer}`: holds another cost of {others} calls; a layer is never changed, so"
            " take another name"
        )


def _row(call: Call, layer: str, cost: Cost) -> dict[str, object]:
    return {
        "call_id": call.id,
        "layer": layer,
        "cost": to_pico(cost.amount),
        "cost_status": cost.status.value,
        "cost_reason": cost.reason,
        "price_snapshot": cost.snapshot,
        "created_at": time.time(),
    }
