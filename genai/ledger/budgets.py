"""Spending limits: what a call may cost at most is reserved before it, and settled after it.

One conditional UPDATE a budget, in one transaction, so that two processes can never both spend the
last cent. A lease that is not settled in time is booked, since the call may have been billed; its
real cost replaces that when it comes.

Bound: at all times spent + reserved <= limit + overshoot. A call can overshoot only by what it cost
above its reservation, and while spent + reserved is above the limit no call is admitted; so what is
ever spent above the limit is the excess of calls that were in flight together.
"""

import atexit
import queue
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from genai.errors import BudgetExceeded, LedgerUnusable, one_line
from genai.ledger.database import Database
from genai.ledger.row import from_pico, to_pico
from genai.types import Context, Cost, CostStatus

if TYPE_CHECKING:
    import sqlalchemy as sa
Scope = Literal["total", "user", "feature", "tenant", "release", "run", "model"]
_LEASE = 600.0  # seconds
_IDLE = 2.0  # seconds without a settlement until the database's file is closed
_TOGETHER = 100  # settlements in one transaction


@dataclass(frozen=True, slots=True)
class Limit:
    """One rule. `match` is a name, or `*` for a budget of its own for each name without a rule.

    `unpriced` says what happens to a model without a price: `block`, or `allow` unseen.
    """

    scope: Scope
    limit: Decimal
    match: str = "*"
    period: Literal["day", "month", "total"] = "month"
    unpriced: Literal["block", "allow"] = "block"


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """What became of one budget in one window.

    `overshoot` is the sum, over its calls, of what each cost above its reservation.
    """

    scope: str
    value: str
    period: str
    window: str
    limit: Decimal
    spent: Decimal
    reserved: Decimal
    overshoot: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        """Dollars that a new call may still reserve."""
        return self.limit - self.spent - self.reserved

    def text(self) -> str:
        """Give the row as a line for a terminal."""
        amounts = (self.spent, self.limit, self.reserved, self.left)
        money = [f"${each.normalize():f}" for each in amounts]
        name = " ".join(filter(None, (self.scope, one_line(self.value), self.window)))
        text = f"{name}: {money[0]} of {money[1]} spent, {money[2]} reserved, {money[3]} left"
        over = f", overshoot ${self.overshoot.normalize():f}" if self.overshoot else ""
        return text + over


