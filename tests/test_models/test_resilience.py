"""Fallbacks, weights, breaker, hedging, and how many requests may be in flight at once."""

import asyncio
import multiprocessing
import time
from collections import Counter
from pathlib import Path
from typing import Any

import faults
import pytest
from faults import faulty, reply, stream

from genai.config import ModelSettings
from genai.errors import BudgetExceeded, ModelError, Unmeasured
from genai.models import Hooks, open_model
from genai.models.board import Law
from genai.models.breaker import Breaker
from genai.models.limits import Gate
from genai.types import UNKNOWN_COST, Call


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genai.models.attempts._BASE", 0.01)


@pytest.fixture
def rows() -> list[Call]:
    return []


def opened(name: str, rows: list[Call], others: dict[str, Any] | None = None, **given: Any) -> Any:
    known = {key: ModelSettings(**value) for key, value in (others or {}).items()}
    settings = ModelSettings(**{"retries": 1, "timeout": 30.0, **given})
    return open_model(name, settings=settings, others=known, hooks=Hooks(record=rows.append))


# -- another model -------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_a_fallback_answers_and_every_attempt_is_under_the_first(
    rows: list[Call], streamed: bool
) -> None:
    with faulty(reply(500)) as (bad, _), faulty(reply()) as (good, _):
        model = opened(f"openai/a@{bad}", rows, fallbacks=[f"openai/b@{good}"])
        answer = list(model.stream("hi"))[-1] if streamed else model("hi")
    assert (answer.model, answer.attempts) == ("openai/b", 3)
    assert [(row.model, row.outcome) for row in rows] == [
        ("openai/a", "error"), ("openai/a", "error"), ("openai/b", "ok"),
    ]  # fmt: skip
    assert rows[1].retry_of == rows[0].id
    assert (rows[2].fallback_of, rows[2].retry_of) == (rows[0].id, "")
    assert rows[2].id == answer.call_id


def test_a_wrong_key_falls_back_at_once_and_a_wrong_request_does_not(rows: list[Call]) -> None:
    with faulty(reply(401)) as (bad, server), faulty(reply()) as (good, _):
        assert opened(f"openai/a@{bad}", rows, fallbacks=[f"openai/b@{good}"])("hi").attempts == 2
        assert len(server.requests) == 1
    with faulty(reply(400)) as (bad, _), faulty(reply()) as (good, other):
        model = opened(f"openai/a@{bad}", rows, fallbacks=[f"openai/b@{good}"])
        with pytest.raises(ModelError) as caught:
            model("hi")
    assert caught.value.kind == "bad_request"
    assert not other.requests


def test_a_stream_that_has_begun_never_falls_back(rows: list[Call]) -> None:
    with faulty(stream(after=1)) as (bad, _), faulty(reply()) as (good, other):
        model = opened(f"openai/a@{bad}", rows, fallbacks=[f"openai/b@{good}"])
        with pytest.raises(ModelError):
            list(model.stream("hi"))
    assert not other.requests


def test_weights_share_the_calls_out(rows: list[Call]) -> None:
    with faulty(reply()) as (url, _):
        weights = {f"openai/often@{url}": 3.0, f"openai/seldom@{url}": 1.0}
        model = opened("openai/both", rows, weights=weights)
        for _ in range(200):
            model("hi")
    share = Counter(row.model for row in rows)
    assert 110 <= share["openai/often"] <= 185  # 150 expected, six standard errors either way
    assert sum(share.values()) == 200


# -- the breaker ---------------------------------------------------------------------------------


def test_a_model_that_keeps_failing_is_left_alone_then_probed(rows: list[Call]) -> None:
    breaker = Breaker(opens_at=3, rest=1.0)
    for _ in range(3):
        assert breaker.lets_through()
        breaker.saw("server")
    assert not breaker.lets_through()
    assert 0 < breaker.seconds_left() <= 1.0
    time.sleep(1.1)
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]  # one probe
    breaker.saw("")
    assert breaker.lets_through()
    breaker.saw("key")  # not the provider's fault
    assert breaker.failures == 0


