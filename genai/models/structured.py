"""Structured replies: a JSON schema is asked for, checked, mended once, then asked for again."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from genai.errors import ModelError
from genai.ledger.sums import total_cost
from genai.models.attempts import counted
from genai.text.thoughts import spoken
from genai.types import Context, Message, Part, Reply, Usage

_MOST = 2  # times to ask again
_REFUSED = {"content_filter", "refusal"}  # asking again would change nothing
Ask = Callable[[Sequence[Message], Context | None, Mapping[str, Any]], Awaitable[Reply]]


async def structured(
    ask: Ask,
    messages: Sequence[Message],
    schema: Any,
    context: Context | None,
    params: Mapping[str, Any],
) -> Reply:
    """Ask until the reply fits `schema`: a pydantic class, or a JSON schema as a mapping.

    The reply's `usage`, `cost` and `attempts` are the sums over all that was asked; each request
    has its own row.

    Raises:
        ModelError: `refusal` when the model declines, `bad_reply` when no reply fits or one is
            cut at its limit; names the place and rule that failed, never the content.
    """
    form, check = _form(schema)
    params = {**params, "response_format": form}
    most = int(params.pop("reasks", _MOST))
    said: list[Reply] = []
    while True:
        reply = await ask(messages, context, params)
        said.append(reply)
        value, problem = _fit(reply.text, check)
        if not problem:
            return _total(said, value)
        if reply.refusal or reply.finish_reason in _REFUSED:
            error = ModelError(
                f"model {reply.model}: refused to answer ({reply.finish_reason}); change the"
                " request or use another model",
                "refusal",
            )
            raise counted(error, sum(each.attempts for each in said))
        if reply.finish_reason == "length":  # under the same limit another one would be cut too
            error = ModelError(
                f"model {reply.model}: the reply was cut at its limit of tokens before its JSON was"
                " whole; raise `max_tokens`, or set a lower `reasoning_effort`",
                "bad_reply",
            )
            raise counted(error, sum(each.attempts for each in said))
        if len(said) > most:
            error = ModelError(
                f"model {reply.model}: no reply fitted the schema in {len(said)} requests"
                f" ({problem}); simplify the schema or use a stronger model",
                "bad_reply",
            )
            raise counted(error, sum(each.attempts for each in said))
        wrong = Message("assistant", (Part(reply.text, "untrusted"),))
        again = (
            f"That does not fit the schema: {problem}. Reply with the corrected JSON only. The"
            f" schema: {json.dumps(form['json_schema']['schema'])}"
        )
        messages = [*messages, wrong, Message("user", (Part(again),))]


def _form(schema: Any) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    """Give the request's `response_format` and a check that returns the value or raises."""
    if isinstance(schema, type) and hasattr(schema, "model_json_schema"):
        name, body = schema.__name__, schema.model_json_schema()
        check: Callable[[Any], Any] = schema.model_validate  # type: ignore[attr-defined]
    elif isinstance(schema, Mapping):
        name, body = str(schema.get("title") or "reply"), dict(schema)
        check = _json_schema(body)
    else:
        raise ModelError(
            f"a schema is a pydantic class or a mapping, not {type(schema).__name__};"
            " give one of them",
            "bad_request",
        )
    name = re.sub(r"\W", "_", name, flags=re.ASCII)[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": body}}, check


def _json_schema(body: dict[str, Any]) -> Callable[[Any], Any]:
    from genai.config.schemas import breach

    try:
        breach(body, None)  # a schema that is wrong is told before anything is asked
    except ValueError as error:
        raise ModelError(f"{error}; mend it", "bad_request") from error

    def check(value: Any) -> Any:
        if problem := breach(body, value):
            raise ValueError(problem)
        return value

    return check


def _fit(text: str, check: Callable[[Any], Any]) -> tuple[Any, str]:
    """Give the checked value, or what is wrong; plain damage is mended first."""
    problem = ""
    for candidate in (text, mend(text)):
        try:
            return check(json.loads(candidate)), ""
        except json.JSONDecodeError as error:
            problem = problem or f"not JSON at character {error.pos}"
        except ValueError as error:
            problem = _short(error)
    return None, problem


def _short(error: ValueError) -> str:
    """Say which field breaks which rule; pydantic's own words would quote the content."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    first = errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "the top"
    return f"{where} breaks `{first['type']}`"


def mend(text: str) -> str:
    """Take the JSON out of a fence, prose or thoughts, and drop commas before a bracket."""
    text = spoken(text)
    fence = re.search(r"```(?:json)?\s*(.*?)```", text, re.DOTALL)
    text = fence.group(1) if fence else text
    starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    end = max(text.rfind("}"), text.rfind("]"))
    if starts and end > min(starts):
        text = text[min(starts) : end + 1]
    return re.sub(r",(\s*[}\]])", r"\1", text)


def _total(said: Sequence[Reply], value: Any) -> Reply:
    """Give the last reply with the sums of all of them."""
    return replace(
        said[-1],
        parsed=value,
        usage=sum((reply.usage for reply in said), Usage()),
        cost=total_cost([reply.cost for reply in said]),
        seconds=sum(reply.seconds for reply in said),
        attempts=sum(reply.attempts for reply in said),
    )
