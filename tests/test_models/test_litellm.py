"""LiteLLM serves every other provider: OpenAI's protocol, Anthropic's, and vectors."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from asking import QUESTION, fails, model, rows
from faults import USAGE, Fault, faulty, reply, stream, tells
from servers import openai_server

from genai import extras
from genai.config import ModelSettings
from genai.errors import ModelError
from genai.extras import QUIET
from genai.ledger import Ledger
from genai.models import Hooks, litellm, make_embedder, open_model
from genai.types import Call

pytestmark = [
    pytest.mark.usefixtures("secret", "quick", "litellm_closed"),
    pytest.mark.filterwarnings("ignore"),  # its own code draws warnings of what it uses
]


def test_it_serves_every_other_provider() -> None:
    with openai_server() as (url, _):
        small = open_model("litellm/hosted_vllm/small", settings=ModelSettings(base_url=url))
        reply = small("hi")
    assert reply.text == "Hello from the loopback."
    assert (reply.usage.input_tokens, reply.usage.source) == (11, "provider")
    with pytest.raises(ModelError, match="^model nosuchprovider/model: LiteLLM cannot route") as e:
        open_model("nosuchprovider/model")("hi")
    assert e.value.kind == "unknown_model"


def test_its_seconds_of_loading_hold_no_loop_up_and_are_none_of_the_calls(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, loaded = extras.load, []

    def load(module: str, extra: str) -> Any:
        found = real(module, extra)
        loaded.append((threading.current_thread(), time.time()))
        return found

    monkeypatch.setattr(extras, "load", load)
    litellm._package.cache_clear()
    with faulty(reply()) as (url, _):
        asked = model(url, ledger, name="litellm/hosted_vllm/small", api_key_env="OPENAI_API_KEY")
        asyncio.run(asked.acall(QUESTION))
    assert loaded
    assert threading.main_thread() not in {thread for thread, _ in loaded}
    assert rows(ledger)[0].started_at >= loaded[-1][1]


def test_it_serves_embedding_models_too() -> None:
    booked: list[Call] = []
    with openai_server() as (url, server):
        embedder = make_embedder(
            "litellm/hosted_vllm/embedder",
            settings=ModelSettings(base_url=url), hooks=Hooks(record=booked.append),
        )  # fmt: skip
        found = embedder.embed(["a", "abcdefgh"])
        embedder.embed(["words " * 20])
    # as told and not as guessed from the characters, though by whom is not told
    assert [(row.input_tokens, row.usage.source) for row in booked] == [(3, "counted")] * 2
    assert np.allclose(found, [[0.707, 0.707], [0.992, 0.124]], atol=1e-3)
    assert server.requests[0]["input"] == ["a", "abcdefgh"]


def test_the_cost_that_a_provider_says_is_the_cost(ledger: Ledger) -> None:
    with faulty(stream(usage={**USAGE, "cost": 0.00123})) as (url, _):
        model(url, ledger, name="openrouter/a/b", api_key_env="OPENAI_API_KEY")(QUESTION)
    (row,) = rows(ledger)
    assert (row.cost.status, float(row.cost.amount or 0)) == ("provider_reported", 0.00123)


def test_a_package_that_a_provider_needs_is_named(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("boto3", "botocore", *sys.modules):
        if name.partition(".")[0] in ("boto3", "botocore"):
            monkeypatch.setitem(sys.modules, name, None)
    error = fails("http://127.0.0.1:9/v1", ledger, name="bedrock/anthropic.claude-x", retries=2)
    assert "LiteLLM needs another package for this provider" in str(error)
    assert "boto3" in str(error)
    assert (error.sent, [row.cost.amount for row in rows(ledger)]) == (False, [0])


def test_a_sign_in_to_google_that_fails_is_told_as_such(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.auth.exceptions

    def default(**given: Any) -> Any:
        raise google.auth.exceptions.DefaultCredentialsError("none found")

    monkeypatch.setattr("google.auth.default", default)
    monkeypatch.setenv("VERTEXAI_PROJECT", "p")
    error = fails("", ledger, name="vertex_ai/gemini-2.5-flash", base_url=None, retries=2)
    assert (error.kind, error.sent) == ("key", False)
    assert "the sign-in to Google failed" in str(error)
    assert [row.cost.amount for row in rows(ledger)] == [0]


def test_a_schema_that_a_provider_does_not_take_is_told_in_words(ledger: Ledger) -> None:
    asked: list[Any] = []

    def plain(connection: Any, request: bytes) -> bool:
        asked.append(json.loads(request))
        if "response_format" in asked[-1]:
            said = {"error": {"message": "This response_format type is unavailable now"}}
            return reply(400, body=json.dumps(said).encode())(connection, request)
        return tells("{}")(connection, request)

    with faulty(plain) as (url, _):
        opened = model(url, ledger, name="hosted_vllm/m", retries=0)
        found = [opened("How old?", schema={"type": "object"}).parsed for _ in range(2)]
    assert found == [{}, {}]
    assert ["response_format" in body for body in asked] == [True, False, False]
    assert "by this schema: {" in asked[-1]["messages"][-1]["content"]


def test_what_a_provider_does_not_take_is_said_and_not_left_out(ledger: Ledger) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    with faulty(reply(400)) as (url, server):
        given = {"name": "perplexity/sonar", "api_key_env": "OPENAI_API_KEY"}
        with pytest.raises(ModelError, match="this provider takes no `tools`; leave it out"):
            model(url, ledger, **given)(QUESTION, tools=[tool])
        assert server.count == 0
        given["name"] = "cohere/command-r"
        with pytest.raises(ModelError, match="the provider refused the request"):
            model(url, ledger, **given)(QUESTION, schema={"type": "object"})
        assert b"Reply with JSON only, by this schema" in server.requests[0]


def test_a_prompt_that_is_too_long_is_refused_once_and_costs_nothing(ledger: Ledger) -> None:
    said = {"type": "invalid_request_error", "message": "prompt is too long: 205000 tokens"}
    body = json.dumps({"type": "error", "error": said}).encode()
    with faulty(reply(400, body=body)) as (url, server):
        given = {"name": "anthropic/claude-sonnet-4-5", "api_key_env": "OPENAI_API_KEY"}
        error = fails(url.removesuffix("/v1"), ledger, **given)
    assert (error.kind, server.count) == ("bad_request", 1)
    assert "check the parameters and the model's limits" in str(error)
    assert [row.cost.amount for row in rows(ledger)] == [0]


ASKING = """
import sys
from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models import open_model

