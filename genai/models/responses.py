"""OpenAI's Responses API in the words of the chat protocol: its requests, and its events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genai.ledger.usage import openai_usage
from genai.models import wire
from genai.models.base import Delta, ToolPiece

_RENAMED = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"}
# what stands one level deeper there: under which key, by which name
_DEEPER = {"reasoning_effort": ("reasoning", "effort"), "verbosity": ("text", "verbosity")}


def request(
    name: str, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the arguments of a request for messages and parameters of the chat protocol."""
    found = {_RENAMED.get(key, key): value for key, value in params.items()}
    for key, (outer, inner) in _DEEPER.items():
        if key in found:
            found[outer] = {**found.get(outer, {}), inner: found.pop(key)}
    if isinstance(form := found.get("response_format"), Mapping):
        del found["response_format"]
        form = {"type": form.get("type"), **form.get("json_schema", {})}
        found["text"] = {**found.get("text", {}), "format": form}
    if tools := found.get("tools"):  # there they are strict unless it is said, in chat they are not
        found["tools"] = [_flat(each, {"strict": False}) for each in tools]
    if "tool_choice" in found:
        found["tool_choice"] = _flat(found["tool_choice"], {})
    items = [item for message in messages for item in _items(message)]
    return {"model": name, "input": items, "stream": True, **found}


def _flat(given: Any, more: Mapping[str, Any]) -> Any:
    """Take a function out of the level it lies on in chat; what has that form already stays."""
    if isinstance(given, Mapping) and isinstance(inner := given.get("function"), Mapping):
        return {"type": "function", **more, **inner}
    return given


def _items(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give what a message is there: calls and what came of them are items of their own."""
    content, role = message["content"], message["role"]
    if isinstance(content, list):
        content = [*map(_output if role == "assistant" else _input, content)]
    if role == "tool":
        yield {
            "type": "function_call_output", "call_id": message["tool_call_id"], "output": content,
        }  # fmt: skip
        return
    if content or not message.get("tool_calls"):
        yield {"role": role, "content": content}
    for call in message.get("tool_calls", ()):
        yield {"type": "function_call", "call_id": call["id"], **call["function"]}


def _output(piece: dict[str, Any]) -> dict[str, Any]:
    return {**piece, "type": "output_text"} if piece.get("type") == "text" else piece


def _input(piece: dict[str, Any]) -> dict[str, Any]:
    """Give a piece of a message the name it has there."""
    kind = piece.get("type")
    inner = piece.get(str(kind))
    if kind == "text":
        return {**piece, "type": "input_text"}
    if kind == "file" and isinstance(inner, dict):
        return {"type": "input_file", **inner}
    if kind == "image_url" and isinstance(inner, dict):
        detail = inner.get("detail", "auto")
        return {"type": "input_image", "detail": detail, "image_url": inner.get("url")}
    return piece


def read_event(event: Any) -> Delta:
    """Read one event of a stream. Raises `wire.ServerSaid` where it is an error."""
    if event.type == "response.output_text.delta":
        return Delta(event.delta)
    if event.type == "response.refusal.delta":
        return Delta(refusal=event.delta)
    if event.type == "response.output_item.done" and event.item.type == "function_call":
        item = event.item
        return Delta(
            tools=(ToolPiece(event.output_index, item.call_id, item.name, item.arguments),)
        )
    if event.type in ("response.completed", "response.incomplete"):
        response = event.response
        said = response.usage
        usage = None if said is None else openai_usage(said.model_dump(warnings=False))
        tier = response.service_tier or ""
        return Delta("", usage, _finish(response), (), str(response.model), response.id, tier)
    if event.type in ("response.failed", "error"):
        found = event.response.error if event.type == "response.failed" else event
        raise wire.ServerSaid(wire.short({"code": getattr(found, "code", None)}))
    return Delta()


def _finish(response: Any) -> str:
    """Say in a word of the chat protocol why a response ended."""
    if response.status == "incomplete":
        why = getattr(response.incomplete_details, "reason", None)
        return "content_filter" if why == "content_filter" else "length"
    called = any(item.type == "function_call" for item in response.output)
    return "tool_calls" if called else "stop"
