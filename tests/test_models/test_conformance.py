"""Our own wire is held to the `openai` SDK: the same bytes out, the same values and errors in."""

import asyncio
import base64
import contextlib
import json
import struct
from typing import Any

import faults
import httpx
import openai
import pytest
from faults import Fault, faulty, reply
from hypothesis import given, settings
from hypothesis import strategies as st

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.ledger.usage import openai_usage
from genai.models import open_model, wire
from genai.models.base import Delta, as_messages
from genai.models.openai import OpenAI
from genai.models.sdk import KINDS
from genai.types import Call

TOOL = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {}}}},
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}
CALL = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
CONVERSATIONS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "plain"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "naïve 日本 🎉 \u2028"},
    ],
    [{"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE, FILE]}],
    [
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "2", "tool_call_id": "t1"},
    ],
]
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(1e-9, 1),
        "max_tokens": st.integers(1, 10**6),
        "seed": st.integers(-(2**53), 2**53),
        "n": st.integers(1, 3),
        "stop": st.one_of(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3)),
        "tools": st.just([TOOL]),
        "tool_choice": st.just("auto"),
        "response_format": st.just({"type": "json_object"}),
        "logit_bias": st.dictionaries(st.sampled_from(["50256", "11"]), st.integers(-100, 100)),
        "reasoning_effort": st.just("low"),
        "service_tier": st.just("flex"),
        "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        "user": st.text(max_size=8),
    },
)


class Sent(Exception):
    """Carries the bytes the SDK would have sent."""


def sdk_bytes(messages: list[dict[str, Any]], params: dict[str, Any], streamed: bool) -> bytes:
    """Give the body the SDK makes, without sending it."""
    import httpx

    def catch(request: httpx.Request) -> httpx.Response:
        raise Sent(request.content)

    client = openai.OpenAI(
        api_key="k", max_retries=0, http_client=httpx.Client(transport=httpx.MockTransport(catch))
    )
    extra: dict[str, Any] = {}
    if streamed:
        extra = {"stream": True, "stream_options": {"include_usage": True}}
    with client, pytest.raises(openai.APIConnectionError) as caught:
        client.chat.completions.create(model="m", messages=messages, **params, **extra)  # type: ignore[call-overload]
    cause = caught.value.__cause__
    assert isinstance(cause, Sent)
    return bytes(cause.args[0])


@settings(max_examples=60)
@given(messages=st.sampled_from(CONVERSATIONS), params=PARAMS, streamed=st.booleans())
def test_the_request_is_the_same_bytes(
    messages: list[dict[str, Any]], params: dict[str, Any], streamed: bool
) -> None:
    ours = dict(params)
    if streamed:
        ours |= {"stream": True, "stream_options": {"include_usage": True}}
    body = OpenAI("m")._body(as_messages(messages), ours)
    assert body == sdk_bytes(messages, params, streamed)


@settings(max_examples=100)
@given(text=st.text())
def test_any_text_is_written_alike_or_refused_alike(text: str) -> None:
    ours = OpenAI("m")._body(as_messages(text), {})
    assert json.loads(ours)["messages"][0]["content"] == text
    assert ours == sdk_bytes([{"role": "user", "content": text}], {}, False)


@pytest.mark.parametrize("bad", ["\ud800", float("nan"), object(), {"a": float("inf")}])
def test_what_json_has_no_form_for_is_an_error_and_not_sent(bad: Any) -> None:
    with faulty(reply()) as (url, server):
        model = open_model(f"openai/m@{url}")
        with pytest.raises(ModelError, match="cannot be written as JSON"):
            model("hi", metadata=bad)
        assert not server.requests


def pieces(name: str, text: str) -> dict[str, Any]:
    return {"index": 0, "id": "t1" if name else None, "type": "function",
            "function": {"name": name or None, "arguments": text}}  # fmt: skip


