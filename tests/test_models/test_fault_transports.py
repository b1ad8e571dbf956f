"""The faults of `test_faults.py` through the other transports: the `openai` package and LiteLLM."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import faults
import openai
import pytest
from asking import QUESTION, fails, model, rows
from faults import Fault, faulty, reply, stream

from genai import bridge
from genai.errors import ModelError
from genai.ledger import Ledger

pytestmark = pytest.mark.usefixtures("secret", "quick", "litellm_closed")
# its own code draws warnings of what it uses
THEIRS = pytest.mark.filterwarnings("ignore")
LITELLM = pytest.param("litellm", marks=THEIRS)


@pytest.fixture(params=["client", LITELLM])
def by(request: pytest.FixtureRequest) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Give the settings that send a request through a transport."""
    clients = []

    def settings(url: str) -> dict[str, Any]:
        if request.param == "litellm":
            return {"name": "litellm/hosted_vllm/gpt-4o-mini", "api_key_env": "OPENAI_API_KEY"}
        clients.append(openai.AsyncOpenAI(base_url=url, max_retries=0))
        return {"client": clients[-1]}

    yield settings
    for client in clients:
        bridge.run(client.close())


def cut(connection: Any, request: bytes) -> bool:
    """Stream in chunks, two events, and close without the end that chunks have."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    connection.sendall(head + b"\r\n")
    for event in faults.events()[:2]:
        connection.sendall(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        time.sleep(0.1)
    return False


ERROR = b"data: " + json.dumps(faults.ERROR).encode() + b"\n\n"
BEFORE = {
    "429": (reply(429), {"rate_limited"}, 3),
    "500": (reply(500), {"server", "network"}, 3),
    "reset": (faults.reset, {"network"}, 3),
    "hang up": (faults.hang_up, {"network"}, 3),
    "expired key": (reply(401), {"key"}, 1),
    "forbidden": (reply(403), {"permission"}, 1),
    "no credit": (reply(402), {"permission"}, 1),
    "given up": (reply(408), {"timeout"}, 3),
    "too large": (reply(413), {"bad_request"}, 1),
    "no such model": (reply(404), {"unknown_model"}, 1),
    "bad request": (reply(400), {"bad_request"}, 1),
}
AFTER = {
    "ends early": (stream(after=2), {"bad_reply"}),
    "cut": (cut, {"network"}),
    "reset": (stream(after=2, then="reset"), {"network", "bad_reply"}),
    "malformed": (stream(after=2, raw=b"data: {oops\n\n"), {"bad_reply"}),
    "not UTF-8": (stream(after=2, raw=b"data: \xff\xfe\n\n"), {"bad_reply"}),
    "an error inside": (stream(after=2, raw=ERROR), {"server", "network"}),
    "no event": (stream(after=0), {"bad_reply"}),
    "another format": (reply(body=b"<html>"), {"bad_reply"}),
}


@pytest.mark.parametrize("fault", BEFORE)
def test_a_fault_before_the_reply(ledger: Ledger, by: Any, fault: str) -> None:
    made, kinds, attempts = BEFORE[fault]
    with faulty(made) as (url, _):
        assert fails(url, ledger, **by(url)).kind in kinds
    found = rows(ledger)
    assert [row.outcome for row in found] == ["error"] * attempts
    assert {row.cost.status for row in found} <= {"declared_free", "estimated", "unpriced"}


def test_a_password_in_a_url_is_shown_nowhere(ledger: Ledger, by: Any) -> None:
    with faulty(reply(500)) as (url, _):
        given = url.replace("//", "//ann:very-secret@")
        fails(given, ledger, retries=0, **by(given))
    assert "ann" not in rows(ledger)[0].host


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", AFTER)
def test_a_fault_within_the_reply_is_not_repeated_and_keeps_its_tokens(
    ledger: Ledger, by: Any, fault: str, streamed: bool
) -> None:
    made, kinds = AFTER[fault]
    with faulty(made, reply()) as (url, server):
        assert fails(url, ledger, streamed=streamed, **by(url)).kind in kinds
    assert len(server.requests) == 1
    (row,) = rows(ledger)
    assert row.output_tokens == (0 if fault in ("no event", "another format") else 3)
    assert row.usage.source == "counted"
    assert row.cost.status in ("estimated", "unpriced")


def test_what_a_server_asks_to_wait_is_waited(ledger: Ledger, by: Any) -> None:
    with faulty(reply(429, "retry-after-ms: 300\r\n"), reply()) as (url, server):
        assert model(url, ledger, **by(url))(QUESTION).attempts == 2
    assert server.times[1] - server.times[0] >= 0.29


@pytest.mark.parametrize("limit", ["timeout", "total_timeout"])
@pytest.mark.parametrize("fault", [faults.stall, stream(after=1, then="stall")])
def test_a_stall_ends_at_the_limit_and_closes_the_socket(
    ledger: Ledger, by: Any, fault: Fault, limit: str
) -> None:
    given = {"retries": 0, limit: 0.2}
    with faulty(reply()) as (url, _):
        model(url, ledger, **by(url))(QUESTION)  # a client loads much of itself at its first call
    with faulty(fault) as (url, server):
        error = fails(url, ledger, streamed=limit == "timeout", **given, **by(url))
        assert error.kind == "timeout"
        assert server.hung_up.wait(5)


@pytest.mark.parametrize(
    ("usage", "sources"),
    [
        (None, {"counted"}),
        ({"prompt_tokens": -3, "completion_tokens": 7, "total_tokens": 4}, {"provider"}),
        ({"prompt_tokens": "11", "completion_tokens": 7, "total_tokens": 18}, {"provider"}),
    ],
)
def test_usage_that_is_missing_or_wrong_is_no_error(
    ledger: Ledger, by: Any, usage: Any, sources: set[str]
) -> None:
    with faulty(reply(usage=usage)) as (url, _):
        assert model(url, ledger, **by(url))(QUESTION).text == "Hello from the loopback."
    (row,) = rows(ledger)
    assert row.usage.source in sources
    assert row.cost.status in ("estimated", "unpriced") or row.usage.flag == ""


def test_a_cancelled_task_leaves_its_row(ledger: Ledger, by: Any) -> None:
    async def run(url: str) -> None:
        task = asyncio.create_task(model(url, ledger, **by(url)).acall(QUESTION))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with faulty(faults.stall) as (url, server):
        asyncio.run(run(url))
    assert [row.outcome for row in rows(ledger)] == ["cancelled"]


def test_a_proxy_of_the_environment_is_used_and_no_proxy_goes_around_it(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with faulty(reply()) as (proxy, through), faulty(reply()) as (near, direct):
        monkeypatch.setenv("HTTP_PROXY", proxy.replace("//", "//me:pass@").removesuffix("/v1"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert model(near, ledger)(QUESTION).text == "Hello from the loopback."
        assert (direct.count, through.count) == (1, 0)
        far = model("http://far.invalid/v1", ledger)
        assert far(QUESTION).text == "Hello from the loopback."
        assert [*far.stream(QUESTION)][-1].text == "Hello from the loopback."
    assert (direct.count, through.count) == (1, 2)
    assert through.requests[0].startswith(b"POST http://far.invalid/v1/chat/completions HTTP/1.1")
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in through.requests[0]


@pytest.mark.parametrize("name", ["", "client", LITELLM])
def test_a_slow_reader_gets_all_that_came_before_a_cut(ledger: Ledger, name: str) -> None:
    """What has arrived is given before the error, however late it is asked for."""

    async def read(url: str) -> list[str]:
        client = openai.AsyncOpenAI(base_url=url, max_retries=0) if name == "client" else None
        given = {"name": "litellm/hosted_vllm/gpt-4o-mini", "api_key_env": "OPENAI_API_KEY"}
        opened = model(url, ledger, **(given if name == "litellm" else {"client": client}))
        received: list[str] = []
        with suppress(ModelError):
            async for piece in opened.astream(QUESTION):
                received.append(str(piece))
                await asyncio.sleep(0.5)
        if client is not None:
            await client.close()
        return received

    with faulty(cut) as (url, _):
        assert bridge.run(read(url)) == ["Hello ", "from "]
    (row,) = rows(ledger)
    assert (row.outcome, row.output_tokens) == ("error", 3)
