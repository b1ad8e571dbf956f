"""LangChain's chat models and embeddings as ours."""

import asyncio
import atexit
import json
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.messages import (
    AIMessageChunk,
    BaseMessage,
    UsageMetadata,
    convert_to_messages,
)
from langchain_core.messages.ai import add_usage

from genai.errors import ModelError
from genai.ledger.usage import langchain_usage
from genai.models import wire
from genai.models.attempts import Hooks
from genai.models.base import Delta, ToolPiece
from genai.models.embed import Embedder
from genai.models.sdk import KINDS
from genai.project import import_named
from genai.types import Message

# what a client of theirs says by a status, and by the name of its error, in kinds of ModelError
_STATUS = {
    400: "bad_request", 401: "key", 402: "permission", 403: "permission", 404: "unknown_model",
    408: "timeout", 409: "conflict", 422: "unprocessable", 429: "rate_limited",
}  # fmt: skip
# why a reply ended, in the words of Anthropic, Bedrock, Gemini and Mistral
_FINISH = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop",
    "max_tokens": "length", "model_context_window_exceeded": "length", "model_length": "length",
    "tool_use": "tool_calls",
    "safety": "content_filter", "recitation": "content_filter", "blocklist": "content_filter",
    "prohibited_content": "content_filter", "spii": "content_filter",
    "guardrail_intervened": "content_filter", "content_filtered": "content_filter",
}  # fmt: skip
_ALONE: Any = {"callbacks": []}  # who watches a chain around us sees our call, and once
_NAMES = {
    **KINDS, "ConnectError": "network", "ConnectTimeout": "timeout", "ReadTimeout": "timeout",
    "TimeoutError": "timeout", "ConnectionError": "network",
}  # fmt: skip