def test_an_open_breaker_sends_nothing_and_says_when_it_will(rows: list[Call]) -> None:
    with faulty(reply(500)) as (url, server):
        model = opened(f"openai/a@{url}", rows, retries=0)
        for _ in range(8):
            with pytest.raises(ModelError):
                model("hi")
        with pytest.raises(ModelError, match="failed 8 times in a row and is left alone for"):
            model("hi")
        assert len(server.requests) == 8


# -- hedging -------------------------------------------------------------------------------------


def test_a_late_reply_gets_a_second_request_and_the_loser_is_cancelled(rows: list[Call]) -> None:
    with faulty(faults.stall, reply()) as (url, server):
        answer = opened(f"openai/a@{url}", rows, hedge_after=0.1)("hi")
        assert server.hung_up.wait(5)
    assert answer.text == "Hello from the loopback."
    assert sorted(row.outcome for row in rows) == ["cancelled", "ok"]
    assert len(server.requests) == 2


def test_a_quick_reply_is_not_hedged(rows: list[Call]) -> None:
    with faulty(reply()) as (url, server):
        opened(f"openai/a@{url}", rows, hedge_after=5.0)("hi")
    assert len(server.requests) == len(rows) == 1


class OneOnly:
    """A budget for one request."""

    def __init__(self) -> None:
        self.settled: list[Any] = []
        self.reserved = 0

    def reserve(self, *_: Any) -> bool:
        self.reserved += 1
        if self.reserved > 1:
            raise BudgetExceeded("nothing is left")
        return True

    def settle_later(self, call_id: str, amount: Any) -> None:
        self.settled.append(amount)


def test_a_hedge_without_a_budget_leaves_the_first_request_alone(rows: list[Call]) -> None:
    def late(connection: Any, request: bytes) -> bool:
        time.sleep(0.4)
        return reply()(connection, request)

    hooks = Hooks(record=rows.append, budgets=OneOnly(), worst=lambda *_: UNKNOWN_COST)
    with faulty(late) as (url, server):
        settings = ModelSettings(hedge_after=0.05)
        answer = open_model(f"openai/a@{url}", settings=settings, hooks=hooks)("hi")
    assert answer.text == "Hello from the loopback."
    assert len(server.requests) == len(rows) == 1


def test_what_is_reserved_for_a_request_that_never_leaves_is_given_back() -> None:
    budgets = OneOnly()
    hooks = Hooks(budgets=budgets, worst=lambda *_: UNKNOWN_COST)

    async def run(url: str) -> None:
        settings = ModelSettings(max_connections=1)
        model = open_model(f"openai/a@{url}", settings=settings, hooks=hooks)
        gate = model._route.targets[0][1].gate
        assert gate is not None
        await gate.acquire()  # somebody else has the only slot
        task = asyncio.create_task(model.acall("hi"))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gate.release()

    with faulty(reply()) as (url, server):
        asyncio.run(run(url))
    assert not server.requests
    assert budgets.settled == [0]


def test_where_both_fail_the_error_is_the_last_one(rows: list[Call]) -> None:
    with faulty(reply(400)) as (url, _), pytest.raises(ModelError, match="refused the request"):
        opened(f"openai/a@{url}", rows, hedge_after=0.05)("hi")


# -- how many at once ----------------------------------------------------------------------------


def round_of(law: Law, now: float) -> None:
    for _ in range(max(law.limit, 4)):
        law.succeeded(now, law.limit, False)


def test_the_law_follows_its_trace() -> None:
    law, seen = Law(), []
    for _ in range(2):
        seen.append(law.limit)
        round_of(law, 0.0)
    seen.append(law.limit)
    law.throttled(0.0, None)
    seen.append(law.limit)
    for _ in range(3):
        round_of(law, 20.0)
        seen.append(law.limit)
    law.throttled(20.0, None)
    seen.append(law.limit)
    assert seen == [20, 40, 80, 60, 65, 70, 75, 60]


def test_the_law_cuts_once_an_episode_and_waits_as_long_as_it_is_told() -> None:
    law = Law(limit=80)
    law.throttled(0.0, 40.0)
    law.throttled(1.0, None)
    assert law.limit == 60
    round_of(law, 39.0)
    assert law.limit == 60
    round_of(law, 41.0)
    assert law.limit == 65