class Budgets:
    """Reserves and settles. `user_key` turns a user's name into what the ledger stores."""

    def __init__(
        self, database: Database, limits: Sequence[Limit], user_key: Any = lambda user: user
    ) -> None:
        self._database = database
        self._limits = tuple(limits)
        self._user_key = user_key
        self._queue: queue.SimpleQueue[tuple[str, Decimal | None]] = queue.SimpleQueue()
        self._settler: threading.Thread | None = None
        self._lock = threading.Lock()
        self._swept = 0.0

    def reserve(
        self, call_id: str, context: Context, model: str, worst: Cost, lease: float = _LEASE
    ) -> bool:
        """Reserve the dearest a call may be with every budget that applies, or none.

        After `lease` seconds without a settlement all of it is booked.

        Returns:
            Whether anything is reserved: a model declared free, or under no budget, needs nothing.

        Raises:
            BudgetExceeded: a limit would be passed, or the model has no price; nothing is held.
        """
        now = time.time()
        applicable = self._applicable(context, model, now)
        if not applicable or worst.status == CostStatus.DECLARED_FREE:
            return False
        amount = to_pico(worst.amount)
        if amount is None:
            limits = (limit for limit, _ in applicable.values())
            blocked = next((limit for limit in limits if limit.unpriced == "block"), None)
            if blocked is None:
                return False
            raise BudgetExceeded(
                f"model {model}: has no price, so the {blocked.scope} budget cannot be kept; add it"
                " to configs/prices.yaml, or set `unpriced: allow` for this budget"
            )
        if now - self._swept > _LEASE / 10:
            self._swept = now
            self.sweep(now)
        with self._database.begin() as db:
            for _, (limit, value) in sorted(applicable.items()):
                self._take(db, limit, value, amount, call_id, now, now + lease)
        return True

    def _applicable(self, context: Context, model: str, now: float) -> dict[str, tuple[Limit, str]]:
        """Give each budget of this call by its id; of two limits the one with a name counts."""
        ranked = sorted(self._limits, key=lambda limit: limit.match != "*")
        named = ((limit, self._value(limit, context, model)) for limit in ranked)
        return {_id(limit, value, now): (limit, value) for limit, value in named if value}

    def _value(self, limit: Limit, context: Context, model: str) -> str:
        if limit.scope == "total":
            return "all"
        name = model if limit.scope == "model" else str(getattr(context, limit.scope))
        if name and limit.match in ("*", name):
            return str(self._user_key(name)) if limit.scope == "user" else name
        return ""

    def _take(
        self, db: "sa.Connection", limit: Limit, value: str, amount: int, call_id: str, now: float,
        until: float,
    ) -> None:  # fmt: skip
        from genai.ledger.tables import budgets as table
        from genai.ledger.tables import reservations

        budget_id, ceiling = _id(limit, value, now), to_pico(limit.limit)
        given = {"budget": budget_id, "amount": amount, "ceiling": ceiling}
        taken = db.execute(_taking(), given).rowcount
        if not taken:
            found = db.execute(table.select().where(table.c.id == budget_id)).one_or_none()
            if found is None:  # its first call
                _begin(db, limit, value, now)
                taken = db.execute(_taking(), given).rowcount
            if not taken:
                used = 0 if found is None else int(found.spent) + int(found.reserved)
                raise _exceeded(limit, value, max((ceiling or 0) - used, 0), amount)
        held = {
            "budget_id": budget_id, "call_id": call_id, "amount": amount, "state": "open",
            "created_at": now, "expires_at": until,
        }  # fmt: skip
        db.execute(reservations.insert(), held)

    def settle(self, call_id: str, amount: Decimal | None) -> None:
        """Book what the call cost and free the rest; unknown money books all that was reserved."""
        self._settle([(call_id, amount)])

    def _settle(self, costs: Sequence[tuple[str, Decimal | None]]) -> None:
        from genai.ledger.tables import reservations as table

        amounts = dict(reversed(costs))  # the first word about a call counts
        query = table.select().where(
            table.c.call_id.in_(amounts), table.c.state.in_(("open", "expired"))
        )
        with self._database.begin() as db:
            for row in _in_order(db.execute(query.with_for_update())):
                amount = amounts[row.call_id]
                spent = int(row.amount) if amount is None else to_pico(amount)
                _close(db, row, "settled", spent)

    def release(self, call_id: str) -> None:
        """Free what a call reserved that was never sent."""
        self.settle(call_id, Decimal(0))

    def settle_later(self, call_id: str, amount: Decimal | None) -> None:
        """Settle in a thread of its own, so that no caller waits for the database."""
        self._queue.put((call_id, amount))
        with self._lock:
            if self._settler is None or not self._settler.is_alive():
                atexit.unregister(self.flush)
                atexit.register(self.flush)
                self._settler = threading.Thread(
                    target=self._settle_forever, name="genai-budgets", daemon=True
                )
                self._settler.start()

    def _settle_forever(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=_IDLE)
            except queue.Empty:
                self._database.let_go()
                first = self._queue.get()
            self._settle_waiting([first])
            self._database.hold()

    def _settle_waiting(self, held: list[tuple[str, Decimal | None]]) -> None:
        """Settle these and what else waits, together."""
        with suppress(queue.Empty):
            while len(held) < _TOGETHER:
                held.append(self._queue.get_nowait())
        if held:
            with suppress(LedgerUnusable):  # the leases run out and are booked in full
                self._settle(held)

    def flush(self) -> None:
        """Settle all that waits, now."""
        while not self._queue.empty():
            self._settle_waiting([])
        self._database.let_go()

    def sweep(self, now: float | None = None) -> int:
        """Book leases that ran out; give how many."""
        from genai.ledger.tables import reservations as table

        now = time.time() if now is None else now
        late = table.c.expires_at < now
        query = table.select().where(table.c.state == "open", late)
        with self._database.begin() as db:
            rows = _in_order(db.execute(query.with_for_update()))
            for row in rows:
                _close(db, row, "expired", int(row.amount))
            # those tell nothing more
            past = (table.c.state == "settled", late, table.c.settled <= table.c.amount)
            db.execute(table.delete().where(*past))
        return len(rows)

    def status(self) -> list[BudgetRow]:
        """Give every budget that was met, newest window first."""
        import sqlalchemy as sa

        from genai.ledger.tables import budgets as table
        from genai.ledger.tables import reservations as held

        more = sa.func.sum(held.c.settled - held.c.amount).label("overshoot")
        excess = sa.select(held.c.budget_id, more).where(held.c.settled > held.c.amount)
        of = excess.group_by(held.c.budget_id).subquery()
        query = sa.select(table, of.c.overshoot).outerjoin(of, of.c.budget_id == table.c.id)
        query = query.order_by(table.c.window.desc(), table.c.scope, table.c.value)
        with self._database.begin(write=False) as db:
            return [
                BudgetRow(
                    row.scope, row.value, row.period, row.window,
                    *(from_pico(n) or Decimal(0)
                      for n in (row.limit, row.spent, row.reserved, row.overshoot)),
                )
                for row in db.execute(query)
            ]  # fmt: skip


