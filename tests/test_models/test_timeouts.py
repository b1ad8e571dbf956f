"""Four time limits, each kept to its own clock, and connections that are used again."""

import asyncio
import random
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import faults
import openai
import pytest
from asking import QUESTION, fails, model, rows
from faults import Fault, faulty, reply, stream

from genai.errors import ModelError
from genai.ledger import Ledger

pytestmark = pytest.mark.usefixtures("secret", "quick")


@contextmanager
def deaf() -> Iterator[str]:
    """A port whose queue is full: nobody there takes a connection, and nobody refuses one."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        with suppress(TimeoutError):
            for _ in range(20):
                waiting.append(socket.create_connection(listener.getsockname(), timeout=0.1))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        for each in waiting:
            each.close()


@pytest.mark.parametrize("transport", ["own", "sdk"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_server_that_takes_no_connection_is_left_after_its_limit(
    ledger: Ledger, streamed: bool, transport: str
) -> None:
    started = time.monotonic()
    name = "openai/gpt-4o-mini" if transport == "own" else "responses/gpt-4o-mini"
    with deaf() as url:
        given: dict[str, Any] = {"connect_timeout": 0.2, "retries": 0, "name": name}
        error = fails(url, ledger, streamed=streamed, **given)
    assert time.monotonic() - started < 10
    (row,) = rows(ledger)
    assert (error.kind, error.sent, row.cost.amount) == ("network", False, 0)


def test_a_whole_call_that_is_read_as_a_stream_has_a_total_too(ledger: Ledger) -> None:
    with faulty(stream(), late(0.4), stream(after=1, then="stall")) as (url, server):
        client = openai.AsyncOpenAI(base_url=url, max_retries=0)
        opened = model(url, ledger, client=client, timeout=0.1)
        opened(QUESTION)  # connects, so that the next is sent in time
        assert opened(QUESTION).attempts == 1  # one that thinks is not asked, and paid, again
        error = fails(url, ledger, client=client, timeout=0.1, total_timeout=0.3, retries=0)
        assert server.hung_up.wait(5)
    assert "no whole reply within 0.3 s; raise `models.openai/gpt-4o-mini.total_timeout`" in str(
        error
    )


def late(seconds: float) -> Fault:
    def send(connection: Any, request: bytes) -> bool:
        time.sleep(seconds)
        return reply()(connection, request)

    return send


def test_a_whole_reply_has_no_first_token_but_a_total(ledger: Ledger) -> None:
    with faulty(late(0.4), faults.stall) as (url, _):
        assert model(url, ledger, timeout=0.1)(QUESTION).text == "Hello from the loopback."
        error = fails(url, ledger, timeout=0.1, total_timeout=0.3, retries=0)
    assert "no whole reply within 0.3 s" in str(error)


# -- five minutes, on a clock that runs 200 times as fast ------------------------------------------

SPEED = 200.0


class _Selector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(None if timeout is None else timeout / SPEED)


class Fast(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(_Selector())

    def time(self) -> float:
        return super().time() * SPEED


async def read(url: str, ledger: Ledger, streamed: bool) -> str:
    # every other limit is the default: 60 s of silence in a stream, 600 s for a whole reply
    opened = model(url, ledger, timeout=60.0, connect_timeout=600.0, retries=0)
    if not streamed:
        return (await opened.acall(QUESTION)).text
    return "".join([str(piece) async for piece in opened.astream(QUESTION)][:-1])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.stall, "no reply within 60 s"),
        (stream(after=1, then="stall"), "no further text within 60 s"),
    ],
)
def test_a_stream_that_stalls_for_five_minutes_is_left_after_one(
    ledger: Ledger, fault: Fault, said: str
) -> None:
    with faulty(fault) as (url, server), asyncio.Runner(loop_factory=Fast) as runner:
        started = time.monotonic()
        with pytest.raises(ModelError, match=said):
            runner.run(read(url, ledger, streamed=True))
        assert 60 <= (time.monotonic() - started) * SPEED
        assert server.hung_up.wait(5)
    (row,) = rows(ledger)
    assert (row.outcome, row.reason, row.cost.status) == ("error", "timeout", "estimated")


def test_a_whole_reply_after_five_minutes_is_an_answer(ledger: Ledger) -> None:
    with faulty(late(300 / SPEED)) as (url, _), asyncio.Runner(loop_factory=Fast) as runner:
        assert runner.run(read(url, ledger, streamed=False)) == "Hello from the loopback."
    assert [row.outcome for row in rows(ledger)] == ["ok"]


# -- connections -----------------------------------------------------------------------------------


def chunked(connection: Any, request: bytes) -> bool:
    """Stream as most servers do: in chunks, and the connection stays; its end comes by itself."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(head + b"\r\n")
    for event in faults.events():
        connection.sendall(f"{len(event):x}\r\n".encode() + event + b"\r\n")
    time.sleep(0.005)
    connection.sendall(b"0\r\n\r\n")
    return True


