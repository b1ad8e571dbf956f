"""The ledger: one file that says what every call took, cost and led to."""

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai.errors import LedgerUnusable
from genai.ledger.query import DayRow, Summary, by_day, summarise
from genai.ledger.spool import Spool, owner_is_alive, read_from
from genai.types import Call, new_id

if TYPE_CHECKING:
    import sqlalchemy as sa
_BATCH = 1000
_PERIOD = 0.5  # seconds between two drains in the background


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the rows: `accepted` by this process, `written` and `failed` by this drain."""

    accepted: int
    written: int
    failed: int


class Ledger:
    """Records calls and answers questions about them. Content is stored only if configured.

    `content`: `none`, `feedback` (a thumb with the person's tick stores its turn) or `all`.
    """

    def __init__(self, path: Path, *, content: str = "none") -> None:
        self.path = path
        self._content = content
        self._spool = Spool(path.parent / "spool")
        self._lock = threading.RLock()
        self._engine: sa.Engine | None = None
        self._pending = threading.Event()
        self._drainer: threading.Thread | None = None

    # -- writing ---------------------------------------------------------------------------------

    def record(self, call: Call, *, question: str = "", answer: str = "") -> None:
        """Put a call on disk. Texts are kept only where the settings say `content: all`.

        Raises:
            LedgerUnusable: the disk is full or the folder cannot be written.
        """
        row = asdict(call)
        row["cost"] = None if call.cost is None else str(call.cost)
        row["tags"] = dict(call.tags)
        self._spool.append({"t": "call", **row})
        if self._content == "all" and (question or answer):
            self._keep(call.id, question, answer)
        self._wake()

    def _keep(self, call_id: str, question: str, answer: str) -> None:
        texts = {"question": question, "answer": answer}
        self._spool.append({"t": "content", "call_id": call_id, "created_at": time.time(), **texts})

    def feedback(
        self,
        call_id: str,
        value: bool,
        *,
        reason: str = "",
        comment: str = "",
        turn: tuple[str, str] | None = None,
        consent: bool = False,
    ) -> None:
        """Record a thumb.

        `comment` and `turn` (question, answer) are kept only with `consent`, and the turn only
        where the settings say `content: feedback` or `all`.
        """
        kept = comment if consent else ""
        row = {"id": new_id(), "call_id": call_id, "created_at": time.time(), "value": value}
        self._spool.append({"t": "feedback", **row, "reason": reason, "comment": kept})
        if turn and consent and self._content in ("feedback", "all"):
            self._keep(call_id, *turn)
        self._wake()

    def _wake(self) -> None:
        self._pending.set()
        if self._drainer is None or not self._drainer.is_alive():
            with self._lock:
                if self._drainer is None or not self._drainer.is_alive():
                    atexit.unregister(self._last)
                    atexit.register(self._last)
                    self._drainer = threading.Thread(
                        target=self._drain_forever, name="genai-ledger", daemon=True
                    )
                    self._drainer.start()

    def _drain_forever(self) -> None:
        while True:
            self._pending.wait()
            time.sleep(_PERIOD)
            self._pending.clear()
            with suppress(LedgerUnusable):  # rows wait in the spool; a query will say why
                self.flush()

    def _last(self) -> None:
        with suppress(LedgerUnusable):
            self.flush()

    def flush(self) -> Delivery:
        """Move every spooled row into the tables, those of dead processes too.

        Raises:
            LedgerUnusable: the file is locked, damaged or read-only; the rows stay in the spool.
        """
        written = failed = 0
        with self._lock:
            for path in self._spool.files():
                done = False
                while not done:
                    count, broken, done = self._drain(path)
                    written, failed = written + count, failed + broken
        return Delivery(self._spool.accepted, written, failed)

    def _drain(self, path: Path) -> tuple[int, int, bool]:
        from genai.ledger.tables import spool as offsets

        with self._begin() as db:
            column = offsets.c.offset
            found = db.execute(offsets.select().where(offsets.c.file == path.name)).first()
            offset = found.offset if found else 0
            alive = owner_is_alive(path)
            rows, end, broken = read_from(path, offset, _BATCH)
            broken += _insert(db, rows)
            if end != offset:
                insert = _insert_for(offsets).values(file=path.name, offset=end)
                db.execute(
                    insert.on_conflict_do_update(index_elements=["file"], set_={column: end})
                )
            finished = end == offset and not alive
            if finished and found:
                db.execute(offsets.delete().where(offsets.c.file == path.name))
        if finished:
            with suppress(FileNotFoundError):
                broken += path.stat().st_size > end  # a line torn by the kill
                path.unlink()
        return len(rows), broken, end == offset

    # -- reading ---------------------------------------------------------------------------------

    def calls(
        self,
        *,
        limit: int = 50,
        kind: str | None = None,
        outcome: str | None = None,
        model: str | None = None,
        since: float = 0.0,
    ) -> list[Call]:
        """Give the newest calls first. `since` is a Unix time."""
        from genai.ledger import tables

        table = tables.calls
        query = table.select().where(table.c.started_at >= since)
        for column, wanted in (("kind", kind), ("outcome", outcome), ("model", model)):
            if wanted is not None:
                query = query.where(table.c[column] == wanted)
        query = query.order_by(table.c.started_at.desc(), table.c.id.desc()).limit(limit)
        return [tables.to_call(row) for row in self._read(query)]

    def call(self, call_id: str) -> Call | None:
        """Give one call by its id."""
        from genai.ledger import tables

        rows = self._read(tables.calls.select().where(tables.calls.c.id == call_id))
        return tables.to_call(rows[0]) if rows else None

    def children(self, call_id: str) -> list[Call]:
        """Give the calls made for another call, oldest first."""
        from genai.ledger import tables

        table = tables.calls
        query = table.select().where(table.c.parent_id == call_id).order_by(table.c.started_at)
        return [tables.to_call(row) for row in self._read(query)]

    def thumbs(self, call_id: str) -> list[bool]:
        """Give the thumbs of a call, oldest first."""
        from genai.ledger import tables

        table = tables.feedback
        query = table.select().where(table.c.call_id == call_id).order_by(table.c.created_at)
        return [bool(row.value) for row in self._read(query)]

    def summary(self, since: float = 0.0) -> Summary:
        """Give totals since a Unix time; money with its coverage."""
        return summarise(self.calls(limit=10**9, since=since))

    def by_day(self, since: float = 0.0) -> list[DayRow]:
        """Give one row a UTC day, oldest first."""
        return by_day(self.calls(limit=10**9, since=since))

    def _read(self, query: Any) -> list[Any]:
        self.flush()
        with self._begin() as db:
            return list(db.execute(query))

    # -- the file --------------------------------------------------------------------------------

    def upgrade(self) -> int:
        """Migrate an older file; give the number of steps. Raises `LedgerUnusable`."""
        from genai.ledger import tables

        steps = 0
        with self._begin(check=False) as db:
            found = db.execute(tables.meta.select().where(tables.meta.c.key == "version")).first()
            version = int(found.value) if found else tables.VERSION
            for number in range(version + 1, tables.VERSION + 1):
                for statement in tables.MIGRATIONS[number]:
                    db.exec_driver_sql(statement)
                steps += 1
            update = tables.meta.update().where(tables.meta.c.key == "version")
            if steps:
                db.execute(update.values(value=str(tables.VERSION)))
        return steps

    @contextmanager
    def _begin(self, check: bool = True) -> Iterator["sa.Connection"]:
        """Open a write transaction; SQLite's errors become one sentence that names the file."""
        import sqlalchemy.exc

        try:
            with self._open(check).begin() as db:
                yield db
        except sqlalchemy.exc.DatabaseError as error:
            raise LedgerUnusable(f"{self.path}: {_words(str(error.orig))}") from error
        except OSError as error:
            raise LedgerUnusable(
                f"{self.path}: cannot be opened ({error.strerror}); check the folder"
            ) from error

    def _open(self, check: bool) -> "sa.Engine":
        from genai.ledger import tables

        with self._lock:
            if self._engine is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                engine = _engine(self.path)
                tables.metadata.create_all(engine)
                with engine.begin() as db:
                    insert = _insert_for(tables.meta).values(
                        key="version", value=str(tables.VERSION)
                    )
                    db.execute(insert.on_conflict_do_nothing())
                    version = db.execute(
                        tables.meta.select().where(tables.meta.c.key == "version")
                    ).one()
                if int(version.value) > tables.VERSION:
                    raise LedgerUnusable(
                        f"{self.path}: was written by a newer genai (version {version.value});"
                        " upgrade genai"
                    )
                if check and int(version.value) < tables.VERSION:
                    raise LedgerUnusable(f"{self.path}: is of an older version; `genai upgrade`")
                self._engine = engine
            return self._engine


def _engine(path: Path) -> "sa.Engine":
    import sqlalchemy as sa
    from sqlalchemy import event

    engine = sa.create_engine(
        f"sqlite:///{path}", poolclass=sa.pool.NullPool, connect_args={"timeout": 5}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _immediate(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _insert_for(table: "sa.Table") -> Any:
    from sqlalchemy.dialects.sqlite import insert

    return insert(table)


def _insert(db: "sa.Connection", rows: list[dict[str, Any]]) -> int:
    """Insert spooled rows, each once; give how many could not be."""
    from genai.ledger import tables

    makers: dict[str, tuple[sa.Table, Callable[[dict[str, Any]], dict[str, Any]]]] = {
        "call": (tables.calls, _call_row),
        "feedback": (tables.feedback, dict),
        "content": (tables.content, dict),
    }
    failed = 0
    for kind, (table, make) in makers.items():
        ready = []
        for row in rows:
            if row.get("t") == kind:
                fields = {key: value for key, value in row.items() if key in table.c}
                if fields.keys() >= {c.name for c in table.c if not c.nullable}:
                    ready.append(make(fields))
        failed += sum(row.get("t") == kind for row in rows) - len(ready)
        if ready:
            db.execute(_insert_for(table).on_conflict_do_nothing(), ready)
    return failed + sum(row.get("t") not in makers for row in rows)


def _call_row(fields: dict[str, Any]) -> dict[str, Any]:
    from genai.ledger.tables import to_pico

    cost = fields.get("cost")
    return {**fields, "cost": to_pico(None if cost is None else Decimal(cost))}


def _words(problem: str) -> str:
    if "locked" in problem or "busy" in problem:
        return "is locked by another program; close it and try again; no call was lost"
    if "malformed" in problem or "not a database" in problem:
        return "is damaged; it was not changed; move it away, and the next call starts a new one"
    if "readonly" in problem or "unable to open" in problem:
        return "cannot be written; check the folder's permissions"
    if "full" in problem:
        return "cannot grow, the disk is full; free some space; calls wait in the spool"
    return f"failed ({problem}); run `genai check`"
