"""What the `openai` package serves for us: the Responses API and Azure, on a loopback server."""

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import openai
import pytest
from faults import Fault, faulty, reply, stream, tells
from servers import openai_server

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models import Hooks, open_model
from genai.models.replay import Replay
from genai.types import Call, ToolCall

USAGE = {
    "input_tokens": 30, "output_tokens": 12, "total_tokens": 42,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 5},
}  # fmt: skip


def response(status: str) -> dict[str, Any]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-x", "output": [],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": status,
        "service_tier": "default", "usage": USAGE,
    }  # fmt: skip


CALL = {"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "add",
        "arguments": '{"a": 1}', "status": "completed"}  # fmt: skip
EVENTS = [
    {"type": "response.created", "response": response("in_progress")},
    {"type": "response.output_text.delta", "delta": "Hello ", "item_id": "m", "output_index": 0,
     "content_index": 0, "logprobs": []},
    {"type": "response.output_text.delta", "delta": "there", "item_id": "m", "output_index": 0,
     "content_index": 0, "logprobs": []},
    {"type": "response.output_item.done", "output_index": 1, "item": CALL},
    {"type": "response.completed", "response": response("completed")},
]  # fmt: skip


def responses(last: int) -> Fault:
    def send(connection: Any, request: bytes) -> bool:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        connection.sendall(head)
        for number, event in enumerate(EVENTS[:last]):
            body = json.dumps({**event, "sequence_number": number})
            connection.sendall(f"event: {event['type']}\ndata: {body}\n\n".encode())
        return False

    return send


def opened(name: str, url: str, rows: list[Call]) -> Any:
    settings = ModelSettings(base_url=url, retries=0)
    return open_model(name, settings=settings, hooks=Hooks(record=rows.append))


def test_the_responses_api_gives_text_tools_and_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    rows: list[Call] = []
    with faulty(responses(5)) as (url, server):
        *pieces, answer = opened("responses/gpt-x", url, rows).stream("hi")
    assert pieces == ["Hello ", "there"]
    assert answer.tool_calls == (ToolCall("t1", "add", '{"a": 1}'),)
    usage = answer.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.reasoning_tokens) == (30, 20, 5)
    assert server.requests[0].startswith(b"POST /v1/responses ")
    assert (rows[0].response_model, rows[0].request_id, rows[0].outcome) == (
        "gpt-x", "resp_1", "ok",
    )  # fmt: skip


def test_a_response_that_ends_early_is_an_error_with_its_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    rows: list[Call] = []
    with faulty(responses(2)) as (url, _), pytest.raises(ModelError):
        opened("responses/gpt-x", url, rows)("hi")
    assert (rows[0].outcome, rows[0].output_tokens) == ("error", 2)


def test_azure_is_reached_by_its_own_address_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    rows: list[Call] = []
    with faulty(stream()) as (url, server):
        answer = opened("azure/my-deployment", url.removesuffix("/v1"), rows)("hi")
    assert answer.text == "Hello from the loopback."
    head = server.requests[0].decode()
    assert "/openai/deployments/my-deployment/chat/completions?api-version=" in head
    assert "api-key: azure-key" in head
    assert rows[0].provider == "azure"


def test_azure_is_known_by_the_endpoint_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows: list[Call] = []
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    with faulty(tells("from eu")) as (eu, _), faulty(tells("from us")) as (us, _):
        for url in (eu, us):
            monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", url.removesuffix("/v1"))
            hooks = Hooks(record=rows.append, replay=Replay(tmp_path / "r.db", "record"))
            open_model("azure/m", hooks=hooks)("hi")
    assert [row.host for row in rows] == [eu.split("/")[2], us.split("/")[2]]
    assert [row.cache_source for row in rows] == ["", ""]