class LangChain:
    """A LangChain chat model, or another runnable from messages to text, as a provider.

    It retries by its own rules, which our ledger does not see: one call of ours is one row. Tools
    go through its `bind_tools`, a reply's schema through its `with_structured_output`.
    """

    remote = True  # nobody can know, and a budget must hold for what does leave
    fields = wire.FIELDS  # a further one is an argument of their client

    def __init__(self, chat: Any, label: str = "") -> None:
        self._chat = chat
        self._label = label or type(chat).__name__
        said = chat._get_ls_params() if hasattr(chat, "_get_ls_params") else {}
        self.name = str(said.get("ls_provider") or "langchain")
        self._model = str(said.get("ls_model_name") or "")
        self.identity = "\n".join(map(_identity, (chat, *getattr(chat, "steps", ()))))

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        if _schema(params):
            yield await self.complete(messages, params)
            return
        chat, rest = self._bound(params)
        used: UsageMetadata | None = None
        last = Delta(finish_reason="stop", model=self._model)
        try:
            async with aclosing(_pieces(chat.astream(_theirs(messages), _ALONE, **rest))) as pieces:
                async for piece in pieces:
                    delta, usage = self._read(piece)
                    used = add_usage(used, usage) if usage else used
                    last = Delta(
                        finish_reason=delta.finish_reason or last.finish_reason,
                        model=delta.model or last.model,
                        tier=delta.tier or last.tier,
                    )
                    if delta.text or delta.tools:
                        yield Delta(delta.text, tools=delta.tools)
        except Exception as error:
            raise self._named(error) from error
        last.usage = langchain_usage(used) if used else None
        yield last

    async def complete(self, messages: Sequence[Message], params: Mapping[str, Any]) -> Delta:
        """Give the whole reply."""
        chat, rest = self._bound(params)
        schema = _schema(params)
        try:
            if schema:
                chat = chat.with_structured_output(schema, include_raw=True)
            found = await whole(chat.ainvoke(_theirs(messages), _ALONE, **rest))
            if schema:
                return self._formed(found)
            delta, usage = self._read(found)
        except Exception as error:
            raise self._named(error) from error
        delta.usage = langchain_usage(usage) if usage else None
        delta.finish_reason = delta.finish_reason or "stop"
        delta.model = delta.model or self._model
        return delta

    def _bound(self, params: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Give the model with its tools, and the keywords of the call."""
        rest = {k: v for k, v in params.items() if k not in ("tools", "tool_choice")}
        if _schema(params):
            del rest["response_format"]
        tools, choice = params.get("tools"), params.get("tool_choice")
        if not tools:
            return self._chat, rest
        if not hasattr(self._chat, "bind_tools"):
            raise ModelError(f"model {self._label}: takes no tools; use another", "bad_request")
        if isinstance(choice, Mapping):
            choice = choice["function"]["name"]
        given = {} if choice is None else {"tool_choice": "any" if choice == "required" else choice}
        try:
            return self._chat.bind_tools(tools, **given), rest
        except NotImplementedError as error:
            raise ModelError(
                f"model {self._label}: takes no tools; use another", "bad_request"
            ) from error

    def _read(self, piece: Any) -> tuple[Delta, UsageMetadata | None]:
        if isinstance(piece, str):
            return Delta(piece), None
        if not isinstance(piece, BaseMessage):
            raise ModelError(
                f"model {self._label}: gave {type(piece).__name__}; a model gives text or a"
                " message, so end the runnable with one",
                "bad_reply",
            )
        said = piece.response_metadata
        return (
            Delta(
                str(piece.text),
                finish_reason=finish_of(said),
                tools=_tools(piece),
                model=str(said.get("model_name") or ""),
                request_id=piece.id or "",
                tier=str(said.get("service_tier") or ""),
            ),
            getattr(piece, "usage_metadata", None),
        )

    def _formed(self, found: Mapping[str, Any]) -> Delta:
        """Read a structured reply; our own check of its text follows."""
        delta, usage = self._read(found["raw"])
        value = found["parsed"]
        delta.usage = langchain_usage(usage) if usage else None
        if value is not None:
            delta.text = json.dumps(value, ensure_ascii=False)
        delta.tools = ()
        delta.finish_reason = delta.finish_reason or "stop"
        delta.model = delta.model or self._model
        return delta

    def _named(self, error: Exception) -> Exception:
        """Give a ModelError for what a client of theirs says of the provider; else the error."""
        if isinstance(error, ModelError):
            return error
        kind, status = kind_of(error)
        if not kind:
            return error
        return ModelError(
            f"model {self._label}: {type(error).__name__}; see the client's own settings",
            kind,
            status=status,
        )


def kind_of(error: BaseException) -> tuple[str, int | None]:
    """Give a kind of `ModelError` for what a client raises, '' for what none says; its status."""
    found = getattr(error, "status_code", None)
    status = found if isinstance(found, int) else None
    kind = _STATUS.get(status or 0, "server" if (status or 0) >= 500 else "")
    names = (cls.__name__ for cls in type(error).__mro__)
    return kind or next((_NAMES[name] for name in names if name in _NAMES), ""), status


def finish_of(said: Mapping[str, Any]) -> str:
    """Give why a reply ended, in a word of the chat protocol where there is one; '' for nothing."""
    keys = ("finish_reason", "stop_reason", "stopReason", "done_reason")
    found = next((str(said[key]) for key in keys if said.get(key)), "")
    return _FINISH.get(found.lower(), found)


def _identity(part: Any) -> str:
    """Say what is known of a part of theirs: its kind, its model and its plain settings."""
    said = part._get_ls_params() if hasattr(part, "_get_ls_params") else {}
    held = getattr(part, "_identifying_params", None) or {}
    plain = {k: v for k, v in held.items() if isinstance(v, str | int | float)}
    return f"{type(part).__qualname__} {said.get('ls_model_name') or ''} {sorted(plain.items())}"


def _schema(params: Mapping[str, Any]) -> dict[str, Any]:
    """Give the JSON schema a reply must fit, with the title that LangChain wants; {} for none."""
    form = params.get("response_format")
    if not isinstance(form, Mapping) or form.get("type") != "json_schema":
        return {}
    given = form["json_schema"]
    return {"title": given["name"], "description": "The reply.", **given["schema"]}


def _theirs(messages: Sequence[Message]) -> list[BaseMessage]:
    return convert_to_messages([wire.as_dict(message) for message in messages])


def _tools(message: BaseMessage) -> tuple[ToolPiece, ...]:
    if isinstance(message, AIMessageChunk):
        return tuple(
            ToolPiece(n if piece["index"] is None else piece["index"], piece["id"] or "",
                      piece["name"] or "", piece["args"] or "")
            for n, piece in enumerate(message.tool_call_chunks)
        )  # fmt: skip
    return tuple(
        ToolPiece(n, call["id"] or "", call["name"], json.dumps(call["args"], ensure_ascii=False))
        for n, call in enumerate(getattr(message, "tool_calls", ()))
    )


# -- their loop ----------------------------------------------------------------------------------
# A client of theirs belongs to the event loop it was first used in, and our sync faces use two;
# so all that is theirs runs in one loop of its own.

_END = object()
_lock = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loops.clear)  # its thread is the parent's


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        if not _loops:
            _loops.append(asyncio.new_event_loop())
            threading.Thread(target=_loops[0].run_forever, name="langchain", daemon=True).start()
        return _loops[0]


@atexit.register
def _end() -> None:
    """Close what the loop holds open, connections above all."""
    for loop in _loops:
        ended = asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop)
        with suppress(TimeoutError):
            ended.result(2)


async def whole(asked: Coroutine[Any, Any, Any]) -> Any:
    """Run something of theirs in their loop."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, _loop()))


async def _pieces(source: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """Give what a generator gives in their loop; leaving ends it there."""
    here = asyncio.get_running_loop()
    queue: asyncio.Queue[Any] = asyncio.Queue()

    def put(piece: Any) -> None:
        with suppress(RuntimeError):  # the loop that asked has ended
            here.call_soon_threadsafe(queue.put_nowait, piece)

    async def pump() -> None:
        async with aclosing(source):
            async for piece in source:
                put(piece)

    pumped = asyncio.run_coroutine_threadsafe(pump(), _loop())
    pumped.add_done_callback(lambda _: put(_END))
    try:
        while (piece := await queue.get()) is not _END:
            yield piece
        pumped.result()
    finally:
        pumped.cancel()


def import_object(path: str, method: str) -> Any:
    """Import `package.module:name`: an object with `method`, or what makes one without arguments.

    Modules in the project's folder are found.

    Raises:
        ModelError: it cannot be imported, or is neither.
    """
    try:
        found = import_named(path)
        made = found if hasattr(found, method) and not isinstance(found, type) else found()
    except Exception as error:  # whatever a module or a constructor of the user's raises
        raise ModelError(
            f"langchain/{path}: cannot be opened ({error}); give `package.module:name` of an"
            " object, or of what makes one without arguments",
            "unknown_model",
        ) from error
    if not hasattr(made, method):
        raise ModelError(
            f"langchain/{path}: is a {type(made).__name__}, which has no `{method}`; give another",
            "unknown_model",
        )
    return made


def embed_with(embeddings: Embeddings, label: str = "", *, hooks: Hooks | None = None) -> Embedder:
    """Give LangChain embeddings as an Embedder; questions are embedded as documents are."""
    kind = type(embeddings)
    weights = getattr(embeddings, "model", "") or getattr(embeddings, "model_name", "")
    identity = f"{kind.__module__}:{kind.__qualname__} {weights}".rstrip()
    name = label or f"langchain/{kind.__qualname__}"

    def encode(texts: Sequence[str]) -> list[list[float]]:
        return embeddings.embed_documents(list(texts))

    # whether it leaves nobody can know, and a cap must hold for what does
    return Embedder(name, encode, identity=identity, hooks=hooks, remote=True)
