"""The ledger: one store that says what every call took, cost and led to."""

import atexit
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai.errors import LedgerUnusable
from genai.ledger.database import Database
from genai.ledger.query import DayRow, Groups, Summary
from genai.ledger.row import flat_context, row_of, to_pico, unflatten
from genai.ledger.signals import flush_on_signals
from genai.ledger.spool import Spool
from genai.ledger.users import pseudonym
from genai.types import Call, Context, Cost, new_id

if TYPE_CHECKING:
    from genai.ledger.drain import Drained
    from genai.ledger.layers import Repriced
_PERIOD = 2.0  # seconds between two drains in the background
_LARGE = 8 * 2**20  # bytes of a spool file that is emptied when all of it is stored


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the rows.

    `issued` is every row that a process on this machine acknowledged and `stored` those in the
    tables; `pending` wait in a spool file, `waiting` in memory because the disk refuses them,
    `failed` could not be read back, `dropped` are lost. `accepted` counts this process alone.
    """

    accepted: int
    issued: int
    stored: int
    pending: int
    waiting: int
    failed: int
    dropped: int
    lost: int = 0
    trouble: str = ""


class Ledger:
    """Records calls and answers questions about them. Content is stored only if configured.

    `url` is a PostgreSQL URL; without one the store is the SQLite file `path`. `content`: `none`,
    `feedback` (a thumb with the person's tick stores its turn) or `all`. `durability`: `default`
    survives the death of the process, `full` the loss of power too. `clean` is what every text
    goes through before it is kept.
    """

    def __init__(
        self,
        path: Path,
        *,
        url: str = "",
        content: str = "none",
        durability: str = "default",
        clean: Callable[[str], str] = str,
    ) -> None:
        self.path = path
        self.database = Database(path, url, durable=durability == "full")
        self._content = content
        self._clean = clean
        self._spool = Spool(path.parent / "spool", durability)
        self._lost = 0
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before_fork, after_in_child=self._forget)

    def _forget(self) -> None:
        """In a forked child the drainer's thread is gone, and connections are the parent's."""
        self._lock = threading.RLock()
        self._pending = threading.Event()
        self._drainer: threading.Thread | None = None
        self.database.forget()

    def _before_fork(self) -> None:
        if self._pending.is_set():
            self._last()

    # -- writing ---------------------------------------------------------------------------------

    def sent(
        self, call_id: str, started_at: float, model: str, context: Context,
        reserved: Decimal | None = None,
    ) -> None:  # fmt: skip
        """Note that a request leaves now; if this process dies, it becomes a `lost` row."""
        row: dict[str, Any] = {"t": "sent", "id": call_id, "started_at": started_at, "model": model}
        row |= flat_context(context, self.user_key(context.user))
        if reserved is not None:
            row["reserved"] = to_pico(reserved)
        self._spool.sent(row)

    def record(self, call: Call, *, question: str = "", answer: str = "") -> None:
        """Put a call on disk. Texts are kept only where the settings say `content: all`.

        Where the disk refuses, the row waits in memory and is tried again with the next one;
        `delivery()` counts such rows, and the process says so when it ends.
        """
        self._spool.append(row_of(call, self.user_key(call.context.user)), call.id)
        if self._content == "all" and (question or answer):
            self._keep(call.id, question, answer)
        if not self._pending.is_set():
            self._wake()

    def _keep(self, call_id: str, question: str, answer: str) -> None:
        texts = {"question": self._clean(question), "answer": self._clean(answer)}
        line = {"t": "content", "call_id": call_id, "created_at": time.time(), **texts}
        self._spool.append(line, text=True)

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
        kept = self._clean(comment) if consent and comment else ""
        row = {"id": new_id(), "call_id": call_id, "created_at": time.time(), "value": value}
        line = {"t": "feedback", **row, "reason": reason, "comment": kept}
        self._spool.append(line, text=bool(kept))
        if turn and consent and self._content in ("feedback", "all"):
            self._keep(call_id, *turn)
        self._wake()

    def user_key(self, user: str) -> str:
        """Give the keyed hash that stands for a user in this ledger."""
        return user and pseudonym(self.path.parent, user)

    def _wake(self) -> None:
        self._pending.set()
        if self._drainer is None or not self._drainer.is_alive():
            with self._lock:
                if self._drainer is None or not self._drainer.is_alive():
                    atexit.unregister(self._last)
                    atexit.register(self._last)
                    flush_on_signals(self._stop)
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
                self.drain()

    def _last(self) -> None:
        with suppress(LedgerUnusable):
            self.drain()
        if self._spool.waiting or self._spool.dropped:
            text = (
                f"genai: {self._spool.waiting + self._spool.dropped} calls could not be recorded in"
                f" {self._spool.folder} ({self._spool.trouble}); free some space or make it"
                " writable\n"
            )
            os.write(2, text.encode())

    def _stop(self) -> None:
        """Store the last rows while no thread adds more."""
        with self._lock, self._spool.held():
            self._last()

    def drain(self) -> "Drained":
        """Move every spooled row into the tables, those of dead processes too.

        Raises:
            LedgerUnusable: the store is locked, damaged or away; the rows stay in the spool.
        """
        from genai.ledger.drain import Drainer

        with self._lock:
            self._spool.retry()
            drainer = Drainer(self._spool, self.database.begin)
            done = drainer.run()
            texts = self._spool.holds_text or self._content != "none"
            if self._spool.size > (0 if texts else _LARGE):
                drainer.empty_own()
            self._lost += done.lost
            return done

    def flush(self) -> Delivery:
        """Store what is spooled and say what became of all rows; never raises."""
        trouble = ""
        try:
            self.drain()
        except LedgerUnusable as error:
            trouble = str(error)
        return self.delivery(trouble)

    def delivery(self, trouble: str = "") -> Delivery:
        """Count what became of the rows, without storing any."""
        from genai.ledger.drain import counts

        spool = self._spool
        stored, failed, pending = counts(self.database, spool)
        return Delivery(
            accepted=spool.accepted,
            issued=stored + failed + pending + spool.waiting + spool.dropped,
            stored=stored,
            pending=pending,
            waiting=spool.waiting,
            failed=failed,
            dropped=spool.dropped,
            lost=self._lost,
            trouble=trouble or spool.trouble,
        )

    def set_aside(self, since: float) -> int:
        """Count the rows that could not be stored since a Unix time."""
        from genai.ledger.drain import set_aside

        return set_aside(self._spool.folder, since)

    # -- reading ---------------------------------------------------------------------------------

    def calls(
        self,
        *,
        limit: int = 50,
        since: float = 0.0,
        until: float | None = None,
        ended: float | None = None,
        **equal: str | None,
    ) -> list[Call]:
        """Give the newest calls first. `since` and `until` are Unix times; `equal` are columns.

        `ended` is the least time at which they ended; nobody knows it of calls that were lost.

        Raises:
            LedgerUnusable: no such column, or the store cannot be read.
        """
        from genai.ledger import tables

        table = tables.calls
        query = table.select().where(table.c.started_at >= since)
        if until is not None:
            query = query.where(table.c.started_at < until)
        if ended is not None:
            late = table.c.started_at + table.c.seconds >= ended
            query = query.where(late | (table.c.outcome == "lost"))
        for column, wanted in equal.items():
            if wanted is None:
                continue
            if column == "user":
                column, wanted = "user_key", self.user_key(wanted)
            if column not in table.c:
                raise LedgerUnusable(f"calls have no column `{column}`; use {', '.join(FILTERS)}")
            query = query.where(table.c[column] == wanted)
        query = query.order_by(table.c.started_at.desc(), table.c.id.desc()).limit(limit)
        return [unflatten(row._mapping) for row in self.read(query)]

    def call(self, call_id: str) -> Call | None:
        """Give one call by its id."""
        from genai.ledger import tables

        rows = self.read(tables.calls.select().where(tables.calls.c.id == call_id))
        return unflatten(rows[0]._mapping) if rows else None

    def children(self, call_id: str) -> list[Call]:
        """Give the calls made for another call, oldest first."""
        from genai.ledger import tables

        table = tables.calls
        query = table.select().where(table.c.parent_id == call_id).order_by(table.c.started_at)
        return [unflatten(row._mapping) for row in self.read(query)]

    def thumbs(self, call_id: str) -> list[bool]:
        """Give the thumbs of a call, oldest first."""
        from genai.ledger import tables

        table = tables.feedback
        query = table.select().where(table.c.call_id == call_id).order_by(table.c.created_at)
        return [bool(row.value) for row in self.read(query)]

    def groups(self, since: float = 0.0) -> Groups:
        """Give the sums and sorted times of every kind, day and model, to be added up."""
        self.drain()
        with self.database.begin(write=False) as db:
            return Groups.read(db, since)

    def roll_up(self) -> int:
        """Bring the daily sums in step with the calls; give how many were new."""
        from genai.ledger.rollup import roll_up

        self.drain()
        return roll_up(self.database)

    def summary(self, since: float = 0.0) -> Summary:
        """Give totals since a Unix time; money with its coverage."""
        return self.groups(since).summary()

    def by_day(self, since: float = 0.0) -> list[DayRow]:
        """Give one row a UTC day, oldest first."""
        return self.groups(since).by_day()

    def reprice(
        self, layer: str, cost: Callable[[Call], Cost], *, since: float = 0.0, dry_run: bool = True
    ) -> "Repriced":
        """Say what calls would cost by other prices; the booked cost is never changed.

        `cost` gives a call's new cost; `layer` names the opinion, such as `contract-2027`. Unless
        it is a dry run, each difference is appended to the layers of its call.

        Raises:
            InputError: the layer holds another opinion of a call; nothing is written.
        """
        from genai.ledger.layers import reprice

        self.drain()
        return reprice(self.database, layer, cost, since, dry_run)

    def read(self, query: Any) -> Sequence[Any]:
        """Give the rows of a query, once what waits is stored. Raises `LedgerUnusable`."""
        self.drain()
        with self.database.begin(write=False) as db:
            return db.execute(query).all()

    def upgrade(self) -> int:
        """Migrate an older store; give the number of steps. Raises `LedgerUnusable`."""
        return self.database.upgrade()


FILTERS = (
    "kind", "outcome", "model", "provider", "feature", "user", "session", "tenant", "release",
    "run", "reason", "cost_status",
)  # fmt: skip
