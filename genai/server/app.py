"""The server: chat completions, whole and streamed, for every task it was given by name."""

import asyncio
import hmac
import inspect
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from genai import bridge, extras
from genai.errors import GenaiError
from genai.evals.task import said, text_of
from genai.ledger import scope
from genai.models import Model
from genai.server.protocol import Asked, Refused, Reply, fault, finish_of, question_of, read_request
from genai.types import UNKNOWN_COST, Answer, Refusal, Usage
from genai.types import Reply as Said

_log = logging.getLogger("genai.server")
# else a proxy such as nginx keeps the pieces until the reply is whole
_PIECEWISE = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_MOST = 4 << 20  # bytes of a request
# names of this machine that no other site can have
_OURS = re.compile(
    r"(https?://)?(127\.0\.0\.1|localhost|\[::1\]|host\.docker\.internal)(:\d+)?", re.IGNORECASE
)


class Tasks(Mapping[str, Any]):
    """Tasks by name; `find` may know more, such as adapters promoted since the start."""

    def __init__(self, fixed: Mapping[str, Any], find: Any = None) -> None:
        self._fixed, self._find = fixed, find

    def _all(self) -> Mapping[str, Any]:
        return {**(self._find() if self._find is not None else {}), **self._fixed}

    def __getitem__(self, name: str) -> Any:
        return self._all()[name]

    def __iter__(self) -> Any:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def create_app(
    tasks: Mapping[str, Any], *, key: str = "", metrics: Callable[[], str] | None = None
) -> Any:
    """Make the ASGI application. With a `key`, every request but /health must bear it.

    Without one it answers programs of this machine alone, and no page of another site in a browser
    here: a browser sends such a page's requests to 127.0.0.1, also under a name of that site's.

    `metrics` gives what /metrics answers, in Prometheus' text format.
    """
    route = extras.load("starlette.routing", "server").Route
    server = _Server(tasks, key, metrics)
    return extras.load("starlette.applications", "server").Starlette(
        routes=[
            route("/v1/chat/completions", server.chat, methods=["POST"]),
            route("/v1/models", server.models),
            route("/v1/models/{name:path}", server.model),
            route("/health", server.health),
            route("/metrics", server.metrics),
        ]
    )


def serve(
    tasks: Mapping[str, Any],
    *,
    host: str,
    port: int,
    key: str = "",
    metrics: Callable[[], str] | None = None,
) -> None:
    """Serve until interrupted."""
    uvicorn = extras.load("uvicorn", "server")
    app = create_app(tasks, key=key, metrics=metrics)
    uvicorn.run(app, host=host, port=port, log_level="warning")


def _answered(work: Callable[..., Any]) -> Callable[..., Any]:
    """Let only those in who may ask, and tell the client each error in the protocol's form."""

    async def answer(self: "_Server", request: Any) -> Any:
        try:
            self.admit(request)
            return await work(self, request)
        except Exception as error:
            return _error(_said(error))

    return answer


def _only_ours(headers: Mapping[str, str]) -> None:
    """Refuse a request that a page of another site sent, and one under a name of another's."""
    for header in ("host", "origin"):
        place = headers.get(header, "localhost")
        if not _OURS.fullmatch(place):
            raise Refused(403, "this server has no key, so it answers programs of this machine"
                          f" alone and not {place!r}; start it with GENAI_SERVER_KEY")  # fmt: skip


class _Server:
    def __init__(
        self, tasks: Mapping[str, Any], key: str, metrics: Callable[[], str] | None
    ) -> None:
        self._tasks, self._key, self._metrics = tasks, key, metrics

    async def health(self, request: Any) -> Any:
        return _json({"status": "ok"})

    @_answered
    async def metrics(self, request: Any) -> Any:
        if self._metrics is None:
            raise Refused(404, "this server was started without metrics")
        text = await asyncio.to_thread(self._metrics)
        response = extras.load("starlette.responses", "server").Response
        return response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @_answered
    async def models(self, request: Any) -> Any:
        data = [self._entry(name) for name in sorted(self._tasks)]
        return _json({"object": "list", "data": data})

    @_answered
    async def model(self, request: Any) -> Any:
        name = request.path_params["name"]
        if name not in self._tasks:
            raise Refused(404, f"model {name!r} is not served here", "model", "model_not_found")
        return _json(self._entry(name))

    def _entry(self, name: str) -> dict[str, Any]:
        """`identity` says what shapes the answers, such as the digest of the weights."""
        try:
            given = getattr(self._tasks[name], "identity", "")
        except GenaiError:  # such as weights that are gone; who asks this one is told
            given = ""
        return {
            "id": name, "object": "model", "created": 0, "owned_by": "genai",
            "identity": given if isinstance(given, str) else "",
        }  # fmt: skip

    def admit(self, request: Any) -> None:
        """Let who bears the key in, or where there is none, programs of this machine."""
        if not self._key:
            _only_ours(request.headers)
            return
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise Refused(401, "a wrong key or none; send it as a bearer token",
                          code="invalid_api_key")  # fmt: skip

    @_answered
    async def chat(self, request: Any) -> Any:
        asked = read_request(await _body(request), self._tasks)
        task = self._tasks[asked.model]
        if not asked.stream:
            return _json(await _whole(task, asked))
        pieces = _pumped(_pieces(task, asked))
        # the first piece decides the status, so that a refusal is no 200
        first = await anext(pieces)
        responses = extras.load("starlette.responses", "server")
        return responses.StreamingResponse(
            _events(first, pieces), media_type="text/event-stream", headers=_PIECEWISE
        )


