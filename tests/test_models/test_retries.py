"""A call is repeated only while no byte of a good reply has come, after a wait drawn at random."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import faults
import openai
import pytest
from asking import QUESTION, fails, model, rows
from faults import Fault, faulty, part, reply

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.ledger import Ledger
from genai.models import Hooks, make_embedder, open_model
from genai.types import Call

pytestmark = pytest.mark.usefixtures("secret", "quick")
HALF = json.dumps(faults.completion()).index("Hello from") + len("Hello from")  # bytes


@pytest.mark.parametrize("then", ["close", "reset", "stall"])
def test_a_whole_reply_that_was_cut_is_not_asked_for_again(ledger: Ledger, then: str) -> None:
    with faulty(part(HALF, then), reply()) as (url, server), faulty(reply()) as (other, spare):
        limits = {"total_timeout": 0.3 if then == "stall" else 30.0}
        error = fails(url, ledger, fallbacks=[f"openai/b@{other}"], **limits)
    assert error.kind == ("timeout" if then == "stall" else "network")
    assert "(1 attempt)" in str(error)
    assert (len(server.requests), len(spare.requests)) == (1, 0)
    (row,) = rows(ledger)
    assert (row.outcome, row.reason, row.usage.source) == ("error", error.kind, "counted")
    assert (row.response_model, row.request_id) == ("m", "c1")
    assert row.output_tokens == 3  # ten characters, four a token
    assert row.cost.status == "estimated"


def headers_only(connection: Any, request: bytes) -> bool:
    return part(0, "reset")(connection, request)


@pytest.mark.parametrize(
    "fault", [part(HALF, status=500), part(5, "reset", 429), headers_only],
    ids=["500 cut", "429 cut", "no byte of the body"],
)  # fmt: skip
def test_an_error_s_body_and_mere_headers_are_no_reply(ledger: Ledger, fault: Fault) -> None:
    with faulty(fault, reply()) as (url, _):
        assert model(url, ledger)(QUESTION).attempts == 2


@pytest.mark.parametrize("body", [b"{", b"<html>", b'{"error": {"code": "overloaded"}}'])
def test_a_reply_that_came_whole_and_is_none_is_neither_repeated_nor_replaced(
    ledger: Ledger, body: bytes
) -> None:
    with faulty(reply(body=body), reply()) as (url, server), faulty(reply()) as (other, spare):
        fails(url, ledger, fallbacks=[f"openai/b@{other}"])
    assert (len(server.requests), len(spare.requests)) == (1, 0)


def comment(then: str) -> Fault:
    """Begin a stream with a comment, as servers do to keep a line open, and end it there."""

    def send(connection: Any, request: bytes) -> bool:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        connection.sendall(head + b": still here\n\n")
        if then == "stall":
            faults.stall(connection, request)
        return False

    return send


@pytest.mark.parametrize("then", ["close", "stall"])
def test_a_stream_has_begun_with_its_first_byte(ledger: Ledger, then: str) -> None:
    with faulty(comment(then), reply()) as (url, server):
        error = fails(url, ledger, streamed=True, timeout=0.2 if then == "stall" else 30.0)
    assert error.kind == ("timeout" if then == "stall" else "bad_reply")
    if then == "stall":
        assert "no reply within 0.2 s" in str(error)  # a comment is no token
    assert len(server.requests) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_the_sdk_s_reply_has_begun_when_the_server_says_yes(ledger: Ledger, streamed: bool) -> None:
    with faulty(faults.stream(after=0, then="reset"), reply()) as (url, server):
        client = openai.AsyncOpenAI(base_url=url, max_retries=0)
        fails(url, ledger, streamed=streamed, client=client)
    assert len(server.requests) == 1


def test_vectors_that_were_cut_are_not_asked_for_again() -> None:
    rows: list[Call] = []
    with faulty(part(HALF), reply()) as (url, server):
        embedder = make_embedder(f"openai/e@{url}", hooks=Hooks(record=rows.append))
        with pytest.raises(ModelError, match=r"broke off .*; try again \(1 attempt\)"):
            embedder.embed(["a"])
    assert len(server.requests) == len(rows) == 1


def test_vectors_are_asked_for_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genai.models.embed.time.sleep", lambda _: None)
    with faulty(reply(500)) as (url, server):
        with pytest.raises(ModelError, match=r"\(3 attempts\)"):
            make_embedder(f"openai/e@{url}").embed(["a"])
    assert len(server.requests) == 3


def test_waits_are_drawn_from_the_whole_of_a_range_that_doubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("genai.models.attempts._BASE", 0.5)
    only = SimpleNamespace(sleep=sleep, CancelledError=asyncio.CancelledError)
    monkeypatch.setattr("genai.models.attempts.asyncio", only)
    with faulty(reply(429)) as (url, _):
        opened = open_model(f"openai/m@{url}", settings=ModelSettings(retries=7))
        for _ in range(60):
            with pytest.raises(ModelError, match=r"\(8 attempts\)"):
                opened("hi")
    assert len(waits) == 60 * 7
    for step, most in enumerate((0.5, 1, 2, 4, 8, 8, 8)):
        drawn = sorted(waits[step::7])
        assert 0 <= drawn[0] < most / 4  # fails once in two million runs
        assert most * 3 / 4 < drawn[-1] <= most


@pytest.mark.parametrize("streamed", [False, True])
def test_several_replies_of_one_call_are_refused_before_it(ledger: Ledger, streamed: bool) -> None:
    with faulty(reply()) as (url, server):
        for asked in ({"n": 3}, {}):
            opened = model(url, ledger, params={} if asked else {"n": 3})
            with pytest.raises(ModelError, match="`n` asks for 3 replies.*call 3 times") as caught:
                list(opened.stream("hi", **asked)) if streamed else opened("hi", **asked)
            assert caught.value.kind == "bad_request"
            assert not caught.value.sent
        assert not server.requests
        assert model(url, ledger)("hi", n=1).text == "Hello from the loopback."
    assert [row.outcome for row in rows(ledger)] == ["ok"]