def likely(token: str) -> dict[str, Any]:
    spelt = list(token.encode())
    other = {"token": "x", "bytes": [120], "logprob": -4.5}
    return {"token": token, "bytes": spelt, "logprob": -0.125, "top_logprobs": [other]}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    tokens = [likely(delta["content"])] if delta.get("content") else []
    base = {"id": "c9", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x",
            "service_tier": "default", "system_fingerprint": "fp"}  # fmt: skip
    choice = {"index": 0, "delta": delta, "finish_reason": finish,
              "logprobs": {"content": tokens, "refusal": None} if tokens else None}  # fmt: skip
    return f"data: {json.dumps({**base, 'choices': [choice], **more})}\n\n".encode()


USAGE = {
    "prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42,
    "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 0,
                                  "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
}  # fmt: skip
STREAM = b"".join(
    [
        chunk({"role": "assistant", "content": ""}),
        b": a comment\n\n",
        chunk({"content": "naïve "}),
        b"event: message\n" + chunk({"content": "日本"}),
        chunk({"refusal": "not "}),
        chunk({"refusal": "that"}),
        chunk({"tool_calls": [pieces("add", "")]}),
        chunk({"tool_calls": [pieces("", '{"a":')]}),
        chunk({"tool_calls": [pieces("", " 1}")]}),
        chunk({}, "tool_calls"),
        b"data: " + json.dumps({"id": "c9", "object": "chat.completion.chunk", "created": 1,
                                "model": "gpt-x", "choices": [], "usage": USAGE}).encode(),
        b"\n\ndata: [DONE]\n\n",
    ]
)  # fmt: skip
WHOLE = json.dumps(
    {"id": "c9", "object": "chat.completion", "created": 1, "model": "gpt-x",
     "service_tier": "default", "usage": USAGE,
     "choices": [{"index": 0, "finish_reason": "tool_calls",
                  "logprobs": {"content": [likely("naïve "), likely("日本")], "refusal": None},
                  "message": {"role": "assistant", "content": "naïve 日本", "refusal": "not that",
                              "tool_calls": [CALL, {**CALL, "id": "t2"}]}}]}
).encode()  # fmt: skip


