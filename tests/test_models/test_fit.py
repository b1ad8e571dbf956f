"""A model that takes not every parameter of a prompt is asked in the form that it takes."""

import asyncio
import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from asking import PRICES, QUESTION, model, rows
from faults import faulty, reply, stream, tells

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.ledger import Ledger
from genai.models import Hooks, open_model
from genai.models.fit import THOUGHT
from genai.models.replay import Replay

WISHES = {"temperature": 0, "max_tokens": 70}
SCHEMA = {
    "title": "person",
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
}
REFUSES_SCHEMAS = [  # in the words of those that serve models without schemas
    {"error": {"message": "Invalid parameter: 'response_format' of type 'json_schema' is not"
               " supported with this model.", "param": None, "code": None}},
    {"error": {"message": "This model does not support response format `json_schema`.",
               "type": "invalid_request_error", "param": "response_format"}},
    {"error": {"message": "This response_format type is unavailable now",
               "type": "invalid_request_error", "param": None, "code": "invalid_request_error"}},
    {"object": "error", "message": "response_format is not supported", "code": 400},
    {"error": "unknown field `response_format`", "error_type": "validation"},
]  # fmt: skip


class Reasons:
    """A server that refuses as OpenAI's does for models that reason, one parameter at a time."""

    def __init__(self, *names: str) -> None:
        self.names = names or ("max_tokens", "temperature")
        self.asked: list[dict[str, Any]] = []

    def __call__(self, connection: socket.socket, request: bytes) -> bool:
        body = json.loads(request)
        self.asked.append(body)
        for name in self.names:
            if name in body:
                return self._refuse(connection, name)
        return (stream() if body.get("stream") else reply())(connection, request)

    def _refuse(self, connection: socket.socket, name: str) -> bool:
        code = "unsupported_value" if name == "temperature" else "unsupported_parameter"
        said = {"message": f"'{name}' ...", "type": "invalid_request_error", "param": name}
        content = json.dumps({"error": {**said, "code": code}}).encode()
        head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        return True


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


