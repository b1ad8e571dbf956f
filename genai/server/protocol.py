"""OpenAI's chat protocol as this server keeps it: a field has its effect, or it is refused by name.

What a task can do decides which fields it takes: a provider's model takes what its provider takes,
a local one what `genai.models.local` lists, and any other task the messages alone.
"""

import inspect
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genai.errors import (
    BudgetExceeded,
    GenaiError,
    IndexUnusable,
    InputError,
    LedgerUnusable,
    ModelError,
)
from genai.models import Model
from genai.models.local import PARAMS
from genai.types import Reply as Said
from genai.types import ToolCall, Usage, new_id

_OWN = {"model", "messages", "stream", "stream_options"}
# what a model's call takes beside the fields for its provider: nobody sets them from outside
_ARGUMENTS = frozenset(inspect.signature(Model.acall).parameters)
_FINISH = {"stop", "length", "tool_calls", "content_filter"}
# what changes nothing about the answer: who asks goes onto the ledger row
_NOTED = {"user"}
_ROLES = {"system", "developer", "user", "assistant", "tool"}
_STATUS = {
    "bad_request": 400, "unprocessable": 422, "unknown_model": 404, "key": 502, "permission": 502,
    "rate_limited": 429, "timeout": 504, "network": 502, "refusal": 502,
}  # fmt: skip


class Refused(Exception):
    """A request that is not served: its status, and what the client reads."""

    def __init__(self, status: int, message: str, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        """Give the error in the protocol's own form."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {
            "error": {
                "message": str(self), "type": kind, "param": self.param or None,
                "code": self.code or None,
            }
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was checked: who answers, what is asked, and how."""

    model: str
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    stream: bool
    usage: bool
    user: str


def accepts(task: Any) -> frozenset[str] | None:
    """Give the further fields a task takes; None where its provider says."""
    if isinstance(task, Model):
        if task.remote:
            return task.fields
        return PARAMS if task.name.startswith("local/") else frozenset()
    return frozenset()


def read_request(body: Any, tasks: Mapping[str, Any]) -> Asked:
    """Check a request.

    Raises:
        Refused: 400 or 404, naming the field.
    """
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object")
    name = body.get("model")
    if not isinstance(name, str) or name not in tasks:
        known = ", ".join(sorted(tasks))
        raise Refused(404, f"model {name!r} is not served here; known: {known}", "model",
                      "model_not_found")  # fmt: skip
    stream = _flag(body, "stream")
    options = body.get("stream_options")
    if options is not None and (
        not stream or not isinstance(options, dict) or set(options) - {"include_usage"}
    ):
        raise Refused(400, "`stream_options` takes `include_usage`, with `stream` alone",
                      "stream_options")  # fmt: skip
    params = {
        key: value
        for key, value in body.items()
        if key not in _OWN | _NOTED and value is not None and not _plain(key, value)
    }
    known_fields = accepts(tasks[name])
    foreign = _ARGUMENTS if known_fields is None else set(params) - known_fields
    if unknown := sorted(foreign & set(params)):
        more = f"; it takes {', '.join(sorted(known_fields))}" if known_fields else ""
        raise Refused(
            400, f"`{unknown[0]}` is not supported by {name}{more}", unknown[0],
            "unsupported_parameter",
        )  # fmt: skip
    usage = bool((options or {}).get("include_usage"))
    return Asked(name, _messages(body), params, stream, usage, _user(body))


def _plain(key: str, value: Any) -> bool:
    """Whether a field asks for what happens anyway."""
    return (key, value) in (
        ("n", 1), ("logprobs", False), ("presence_penalty", 0), ("frequency_penalty", 0),
        ("store", False),
    )  # fmt: skip


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"`{key}` must be true or false", key)
    return bool(value)