def sse(connection: Any, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    connection.sendall(b"Connection: close\r\n\r\n")
    for start in range(0, len(STREAM), 7):  # torn anywhere, inside a character too
        connection.sendall(STREAM[start : start + 7])
    return False


def seen_by_us(url: str, streamed: bool, client: Any = None) -> tuple[Any, ...]:
    rows: list[Call] = []
    model = open_model(f"openai/m@{url}", client=client, record=rows.append)
    answer: Any = list(model.stream("hi"))[-1] if streamed else model("hi")
    calls = tuple((call.id, call.name, call.arguments) for call in answer.tool_calls)
    (row,) = rows
    return (answer.text, answer.finish_reason, answer.response_model, calls, answer.usage,
            row.request_id, row.served_tier, answer.refusal, answer.logprobs)  # fmt: skip


def seen_by_sdk(url: str, streamed: bool) -> tuple[Any, ...]:
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        hi: Any = [{"role": "user", "content": "hi"}]
        if not streamed:
            whole = client.chat.completions.create(model="m", messages=hi)
            message = whole.choices[0].message
            made = message.tool_calls or []
            calls = tuple((c.id, c.function.name, c.function.arguments) for c in made)  # type: ignore[union-attr]
            finish = whole.choices[0].finish_reason
            assert whole.usage is not None
            assert whole.choices[0].logprobs is not None
            likely = tuple(each.model_dump() for each in whole.choices[0].logprobs.content or ())
            return (message.content, finish, whole.model, calls,
                    openai_usage(whole.usage.model_dump()), whole.id, whole.service_tier,
                    message.refusal, likely)  # fmt: skip
        text, finish_reason, refusal, tier, last, parts, likely = "", "", "", "", None, [], ()
        usage = None
        with client.chat.completions.create(model="m", messages=hi, stream=True) as events:
            for event in events:
                last, usage, tier = event, event.usage or usage, event.service_tier or tier
                for choice in event.choices:
                    text += choice.delta.content or ""
                    refusal += choice.delta.refusal or ""
                    if choice.logprobs is not None:
                        likely += tuple(x.model_dump() for x in choice.logprobs.content or ())
                    finish_reason = choice.finish_reason or finish_reason
                    parts += choice.delta.tool_calls or []
        joined = wire.join(
            [
                wire.ToolPiece(
                    p.index, p.id or "", p.function.name or "", p.function.arguments or ""
                )
                for p in parts
                if p.function
            ]
        )
        assert usage is not None
        assert last is not None
        calls = tuple((call.id, call.name, call.arguments) for call in joined)
        return (text, finish_reason, last.model, calls, openai_usage(usage.model_dump()),
                last.id, tier, refusal, likely)  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
def test_the_reply_has_the_same_values(streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with faulty(sse if streamed else reply(body=WHOLE)) as (url, _):
        ours, theirs = seen_by_us(url, streamed), seen_by_sdk(url, streamed)
    assert ours == theirs
    assert ours[0] == "naïve 日本"
    assert ours[4].cached_tokens == 20
    assert ours[5:8] == ("c9", "default", "not that")
    assert [each["token"] for each in ours[8]] == ["naïve ", "日本"]
    calls = [("t1", "add", '{"a": 1}'), ("t2", "add", '{"a": 1}')]
    assert list(ours[3]) == calls[: 1 if streamed else 2]


def test_a_client_of_your_own_gives_the_same_values() -> None:
    with faulty(sse) as (url, _):
        client = openai.OpenAI(base_url=url, api_key="k", max_retries=0)
        ours, theirs = seen_by_us(url, True, client), seen_by_sdk(url, True)
        client.close()
    assert ours == theirs


def vectors(connection: Any, request: bytes) -> bool:
    """Answer with vectors in the form that was asked for; the second one first."""
    asked = json.loads(request)
    lists = [[0.5, -0.25, 3e-05], [1.0, 0.1, 2.0]]
    given: list[Any] = lists
    if asked.get("encoding_format") == "base64":
        given = [base64.b64encode(struct.pack("<3f", *each)).decode() for each in lists]
    data = [
        {"object": "embedding", "index": 1 - n, "embedding": each} for n, each in enumerate(given)
    ]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    body = {"object": "list", "model": "e", "data": data, "usage": usage}
    return reply(body=json.dumps(body).encode())(connection, request)


@pytest.mark.parametrize(
    "params",
    [{}, {"dimensions": 3}, {"encoding_format": "float"}, {"user": "u", "dimensions": 3}],
    ids=["plain", "dimensions", "as lists", "with a user"],
)
def test_vectors_are_asked_for_by_the_same_bytes_and_are_the_same(params: Any) -> None:
    with faulty(vectors) as (url, server):
        ours, usage = asyncio.run(OpenAI("e", base_url=url).embed(["naïve", "b"], params))
        with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
            found = client.embeddings.create(model="e", input=["naïve", "b"], **params)
    mine, theirs = (request.partition(b"\r\n\r\n")[2] for request in server.requests)
    assert mine == theirs
    assert ours == [each.embedding for each in sorted(found.data, key=lambda each: each.index)]
    assert usage.input_tokens == found.usage.prompt_tokens == 3


@pytest.mark.parametrize("embedding", ["AAAA", "%%%%", [1, "2"], None], ids=str)
def test_vectors_that_are_none_are_a_bad_reply(embedding: Any) -> None:
    body = json.dumps({"data": [{"index": 0, "embedding": embedding}]}).encode()
    with faulty(reply(body=body)) as (url, _), pytest.raises(ModelError) as caught:
        asyncio.run(OpenAI("e", base_url=url).embed(["a"], {}))
    assert caught.value.kind == "bad_reply"


def ask_sdk(url: str, streamed: bool, timeout: float) -> None:
    hi: Any = [{"role": "user", "content": "hi"}]
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=timeout) as client:
        if streamed:
            with client.chat.completions.create(model="m", messages=hi, stream=True) as events:
                list(events)
        else:
            client.chat.completions.create(model="m", messages=hi)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "fault",
    [*(reply(status) for status in (400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 529)),
     faults.stall, faults.hang_up, faults.reset],
    ids=["400", "401", "403", "404", "409", "418", "422", "429", "500", "502", "503", "529",
         "stall", "hang up", "reset"],
)  # fmt: skip
def test_the_same_fault_is_the_same_class_of_error(fault: Fault, streamed: bool) -> None:
    timeout = 0.5 if fault is faults.stall else 30.0
    with faulty(fault) as (url, _):
        with pytest.raises(openai.APIError) as theirs:
            ask_sdk(url, streamed, timeout)
        given = ModelSettings(timeout=timeout, total_timeout=timeout, retries=0)
        model = open_model(f"openai/m@{url}", settings=given)
        ask = (lambda: list(model.stream("hi"))) if streamed else (lambda: model("hi"))
        with pytest.raises(ModelError) as ours:
            ask()
    names = [cls.__name__ for cls in type(theirs.value).__mro__]
    expected = next((KINDS[name] for name in names if name in KINDS), "bad_request")
    assert ours.value.kind == expected  # 418 is a bare APIStatusError there, a bad request here


