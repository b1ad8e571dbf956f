"""How many requests may be in flight at once: the law, and who shares its state."""

import asyncio
import multiprocessing
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from faults import faulty, reply

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models import Delta, Hooks, open_model
from genai.models.board import Law
from genai.models.limits import Gate
from genai.types import Call

pytestmark = pytest.mark.usefixtures("quick")


def opened(url: str, folder: Path | None = None, rows: list[Call] | None = None) -> Any:
    hooks = Hooks(record=None if rows is None else rows.append, limits=folder)
    return open_model(f"openai/a@{url}", settings=ModelSettings(retries=1), hooks=hooks)


def gate_of(model: Any) -> Gate:
    gate: Gate = model.route.targets[0][1].gate
    return gate


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


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_a_clock_that_is_set_changes_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    async def run() -> None:
        gate = Gate("a", tmp_path, fixed=2)
        for _ in range(2):
            await gate.acquire()
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.acquire(), 0.1)
        for _ in range(3):  # one more than was taken
            gate.release()
        for _ in range(2):
            await asyncio.wait_for(gate.acquire(), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.acquire(), 0.1)

    asyncio.run(run())


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


def served(gate: Gate, count: int, seconds: float) -> list[int]:
    """Have so many come at once and stay a while; give the order in which they got in."""
    order: list[int] = []

    async def one(number: int) -> None:
        await gate.acquire()
        order.append(number)
        await asyncio.sleep(seconds)
        gate.release()

    async def run() -> None:
        await asyncio.gather(*(one(number) for number in range(count)))

    asyncio.run(run())
    return order


def test_a_long_line_is_served_in_order_and_without_a_crowd_at_the_door() -> None:
    gate = Gate("line", None, fixed=10)
    looks: list[None] = []
    real = gate._take

    def take() -> bool:
        looks.append(None)
        return real()

    gate._take = take  # type: ignore[method-assign]
    assert served(gate, 3000, 0) == list(range(3000))
    assert len(looks) < 4 * 3000


def test_a_line_keeps_its_order_however_long_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genai.models.limits._LOOK", 0.1)
    gate = Gate("slow line", None, fixed=1)
    assert served(gate, 100, 0.01) == list(range(100))


def test_a_line_whose_first_is_stuck_does_not_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genai.models.limits._LOOK", 0.1)
    gate = Gate("stuck", None, fixed=1)
    stands, leave = threading.Event(), threading.Event()

    async def first() -> None:
        waiting = asyncio.create_task(gate.acquire())
        await asyncio.sleep(0.05)
        stands.set()
        leave.wait(20)  # its loop does nothing else meanwhile
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async def second(stuck: threading.Thread) -> None:
        await gate.acquire()
        stuck.start()
        while not stands.is_set():
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(gate.acquire())
        await asyncio.sleep(0.01)
        gate.release()
        await asyncio.wait_for(waiting, 15)

    stuck = threading.Thread(target=asyncio.run, args=(first(),))
    asyncio.run(second(stuck))
    leave.set()
    stuck.join()


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


class FirstFails:
    """Refuses the first request and answers the others once they are let go."""

    remote, name, account = True, "openai", "first fails"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.go = asyncio.Event()

    async def stream(self, messages: Any, params: Any) -> AsyncIterator[Delta]:
        self.sent.append(messages[0].text)
        await asyncio.sleep(0)  # the others stand in line
        if messages[0].text == "0":
            raise ModelError("wrong request", "bad_request")
        await self.go.wait()
        yield Delta("ok", finish_reason="stop")


def test_a_wait_that_is_cancelled_as_a_slot_comes_free_sends_nothing() -> None:
    provider = FirstFails()
    model = open_model("openai/m", provider=provider, settings=ModelSettings(max_connections=3))

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(model.acall(str(n)))

    with pytest.raises(BaseExceptionGroup):
        asyncio.run(asyncio.wait_for(run(), 30))
    assert provider.sent == ["0", "1", "2"]


def test_a_429_lowers_the_limit_of_its_account_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(reply(429), reply()) as (url, _), faulty(reply()) as (other, _):
        model, second = opened(url), opened(other)
        model("hi")
        second("hi")
        gates = [gate_of(each) for each in (model, second)]
    assert [gate.limit for gate in gates] == [15, 20]
    (change,) = gates[0].changes
    assert change[1:] == (20, 15, "rate_limited")
    monkeypatch.setenv("OPENAI_API_KEY", "another-account")
    assert gate_of(opened(url)) is not gates[0]


# -- the adaptive limit is one for all ---------------------------------------------------------


class Held:
    """Holds every answer back until the limit is reached, looks a moment longer, and lets go."""

    def __init__(self, server: Any, limit: int) -> None:
        self.go = threading.Event()
        server.faults = [self]
        server.peak = 0
        self._server, self._limit = server, limit

    def __call__(self, connection: Any, request: bytes) -> bool:
        self.go.wait(30)
        return reply()(connection, request)

    def peak(self) -> int:
        end = time.monotonic() + 30
        while self._server.in_flight < self._limit and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.15)
        self.go.set()
        return int(self._server.peak)


def ask(url: str, folder: Path | None, count: int) -> None:
    async def run() -> None:
        model = opened(url, folder)
        await asyncio.gather(*(model.acall("hi") for _ in range(count)))

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_429_in_one_holds_for_all_of_them(tmp_path: Path, kind: str) -> None:
    make: Any = threading.Thread
    if kind == "processes":
        make = multiprocessing.get_context("spawn").Process
    with faulty(reply(429), reply()) as (url, server):
        here = gate_of(opened(url, tmp_path))
        assert here.limit == 20
        ask(url, tmp_path, 1)
        assert here.limit == 15  # and no growth for 15 seconds
        held = Held(server, 15)
        workers = [make(target=ask, args=(url, tmp_path, 10)) for _ in range(2)]
        for worker in workers:
            worker.start()
        assert held.peak() == 15  # of the 20 that both together want to send
        for worker in workers:
            worker.join(60)
        assert server.count == 22
    assert here.limit == 15


def half_a_round(folder: Path | None, gate: Gate | None, barrier: Any) -> None:
    async def run() -> None:
        own = gate or Gate("growing", folder)
        for _ in range(10):
            await own.acquire()
        barrier.wait(60)
        for _ in range(10):
            own.release()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_half_a_clean_round_each_makes_a_whole_one(tmp_path: Path, kind: str) -> None:
    context = multiprocessing.get_context("spawn")
    if kind == "threads":
        gate = Gate("growing", None)
        make: Any = threading.Thread
        args: tuple[Any, ...] = (None, gate, threading.Barrier(2))
    else:
        gate = Gate("growing", tmp_path)
        make, args = context.Process, (tmp_path, None, context.Barrier(2))
    assert gate.limit == 20
    both = [make(target=half_a_round, args=args) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(60)
    assert gate.limit == 40