@pytest.mark.parametrize("transport", ["own", "sdk"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_model_that_reasons_gets_the_limit_by_its_newer_name_and_no_temperature(
    ledger: Ledger, transport: str, streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    name = "openai/gpt-5-mini" if transport == "own" else "azure/gpt-5-mini"
    server = Reasons()
    with faulty(server) as (url, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "k")
        patch.setenv("AZURE_OPENAI_API_KEY", "k")
        opened = model(url, ledger, name=name, retries=0)
        with caplog.at_level(logging.WARNING, "genai.models"):
            for _ in range(2):
                if streamed:
                    *_, last = opened.stream(QUESTION, **WISHES)
                else:
                    last = opened(QUESTION, **WISHES)
                assert not isinstance(last, str)
                assert last.text
    keys = [
        sorted({"temperature", "max_tokens", "max_completion_tokens"} & {*b}) for b in server.asked
    ]
    assert keys == [
        ["max_tokens", "temperature"], ["max_completion_tokens", "temperature"],
        ["max_completion_tokens"], ["max_completion_tokens"],
    ]  # fmt: skip
    assert server.asked[-1]["max_completion_tokens"] == 70 + THOUGHT
    found = rows(ledger)
    assert [(r.outcome, r.http_status if r.outcome == "error" else 200) for r in found] == [
        ("error", 400), ("error", 400), ("ok", 200), ("ok", 200),
    ]  # fmt: skip
    assert {row.cost.amount for row in found[:2]} == {0}
    assert [r.message for r in caplog.records] == [
        f"model {name} takes no `temperature`; it is asked without"
    ]


@pytest.mark.parametrize("name", ["openai/gpt-5.2", "azure/gpt-5.2"])
def test_what_is_refused_in_words_without_a_code_is_learnt_too(
    ledger: Ledger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {  # of the Responses API, and of chat for newer models
        "message": "Unsupported parameter: 'temperature' is not supported with this model.",
        "type": "invalid_request_error", "param": "temperature", "code": None,
    }  # fmt: skip
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    refusal = reply(400, body=json.dumps({"error": said}).encode())
    with faulty(refusal, reply()) as (url, server):
        assert model(url, ledger, name=name, retries=0)(QUESTION, temperature=0).text
    assert [b'"temperature"' in each for each in server.requests] == [True, False]


def test_many_that_were_sent_before_it_was_known_are_all_asked_again(ledger: Ledger) -> None:
    async def together(opened: Any) -> list[Any]:
        return await asyncio.gather(*(opened.acall(QUESTION, **WISHES) for _ in range(12)))

    with faulty(Reasons()) as (url, _):
        found = asyncio.run(together(model(url, ledger, retries=0)))
    assert all(each.text for each in found)


def test_what_is_learnt_costs_no_retry(ledger: Ledger) -> None:
    server = Reasons()
    with faulty(server, server, reply(429, "retry-after-ms: 1\r\n"), server) as (url, _):
        assert model(url, ledger, retries=1)(QUESTION, **WISHES).attempts == 4


def test_what_is_no_wish_is_refused_by_name(ledger: Ledger) -> None:
    with faulty(Reasons("logprobs")) as (url, _), pytest.raises(ModelError) as caught:
        model(url, ledger)(QUESTION, logprobs=True)
    assert "[HTTP 400 (unsupported_parameter: `logprobs`)]" in str(caught.value)
    assert len(rows(ledger)) == 1


def test_an_older_server_gets_the_older_name_and_one_that_knows_neither_is_left(
    ledger: Ledger,
) -> None:
    older, neither = (
        Reasons("max_completion_tokens"),
        Reasons("max_completion_tokens", "max_tokens"),
    )
    with faulty(older) as (url, _):
        assert model(url, ledger)(QUESTION, max_completion_tokens=5).text
    assert older.asked[-1]["max_tokens"] == 5
    with faulty(neither) as (url, _), pytest.raises(ModelError, match="`max_tokens`"):
        model(url, ledger)(QUESTION, max_completion_tokens=5)
    assert len(neither.asked) == 2


def test_the_newer_name_of_the_settings_wins(ledger: Ledger) -> None:
    server = Reasons()
    with faulty(server) as (url, _):
        model(url, ledger, params={"max_completion_tokens": 4000})(QUESTION, **WISHES)
    assert {body["max_completion_tokens"] for body in server.asked} == {4000}
    assert not any("max_tokens" in body for body in server.asked)


@pytest.mark.parametrize("first", [[], [reply(429, "retry-after-ms: 1\r\n")]])
def test_a_recorded_reply_is_found_by_what_was_wished(tmp_path: Path, first: list[Any]) -> None:
    """A later process has not learnt anything yet, and asks nobody; nor after a retry."""
    with faulty(*first, Reasons()) as (url, server):
        for mode in ("record", "replay"):
            hooks = Hooks(price=PRICES.cost, replay=Replay(tmp_path / "replies", mode))  # type: ignore[arg-type]
            settings = ModelSettings(base_url=url, retries=1)
            opened = open_model("openai/gpt-5-mini", settings=settings, hooks=hooks)
            assert opened(QUESTION, **WISHES).text
        assert server.count == 3 + len(first)


class Plain:
    """A server whose model takes no schema, and that says so in words of its own."""

    def __init__(self, said: Any, status: int = 400) -> None:
        self.said, self.status = said, status
        self.asked: list[dict[str, Any]] = []

    def __call__(self, connection: socket.socket, request: bytes) -> bool:
        body = json.loads(request)
        self.asked.append(body)
        if "response_format" in body:
            refusal = json.dumps(self.said).encode()
            return reply(self.status, body=refusal)(connection, request)
        return tells('{"age": 36}')(connection, request)


@pytest.mark.parametrize("said", REFUSES_SCHEMAS)
@pytest.mark.parametrize("name", ["openai/m", "azure/m"])
def test_a_schema_that_a_server_does_not_take_is_told_in_words(
    ledger: Ledger, name: str, said: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = Plain(said)
    with faulty(server) as (url, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_OPENAI_API_KEY", "k")
        opened = model(url, ledger, name=name, retries=0)
        with caplog.at_level(logging.WARNING, "genai.models"):
            found = [opened("How old?", schema=SCHEMA) for _ in range(2)]
    assert [each.parsed for each in found] == [{"age": 36}] * 2
    assert ["response_format" in body for body in server.asked] == [True, False, False]
    assert server.asked[0]["messages"] == [{"role": "user", "content": "How old?"}]
    words = f"How old?\n\nReply with JSON only, by this schema: {json.dumps(SCHEMA)}"
    assert {body["messages"][-1]["content"] for body in server.asked[1:]} == {words}
    assert [row.outcome for row in rows(ledger)] == ["error", "ok", "ok"]
    assert [r.message for r in caplog.records] == [
        f"model {name} takes no JSON schema; it is told in words"
    ]


def test_a_form_without_a_schema_is_refused_by_name_and_learnt_by_nobody(ledger: Ledger) -> None:
    server = Plain(REFUSES_SCHEMAS[1])
    with faulty(server) as (url, _):
        opened = model(url, ledger, retries=0)
        for _ in range(2):
            with pytest.raises(ModelError, match=r"\(invalid_request_error: `response_format`\)"):
                opened("How old?", response_format={"type": "json_object"})
    assert len(server.asked) == 2


def test_a_failure_that_only_speaks_of_the_form_teaches_nothing(ledger: Ledger) -> None:
    server = Plain(REFUSES_SCHEMAS[0], status=503)
    with faulty(server) as (url, _), pytest.raises(ModelError) as caught:
        model(url, ledger, retries=0)("How old?", schema=SCHEMA)
    assert (caught.value.kind, caught.value.param, len(server.asked)) == ("server", "", 1)


def test_a_recorded_reply_in_words_is_found_by_its_schema(tmp_path: Path) -> None:
    with faulty(Plain(REFUSES_SCHEMAS[0])) as (url, server):
        for mode in ("record", "replay"):
            hooks = Hooks(price=PRICES.cost, replay=Replay(tmp_path / "replies", mode))  # type: ignore[arg-type]
            opened = open_model("openai/m", settings=ModelSettings(base_url=url), hooks=hooks)
            assert opened("How old?", schema=SCHEMA).parsed == {"age": 36}
        assert server.count == 2
