"""Budgets: refused before the call, never passed by threads and processes together."""

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from faults import faulty, reply
from hypothesis import given, settings
from hypothesis import strategies as st

from genai.config import ModelSettings
from genai.errors import BudgetExceeded
from genai.ledger import cap
from genai.ledger.budgets import BudgetRow, Budgets, Limit, Scope
from genai.ledger.database import Database
from genai.ledger.tables import reservations
from genai.models import Hooks, open_model
from genai.types import Call, Context, Cost, CostStatus, Usage, new_id

ANN = Context(user="ann", feature="chat")


def dollars(text: str) -> Cost:
    return Cost(Decimal(text), CostStatus.PRICED)


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path / "ledger.db", url)
    yield found
    found.dispose()


@pytest.mark.parametrize("given", ["-0.01", "NaN", "Infinity", "two", "", None])
def test_an_amount_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match=f"^{given} is no amount$"):
        cap.dollars(given)
    assert (cap.dollars("0"), cap.dollars(2.5)) == (0, Decimal("2.5"))


def test_reserve_settle_release(database: Database) -> None:
    budgets = Budgets(database, [Limit("user", Decimal("1"))])
    assert budgets.reserve("a", ANN, "m", dollars("0.6"))
    with pytest.raises(BudgetExceeded, match=r"has \$0.4 left, and this call may cost \$0.5") as e:
        budgets.reserve("b", ANN, "m", dollars("0.5"))
    assert "\n" not in str(e.value)
    assert e.value.code == 3
    budgets.settle("a", Decimal("0.1"))
    budgets.settle("a", Decimal("0.1"))  # twice is once
    assert budgets.reserve("c", ANN, "m", dollars("0.9"))
    budgets.release("c")
    budgets.settle("unknown", Decimal(1))
    (row,) = budgets.status()
    assert (row.spent, row.reserved, row.left) == (Decimal("0.1"), 0, Decimal("0.9"))


def test_one_refusal_holds_nothing_anywhere(database: Database) -> None:
    limits = [Limit("total", Decimal("10")), Limit("feature", Decimal("0.5"), match="chat")]
    budgets = Budgets(database, limits)
    with pytest.raises(BudgetExceeded, match=r"feature budget of \$0.5 a month for chat"):
        budgets.reserve("a", ANN, "m", dollars("1"))
    assert all(row.reserved == 0 for row in budgets.status())
    assert budgets.reserve("b", Context(feature="other"), "m", dollars("1"))
    assert {(row.scope, row.reserved) for row in budgets.status()} == {("total", 1)}


def test_each_name_has_its_own_and_free_or_unnamed_calls_need_none(database: Database) -> None:
    budgets = Budgets(database, [Limit("user", Decimal("1"))], user_key=str.upper)
    assert budgets.reserve("a", ANN, "m", dollars("1"))
    assert budgets.reserve("b", Context(user="bob"), "m", dollars("1"))
    assert not budgets.reserve("c", Context(), "m", dollars("1"))
    assert not budgets.reserve("d", ANN, "m", Cost(Decimal(0), CostStatus.DECLARED_FREE))
    assert {row.value for row in budgets.status()} == {"ANN", "BOB"}


def test_a_name_with_a_limit_of_its_own_is_under_that_one(database: Database) -> None:
    boss, unknown = Context(user="boss"), Cost(None, CostStatus.UNPRICED)
    own = Limit("user", Decimal(50), "boss", unpriced="allow")
    for limits in ([Limit("user", Decimal(2)), own], [own, Limit("user", Decimal(2))]):
        budgets = Budgets(database, limits)
        assert budgets.reserve(new_id(), boss, "m", dollars("20"))
        assert not budgets.reserve("c", boss, "m", unknown)
        with pytest.raises(BudgetExceeded, match=r"user budget of \$2 a month has \$2 left"):
            budgets.reserve("a", ANN, "m", dollars("3"))
    with pytest.raises(BudgetExceeded, match=r"user budget of \$50 a month has \$10 left"):
        budgets.reserve("d", boss, "m", dollars("11"))
    (row,) = [row for row in budgets.status() if row.value == "boss"]
    assert (row.limit, row.reserved, row.left) == (50, 40, 10)


