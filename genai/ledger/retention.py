"""What is kept for how long: content shortly, money for years; deleted text is gone from disk."""

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genai.ledger.store import Ledger
_DAY = 86_400
_MUCH = 0.1  # of the file; less is soon filled again


def retain(ledger: "Ledger", *, content_days: float = 30, call_days: float = 2557) -> int:
    """Delete content and comments older than `content_days`, and calls older than `call_days`.

    Of calls whole days of UTC go, or an archive of Parquet would be written with a rest of one.
    Give how many rows were deleted or emptied. On SQLite deleted bytes are overwritten and the
    write-ahead log is emptied, so that no copy stays in the files.
    """
    from genai.ledger import tables

    ledger.drain()
    now = time.time()
    kept, booked = now - content_days * _DAY, now - call_days * _DAY
    if call_days >= 1:
        booked -= booked % _DAY
    content, feedback, calls = tables.content, tables.feedback, tables.calls
    with ledger.database.begin() as db:
        done = [
            db.execute(content.delete().where(content.c.created_at < kept)),
            db.execute(
                feedback.update()
                .where(feedback.c.created_at < kept, feedback.c.comment != "")
                .values(comment="")
            ),
            db.execute(calls.delete().where(calls.c.started_at < booked)),
        ]
        changed = sum(result.rowcount for result in done)
    if done[-1].rowcount:
        ledger.roll_up()  # before the numbers of the rows that are gone are given to new ones
    _outside(ledger, "PRAGMA wal_checkpoint(TRUNCATE)")
    return changed


def vacuum(ledger: "Ledger") -> None:
    """Give the space of deleted rows back to the disk, where it is a good part of the file.

    Packing a large file takes a while, in which no row is stored and no budget admits a call.
    """
    ledger.drain()
    free, pages = (_outside(ledger, f"PRAGMA {each}_count") for each in ("freelist", "page"))
    if free > _MUCH * pages:
        _outside(ledger, "VACUUM")
        _outside(ledger, "PRAGMA wal_checkpoint(TRUNCATE)")


def _outside(ledger: "Ledger", statement: str) -> int:
    """Run a statement that takes no transaction, and give its number; PostgreSQL keeps house."""
    import sqlite3

    if not ledger.database.is_sqlite:
        return 0
    with ledger.database.begin(write=False):
        pass  # the file is there and of this version
    db: Any = sqlite3.connect(ledger.path, isolation_level=None, timeout=5)
    try:
        db.execute("PRAGMA secure_delete=ON")
        found = db.execute(statement).fetchall()
        return int(found[0][0]) if found else 0
    finally:
        db.close()
