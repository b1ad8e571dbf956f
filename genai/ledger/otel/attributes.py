"""A Call and its request as the conventions' attributes: plain values, no OpenTelemetry.

Values carry every name they have in any version; the table of the span picks the ones it lists.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from genai.ledger.otel.names import DOORS, INFERENCE, OWN, SHAPES, Dialect, Table
from genai.types import Call, Message, Reply, ToolCall, Usage

Values = dict[str, Any]
_KINDS = {"model": "chat", "embedding": "embeddings", "chain": "invoke_workflow"}
_DIRECT = {
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "seed": "gen_ai.request.seed",
    "dimensions": "gen_ai.embeddings.dimension.count",
    "reasoning_effort": "gen_ai.request.reasoning.level",
    "previous_response_id": "gen_ai.request.previous_response.id",
}
_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_FORMATS = {"json_object": "json", "json_schema": "json", "text": "text"}
# the words of providers -> the five of the conventions; anything else did not end well
_FINISHES = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "length": "length",
    "max_tokens": "length", "content_filter": "content_filter", "tool_call": "tool_call",
    "tool_calls": "tool_call", "tool_use": "tool_call", "function_call": "tool_call",
}  # fmt: skip
# providers whose protocol keeps the system text apart from the turns
_APART = {"anthropic", "aws.bedrock", "gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai"}
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(each) for each in value)


def as_json(value: Any) -> str:
    """Write a value as JSON text; text that already is JSON text stays."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


_CASTS: dict[str, Callable[[Any], Any]] = {
    "string": str, "int": int, "double": float, "boolean": bool, "string[]": _texts,
    "json": as_json,
}  # fmt: skip


def fit(
    table: Table, values: Mapping[str, Any], *, content: bool = False, flat: bool = True
) -> Values:
    """Give what the table lists, in its types, and our own names; content only if `content`.

    `flat` writes structures as JSON text, as a span needs them.
    """
    found: Values = {}
    for name, value in values.items():
        if value is None or value == "" or value == ():
            continue
        listed = table.get(name)
        if listed is None:
            if name.startswith(OWN):
                found[name] = value
        elif content or listed.level != "O":
            if listed.type == "json" and not flat:
                found[name] = value
                continue
            try:
                found[name] = _CASTS[listed.type](value)
            except (TypeError, ValueError, OverflowError):
                continue  # the caller gave a parameter no provider will take either
    return found


def who(call: Call, dialect: Dialect) -> tuple[str, str]:
    """Give the provider in the conventions' words, and the bare name of the model."""
    provider, model = call.provider, call.model
    while "/" in model:
        head, _, rest = model.partition("/")
        if not provider or provider in DOORS:
            provider = head
        elif head not in DOORS and provider not in (head, dialect.providers.get(head)):
            break  # the slash is part of the vendor's own name
        model = rest
        if head not in DOORS:
            break
    # a model without a provider's name runs in this library
    return dialect.providers.get(provider, provider) or "genai", model


def operation(call: Call) -> str:
    """Give the operation in the conventions' words; "" where they have none."""
    known = call.operation in SHAPES
    return call.operation if known else _KINDS.get(call.kind, "")


def shape_of(call: Call, dialect: Dialect) -> str:
    """Give the table the call's span follows; "" for a row the conventions do not cover."""
    shape = SHAPES.get(operation(call), "")
    if shape == "inference":
        provider = who(call, dialect)[0]
        return provider if provider in ("openai", "anthropic") else shape
    if shape == "invoke_agent" and not call.host:
        return "invoke_agent_internal"
    return shape


def server(host: str) -> tuple[str, int | None]:
    """Give address and port of `host[:port]`; without one, what its usual scheme means."""
    parts = urlsplit(f"//{host}")
    name = parts.hostname or ""
    try:
        port = parts.port
    except ValueError:
        port = None
    if not name:
        return "", None
    return name, port or (80 if name in _LOCAL else 443)


def opening(call: Call, params: Mapping[str, Any], dialect: Dialect) -> Values:
    """Give what is known before the request leaves.

    A parameter that is one of the conventions' own names, such as `gen_ai.agent.name`, is taken
    as it is.
    """
    provider, model = who(call, dialect)
    address, port = server(call.host)
    prompt, _, version = call.context.prompt_id.rpartition("@")
    tier = params.get("service_tier") or call.requested_tier
    values: Values = {
        "gen_ai.operation.name": operation(call),
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "server.address": address,
        "server.port": port,
        "gen_ai.request.stream": call.stream or None,
        "gen_ai.conversation.id": call.context.session,
        "gen_ai.workflow.name": call.context.feature,
        "gen_ai.prompt.name": prompt or version,
        "gen_ai.prompt.version": version if prompt else "",
        "openai.request.service_tier": "" if tier == "auto" else tier,
        "openai.api.type": "chat_completions" if operation(call) == "chat" else "",
        f"{OWN}call.id": call.id,
    }
    return values | _request(params)


def _request(params: Mapping[str, Any]) -> Values:
    values: Values = {name: params.get(ours) for ours, name in _DIRECT.items()}
    choices = params.get("n")
    values |= {
        "gen_ai.request.max_tokens": next((params[p] for p in _LIMITS if params.get(p)), None),
        "gen_ai.request.stop_sequences": params.get("stop"),
        "gen_ai.request.choice.count": None if choices == 1 else choices,
        "gen_ai.request.encoding_formats": params.get("encoding_format"),
        "gen_ai.output.type": _output(params),
        "gen_ai.tool.definitions": params.get("tools"),
    }
    return values | {name: value for name, value in params.items() if "." in name}


