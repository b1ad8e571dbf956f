"""The OpenAI chat protocol on the wire: request bytes, and replies as small structs.

Held to the `openai` SDK by `tests/test_models/test_conformance.py`: the same bytes out, the same
values in. Of a reply these are carried: text, refusal, tool calls, finish, model, id, service tier,
log probabilities of the text, usage. Not carried: `created`, `system_fingerprint`, audio,
annotations, and choices beyond the first, which nobody can ask for (`n` above 1 is refused).
"""

import array
import base64
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from genai.ledger.usage import openai_usage
from genai.models.base import Delta, ToolPiece
from genai.types import Message, ToolCall

# the order in which the SDK writes the keys of a chat request
_ORDER = (
    "messages", "model", "audio", "frequency_penalty", "function_call", "functions", "logit_bias",
    "logprobs", "max_completion_tokens", "max_tokens", "metadata", "modalities", "moderation", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "response_format",
    "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options",
    "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
    "web_search_options",
)  # fmt: skip
FIELDS = frozenset(_ORDER)
_RANK = {name: rank for rank, name in enumerate(_ORDER)}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Tool(msgspec.Struct):
    index: int | None = None  # pieces of a stream have one, calls of a whole reply do not
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct):
    content: str | list[Any] | None = None
    tool_calls: list[_Tool] | None = None
    refusal: str | None = None