def token() -> Fault:
    """Answer as a managed identity's endpoint does."""
    body = {"access_token": "token-very-secret", "expires_on": str(int(time.time()) + 3600),
            "resource": "https://cognitiveservices.azure.com", "token_type": "Bearer"}  # fmt: skip
    return reply(body=json.dumps(body).encode())


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("good", [True, False])
def test_azure_without_a_key_signs_in_by_what_the_machine_has(
    monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("IDENTITY_HEADER", "header-very-secret")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    rows: list[Call] = []
    signed_in = token() if good else reply(400, body=b'{"message": "no identity"}')
    with (
        faulty(signed_in) as (identity, asked),
        faulty(stream()) as (url, server),
    ):
        monkeypatch.setenv("IDENTITY_ENDPOINT", identity)
        model = opened("azure/my-deployment", url.removesuffix("/v1"), rows)
        if good:
            assert model("my private question").text == "Hello from the loopback."
            assert model("my private question").text == "Hello from the loopback."
            assert b"Bearer token-very-secret" in server.requests[1]
            assert len(asked.requests) == 1  # a token is kept until it expires
        else:
            with pytest.raises(ModelError, match="the sign-in to Azure failed .*; set AZURE_") as e:
                model("my private question")
            assert (e.value.kind, e.value.sent, len(server.requests)) == ("key", False, 0)
            assert "very-secret" not in str(e.value)
    assert b"resource=https" in asked.requests[0]
    assert {row.outcome for row in rows} == {"ok" if good else "error"}


def test_azure_without_an_address_and_with_a_wrong_key_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(ModelError, match="AZURE_OPENAI_ENDPOINT is not set; export it"):
        open_model("azure/d")("hi")
    with faulty(reply(401)) as (url, _):
        with pytest.raises(ModelError, match="refused the key in AZURE_OPENAI_API_KEY") as caught:
            opened("azure/d", url.removesuffix("/v1"), [])("hi")
    assert "azure-key" not in str(caught.value)


def test_a_sync_client_of_your_own_waits_for_many_replies_at_once() -> None:
    """A reply comes only when all requests are there; a loop's pool has 32 threads at the most."""
    count = 40
    together = threading.Barrier(count)

    def answer(body: Any) -> str:
        together.wait(30)
        return "yes"

    async def gathered(model: Any) -> list[Any]:
        return await asyncio.gather(*(model.acall("hi") for _ in range(count)))

    with (
        openai_server(answer=answer) as (url, _),
        openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client,
    ):
        own = ModelSettings(max_connections=count)
        model = open_model(f"openai/m@{url}", client=client, settings=own)
        assert {reply.text for reply in asyncio.run(gathered(model))} == {"yes"}


def test_the_responses_api_has_its_own_names_for_the_limit_and_the_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with faulty(responses(5)) as (url, server):
        given = {"max_tokens": 70, "seed": 1}
        assert opened("responses/gpt-x", url, [])("hi", **given).text == "Hello there"
        body = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])
        assert body["max_output_tokens"] == 70
        schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
        with pytest.raises(ModelError, match="no reply fitted the schema"):
            opened("responses/gpt-x", url, [])("hi", schema=schema, reasks=0)
        body = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])
        form = {"type": "json_schema", "name": "reply", "schema": schema}
        assert (body["text"], "response_format" in body) == ({"format": form}, False)
        with pytest.raises(ModelError, match="this API takes no `response_format`"):
            opened("responses/gpt-x", url, [])("hi", response_format="json")
        with pytest.raises(ModelError, match="this API takes no `stop`; leave it out"):
            opened("responses/gpt-x", url, [])("hi", stop="x")


def ends(**said: Any) -> Fault:
    """Answer with one event that ends a response."""
    event = {"type": f"response.{said['status']}", "response": {**response(""), **said}}

    def send(connection: Any, request: bytes) -> bool:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        body = json.dumps({**event, "sequence_number": 0})
        connection.sendall(head + f"event: {event['type']}\ndata: {body}\n\n".encode())
        return False

    return send


def test_tools_and_their_turns_have_the_form_of_the_responses_api(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    function = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    arguments = {"name": "add", "arguments": '{"a": 1}'}
    turns = [
        {"role": "user", "content": "1?"},
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "t1", "type": "function", "function": arguments}]},
        {"role": "tool", "tool_call_id": "t1", "content": "2"},
    ]  # fmt: skip
    given = {
        "tools": [{"type": "function", "function": function}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "reasoning_effort": "low", "verbosity": "low",
    }  # fmt: skip
    with faulty(ends(status="completed", output=[CALL])) as (url, server):
        reply = opened("responses/gpt-x", url, [])(turns, **given)
    assert reply.finish_reason == "tool_calls"
    body = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])
    assert body["input"] == [
        {"role": "user", "content": "1?"},
        {"type": "function_call", "call_id": "t1", **arguments},
        {"type": "function_call_output", "call_id": "t1", "output": "2"},
    ]
    assert body["tools"] == [{"type": "function", "strict": False, **function}, given["tools"][1]]
    assert body["tool_choice"] == {"type": "function", "name": "add"}
    assert (body["reasoning"], body["text"]) == ({"effort": "low"}, {"verbosity": "low"})


@pytest.mark.parametrize(
    ("reason", "finish"), [("content_filter", "content_filter"), ("max_output_tokens", "length")]
)
def test_why_a_response_is_not_whole_is_told(
    monkeypatch: pytest.MonkeyPatch, reason: str, finish: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with faulty(ends(status="incomplete", incomplete_details={"reason": reason})) as (url, _):
        assert opened("responses/gpt-x", url, [])("hi").finish_reason == finish


def test_a_response_that_fails_is_an_error_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    error = {"code": "server_error", "message": "my private question"}
    with faulty(ends(status="failed", error=error)) as (url, _):
        with pytest.raises(ModelError, match=r"instead of a reply \(server_error\)") as caught:
            opened("responses/gpt-x", url, [])("hi")
    assert (caught.value.kind, "private" in str(caught.value)) == ("server", False)
