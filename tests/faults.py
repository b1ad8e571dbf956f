"""A loopback server that misbehaves on purpose: each request gets the next fault of a script."""

import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Fault = Callable[[socket.socket, bytes], bool]  # gives True where the connection stays open
WORDS = ["Hello ", "from ", "the ", "loopback."]
USAGE: dict[str, object] = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def reply(
    status: int = 200, headers: str = "", body: bytes | None = None, usage: object = USAGE
) -> Fault:
    """Answer whole, with any status, headers, body or usage."""

    def send(connection: socket.socket, request: bytes) -> bool:
        if body is None and status == 200 and re.search(rb'"stream": ?true', request):
            return stream(usage=usage)(connection, request)
        content = body
        if content is None:
            content = json.dumps(completion(usage) if status == 200 else ERROR).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        return True

    return send


ERROR = {"error": {"message": "you said: my private question", "type": "x", "code": "some_code"}}


def completion(usage: object = USAGE) -> dict[str, object]:
    message = {"role": "assistant", "content": "".join(WORDS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    found = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return found if usage is None else {**found, "usage": usage}


def events(usage: object = USAGE) -> list[bytes]:
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{**base, "choices": [{"index": 0, "delta": {"content": word}}]} for word in WORDS]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage is not None:
        chunks.append({**base, "choices": [], "usage": usage})
    return [f"data: {json.dumps(each)}\n\n".encode() for each in chunks] + [b"data: [DONE]\n\n"]


def stream(
    after: int | None = None, then: str = "close", usage: object = USAGE, raw: bytes = b""
) -> Fault:
    """Stream; after so many events `close`, `reset` or `stall`, or send `raw` instead."""

    def send(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        for number, event in enumerate(events(usage)):
            if number == after:
                if raw:
                    connection.sendall(raw)
                elif then == "stall":
                    _stall(connection)
                elif then == "reset":
                    _reset(connection)
                return False
            connection.sendall(event)
        return False

    return send


def tells(text: str) -> Fault:
    """Answer with a text, whole or as a stream, as it is asked for."""

    def send(connection: socket.socket, request: bytes) -> bool:
        streamed = re.search(rb'"stream": ?true', request)
        choice = {"index": 0, "finish_reason": "stop"}
        choice["delta" if streamed else "message"] = {"role": "assistant", "content": text}
        body = {"id": "c1", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
        content, kind = json.dumps(body), "application/json"
        if streamed:
            content, kind = f"data: {content}\n\ndata: [DONE]\n\n", "text/event-stream"
        head = f"HTTP/1.1 200 X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall((head + content).encode())
        return True

    return send


def part(size: int, then: str = "close", status: int = 200) -> Fault:
    """Promise a whole reply, send so many bytes of its body, then `close`, `reset` or `stall`."""

    def send(connection: socket.socket, request: bytes) -> bool:
        content = json.dumps(completion() if status == 200 else ERROR).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content[:size])
        if then == "stall":
            _stall(connection)
        elif then == "reset":
            time.sleep(0.02)  # what was sent is read first
            _reset(connection)
        return False

    return send


def stall(connection: socket.socket, request: bytes) -> bool:
    """Take the request and say nothing."""
    _stall(connection)
    return False


def reset(connection: socket.socket, request: bytes) -> bool:
    """Take the request and reset the connection."""
    _reset(connection)
    return False


def hang_up(connection: socket.socket, request: bytes) -> bool:
    """Take the request and close the connection."""
    return False


def answer_and_close(connection: socket.socket, request: bytes) -> bool:
    """Answer, promise to keep the connection, and close it."""
    reply()(connection, request)
    return False


def _stall(connection: socket.socket) -> None:
    connection.settimeout(30)
    with suppress(OSError):
        connection.recv(1)  # until the client hangs up


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server:
    """What came in and when; `faults` is used up, then the last one is repeated."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        self.keep = True  # off for a long run
        self.count = self.sockets = 0
        self.requests: list[bytes] = []
        self.times: list[float] = []
        self.hung_up = threading.Event()
        self.in_flight = self.peak = 0
        self._lock = threading.Lock()

    def next(self, request: bytes) -> Fault:
        with self._lock:
            self.count += 1
            if self.keep:
                self.requests.append(request)
                self.times.append(time.monotonic())
            return self.faults.pop(0) if len(self.faults) > 1 else self.faults[0]

    def serve(self, connection: socket.socket) -> None:
        buffer = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in buffer:
                    buffer += self._receive(connection)
                    if not buffer:
                        return
                head, _, rest = buffer.partition(b"\r\n\r\n")
                _, _, said = head.lower().partition(b"content-length:")
                length = int(said.split(b"\r\n")[0] or 0)
                while len(rest) < length:
                    rest += self._receive(connection)
                buffer = rest[length:]
                with self._lock:
                    self.in_flight += 1
                    self.peak = max(self.peak, self.in_flight)
                try:
                    if not self.next(head + b"\r\n\r\n" + rest[:length])(connection, rest[:length]):
                        self.hung_up.set()
                        return
                except OSError:
                    self.hung_up.set()
                    return
                finally:
                    with self._lock:
                        self.in_flight -= 1

    def _receive(self, connection: socket.socket) -> bytes:
        try:
            return connection.recv(65536)
        except OSError:
            return b""


@contextmanager
def faulty(*faults: Fault, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, Server]]:
    """Serve on a free loopback port; gives the base URL and what came in."""
    server = Server(list(faults))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    ended = False

    def accept() -> None:
        while not ended:
            with suppress(OSError):
                connection, _ = listener.accept()
                server.sockets += 1
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1", server
    finally:
        ended = True
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