def test_a_model_without_a_price_is_blocked_unless_allowed(database: Database) -> None:
    unknown = Cost(None, CostStatus.UNPRICED)
    with pytest.raises(BudgetExceeded, match="has no price"):
        Budgets(database, [Limit("total", Decimal(1))]).reserve("a", ANN, "m", unknown)
    allowed = [Limit("total", Decimal(1), unpriced="allow")]
    assert not Budgets(database, allowed).reserve("a", ANN, "m", unknown)


def test_a_lease_that_runs_out_is_booked(database: Database) -> None:
    budgets = Budgets(database, [Limit("total", Decimal(1))])
    budgets.reserve("a", ANN, "m", dollars("0.4"))
    assert budgets.sweep() == 0
    assert budgets.sweep(time.time() + 601) == 1
    (row,) = budgets.status()
    assert (row.spent, row.reserved) == (Decimal("0.4"), 0)
    for _ in range(2):
        budgets.settle("a", Decimal("0.1"))  # late, and true
    (row,) = budgets.status()
    assert (row.spent, row.reserved) == (Decimal("0.1"), 0)
    assert budgets.sweep(time.time() + 601) == 0
    with database.begin() as db:  # what is settled and past its lease takes no room
        assert db.execute(reservations.select()).all() == []


def test_a_clock_that_is_set_books_no_call_twice_and_none_for_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets = Budgets(database, [Limit("total", Decimal(1))])
    for name, shown in (("a", 1_800_000_000), ("b", 1_800_003_600), ("c", 1_799_990_000)):
        monkeypatch.setattr("genai.ledger.budgets.time.time", lambda shown=shown: float(shown))
        budgets.reserve(name, ANN, "m", dollars("0.3"))
    (row,) = budgets.status()
    assert (row.spent, row.reserved) == (Decimal("0.3"), Decimal("0.6"))  # `a` looked like lost
    for name in "abc":
        budgets.settle(name, Decimal("0.1"))
    (row,) = budgets.status()
    assert (row.spent, row.reserved, row.overshoot) == (Decimal("0.3"), 0, 0)


def test_a_call_dearer_than_its_reservation_is_booked_whole_and_shown(database: Database) -> None:
    budgets = Budgets(database, [Limit("total", Decimal(1))])
    for name in "ab":
        budgets.reserve(name, ANN, "m", dollars("0.4"))
    for name in "ab":
        budgets.settle(name, Decimal("0.7"))
    with pytest.raises(BudgetExceeded, match=r"has \$0 left"):
        budgets.reserve("c", ANN, "m", dollars("0.01"))
    (row,) = budgets.status()
    assert (row.spent, row.reserved, row.overshoot) == (Decimal("1.4"), 0, Decimal("0.6"))
    assert row.text().endswith("$-0.4 left, overshoot $0.6")


def test_a_file_that_is_held_keeps_its_log_until_it_is_let_go(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.db")
    budgets = Budgets(database, [Limit("total", Decimal(1))])
    budgets.reserve("a", ANN, "m", dollars("0.4"))
    log = tmp_path / "ledger.db-wal"
    assert not log.exists()
    database.hold()
    budgets.settle("a", Decimal("0.1"))
    assert log.exists()  # no wait for the disk, and no kill loses it
    database.let_go()
    assert not log.exists()
    (row,) = budgets.status()
    assert row.spent == Decimal("0.1")


def test_windows_roll_by_day_and_month(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [Limit("total", Decimal(1), period="day"), Limit("total", Decimal("1.5"))]
    budgets = Budgets(database, limits)
    monkeypatch.setattr("genai.ledger.budgets.time.time", lambda: 1_800_000_000.0)
    budgets.reserve("a", ANN, "m", dollars("1"))
    budgets.settle("a", Decimal(1))
    monkeypatch.setattr("genai.ledger.budgets.time.time", lambda: 1_800_086_400.0)
    with pytest.raises(BudgetExceeded, match="a month"):
        budgets.reserve("b", ANN, "m", dollars("1"))
    assert budgets.reserve("b", ANN, "m", dollars("0.5"))
    assert sorted(row.window for row in budgets.status()) == ["2027-01", "2027-01-15", "2027-01-16"]


cents = st.integers(0, 60)


@given(steps=st.lists(st.tuples(st.booleans(), cents, st.integers(0, 9)), max_size=25))
@settings(max_examples=12)
def test_what_is_over_the_limit_is_the_excess_of_calls_in_flight_together(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, int]]
) -> None:
    limit = Decimal(1)
    database = Database(tmp_path_factory.mktemp("budget") / "ledger.db")
    budgets = Budgets(database, [Limit("total", limit)])
    open_calls: dict[str, Decimal] = {}
    excess = Decimal(0)  # of the calls open at the last admission, settled since
    for number, (is_new, amount, which) in enumerate(steps):
        money = Decimal(amount) / 100
        if is_new or not open_calls:
            with suppress(BudgetExceeded):
                budgets.reserve(f"{number}", ANN, "m", Cost(money, CostStatus.PRICED))
                open_calls[f"{number}"], excess = money, Decimal(0)
        else:
            name = sorted(open_calls)[which % len(open_calls)]
            budgets.settle(name, money)
            excess += max(money - open_calls.pop(name), Decimal(0))
        for row in budgets.status():
            assert row.reserved == sum(open_calls.values())
            assert row.spent + row.reserved <= limit + min(excess, row.overshoot)