async def _body(request: Any) -> Any:
    content = b""
    async for block in request.stream():
        content += block
        if len(content) > _MOST:
            raise Refused(413, f"the request is larger than {_MOST >> 20} MiB")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON ({error})") from error


async def _whole(task: Any, asked: Asked) -> dict[str, Any]:
    with scope(user=asked.user, feature="server"):
        if isinstance(task, Model):
            outcome: Any = await task.acall(asked.messages, **asked.params)
        else:
            outcome = await _ask(task, question_of(asked, task))
    return Reply(asked.model).whole(_outcome(outcome))


async def _ask(task: Any, question: str | list[dict[str, Any]]) -> Any:
    call = getattr(task, "acall", None) or task
    if inspect.iscoroutinefunction(call):
        return await call(question)
    found = await bridge.aside(partial(call, question))
    return await found if inspect.isawaitable(found) else found


def _outcome(outcome: Any) -> Said:
    """Give what a task said as a reply; of a model it is one, with its tool calls."""
    if isinstance(outcome, Said):
        return outcome
    usage: Any = None
    ended = outcome.trace.finish_reason if isinstance(outcome, Answer) and outcome.trace else "stop"
    if isinstance(outcome, Answer | Refusal):
        usage, outcome = outcome.usage, outcome.text
    elif isinstance(outcome, Mapping):
        usage, outcome = outcome.get("usage"), text_of(said(outcome))
    if not isinstance(outcome, str):
        raise TypeError(f"a task gave {type(outcome).__name__} where a text belongs")
    counted = usage if isinstance(usage, Usage) else Usage()
    return Said(outcome, "", counted, UNKNOWN_COST, 0.0, finish_reason=ended)


async def _pieces(task: Any, asked: Asked) -> AsyncGenerator[dict[str, Any], None]:
    """Give the reply in the protocol's pieces; the first one comes with the first text."""
    reply, begun = Reply(asked.model), False
    outcome = _outcome("")
    with scope(user=asked.user, feature="server"):
        async with aclosing(_texts(task, asked)) as texts:
            async for text in texts:
                if isinstance(text, str):
                    head = {} if begun else {"role": "assistant"}
                    begun = True
                    yield reply.piece({**head, "content": text})
                else:
                    outcome = _outcome(text)
                    for piece in reply.rest(outcome, begun):
                        yield piece
    yield reply.piece({}, finish_of(outcome))
    if asked.usage:
        yield reply.counted(outcome.usage)


async def _pumped(source: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[Any, None]:
    """Run a generator in one task from its beginning to its end.

    What a call is part of lies in context variables, which no generator can carry from the task
    that begins a response to the one that sends it. Closing this ends the work behind it.
    """
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=64)

    async def pump() -> None:
        try:
            async with aclosing(source):
                async for piece in source:
                    await queue.put(piece)
            await queue.put(None)
        except Exception as error:  # raised again where the pieces are read
            await queue.put(error)

    task = asyncio.create_task(pump())
    try:
        while (piece := await queue.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _texts(task: Any, asked: Asked) -> Any:
    if isinstance(task, Model):
        async for piece in task.astream(asked.messages, **asked.params):
            yield piece
    elif hasattr(task, "astream"):
        async for piece in task.astream(question_of(asked, task)):
            yield piece
    else:
        yield await _ask(task, question_of(asked, task))


async def _events(first: dict[str, Any], pieces: Any) -> AsyncIterator[bytes]:
    """Give the pieces as events; an error after the first one is an event, and no end."""
    yield _event(first)
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield _event(piece)
    except Exception as error:
        yield _event(_said(error).body())
        return
    yield b"data: [DONE]\n\n"


def _said(error: Exception) -> Refused:
    """Give what the client reads; of a fault of ours the log holds the rest."""
    refused = fault(error)
    if refused.status == 500:
        _log.error("a request failed", exc_info=error)
    return refused


def _event(content: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _json(content: Any, status: int = 200) -> Any:
    responses = extras.load("starlette.responses", "server")
    return responses.JSONResponse(content, status_code=status)


def _error(refused: Refused) -> Any:
    return _json(refused.body(), refused.status)
