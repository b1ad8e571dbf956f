"""The server with models of a provider: by any name, and with all that the provider replies."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from indexes import starter
from servers import Behaviour, loopback, openai_server

import genai
from genai.errors import LedgerUnusable
from genai.models import open_model
from genai.models.base import Delta
from genai.types import Usage

HELLO: Any = [{"role": "user", "content": "How is the weather?"}]
CALLS = [
    {"id": f"call_{n}", "type": "function", "function": {"name": "weather", "arguments": place}}
    for n, place in enumerate(('{"city": "Paris"}', '{"city": "Rome"}'))
]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
LIKELY = {"token": "No", "logprob": -0.25, "bytes": [78, 111], "top_logprobs": []}


class Refuses:
    """A provider whose model says no, with the probabilities of its words."""

    remote = True

    async def stream(self, messages: Any, params: Any) -> AsyncIterator[Delta]:
        said = "I cannot help with that." if "refuse" in messages[-1].text else ""
        yield Delta("" if said else "No", refusal=said, logprobs=(LIKELY,))
        yield Delta(finish_reason="stop", usage=Usage(3, 2, source="provider"))


@pytest.fixture
def provider() -> Iterator[tuple[str, Behaviour]]:
    def answer(body: dict[str, Any]) -> str | dict[str, Any]:
        return {"content": None, "tool_calls": CALLS} if body.get("tools") else "It rains."

    with openai_server(answer=answer) as found:
        yield found


@pytest.fixture
def url(provider: tuple[str, Behaviour], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    tasks = {
        "gpt": open_model(f"openai/gpt@{provider[0]}"),
        "refuses": open_model("openai/x", provider=Refuses()),
        "lite": open_model("litellm/mistral/x"),
    }
    yield from loopback(tasks)


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as made:
        yield made


def test_tool_calls_reach_the_client_whole(client: openai.OpenAI) -> None:
    (choice,) = client.chat.completions.create(model="gpt", messages=HELLO, tools=TOOLS).choices
    assert choice.message.content is None
    assert [each.model_dump() for each in choice.message.tool_calls or ()] == CALLS
    turns = [
        *HELLO,
        choice.message.model_dump(exclude_none=True),
        *({"role": "tool", "tool_call_id": each["id"], "content": "rain"} for each in CALLS),
    ]
    said = client.chat.completions.create(model="gpt", messages=turns)
    assert said.choices[0].message.content == "It rains."


def test_tool_calls_reach_the_client_in_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="gpt", messages=HELLO, tools=TOOLS) as stream:
        (choice,) = stream.get_final_completion().choices
    found = [json.loads(each.model_dump_json()) for each in choice.message.tool_calls or ()]
    assert [each["id"] for each in found] == ["call_0", "call_1"]
    assert [each["function"]["arguments"] for each in found] == [
        each["function"]["arguments"] for each in CALLS
    ]


@pytest.mark.parametrize("streaming", [False, True])
def test_langchain_gets_the_tool_calls_of_a_served_model(url: str, streaming: bool) -> None:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(
        model="gpt", base_url=f"{url}/v1", api_key="x", streaming=streaming, max_retries=0
    )  # type: ignore[call-arg,arg-type]
    said = chat.bind_tools(TOOLS).invoke("How is the weather?")
    assert [each["args"] for each in said.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]


def test_a_refusal_and_the_probabilities_reach_the_client(client: openai.OpenAI) -> None:
    turns: Any = [{"role": "user", "content": "refuse"}]
    ask = client.chat.completions
    (choice,) = ask.create(model="refuses", messages=turns, logprobs=True).choices
    assert (choice.message.content, choice.message.refusal) == (None, "I cannot help with that.")
    with ask.stream(model="refuses", messages=turns, logprobs=True) as stream:
        (choice,) = stream.get_final_completion().choices
    assert choice.message.refusal == "I cannot help with that."
    (choice,) = ask.create(model="refuses", messages=HELLO, logprobs=True).choices
    assert choice.message.content == "No"
    assert choice.logprobs is not None
    assert [each.model_dump() for each in choice.logprobs.content or ()] == [LIKELY]
    with ask.stream(model="refuses", messages=HELLO, logprobs=True) as stream:
        (choice,) = stream.get_final_completion().choices
    assert choice.logprobs is not None
    assert [each.logprob for each in choice.logprobs.content or ()] == [-0.25]


class Cut:
    """A provider whose model reaches its limit of tokens."""

    remote = True

    async def stream(self, messages: Any, params: Any) -> AsyncIterator[Delta]:
        yield Delta("A lamp is lit by its switch [1]. It is put out by")
        yield Delta(finish_reason="length", usage=Usage(3, 2, source="provider"))


def test_an_answer_of_a_chain_that_was_cut_says_so_to_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter(tmp_path, lamp="A lamp is lit by its switch.")
    monkeypatch.chdir(tmp_path)
    genai.Index().sync(tmp_path / "docs")
    chain = genai.load(model=open_model("openai/cut", provider=Cut()), chain__min_confidence=0.0)
    asked: Any = [{"role": "user", "content": "By what is a lamp lit?"}]
    with (
        contextmanager(loopback)({"docs": chain}) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
    ):
        (choice,) = client.chat.completions.create(model="docs", messages=asked).choices
        with client.chat.completions.stream(model="docs", messages=asked) as stream:
            ends = [e.chunk.choices[0].finish_reason for e in stream if e.type == "chunk"]
    assert (choice.message.content, choice.finish_reason) == (
        "A lamp is lit by its switch. [1]", "length",
    )  # fmt: skip
    assert ends[-1] == "length"


def test_a_store_that_is_locked_is_no_mistake_of_the_client(tmp_path: Path) -> None:
    def busy(question: str) -> str:
        raise LedgerUnusable("ledger.db: is locked by another program; no call was lost")

    def figures() -> str:
        return busy("")

    for url in loopback({"busy": busy}, metrics=figures):
        body = {"model": "busy", "messages": HELLO}
        for found in (
            httpx.post(f"{url}/v1/chat/completions", json=body),
            httpx.post(f"{url}/v1/chat/completions", json={**body, "stream": True}),
            httpx.get(f"{url}/metrics"),
        ):
            assert found.status_code == 503
            assert "is locked" in found.json()["error"]["message"]


def test_weights_that_are_gone_hide_no_other_model_of_the_list(tmp_path: Path) -> None:
    tasks = {"fine": open_model("fake/echo"), "gone": open_model(f"local/{tmp_path}")}
    for url in loopback(tasks):
        listed = httpx.get(f"{url}/v1/models").json()["data"]
        assert [each["id"] for each in listed] == ["fine", "gone"]
        body = {"model": "gone", "messages": HELLO}
        assert httpx.post(f"{url}/v1/chat/completions", json=body).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        # sent by a page in a browser of this machine, with no question to the server before
        {"Origin": "http://other.example", "Content-Type": "text/plain"},
        {"Origin": "null", "Content-Type": "text/plain"},
        # the page's own name leads to 127.0.0.1 by now, so that it may read what comes
        {"Host": "other.example:8010"},
    ],
    ids=["origin", "hidden-origin", "host"],
)
def test_without_a_key_no_page_of_another_site_is_answered(
    url: str, provider: tuple[str, Behaviour], headers: dict[str, str]
) -> None:
    body = json.dumps({"model": "gpt", "messages": HELLO})
    found = httpx.post(f"{url}/v1/chat/completions", content=body, headers=headers)
    assert found.status_code == 403
    assert "GENAI_SERVER_KEY" in found.json()["error"]["message"]
    assert not provider[1].requests
    own = {"Host": "localhost:8010", "Origin": "http://localhost:3000"}
    assert httpx.get(f"{url}/v1/models", headers=headers).status_code == 403
    assert httpx.get(f"{url}/v1/models", headers=own).status_code == 200


@pytest.mark.parametrize(
    ("model", "field"),
    [
        *(("gpt", name) for name in ("prompt", "schema", "context", "self")),
        *(("lite", name) for name in ("api_base", "api_key", "extra_headers", "prompt")),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_an_argument_and_no_field_of_the_protocol_is_refused_by_name(
    url: str, provider: tuple[str, Behaviour], model: str, field: str, stream: bool
) -> None:
    body = {"model": model, "messages": HELLO, field: {"a": 1}, "stream": stream}
    found = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert (found.status_code, found.json()["error"]["param"]) == (400, field)
    assert not provider[1].requests


def test_a_field_of_a_servers_own_goes_into_the_body(
    client: openai.OpenAI, provider: tuple[str, Behaviour]
) -> None:
    client.chat.completions.create(model="gpt", messages=HELLO, extra_body={"top_k": 5})
    assert provider[1].requests[0]["top_k"] == 5


def test_a_model_is_served_by_a_name_with_colons_and_a_function_by_its_path(
    tmp_path: Path,
) -> None:
    starter(tmp_path)
    (tmp_path / "own.py").write_text("def shout(question):\n    return question.upper()\n", "utf-8")
    given = {
        "small": "ollama/llama3.2:1b",
        "here": "openai/my-model@http://127.0.0.1:8000/v1",
        "tuned": "openai/ft:gpt-4.1-mini:firm::a1",
        "shout": "own:shout",
        "by-path": "own.py:shout",
    }
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [f"{name}={task}" for name, task in given.items()]
    command = [sys.executable, "-m", "genai", "serve", *words, "--port", str(port)]
    environment = {**os.environ, "OPENAI_API_KEY": "sk-x"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"serving by-path, here, shout, small")
            served: Any = None
            while served is None:
                try:
                    served = httpx.get(f"http://127.0.0.1:{port}/v1/models").json()
                except httpx.ConnectError:
                    assert process.poll() is None
        finally:
            process.terminate()
    assert [each["id"] for each in served["data"]] == sorted(given)
