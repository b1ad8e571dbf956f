"""A loopback server that speaks the OpenAI chat protocol as fast as asyncio can.

Run in a process of its own, so that what is measured is the client: `serve()` gives its URL.
With `echo`, the answer to a body that says `case 17` is `answer 17`, else it is always the same.
`GET /seen` tells, and then forgets, how many requests came, how many were open at once, and the
seconds from the first request to the last answer.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
_WORDS = ["The ", "notice ", "period ", "is ", "thirty ", "days", "."]


def _completion(content: str = "".join(_WORDS)) -> bytes:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    base = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    body = json.dumps({**base, "choices": [choice], "usage": _USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _stream() -> bytes:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    events = [{**base, "choices": [{"index": 0, "delta": {"content": w}}]} for w in _WORDS]
    events.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({**base, "choices": [], "usage": _USAGE})
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    body = text.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class _Seen:
    """What came in since it was last asked for."""

    def __init__(self) -> None:
        self.open = 0
        self.forget()

    def forget(self) -> None:
        self.requests = self.peak = 0
        self.first = self.last = 0.0

    def came(self) -> None:
        self.first = self.first if self.requests else time.perf_counter()
        self.requests += 1
        self.open += 1
        self.peak = max(self.peak, self.open)

    def went(self) -> None:
        self.open -= 1
        self.last = time.perf_counter()

    def tell(self) -> bytes:
        body = json.dumps(
            {"requests": self.requests, "peak": self.peak, "seconds": self.last - self.first}
        )
        self.forget()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        return f"{head}\r\n\r\n{body}".encode()


class _Protocol(asyncio.Protocol):
    """Answers each whole request, after a wait if one is asked for."""

    def __init__(self, delay: float, echo: bool, seen: _Seen) -> None:
        self._delay = delay
        self._echo = echo
        self._seen = seen
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, gap, rest = self._buffer.partition(b"\r\n\r\n")
            if not gap:
                return
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            if head.startswith(b"GET /seen"):
                self._transport.write(self._seen.tell())
                continue
            self._seen.came()
            answer = self._answer(rest[:length])
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._send, answer)
            else:
                self._send(answer)

    def _answer(self, body: bytes) -> bytes:
        if self._echo and (number := _CASE.search(body)):
            return _completion(f"answer {number[1].decode()}")
        return STREAM if b'"stream":true' in body else WHOLE

    def _send(self, answer: bytes) -> None:
        self._seen.went()
        if not self._transport.is_closing():
            self._transport.write(answer)


_CASE = re.compile(rb"case (\d+)")
WHOLE, STREAM = _completion(), _stream()


async def _serve(delay: float, echo: bool) -> None:
    loop, seen = asyncio.get_running_loop(), _Seen()
    server = await loop.create_server(
        lambda: _Protocol(delay, echo, seen), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serve(delay: float = 0.0, *, echo: bool = False) -> Iterator[str]:
    """Start the server; give its base URL; end it by its own id."""
    line = [sys.executable, __file__, str(delay), "echo" if echo else ""]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def seen(url: str) -> dict[str, float]:
    """Give what the server at this base URL saw since the last time: requests, peak, seconds."""
    import urllib.request  # here, since `calls.py` times imports in a process that loads this file

    with urllib.request.urlopen(url.removesuffix("/v1") + "/seen", timeout=30) as reply:
        found: dict[str, float] = json.load(reply)
        return found


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]), sys.argv[2:] == ["echo"]))