class _Logprobs(msgspec.Struct):
    content: list[Any] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    logprobs: _Logprobs | None = None
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class _Body(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    service_tier: str | None = None
    error: Any = None


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    model: str | None = None
    usage: Any = None


_SAME = {str, int, bool, type(None)}  # written alike by both encoders
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
decode_vectors = msgspec.json.Decoder(_Vectors).decode


def request(name: str, messages: Sequence[Message], params: Mapping[str, Any]) -> dict[str, Any]:
    """Give the body of a chat request, its keys in the SDK's order, others after them."""
    body: dict[str, Any] = {"messages": [as_dict(m) for m in messages], "model": name}
    known = sorted((key for key in params if key in _RANK), key=_RANK.__getitem__)
    for key in known:
        body[key] = params[key]
    for key in params:
        if key not in _RANK:
            body[key] = params[key]
    return body


def encode(body: Mapping[str, Any]) -> bytes:
    """Write a body as the SDK does. Raises `ValueError` on NaN or a lone surrogate."""
    for key, value in body.items():
        if key != "messages" and type(value) not in _SAME:
            break
    else:
        if not any(type(message["content"]) is list for message in body.get("messages", ())):
            return _encode(body)
    # numbers such as 1e-05 are written in another way by the C encoder, and NaN as null
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def as_dict(message: Message) -> dict[str, Any]:
    """Give a message in the protocol's form; images and files pass through as they are."""
    content: Any = message.text
    if any(part.data is not None for part in message.parts):
        content = [
            {"type": "text", "text": part.text} if part.data is None else dict(part.data)
            for part in message.parts
        ]
    found: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
        found["content"] = content or None
    if message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    return found


def read(body: bytes | memoryview | str) -> Delta:
    """Read a whole reply or one chunk of a stream.

    Raises:
        ValueError: not a chat completion; it may be cut, another format, or not UTF-8.
        ServerSaid: an error, alone or beside what had been said so far.
    """
    found = _decode(body)
    if found.error:
        raise ServerSaid(short(found.error))
    text, finish, refusal = "", "", ""
    tools: tuple[ToolPiece, ...] = ()
    logprobs: tuple[Any, ...] = ()
    if found.choices:
        choice = next((each for each in found.choices if each.index == 0), found.choices[0])
        finish = choice.finish_reason or ""
        if finish == "error":
            raise ServerSaid("finish_reason: error")
        said = choice.delta or choice.message
        if choice.logprobs is not None:
            logprobs = tuple(choice.logprobs.content or ())
        if said is not None:
            text, refusal = _text(said.content), said.refusal or ""
            if said.tool_calls:
                tools = tuple(_piece(n, tool) for n, tool in enumerate(said.tool_calls))
    elif found.choices is None and found.usage is None:
        raise ValueError("neither choices nor usage")
    return Delta(
        text=text,
        usage=None if found.usage is None else openai_usage(found.usage),
        finish_reason=finish,
        tools=tools,
        model=found.model or "",
        request_id=found.id or "",
        tier=found.service_tier or "",
        reported=reported(found.usage),
        refusal=refusal,
        logprobs=logprobs,
    )


_CONTENT = re.compile(rb'"content"\s*:\s*"((?:[^"\\]+|\\.)*)', re.DOTALL)
_NAMED = re.compile(rb'"(id|model)"\s*:\s*"([^"\\]{1,200})"')


def partial(body: bytes) -> Delta:
    """Read what is there of a whole reply that was cut or spoilt: its text, id and model."""
    said = _CONTENT.search(body)
    raw = said.group(1).decode("utf-8", "ignore") if said else ""
    raw = re.sub(r"\\u[0-9a-fA-F]{0,3}$", "", raw)
    try:
        text = json.loads(f'"{raw}"', strict=False).encode("utf-8", "ignore").decode()
    except ValueError:
        text = raw
    named = {key.decode(): value.decode("utf-8", "ignore") for key, value in _NAMED.findall(body)}
    return Delta(text, model=named.get("model", ""), request_id=named.get("id", ""))


def vectors_request(name: str, texts: Sequence[str], params: Mapping[str, Any]) -> dict[str, Any]:
    """Give the body of a request for vectors; they come as base64 unless the caller says how."""
    known = ("user", "dimensions", "encoding_format")  # in the SDK's order
    params = {"encoding_format": "base64", **params}
    first = {key: params[key] for key in known if key in params}
    return {"input": list(texts), "model": name, **first, **params}


def floats(vector: _Vector) -> list[float]:
    """Give a vector's numbers: as a server listed them, or out of base64 of 32-bit floats."""
    if not isinstance(vector.embedding, str):
        return vector.embedding
    found = array.array("f", base64.b64decode(vector.embedding, validate=True))
    if sys.byteorder == "big":
        found.byteswap()
    return found.tolist()


class ServerSaid(Exception):
    """The server put an error where a reply belongs; holds its short code only."""


def short(error: object) -> str:
    """Give the code or type of a provider's error; its message may quote the prompt."""
    if isinstance(error, dict):
        inner = error.get("error")
        for source in (inner if isinstance(inner, dict) else {}, error):
            for key in ("code", "type"):
                value = str(source.get(key) or "")
                if 0 < len(value) <= 60 and value.replace("_", "").replace(".", "").isalnum():
                    return value
    return ""


_FORM = re.compile(r"response[_ ]format", re.IGNORECASE)
_UNKNOWN = ("unsupported_parameter", "unsupported_value")
_IN_WORDS = ("Unsupported parameter", "Unsupported value")  # how OpenAI begins where no code is set


def refused_param(error: object) -> str:
    """Give the parameter that a provider says the model does not take, or ''.

    That a model takes no JSON schema is said under no common code, so its words are read; OpenAI
    leaves the code out for some models.
    """
    inner = error.get("error", error) if isinstance(error, dict) else None
    found = inner if isinstance(inner, dict) else {"message": inner}
    name = str(found.get("param") or "")
    if found.get("code") in _UNKNOWN or str(found.get("message")).startswith(_IN_WORDS):
        return name if name in _RANK else ""
    return "response_format" if _FORM.search(f"{name} {found.get('message')}") else ""


def _text(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        return "".join(str(each.get("text") or "") for each in content if isinstance(each, dict))
    return content or ""


def _piece(n: int, tool: _Tool) -> ToolPiece:
    function = tool.function or _Function()
    index = n if tool.index is None else tool.index
    return ToolPiece(index, tool.id or "", function.name or "", function.arguments or "")


def reported(usage: Any) -> str:
    """Give the cost that a provider says beside the tokens, such as OpenRouter; "" for none."""
    cost = usage.get("cost") if isinstance(usage, dict) else None
    return str(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) else ""


def join(pieces: Sequence[ToolPiece]) -> tuple[ToolCall, ...]:
    """Put the pieces of tool calls together, by their index.

    Some servers give every call the index 0: a name under another id begins another call.
    """
    calls: list[tuple[int, list[str]]] = []
    last: dict[int, list[str]] = {}
    for piece in pieces:
        held = last.get(piece.index)
        if held is None or (piece.name and piece.id and held[0] not in ("", piece.id)):
            held = last[piece.index] = ["", "", ""]
            calls.append((piece.index, held))
        held[0] = held[0] or piece.id
        held[1] += piece.name
        held[2] += piece.arguments
    return tuple(ToolCall(*held) for _, held in sorted(calls, key=lambda call: call[0]))
