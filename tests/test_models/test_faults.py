"""What providers do to a call: each fault ends in an answer or one sentence, and one true row."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from decimal import Decimal

import faults
import pytest
from asking import KEY, PRICES, QUESTION, fails, model, rows
from faults import Fault, faulty, reply, stream

from genai.errors import ModelError
from genai.ledger import Ledger
from genai.models import Hooks, open_model

pytestmark = pytest.mark.usefixtures("secret", "quick")


def test_a_429_is_tried_again_and_each_attempt_is_a_row(ledger: Ledger) -> None:
    with faulty(reply(429), reply(429), reply()) as (url, server):
        answer = model(url, ledger)(QUESTION)
    assert answer.text == "Hello from the loopback."
    assert answer.attempts == 3
    first, second, third = rows(ledger)
    assert [row.outcome for row in (first, second, third)] == ["error", "error", "ok"]
    assert [row.attempt for row in (first, second, third)] == [1, 2, 3]
    assert second.retry_of == third.retry_of == first.id
    assert answer.call_id == third.id
    assert first.http_status == 429
    assert (first.cost.status, first.cost.amount) == ("declared_free", Decimal(0))
    assert third.cost.status == "priced"
    assert len(server.requests) == 3


@pytest.mark.parametrize("header", ["Retry-After: 1", "retry-after-ms: 1000"])
def test_retry_after_is_honoured(ledger: Ledger, header: str) -> None:
    with faulty(reply(429, header + "\r\n"), reply()) as (url, server):
        assert model(url, ledger)(QUESTION).attempts == 2
    assert server.times[1] - server.times[0] >= 0.95


def test_a_wait_that_is_too_long_is_an_error_at_once(ledger: Ledger) -> None:
    with faulty(reply(429, "Retry-After: 3600\r\n")) as (url, _):
        started = time.monotonic()
        assert fails(url, ledger).kind == "rate_limited"
    assert time.monotonic() - started < 5


def test_a_storm_of_500_ends_after_the_attempts_and_says_how_many(ledger: Ledger) -> None:
    with faulty(reply(500)) as (url, server):
        error = fails(url, ledger)
    assert error.kind == "server"
    assert "some_code" in str(error)
    assert len(server.requests) == len(rows(ledger)) == 3
    assert {row.cost.status for row in rows(ledger)} == {"estimated"}  # nobody knows better


@pytest.mark.parametrize("fault", [faults.reset, faults.hang_up])
def test_a_connection_that_ends_before_the_reply_is_tried_again(
    ledger: Ledger, fault: Fault
) -> None:
    with faulty(fault, reply()) as (url, _):
        assert model(url, ledger)(QUESTION).attempts == 2
    first, second = rows(ledger)
    assert (first.reason, second.outcome) == ("network", "ok")
    assert first.cost.status == "estimated"  # it was sent, so it may be billed


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_stream_that_breaks_is_not_tried_again_and_keeps_its_tokens(
    ledger: Ledger, then: str
) -> None:
    with faulty(stream(after=2, then=then), reply()) as (url, server):
        opened = model(url, ledger)
        received: list[object] = []
        with pytest.raises(ModelError, match="broke off"):
            received.extend(opened.stream(QUESTION))
    assert received == ["Hello ", "from "]
    assert len(server.requests) == 1
    (row,) = rows(ledger)
    assert (row.outcome, row.reason, row.usage.source) == ("error", "network", "counted")
    assert row.output_tokens == 3
    assert row.cost.status == "estimated"
    assert row.chunks == 2


@pytest.mark.parametrize(
    "body", [b"<html>", b"{", b"[]", b"{}", b'{"choices": 7}', b"\xff\xfe\x00", b"null", b""]
)
def test_a_malformed_reply_is_one_sentence(ledger: Ledger, body: bytes) -> None:
    with faulty(reply(body=body)) as (url, _):
        error = fails(url, ledger, retries=0)
    assert error.kind == "bad_reply"
    assert [row.reason for row in rows(ledger)] == ["bad_reply"]


@pytest.mark.parametrize("raw", [b"data: {oops\n\n", b"data: \xff\xfe\n\n", b"data: []\n\n"])
def test_a_malformed_event_is_one_sentence(ledger: Ledger, raw: bytes) -> None:
    with faulty(stream(after=1, raw=raw)) as (url, _):
        assert fails(url, ledger, streamed=True).kind == "bad_reply"
    assert rows(ledger)[0].output_tokens == 2


ENDED = {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}


@pytest.mark.parametrize(
    ("said", "code"),
    [(faults.ERROR, "some_code"), ({**faults.ERROR, **ENDED}, "some_code"),
     (ENDED, "finish_reason: error")],
    ids=["alone", "beside choices", "as the finish"],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_inside_a_reply_is_an_error(
    ledger: Ledger, said: dict[str, object], code: str, streamed: bool
) -> None:
    body = json.dumps(said).encode()
    sent = stream(after=1, raw=b"data: " + body + b"\n\n") if streamed else reply(body=body)
    with faulty(sent) as (url, server):
        error = fails(url, ledger, streamed=streamed)
    assert (error.kind, server.count) == ("server", 1)
    assert f"reported an error instead of a reply ({code})" in str(error)
    assert rows(ledger)[0].output_tokens == (2 if streamed else 0)


@pytest.mark.parametrize(
    ("usage", "flag"),
    [
        ({"prompt_tokens": -3, "completion_tokens": 7, "total_tokens": 4}, "not_a_count"),
        ({"prompt_tokens": "11", "completion_tokens": 7}, "not_a_count"),
        ({"prompt_tokens": 1.5, "completion_tokens": None}, "not_a_count"),
        ({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 99}, "total_differs"),
        (
            {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4,
             "prompt_tokens_details": {"cached_tokens": 9}},
            "parts_exceed_total",
        ),
        ([1, 2], "no_count"),
        ("many", "no_count"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
def test_a_wrong_usage_is_flagged_and_never_an_error(
    ledger: Ledger, usage: object, flag: str, streamed: bool
) -> None:
    with faulty(reply(usage=usage)) as (url, _):
        opened = model(url, ledger)
        if streamed:
            assert list(opened.stream(QUESTION))[:4] == faults.WORDS
        else:
            assert opened(QUESTION).text == "Hello from the loopback."
    (row,) = rows(ledger)
    assert row.usage.flag == flag
    assert row.cost.status in ("estimated", "unpriced")


@pytest.mark.parametrize("streamed", [False, True])
def test_no_usage_is_counted_here(ledger: Ledger, streamed: bool) -> None:
    with faulty(reply(usage=None)) as (url, _):
        opened = model(url, ledger)
        list(opened.stream(QUESTION)) if streamed else opened(QUESTION)
    (row,) = rows(ledger)
    assert row.usage.source == "counted"
    assert (row.input_tokens, row.output_tokens) == (5, 6)
    assert row.cost.status == "estimated"


@pytest.mark.parametrize(
    ("fault", "streamed", "said"),
    [
        (faults.stall, False, "no whole reply within 0.3 s; raise .*total_timeout"),
        (faults.stall, True, "no reply within 0.2 s"),
        (stream(after=1, then="stall"), True, "no further text within 0.2 s"),
    ],
)
def test_a_stall_ends_at_the_timeout_and_closes_the_socket(
    ledger: Ledger, fault: Fault, streamed: bool, said: str
) -> None:
    with faulty(fault) as (url, server):
        limits = {"timeout": 0.2, "total_timeout": 0.3 if not streamed else 60.0, "retries": 0}
        error = fails(url, ledger, streamed=streamed, **limits)
        assert server.hung_up.wait(5)
    assert error.kind == "timeout"
    assert re.search(said, str(error))
    (row,) = rows(ledger)
    assert row.reason == "timeout"
    assert row.cost.status == "estimated"


def test_a_reply_of_50_megabytes_is_refused_without_being_held(ledger: Ledger) -> None:
    body = b'{"choices": [{"message": {"content": "' + b"x" * 50_000_000 + b'"}}]}'
    with faulty(reply(body=body)) as (url, _):
        error = fails(url, ledger, retries=0)
    assert error.kind == "bad_reply"
    assert "more than 32 MB" in str(error)


def test_a_server_that_closes_kept_connections_costs_no_call(ledger: Ledger) -> None:
    with faulty(faults.answer_and_close, reply()) as (url, _):
        opened = model(url, ledger)
        for _ in range(12):
            assert opened(QUESTION).text == "Hello from the loopback."
            time.sleep(0.01)
    assert sum(row.outcome == "ok" for row in rows(ledger)) == 12


def test_a_name_that_does_not_resolve_was_never_sent(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = fails("http://no-such-host.invalid/v1", ledger)
    assert error.kind == "network"
    assert {row.cost.amount for row in rows(ledger)} == {Decimal(0)}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_key_may_end_in_a_newline_and_what_cannot_be_sent_costs_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    with faulty(reply()) as (url, server):
        monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
        assert model(url, ledger)(QUESTION).text
        monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n{KEY}")
        error = fails(url, ledger, streamed=streamed)
    assert error.kind == "network"
    assert "the URL, the key or the proxy's URL is malformed" in str(error)
    assert f"Authorization: Bearer {KEY}\r\n".encode() in server.requests[0]
    assert server.count == 1
    assert {row.cost.amount for row in rows(ledger)[1:]} == {Decimal(0)}


def test_user_and_password_of_a_url_sign_in_and_are_shown_nowhere(ledger: Ledger) -> None:
    with faulty(reply(), reply(500)) as (url, server):
        given = url.replace("//", "//ann:very-secret@")
        assert model(given, ledger)(QUESTION).text
        assert url in str(fails(given, ledger))
    assert b"Authorization: Basic YW5uOnZlcnktc2VjcmV0\r\n" in server.requests[0]
    assert {row.host for row in rows(ledger)} == {url.split("/")[2]}


def test_an_expired_key_is_not_tried_again(ledger: Ledger) -> None:
    with faulty(reply(401)) as (url, server):
        error = fails(url, ledger)
    assert (error.kind, len(server.requests)) == ("key", 1)
    assert "OPENAI_API_KEY" in str(error)


def test_credit_that_is_used_up_costs_nothing_and_a_fallback_answers(ledger: Ledger) -> None:
    body = json.dumps({"error": {"message": "Insufficient credits", "code": 402}}).encode()
    with faulty(reply(402, body=body)) as (url, server), faulty(reply()) as (other, _):
        error = fails(url, ledger)
        given = {"fallbacks": [f"ollama/m@{other}"]}
        assert model(url, ledger, **given)(QUESTION).text == "Hello from the loopback."
    assert (error.kind, len(server.requests)) == ("permission", 2)
    assert "the credit behind the key in OPENAI_API_KEY is used up; add to it" in str(error)
    assert [row.cost.amount for row in rows(ledger)[:2]] == [0, 0]


def test_a_quota_that_is_used_up_is_told_from_a_rate(ledger: Ledger) -> None:
    error = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
    with faulty(reply(429, body=json.dumps({"error": error}).encode())) as (url, _):
        said = fails(url, ledger, retries=0)
    assert said.kind == "rate_limited"
    assert "the quota of the key in OPENAI_API_KEY is used up; add credit" in str(said)


def test_a_server_that_gave_up_on_a_request_is_asked_again(ledger: Ledger) -> None:
    with faulty(reply(408), reply()) as (url, _):
        assert model(url, ledger)(QUESTION).attempts == 2


def test_an_unknown_model_is_unpriced_and_says_so(ledger: Ledger) -> None:
    with faulty(reply()) as (url, _):
        hooks = Hooks(price=PRICES.cost, record=ledger.record)
        answer = open_model(f"openai/nobody-knows-it@{url}", hooks=hooks)(QUESTION)
    assert (answer.cost.status, answer.cost.amount) == ("unpriced", None)
    assert "nobody-knows-it" in answer.cost.reason


def test_a_clock_that_jumps_changes_no_duration(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([1_000.0, 900.0, 5_000.0, 4_000.0, 1e9] * 20)
    monkeypatch.setattr("genai.models.meter.time.time", lambda: next(clock))
    with faulty(reply()) as (url, _):
        opened = model(url, ledger)
        for _ in range(3):
            assert 0 <= opened(QUESTION).seconds < 5
    assert all(0 <= row.seconds < 5 for row in rows(ledger))


def test_a_cancelled_task_closes_the_socket_and_leaves_its_row(ledger: Ledger) -> None:
    async def run(url: str) -> None:
        opened = model(url, ledger)
        task = asyncio.create_task(opened.acall(QUESTION))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with faulty(faults.stall) as (url, server):
        asyncio.run(run(url))
        assert server.hung_up.wait(5)
    (row,) = rows(ledger)
    assert (row.outcome, row.cost.status) == ("cancelled", "estimated")


def test_a_dropped_stream_leaves_its_row(ledger: Ledger) -> None:
    with faulty(stream(after=2, then="stall")) as (url, server):
        pieces = model(url, ledger).stream(QUESTION)
        assert [next(pieces), next(pieces)] == ["Hello ", "from "]
        del pieces
        assert server.hung_up.wait(5)
    (row,) = rows(ledger)
    assert (row.outcome, row.output_tokens) == ("cancelled", 3)


LOST = """
import os, sys, threading, time
from pathlib import Path
from genai.ledger import Ledger
from genai.models import Hooks, open_model
ledger = Ledger(Path(sys.argv[2]))
hooks = Hooks(record=ledger.record, sent=ledger.sent)
model = open_model("openai/gpt-4o-mini@" + sys.argv[1], hooks=hooks)
threading.Thread(target=lambda: model("hi"), daemon=True).start()
sys.stdin.readline()
os._exit(9)
"""


def test_a_process_that_dies_in_a_call_leaves_a_lost_row(ledger: Ledger) -> None:
    with faulty(faults.stall) as (url, server):
        process = subprocess.Popen(
            [sys.executable, "-c", LOST, url, ledger.path], stdin=subprocess.PIPE, env=os.environ
        )
        while not server.requests:
            time.sleep(0.02)
        process.communicate(b"\n", timeout=30)
    (row,) = rows(ledger)
    assert (row.outcome, row.model, row.cost.amount) == ("lost", "openai/gpt-4o-mini", None)


def test_every_request_has_exactly_one_row_in_a_storm(ledger: Ledger) -> None:
    script = [reply(), reply(429), reply(500), faults.reset, stream(after=1), reply(body=b"{")]

    async def run(url: str) -> list[object]:
        opened = model(url, ledger, retries=3)
        return await asyncio.gather(
            *(opened.acall(QUESTION) for _ in range(60)), return_exceptions=True
        )

    with faulty(*script * 40, reply()) as (url, server):
        results = asyncio.run(run(url))
    found = rows(ledger)
    assert len(found) == len({row.id for row in found}) == len(server.requests)
    answered = sum(not isinstance(each, Exception) for each in results)
    assert answered == sum(row.outcome == "ok" for row in found)
    assert all(isinstance(each, ModelError) or hasattr(each, "text") for each in results)
    # each answer is billed once: 11 tokens in and 7 out at the rates of configs/prices.yaml
    price = 11 * Decimal("0.00000015") + 7 * Decimal("0.0000006")
    assert sum(row.cost.amount or 0 for row in found if row.outcome == "ok") == answered * price
    replies = [each for each in results if not isinstance(each, BaseException)]
    assert sum(each.cost.amount for each in replies) == answered * price  # type: ignore[attr-defined]
    assert {row.cost.status for row in found} <= {"priced", "estimated", "declared_free"}
    refused = [row for row in found if row.http_status == 429]
    assert {row.cost.amount for row in refused} == {Decimal(0)}
    delivery = ledger.flush()
    assert delivery.issued == delivery.stored == len(found)
    assert ledger.summary().models[0].calls == len(found)
