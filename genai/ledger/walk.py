"""Every call of a period in the order of ids, a batch at a time, so that memory stays small."""

from collections.abc import Iterator, Sequence

from genai.ledger.database import Database
from genai.ledger.row import unflatten
from genai.types import Call

_BATCH = 5000


def walk(
    database: Database,
    since: float = 0.0,
    until: float = float("inf"),
    kinds: Sequence[str] = ("model", "embedding"),
) -> Iterator[list[Call]]:
    """Give the calls that began in [since, until), Unix times, of the kinds that cost money."""
    from genai.ledger import tables

    table, last = tables.calls, ""
    while True:
        query = (
            table.select()
            .where(table.c.id > last, table.c.started_at >= since, table.c.started_at < until)
            .where(table.c.kind.in_(kinds))
            .order_by(table.c.id)
            .limit(_BATCH)
        )
        with database.begin(write=False) as db:
            rows = [unflatten(row._asdict()) for row in db.execute(query)]
        if rows:
            yield rows
        if len(rows) < _BATCH:
            return
        last = rows[-1].id
