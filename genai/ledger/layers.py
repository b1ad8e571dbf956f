"""Later opinions of what booked calls cost: appended in layers, never written over the booking."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from genai.ledger import tables
from genai.ledger.database import Database
from genai.ledger.drain import insert_for
from genai.ledger.row import to_pico, unflatten
from genai.types import Call, Cost

_BATCH = 5000


@dataclass(frozen=True, slots=True)
class Repriced:
    """The difference a layer makes: `calls` differ, of `looked_at`; totals of the known costs."""

    layer: str
    looked_at: int
    calls: int
    booked: Decimal
    repriced: Decimal
    unknown: int

    @property
    def delta(self) -> Decimal:
        """Dollars that the layer adds to what was booked."""
        return self.repriced - self.booked


def reprice(
    database: Database, layer: str, cost: Callable[[Call], Cost], since: float, dry_run: bool
) -> Repriced:
    """Price every model and embedding call since a time again, in the order of their ids."""
    table, last = tables.calls, ""
    looked_at = calls = unknown = 0
    booked = repriced = Decimal(0)
    while True:
        query = (
            table.select()
            .where(table.c.id > last, table.c.started_at >= since)
            .where(table.c.kind.in_(("model", "embedding")))
            .order_by(table.c.id)
            .limit(_BATCH)
        )
        with database.begin(write=not dry_run) as db:
            rows = [unflatten(row._asdict()) for row in db.execute(query)]
            found = []
            for call in rows:
                new = cost(call)
                unknown += new.amount is None
                if new.amount is not None:
                    repriced += new.amount
                    booked += call.cost.amount or Decimal(0)
                if (new.amount, new.status) != (call.cost.amount, call.cost.status):
                    calls += 1
                    found.append(_row(call, layer, new))
            if found and not dry_run:
                db.execute(insert_for(db, tables.layers).on_conflict_do_nothing(), found)
        looked_at += len(rows)
        if len(rows) < _BATCH:
            return Repriced(layer, looked_at, calls, booked, repriced, unknown)
        last = rows[-1].id


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