def spend(path: Path, url: str, refused: Any, over: Any, factor: str) -> None:
    budgets = Budgets(Database(path, url), [Limit("total", Decimal("1"))])

    def one(number: int) -> None:
        call_id = new_id()
        try:
            budgets.reserve(call_id, ANN, "m", dollars("0.01"))
        except BudgetExceeded:
            with refused.get_lock():
                refused.value += 1
            return
        row = budgets.status()[0]
        if row.spent + row.reserved > row.limit + row.overshoot:
            with over.get_lock():
                over.value += 1
        budgets.settle(call_id, Decimal("0.01") * Decimal(factor if number % 2 else "0.5"))

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(one, range(120)))


@pytest.mark.parametrize("factor", ["1", "3"])  # of what a call costs to what it reserved
def test_64_threads_of_two_processes_keep_to_the_bound(database: Database, factor: str) -> None:
    Budgets(database, [Limit("total", Decimal("1"))]).status()
    context = multiprocessing.get_context("spawn")
    refused, over = context.Value("i", 0), context.Value("i", 0)
    args = (database._path, database._url, refused, over, factor)
    workers = [context.Process(target=spend, args=args) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert over.value == 0
    assert refused.value > 0
    (row,) = Budgets(database, []).status()
    assert row.reserved == 0
    # whoever was refused met 63 others at most, each of which gave half a cent back
    assert Decimal("0.67") < row.spent <= 1 + row.overshoot
    if factor == "1":
        assert row.overshoot == 0
    else:  # 64 calls at most were in flight when the last one was let in, each 0.02 too dear
        assert row.spent <= 1 + 64 * Decimal("0.02")


def die(path: Path) -> None:
    budgets = Budgets(Database(path), [Limit("total", Decimal("1"))])
    for n in range(5):
        budgets.reserve(f"{n}", ANN, "m", dollars("0.1"))
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_held_is_booked_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    process = multiprocessing.get_context("spawn").Process(target=die, args=(path,))
    process.start()
    process.join(60)
    budgets = Budgets(Database(path), [Limit("total", Decimal("1"))])
    (row,) = budgets.status()
    assert (row.spent, row.reserved) == (0, Decimal("0.5"))
    budgets.sweep(time.time() + 601)
    (row,) = budgets.status()
    assert (row.spent, row.reserved) == (Decimal("0.5"), 0)


SCOPES: list[Scope] = ["user", "feature", "tenant", "release", "run", "model", "total"]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_model_is_refused_before_anything_is_sent(tmp_path: Path, scope: Scope) -> None:
    budgets = Budgets(Database(tmp_path / "ledger.db"), [Limit(scope, Decimal("0.010"))])
    context = Context(user="ann", feature="chat", tenant="t", release="r1", run="ci-17")
    rows: list[Call] = []

    def price(model: str, usage: Usage, **_: str) -> Cost:
        return dollars("0.001")

    hooks = Hooks(
        price=price, record=rows.append, budgets=budgets, worst=lambda *_: dollars("0.004")
    )

    async def run(url: str) -> list[Any]:
        model = open_model(f"openai/m@{url}", hooks=hooks, settings=ModelSettings(retries=0))
        calls = (model.acall("hi", context=context) for _ in range(64))
        return await asyncio.gather(*calls, return_exceptions=True)

    with faulty(reply()) as (url, server):
        results = asyncio.run(run(url))
    refused = [each for each in results if isinstance(each, BudgetExceeded)]
    budgets.flush()
    time.sleep(0.2)
    (row,) = budgets.status()
    assert len(refused) + len(server.requests) == 64
    assert refused
    assert (row.scope, bool(row.value)) == (scope, True)
    assert row.reserved == 0
    assert row.spent == Decimal("0.001") * len(server.requests) <= row.limit
    assert len(rows) == len(server.requests)


def test_a_call_cancelled_while_it_waits_for_its_reservation_holds_nothing(tmp_path: Path) -> None:
    budgets = Budgets(Database(tmp_path / "ledger.db"), [Limit("total", Decimal(1))])
    budgets.status()
    hooks = Hooks(budgets=budgets, worst=lambda *_: dollars("0.4"))

    async def run(url: str) -> None:
        model = open_model(f"openai/m@{url}", hooks=hooks, settings=ModelSettings(retries=0))
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        task = asyncio.create_task(model.acall("hi"))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        other.close()

    with faulty(reply()) as (url, server):
        asyncio.run(run(url))
    budgets.flush()
    time.sleep(0.1)
    assert not server.requests
    assert all((row.spent, row.reserved) == (0, 0) for row in budgets.status())


def test_a_lease_is_ten_minutes_and_reserving_looks_for_late_ones_once_a_minute(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = 1_800_000_000.0
    budgets = Budgets(database, [Limit("total", Decimal(1))])

    def spent(after: float) -> Decimal:
        monkeypatch.setattr("genai.ledger.budgets.time.time", lambda: start + after)
        budgets.reserve(f"at {after}", ANN, "m", dollars("0.001"))
        return budgets.status()[0].spent

    assert spent(0) == 0
    budgets.reserve("short", ANN, "m", dollars("0.1"), lease=5)
    assert [spent(60), spent(61)] == [0, Decimal("0.1")]
    assert budgets.sweep(start + 600) == 0  # of the first call
    assert budgets.sweep(start + 600.5) == 1


def test_what_is_settled_within_its_amount_is_forgotten_in_the_end(database: Database) -> None:
    budgets = Budgets(database, [Limit("total", Decimal(1))])
    for name, cost in (("less", "0.1"), ("equal", "0.2"), ("more", "0.3")):
        budgets.reserve(name, ANN, "m", dollars("0.2"))
        budgets.settle(name, Decimal(cost))
    assert budgets.sweep(time.time() + 601) == 0
    with database.begin() as db:
        assert [row.call_id for row in db.execute(reservations.select())] == ["more"]
    assert budgets.status()[0].overshoot == Decimal("0.1")


def test_a_row_says_its_amounts_in_a_line() -> None:
    row = BudgetRow("user", "ann", "month", "2027-01", Decimal(2), Decimal("0.50"), Decimal("0.25"))
    assert replace(row, value="a\nb").text().startswith("user a b 2027-01: ")
    assert row.text() == "user ann 2027-01: $0.5 of $2 spent, $0.25 reserved, $1.25 left"


def test_costs_are_settled_in_a_thread_of_their_own(tmp_path: Path) -> None:
    budgets = Budgets(Database(tmp_path / "ledger.db"), [Limit("total", Decimal(1))])
    others = set(threading.enumerate())
    for name, cost, total in (("a", "0.1", "0.1"), ("b", None, "0.5")):
        budgets.reserve(name, ANN, "m", dollars("0.4"))
        budgets.settle_later(name, None if cost is None else Decimal(cost))
        deadline = time.monotonic() + 20
        while budgets.status()[0].spent != Decimal(total) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert budgets.status()[0].spent == Decimal(total)
    (settler,) = set(threading.enumerate()) - others
    assert (settler.name, settler.daemon) == ("genai-budgets", True)
    budgets.flush()