def _user(body: Mapping[str, Any]) -> str:
    user = body.get("user") or ""
    if not isinstance(user, str):
        raise Refused(400, "`user` must be a string", "user")
    return user


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise Refused(400, "`messages` must be a list with at least one message", "messages")
    found = []
    for place, each in enumerate(given):
        where = f"messages[{place}]"
        if not isinstance(each, dict) or each.get("role") not in _ROLES:
            raise Refused(400, f"`{where}` needs a `role`: {', '.join(sorted(_ROLES))}", where)
        role = "system" if each["role"] == "developer" else each["role"]
        content = each.get("content")
        if isinstance(content, list) and all(_is_text(part) for part in content):
            content = "".join(part["text"] for part in content)
        if content is None and not each.get("tool_calls"):
            raise Refused(400, f"`{where}.content` is missing", where)
        found.append({**each, "role": role, "content": content})
    return found


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def question_of(asked: Asked, task: Any) -> str | list[dict[str, Any]]:
    """Give what a task is asked: the question, or the turns up to it where it reads them.

    Raises:
        Refused: there is more in the conversation than the task can see.
    """
    *earlier, last = asked.messages
    if last["role"] != "user" or not all(_is_turn(each) for each in asked.messages):
        raise Refused(
            400, f"{asked.model} answers a user's message of text, after turns of user and"
            " assistant", "messages",
        )  # fmt: skip
    if earlier and not getattr(task, "reads_turns", False):
        raise Refused(
            400, f"{asked.model} answers one question and sees no conversation; send the last user"
            " message alone, or set `chain.rewrite` where it is a chain", "messages",
        )  # fmt: skip
    return asked.messages if earlier else str(last["content"])


def _is_turn(message: Mapping[str, Any]) -> bool:
    return message["role"] in ("user", "assistant") and isinstance(message["content"], str)


def fault(error: Exception) -> Refused:
    """Say an error of ours in the protocol's form; what is not ours stays inside."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, ModelError):
        return Refused(_STATUS.get(error.kind, 502), str(error), code=error.kind)
    if isinstance(error, BudgetExceeded):
        return Refused(429, str(error), code="budget")
    if isinstance(error, LedgerUnusable | IndexUnusable):  # busy or away: another try may do
        return Refused(503, str(error), code="unavailable")
    if isinstance(error, InputError):
        return Refused(400, str(error))
    if isinstance(error, GenaiError):
        return Refused(500, str(error))
    return Refused(500, f"a fault of the server: {type(error).__name__}; its log says more")


# -- replies -------------------------------------------------------------------------------------


class Reply:
    """Writes one reply, whole or in pieces."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{new_id()}", "created": int(time.time()), "model": model}

    def whole(self, said: Said) -> dict[str, Any]:
        """Give the whole reply."""
        message: dict[str, Any] = {"role": "assistant", **_content(said), "refusal": None}
        message |= {name: value for name, value in _beside(said)}
        choice = {
            "index": 0, "message": message, "finish_reason": finish_of(said),
            "logprobs": _logprobs(said),
        }  # fmt: skip
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(said.usage),
        }

    def piece(
        self, delta: Mapping[str, Any], finish: str | None = None, logprobs: Any = None
    ) -> dict[str, Any]:
        """Give one piece."""
        choice = {"index": 0, "delta": dict(delta), "finish_reason": finish, "logprobs": logprobs}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def rest(self, said: Said, begun: bool) -> Iterator[dict[str, Any]]:
        """Give what no piece of text has brought: the tool calls, a refusal, the probabilities."""
        delta: dict[str, Any] = {} if begun else {"role": "assistant", **_content(said)}
        for name, value in _beside(said):
            calls = name == "tool_calls"
            delta[name] = [{"index": n, **each} for n, each in enumerate(value)] if calls else value
        logprobs = _logprobs(said)
        if delta or logprobs:
            yield self.piece(delta, logprobs=logprobs)

    def counted(self, usage: Usage) -> dict[str, Any]:
        """Give the piece that ends a stream whose client asked for the usage."""
        return {
            **self._head,
            "object": "chat.completion.chunk",
            "choices": [],
            "usage": _usage(usage),
        }


def finish_of(said: Said) -> str:
    """Give why a reply ended, in a word of the protocol."""
    return said.finish_reason if said.finish_reason in _FINISH else "stop"


def _content(said: Said) -> dict[str, str | None]:
    """Give the text; there is none where something else was said."""
    return {"content": said.text or (None if said.tool_calls or said.refusal else "")}


def _beside(said: Said) -> Iterator[tuple[str, Any]]:
    if said.refusal:
        yield "refusal", said.refusal
    if said.tool_calls:
        yield "tool_calls", [_call(each) for each in said.tool_calls]


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _logprobs(said: Said) -> dict[str, Any] | None:
    return {"content": list(said.logprobs), "refusal": None} if said.logprobs else None


def _usage(usage: Usage) -> dict[str, int] | None:
    if usage.source == "none":
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