ERROR = b"data: " + json.dumps(faults.ERROR).encode() + b"\n\n"


@pytest.mark.parametrize(
    "fault",
    [faults.stream(after=2, raw=ERROR), faults.stream(after=2, raw=b"data: {oops\n\n"),
     faults.stream(after=2, then="reset"), faults.stream(after=2, then="stall")],
    ids=["error event", "malformed", "reset", "stall"],
)  # fmt: skip
def test_a_fault_in_the_stream_is_the_same_class_of_error(fault: Fault) -> None:
    timeout = 0.5
    with faulty(fault) as (url, _):
        with pytest.raises((openai.APIError, httpx.TransportError, ValueError)) as theirs:
            ask_sdk(url, True, timeout)
        given = ModelSettings(timeout=timeout, total_timeout=5.0, retries=0)
        with pytest.raises(ModelError) as ours:
            list(open_model(f"openai/m@{url}", settings=given).stream("hi"))
    names = [cls.__name__ for cls in type(theirs.value).__mro__]
    known = {**KINDS, "TimeoutException": "timeout", "TransportError": "network",
             "ValueError": "bad_reply", "APIError": "server"}  # fmt: skip
    assert ours.value.kind == next(known[name] for name in names if name in known)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_an_embedding_fails_in_the_same_class_of_error(status: int) -> None:
    with faulty(reply(status)) as (url, _):
        with (
            openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client,
            pytest.raises(openai.APIError) as theirs,
        ):
            client.embeddings.create(model="e", input=["a"])
        with pytest.raises(ModelError) as ours:
            asyncio.run(OpenAI("e", base_url=url).embed(["a"], {}))
    names = [cls.__name__ for cls in type(theirs.value).__mro__]
    assert ours.value.kind == next(KINDS[name] for name in names if name in KINDS)


def test_a_stream_is_read_at_any_cut() -> None:
    async def cut(size: int) -> list[Any]:
        class Content:
            async def iter_any(self) -> Any:
                for start in range(0, len(STREAM), size):
                    yield STREAM[start : start + size]

        from genai.models.http import _events

        return [event async for event in _events(Content())]

    whole = asyncio.run(cut(10**6))
    assert len(whole) == 12  # the first one says that bytes arrive
    for size in (1, 2, 3, 5, 64, 1000):
        assert asyncio.run(cut(size)) == whole


@settings(max_examples=300)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_delta_or_a_value_error(body: bytes) -> None:
    with contextlib.suppress(ValueError, wire.ServerSaid):
        assert isinstance(wire.read(body), Delta)