def _exceeded(limit: Limit, value: str, left: int, amount: int) -> BudgetExceeded:
    return BudgetExceeded(
        f"the {limit.scope} budget of ${limit.limit:f} a {limit.period}"
        f"{'' if limit.scope in ('total', 'user') else f' for {value}'} has"
        f" ${_plain(left)} left, and this call may cost ${_plain(amount)}; wait for the"
        " next window, lower max_tokens, or raise `budgets` in configs/genai.yaml"
    )


def _begin(db: "sa.Connection", limit: Limit, value: str, now: float) -> None:
    """Make a budget's row; another process may do so at the same time."""
    from genai.ledger.drain import insert_for
    from genai.ledger.tables import budgets as table

    row = {
        "id": _id(limit, value, now), "scope": limit.scope, "value": value,
        "period": limit.period, "window": _window(limit.period, now),
        "limit": to_pico(limit.limit),
    }  # fmt: skip
    db.execute(insert_for(db, table).values(row).on_conflict_do_nothing())


@lru_cache(maxsize=1)
def _taking() -> "sa.Update":
    """Give the update that reserves `amount` where `ceiling` allows it; built once, run often."""
    from sqlalchemy import bindparam as given

    from genai.ledger.tables import budgets as table

    wanted = table.c.reserved + given("amount", type_=table.c.reserved.type)
    ceiling = given("ceiling", type_=table.c.limit.type)
    update = table.update().where(table.c.id == given("budget"), table.c.spent + wanted <= ceiling)
    return update.values(reserved=wanted, limit=ceiling)


def _in_order(rows: Iterable[Any]) -> list[Any]:
    """Sort as `reserve` does: all lock budgets in one order, so that none waits for another."""
    return sorted(rows, key=lambda row: row.budget_id)


def _close(db: "sa.Connection", row: Any, state: str, spent: int | None) -> None:
    """Book a reservation; one that was booked when its lease ran out is booked anew."""
    from genai.ledger.tables import budgets, reservations

    own = (
        reservations.c.budget_id == row.budget_id,
        reservations.c.call_id == row.call_id,
        reservations.c.state == row.state,
    )
    done = db.execute(reservations.update().where(*own).values(state=state, settled=spent))
    if done.rowcount:
        freed = row.amount if row.state == "open" else 0
        booked = int(spent or 0) - int(row.settled or 0)
        db.execute(
            budgets.update()
            .where(budgets.c.id == row.budget_id)
            .values(reserved=budgets.c.reserved - freed, spent=budgets.c.spent + booked)
        )


def _window(period: str, now: float) -> str:
    day = datetime.fromtimestamp(now, UTC)
    return {"day": f"{day:%Y-%m-%d}", "month": f"{day:%Y-%m}", "total": ""}[period]


def _id(limit: Limit, value: str, now: float) -> str:
    return f"{limit.scope}/{value}/{limit.period}/{_window(limit.period, now)}"


def _plain(amount: int) -> str:
    return f"{Decimal(amount).scaleb(-12).normalize():f}"