def _output(params: Mapping[str, Any]) -> str:
    spoken_too = params.get("modalities")
    if isinstance(spoken_too, list | tuple) and "audio" in spoken_too:
        return "speech"
    asked = params.get("response_format")
    return _FORMATS.get(str(asked.get("type")), "") if isinstance(asked, Mapping) else ""


def closing(call: Call) -> Values:
    """Give what the finished row adds; counts nobody made are left out."""
    ended = call.finish_reason if call.finish_reason != call.outcome else ""
    cost = call.cost
    return {
        **_usage(call),
        "gen_ai.response.id": call.request_id,
        "gen_ai.response.model": call.response_model,
        "gen_ai.response.finish_reasons": (ended,) if ended else None,
        "gen_ai.response.time_to_first_chunk": call.ttft if call.stream else None,
        "openai.response.service_tier": call.served_tier,
        "error.type": error_type(call),
        f"{OWN}cost.amount": None if cost.amount is None else format(cost.amount, "f"),
        f"{OWN}cost.currency": None if cost.amount is None else cost.currency,
        f"{OWN}cost.status": cost.status.value,
        f"{OWN}call.outcome": call.outcome,
        f"{OWN}call.attempt": call.attempt,
        f"{OWN}call.retry_of": call.retry_of,
        f"{OWN}call.fallback_of": call.fallback_of,
        f"{OWN}usage.source": call.usage.source,
        **{name: value for name, value in call.tags.items() if "." in name},
    }


def _usage(call: Call) -> Values:
    if call.input_tokens is None:
        return {}
    usage = call.usage
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    values: Values = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        # a 0 here may also mean that the provider says nothing of it
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
        "gen_ai.usage.cache_creation.input_tokens": written or None,
        "gen_ai.usage.cache_write.input_tokens": written or None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens or None,
    }
    for name, modality, count in modalities(usage):
        if modality != "unknown" and name in ("input_tokens", "output_tokens"):
            values[f"gen_ai.usage.{modality}.{name}"] = count or None
        if name == "cache_read.input_tokens" and modality == "text":
            values["gen_ai.usage.text.cache_read.input_tokens"] = count or None
    return values


def modalities(usage: Usage) -> list[tuple[str, str, int]]:
    """Give the counts by what they count: (name, modality, tokens); they sum to the totals."""
    in_other = usage.audio_input_tokens + usage.image_input_tokens
    out_other = usage.audio_output_tokens + usage.image_output_tokens
    # which of a mixed request was cached, nobody says
    cached = "unknown" if in_other else "text"
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return [
        ("input_tokens", "text", usage.input_tokens - in_other),
        ("input_tokens", "audio", usage.audio_input_tokens),
        ("input_tokens", "image", usage.image_input_tokens),
        ("output_tokens", "text", usage.output_tokens - out_other),
        ("output_tokens", "audio", usage.audio_output_tokens),
        ("output_tokens", "image", usage.image_output_tokens),
        ("cache_read.input_tokens", cached, usage.cached_tokens),
        ("cache_write.input_tokens", cached, written),
        ("reasoning.output_tokens", "text", usage.reasoning_tokens),
    ]


def error_type(call: Call) -> str:
    """Give the class of the failure; "" for a call that ended well, a refusal included."""
    if call.outcome in ("ok", "refusal", "sent"):
        return ""
    if call.outcome != "error":
        return call.outcome
    return call.reason or str(call.http_status or "_OTHER")


# -- content -------------------------------------------------------------------------------------


def spoken(
    shape: str,
    provider: str,
    messages: Sequence[Message] | None,
    reply: str | Reply,
    finish: str,
) -> Values:
    """Give the turns in the conventions' form. `finish` is left out of the reply where it is ""."""
    apart = shape in INFERENCE and provider in _APART
    system = [m for m in messages or () if apart and m.role == "system"]
    turns = [_message(m) for m in messages or () if not (apart and m.role == "system")]
    text, calls = (reply.text, reply.tool_calls) if isinstance(reply, Reply) else (reply, ())
    said = ([{"type": "text", "content": text}] if text else []) + [_tool(each) for each in calls]
    output: Values = {"role": "assistant", "parts": said}
    if finish:
        output["finish_reason"] = _FINISHES.get(finish, "error")
    return {
        "gen_ai.system_instructions": [
            {"type": "text", "content": m.text} for m in system
        ] or None,
        "gen_ai.input.messages": turns or None,
        "gen_ai.output.messages": [output] if said else None,
    }  # fmt: skip


def _message(message: Message) -> Values:
    if message.role == "tool":
        answer = {"type": "tool_call_response", "id": message.tool_call_id}
        return {"role": "tool", "parts": [{**answer, "response": message.text}]}
    parts: list[Values] = []
    for part in message.parts:
        if part.data is not None:
            parts.append(_data(part.data))
        elif parts and parts[-1]["type"] == "text":
            parts[-1]["content"] += part.text  # pieces of one template are one text
        elif part.text:
            parts.append({"type": "text", "content": part.text})
    return {"role": message.role, "parts": parts + [_tool(each) for each in message.tool_calls]}


def _tool(call: ToolCall) -> Values:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}


def _data(data: Mapping[str, Any]) -> Values:
    kind = str(data.get("type", ""))
    inner = data.get(kind)
    given: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    if kind == "image_url":
        uri = str(given.get("url", ""))
        head, _, body = uri.partition(",")
        if head.startswith("data:"):
            mime = head.removeprefix("data:").partition(";")[0]
            return {"type": "blob", "modality": "image", "mime_type": mime, "content": body}
        return {"type": "uri", "modality": "image", "uri": uri}
    if kind == "input_audio":
        return {"type": "blob", "modality": "audio", "content": given.get("data", "")}
    if kind == "file" and given.get("file_id"):
        return {"type": "file", "modality": "document", "file_id": given["file_id"]}
    return dict(data) | {"type": kind or "unknown"}