@pytest.mark.parametrize("streamed", [False, True])
def test_one_connection_serves_call_after_call(ledger: Ledger, streamed: bool) -> None:
    with faulty(chunked if streamed else reply()) as (url, server):
        opened = model(url, ledger)
        for _ in range(30):
            list(opened.stream(QUESTION)) if streamed else opened(QUESTION)
    assert (len(server.requests), server.sockets) == (30, 1)


def test_no_more_connections_than_calls_at_once(ledger: Ledger) -> None:
    async def run(url: str) -> None:
        opened = model(url, ledger, max_connections=8)
        await asyncio.gather(*(opened.acall(QUESTION) for _ in range(96)))

    with faulty(reply()) as (url, server):
        asyncio.run(run(url))
    assert len(server.requests) == 96
    assert server.sockets <= 8


def test_connections_that_close_at_random_cost_no_call_and_bill_none_twice(
    ledger: Ledger,
) -> None:
    dice = random.Random(11)

    def closes_at_random(connection: Any, request: bytes) -> bool:
        fault = faults.answer_and_close if dice.random() < 0.3 else reply()
        return fault(connection, request)

    async def run(url: str) -> list[Any]:
        opened = model(url, ledger, retries=6)
        first = [opened.acall(QUESTION) for _ in range(200)]
        return [*await asyncio.gather(*first), *[await opened.acall(QUESTION) for _ in range(100)]]

    with faulty(closes_at_random) as (url, server):
        answers = asyncio.run(run(url))
    assert {answer.text for answer in answers} == {"Hello from the loopback."}
    found = [row for row in rows(ledger) if row.outcome == "ok"]
    assert len(found) == len(answers) == len(server.requests) == 300
    assert {row.id for row in found} == {answer.call_id for answer in answers}


ENDS = """
import asyncio, atexit, gc, socket, sys

@atexit.register  # before genai registers its own, so that it runs last
def open_still():
    for each in gc.get_objects():
        if issubclass(type(each), asyncio.AbstractEventLoop) and not each.is_closed():
            print(each)
        if issubclass(type(each), socket.socket) and each.fileno() >= 0:
            print(each)

from genai.config import ModelSettings
from genai.models import open_model

model = open_model("openai/gpt-4o-mini", settings=ModelSettings(base_url=sys.argv[1]))
print(model("Anyone there?").text)
print("".join(map(str, list(model.stream("Anyone there?"))[:-1])))
left = model.stream("Anyone there?")
next(left)
"""


def test_a_process_that_ends_leaves_no_connection_and_no_loop_open() -> None:
    with faulty(reply(), stream()) as (url, _):
        done = subprocess.run(
            [sys.executable, "-c", ENDS, url], capture_output=True, text=True, check=True
        )
    assert done.stdout == "Hello from the loopback.\n" * 2
    assert done.stderr == ""