name, url = sys.argv[1:]
model = open_model(name, settings=ModelSettings(base_url=url, retries=0))
try:
    print(model("How old?", schema={"type": "object"}, reasks=0).text)
except ModelError as error:
    print(error.kind)
"""


@pytest.mark.parametrize(
    ("name", "path", "fault", "said"),
    [
        ("hosted_vllm/llama-3.1-8b", "/v1", stream(usage=None), "bad_reply"),
        ("anthropic/claude-sonnet-4-5", "", reply(400), "bad_request"),
    ],
)
def test_it_asks_nobody_but_the_server(name: str, path: str, fault: Fault, said: str) -> None:
    """It would fetch a tokenizer and a list of headers; a name outside fails any test here."""
    ours = {"HF_HUB_OFFLINE", *QUIET}  # a user's shell has none of them
    bare = {key: value for key, value in os.environ.items() if key not in ours}
    with faulty(fault) as (url, server):
        done = subprocess.run(
            [sys.executable, "-c", ASKING, name, url.removesuffix("/v1") + path],
            env={**bare, "ANTHROPIC_API_KEY": "k"}, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
    assert (done.stdout.strip(), server.count) == (said, 1), done.stderr[-2000:]


MESSAGE = {"id": "a1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
           "stop_reason": None, "stop_sequence": None,
           "usage": {"input_tokens": 1000, "output_tokens": 1, "cache_read_input_tokens": 9000,
                     "cache_creation_input_tokens": 2000, "cache_creation": {
                         "ephemeral_5m_input_tokens": 1500, "ephemeral_1h_input_tokens": 500}},
           }  # fmt: skip
EVENTS = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 800},
    },
    {"type": "message_stop"},
]


@pytest.mark.parametrize("last", [6, 3])
def test_another_protocol_through_litellm(ledger: Ledger, last: int) -> None:
    def anthropic(connection: Any, request: bytes) -> bool:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        connection.sendall(head)
        for event in EVENTS[:last]:
            connection.sendall(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return False

    given = {"name": "anthropic/claude-x", "api_key_env": "OPENAI_API_KEY"}
    with faulty(anthropic) as (url, _):
        url = url.removesuffix("/v1")
        if last == 6:
            assert model(url, ledger, **given)(QUESTION).text == "Hello."
        else:
            assert fails(url, ledger, **given).kind == "bad_reply"
    (row,) = rows(ledger)
    assert row.outcome == ("ok" if last == 6 else "error")
    assert row.input_tokens == 12_000
    if last == 6:
        assert row.usage.source == "provider"
        assert row.usage.buckets == (1000, 9000, 1500, 500, 0, 0, 800, 0, 0, 0)
