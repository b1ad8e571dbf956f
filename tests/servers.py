"""Servers on loopback: one that speaks OpenAI's protocol as a test asks it to, and our own."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Behaviour:
    """What the server does with each request."""

    text: str = "Hello from the loopback."
    # makes the text from the request, or the whole message where it calls tools
    answer: Callable[[dict[str, Any]], str | dict[str, Any]] | None = None
    delay: float = 0.0  # seconds before each word
    status: int = 200
    usage: bool = True
    details: dict[str, dict[str, int]] = field(default_factory=dict)  # of the tokens
    more: dict[str, str] = field(default_factory=dict)  # beside the choices
    raw: bytes | None = None  # sent as the whole body
    cut_after: int | None = None  # words, then the connection is dropped
    most_inputs: int = 2048  # texts of one request for vectors
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        own = self.behaviour
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        own.requests.append({"path": self.path, **body})
        own.keys.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if own.status != 200:
            self._whole(json.dumps({"error": {"message": "no", "type": "x"}}).encode(), own.status)
        elif own.raw is not None:
            self._whole(own.raw, 200)
        elif self.path.endswith("/embeddings") and len(body["input"]) > own.most_inputs:
            error = {"message": "array too long", "code": "array_above_max_length"}
            self._whole(json.dumps({"error": error}).encode(), 400)
        elif self.path.endswith("/embeddings"):
            self._whole(json.dumps(_embeddings(body)).encode(), 200)
        elif body.get("stream"):
            self._stream(body["model"], self._message(body))
        else:
            whole = self._completion(body["model"], self._message(body))
            self._whole(json.dumps(whole).encode(), 200)

    def _message(self, body: dict[str, Any]) -> dict[str, Any]:
        own = self.behaviour
        said = own.text if own.answer is None else own.answer(body)
        return {"content": said} if isinstance(said, str) else said

    def _usage(self) -> dict[str, Any]:
        counts = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        return {**counts, **self.behaviour.details}

    def _completion(self, model: str, message: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
        base = {"id": "c1", "object": "chat.completion", "created": 1, "model": model}
        counted = {"usage": self._usage()} if self.behaviour.usage else {}
        return {**base, "choices": [choice], **counted, **self.behaviour.more}

    def _whole(self, body: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, model: str, message: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model}
        base |= self.behaviour.more
        try:
            words = (message["content"] or "").split(" ")
            for number, word in enumerate(words):
                if self.behaviour.cut_after == number:
                    self.connection.close()
                    return
                time.sleep(self.behaviour.delay)
                piece = {"content": word if number == len(words) - 1 else f"{word} "}
                self._event({**base, "choices": [{"index": 0, "delta": piece}]})
            calls = [{"index": n, **call} for n, call in enumerate(message.get("tool_calls", ()))]
            delta = {"tool_calls": calls} if calls else {}
            last = {"index": 0, "delta": delta, "finish_reason": "stop"}
            self._event({**base, "choices": [last]})
            if self.behaviour.usage:
                self._event({**base, "choices": [], "usage": self._usage()})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.behaviour.hung_up.set()

    def _event(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # more than anybody sends at once


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Give vectors that tell short texts from long ones."""
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = [
        {"object": "embedding", "index": n, "embedding": [float(len(text)), 1.0]}
        for n, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


@contextmanager
def openai_server(**behaviour: Any) -> Iterator[tuple[str, Behaviour]]:
    """Serve on a free loopback port; gives the base URL and the behaviour, which may be changed."""
    own = Behaviour(**behaviour)
    handler = type("Handler", (_Handler,), {"behaviour": own})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", own
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def loopback(tasks: Any, key: str = "", metrics: Any = None) -> Iterator[str]:
    """Serve tasks with our own server on a free port."""
    import uvicorn

    from genai.server import create_app

    port = free_port()
    config = uvicorn.Config(
        create_app(tasks, key=key, metrics=metrics), port=port, log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
