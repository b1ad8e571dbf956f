"""Fallbacks, weights, breaker and hedging."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import faults
import pytest
from faults import faulty, reply, stream

import genai
from genai.config import ModelSettings
from genai.errors import BudgetExceeded, ModelError, Unmeasured
from genai.models import Delta, Hooks, open_model
from genai.models.breaker import Breaker
from genai.types import UNKNOWN_COST, Call

pytestmark = pytest.mark.usefixtures("quick")


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


# -- as configs/genai.yaml says --------------------------------------------------------------------

SETTINGS = """version: 1
chain: {{model: openai/first}}
models:
  openai/first: {{base_url: {bad}, retries: 1, fallbacks: [openai/second]}}
  openai/second: {{base_url: {good}, params: {{temperature: 0.25}}}}
  openai/both: {{weights: {{openai/second: 3, openai/third: 1}}, fallbacks: [openai/first]}}
  openai/third: {{base_url: {good}, api_key_env: THIRD_KEY}}
"""


def project(
    folder: Path, bad: str, good: str, monkeypatch: pytest.MonkeyPatch, given: str = SETTINGS
) -> None:
    (folder / "configs").mkdir()
    (folder / "configs" / "genai.yaml").write_text(given.format(bad=bad, good=good))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("THIRD_KEY", "third")


def test_fallbacks_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(reply(500)) as (bad, _), faulty(reply()) as (good, server):
        project(tmp_path, bad, good, monkeypatch)
        assert genai.model()("hi").model == "openai/second"
    assert b'"temperature":0.25' in server.requests[0]
    stored = sorted(genai.open_ledger().calls(), key=lambda row: row.id)
    assert [(row.model, row.outcome) for row in stored] == [
        ("openai/first", "error"), ("openai/first", "error"), ("openai/second", "ok"),
    ]  # fmt: skip
    assert stored[2].fallback_of == stored[0].id


def test_an_entry_without_the_address_is_that_of_a_name_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = """
version: 1
chain: {{model: "openai/a@{bad}"}}
models:
  openai/a: {{retries: 0, params: {{seed: 1}}, fallbacks: ["openai/b@{good}"]}}
  openai/b: {{params: {{seed: 2}}}}
"""
    with faulty(reply(500)) as (bad, first), faulty(reply()) as (good, second):
        project(tmp_path, bad, good, monkeypatch, given)
        assert genai.model()("hi").model == "openai/b"
    assert [b'"seed":1' in request for request in first.requests] == [True]
    assert [b'"seed":2' in request for request in second.requests] == [True]


def test_weights_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(reply(500)) as (bad, _), faulty(reply()) as (good, server):
        project(tmp_path, bad, good, monkeypatch)
        model = genai.model("openai/both")
        for _ in range(100):
            model("hi")
        keys = sum(b"Bearer third" in request for request in server.requests)
    share = Counter(row.model for row in genai.open_ledger().calls(limit=200))
    assert share["openai/third"] == keys
    assert 5 <= share["openai/third"] <= 50  # 25 expected, nearly six standard errors up
    assert sum(share.values()) == 100


# -- the breaker ---------------------------------------------------------------------------------


def test_a_model_that_keeps_failing_is_left_alone_then_probed() -> None:
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
        with genai.scope(parent_id="question-1"):
            answer = opened(f"openai/a@{url}", rows, hedge_after=0.1)("hi")
        assert server.hung_up.wait(5)
    assert answer.text == "Hello from the loopback."
    first, second = sorted(rows, key=lambda row: row.attempt)
    assert (first.outcome, second.outcome) == ("cancelled", "ok")
    assert (first.retry_of, second.retry_of) == ("", first.id)
    assert (answer.call_id, answer.attempts) == (second.id, 2)
    assert {row.context.parent_id for row in rows} == {"question-1"}
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


def test_a_hedge_that_finds_no_slot_holds_no_reply_up_and_sends_nothing(rows: list[Call]) -> None:
    sent: list[str] = []

    class Slow:
        remote, name, account = True, "openai", "hedged"

        async def stream(self, messages: Any, params: Any) -> AsyncIterator[Delta]:
            sent.append(messages[0].text)
            while len(sent) == 1 and not gate._waiting:  # until the hedge stands in line
                await asyncio.sleep(0.01)
            yield Delta("ok", finish_reason="stop")

    settings = ModelSettings(hedge_after=0.01, max_connections=1)
    hooks = Hooks(record=rows.append)
    model = open_model("openai/a", provider=Slow(), settings=settings, hooks=hooks)
    gate: Any = model.route.targets[0][1].gate
    assert model("hi").text == "ok"
    assert sent == ["hi"]
    assert [row.outcome for row in rows] == ["ok"]


def test_what_is_reserved_for_a_request_that_never_leaves_is_given_back() -> None:
    budgets = OneOnly()
    hooks = Hooks(budgets=budgets, worst=lambda *_: UNKNOWN_COST)

    async def run(url: str) -> None:
        settings = ModelSettings(max_connections=1)
        model = open_model(f"openai/a@{url}", settings=settings, hooks=hooks)
        gate = model.route.targets[0][1].gate
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


def test_unmeasured_is_passed_on_as_it_is() -> None:
    class Missing:
        async def stream(self, messages: Any, params: Any) -> Any:
            raise Unmeasured("nothing recorded")
            yield

    with pytest.raises(Unmeasured):
        open_model("fake/x", provider=Missing())("hi")