def test_only_a_clean_full_round_raises_the_limit() -> None:
    law = Law()
    for _ in range(100):
        law.succeeded(0.0, 3, False)  # never near the limit
    assert law.limit == 20
    for _ in range(19):
        law.succeeded(0.0, 20, False)
    law.disturbed()
    law.succeeded(0.0, 20, False)
    assert law.limit == 20
    for _ in range(18):
        law.succeeded(0.0, 20, False)
    law.succeeded(0.0, 20, True)
    assert law.limit == 20
    law.throttled(0.0, None)
    for now in range(20, 2000, 20):
        law.throttled(float(now), None)
    assert law.limit == 10
    for _ in range(60):
        round_of(law, 1e9)
    assert law.limit == 100


async def hold(gate: Gate, seconds: float, peak: list[int], now: list[int]) -> None:
    await gate.acquire()
    now[0] += 1
    peak[0] = max(peak[0], now[0])
    await asyncio.sleep(seconds)
    now[0] -= 1
    gate.release()


@pytest.mark.parametrize("shared", [False, True])
def test_no_more_than_the_limit_are_in_flight(tmp_path: Path, shared: bool) -> None:
    gate = Gate("a", tmp_path if shared else None, fixed=7)
    peak, now = [0], [0]

    async def run() -> None:
        await asyncio.gather(*(hold(gate, 0.01, peak, now) for _ in range(100)))

    asyncio.run(run())
    assert (peak[0], now[0]) == (7, 0)


def test_a_cancelled_wait_takes_no_slot() -> None:
    gate = Gate("b", None, fixed=1)

    async def run() -> None:
        await gate.acquire()
        waiting = asyncio.create_task(gate.acquire())
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        gate.release()
        await asyncio.wait_for(gate.acquire(), 1)

    asyncio.run(run())


def use(folder: Path, log: Path, seconds: float, rounds: int) -> None:
    async def one(gate: Gate) -> None:
        for _ in range(rounds):
            await gate.acquire()
            with log.open("a") as file:
                file.write("+\n")
            await asyncio.sleep(seconds)
            with log.open("a") as file:
                file.write("-\n")
            gate.release()

    async def run() -> None:
        gate = Gate("shared", folder, fixed=6)
        await asyncio.gather(*(one(gate) for _ in range(8)))

    asyncio.run(run())


def test_processes_share_the_limit_and_a_dead_one_frees_its_slots(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    log.touch()
    stuck = context.Process(target=use, args=(tmp_path, tmp_path / "other", 60.0, 1))
    stuck.start()
    while not (tmp_path / "other").exists() or (tmp_path / "other").read_text().count("+") < 6:
        time.sleep(0.02)
    stuck.kill()
    stuck.join(10)
    workers = [context.Process(target=use, args=(tmp_path, log, 0.005, 10)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    now = peak = 0
    for line in log.read_text().split():
        now += 1 if line == "+" else -1
        peak = max(peak, now)
    assert now == 0
    assert 4 <= peak <= 6


def test_a_429_lowers_the_limit_of_its_account_alone(
    rows: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty(reply(429), reply()) as (url, _), faulty(reply()) as (other, _):
        model, second = opened(f"openai/a@{url}", rows), opened(f"openai/a@{other}", rows)
        model("hi")
        second("hi")
        gates = [each._route.targets[0][1].gate for each in (model, second)]
    assert [gate.limit for gate in gates] == [15, 20]
    (change,) = gates[0].changes
    assert change[1:] == (20, 15, "rate_limited")
    monkeypatch.setenv("OPENAI_API_KEY", "another-account")
    fresh = opened(f"openai/a@{url}", rows)._route.targets[0][1].gate
    assert fresh is not gates[0]


def test_unmeasured_is_passed_on_as_it_is() -> None:
    class Missing:
        async def stream(self, messages: Any, params: Any) -> Any:
            raise Unmeasured("nothing recorded")
            yield

    with pytest.raises(Unmeasured):
        open_model("fake/x", provider=Missing())("hi")
