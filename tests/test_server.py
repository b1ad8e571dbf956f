"""The server, through OpenAI's own client: every field has its effect or is refused by name."""

import asyncio
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from servers import loopback
from tiny import tiny_adapter, tiny_model

from genai.errors import InputError, ModelError
from genai.ledger import Ledger
from genai.models import Fake, open_model
from genai.reports.monitor import monitor
from genai.reports.monitor_text import prometheus
from genai.server.app import Tasks
from genai.types import UNKNOWN_COST, Answer, Call, Cost, CostStatus, Refusal, Usage

KEY = "a long random key"
SCHEMA = {
    "type": "object",
    "properties": {"intent": {"enum": ["refund", "late"]}, "urgent": {"type": "boolean"}},
    "required": ["intent", "urgent"],
    "additionalProperties": False,
}
FORM: Any = {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}}
HELLO: Any = [{"role": "user", "content": "hello there"}]


class Chain:
    """What the server takes a chain for: one question, whole or in pieces."""

    reads_turns = False

    async def acall(self, question: str) -> Answer | Refusal:
        if "secret" in question:
            return Refusal("policy", "A guard stopped this.", "Ask something else.")
        return Answer(f"you asked: {question}", (), (), Usage(), UNKNOWN_COST, 0.0, "")

    async def astream(self, question: str) -> Any:
        if "fails late" in question:
            yield "begun"
            raise ModelError("model x: broke off", "network")
        outcome = await self.acall(question)
        if isinstance(outcome, Answer):
            for word in outcome.text.split(" "):
                yield f"{word} "
        yield outcome


class Talk(Chain):
    """A chain that reads the turns before a question."""

    reads_turns = True

    async def acall(self, question: Any) -> Answer | Refusal:
        return await super().acall(" / ".join(turn["content"] for turn in question))


def as_mapping(question: str) -> dict[str, Any]:
    return {
        "answer": f"{question}!",
        "contexts": ["a note"],
        "usage": Usage(3, 2, source="counted"),
    }


def shout(question: str) -> str:
    if question == "crash":
        raise RuntimeError("a password stands here")
    if question == "input":
        raise InputError("notes.txt: is empty; add text")
    return question.upper()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("weights")
    base = tiny_model(root / "base")
    return {"base": base, "one": tiny_adapter(root / "one", base)}


@pytest.fixture(scope="module")
def url(folders: dict[str, Path]) -> Iterator[str]:
    tasks = {
        "chain": Chain(),
        "talk": Talk(),
        "shout": shout,
        "mapping": as_mapping,
        "echo": open_model("fake/echo"),
        "down": open_model(
            "fake/x", provider=Fake([ModelError("model x: no", "rate_limited")] * 9)
        ),
        "base": open_model(f"local/{folders['base']}"),
        "one": open_model(f"local/{folders['one']}"),
    }
    yield from loopback(tasks, KEY)


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chain", "you asked: hello there"),
        ("shout", "HELLO THERE"),
        ("echo", "hello there"),
        ("mapping", "hello there!"),
    ],
)
def test_any_task_answers_whole_and_in_pieces(client: openai.OpenAI, name: str, said: str) -> None:
    whole = client.chat.completions.create(model=name, messages=HELLO)
    assert whole.choices[0].message.content == said
    assert whole.choices[0].finish_reason == "stop"
    assert whole.model == name
    pieces = list(client.chat.completions.create(model=name, messages=HELLO, stream=True))
    assert "".join(p.choices[0].delta.content or "" for p in pieces).strip() == said
    assert pieces[0].choices[0].delta.role == "assistant"
    assert pieces[-1].choices[0].finish_reason == "stop"


def test_functions_that_wait_answer_many_at_once() -> None:
    """A reply comes only when all requests are there; a loop's pool has 32 threads at the most."""
    together = threading.Barrier(40)

    def waits(question: str) -> str:
        together.wait(30)
        return question

    async def ask(url: str) -> list[int]:
        body = {"model": "waits", "messages": HELLO}
        async with httpx.AsyncClient(timeout=60) as each:
            asked = (each.post(f"{url}/v1/chat/completions", json=body) for _ in range(40))
            return [reply.status_code for reply in await asyncio.gather(*asked)]

    for url in loopback({"waits": waits}):
        assert asyncio.run(ask(url)) == [200] * 40


def test_a_local_model_counts_its_tokens_and_keeps_its_limits(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="base", messages=HELLO, max_tokens=9)
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 9
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 9
    assert whole.choices[0].finish_reason == "length"
    pieces = list(
        client.chat.completions.create(
            model="base", messages=HELLO, max_completion_tokens=9, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    assert pieces[-1].usage == whole.usage
    text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    assert text == whole.choices[0].message.content


def test_the_schema_is_kept_by_every_answer(client: openai.OpenAI) -> None:
    for model in ("base", "one"):
        for stream in (False, True):
            found: Any = client.chat.completions.create(
                model=model, messages=HELLO, response_format=FORM, stream=stream
            )
            if stream:
                text = "".join(p.choices[0].delta.content or "" for p in found)
            else:
                text = found.choices[0].message.content
            assert set(json.loads(text)) == {"intent", "urgent"}


def test_the_adapter_is_the_name_of_the_model(client: openai.OpenAI) -> None:
    said = {
        name: client.chat.completions.create(model=name, messages=HELLO, max_tokens=9)
        for name in ("base", "one")
    }
    assert len({each.choices[0].message.content for each in said.values()}) == 2
    listed = {each.id: each for each in client.models.list()}
    assert set(listed) == {"chain", "talk", "shout", "mapping", "echo", "down", "base", "one"}
    digests = [getattr(listed[name], "identity", "") for name in ("base", "one")]
    assert all("weights:" in each for each in digests)
    assert len(set(digests)) == 2
    assert client.models.retrieve("one").id == "one"


# every field of the protocol that `transformers serve` takes and forgets, and then some
IGNORED: dict[str, Any] = {
    "n": 2, "logprobs": True, "top_logprobs": 3, "presence_penalty": 0.5, "tools": [],
    "frequency_penalty": 0.5, "tool_choice": "none", "parallel_tool_calls": True,
    "reasoning_effort": "low", "store": True, "metadata": {"a": "b"}, "logit_bias": {"1": 1},
    "modalities": ["text"], "audio": {}, "prediction": {}, "service_tier": "auto",
    "verbosity": "low", "web_search_options": {}, "functions": [], "function_call": "none",
    "prompt_cache_key": "x", "safety_identifier": "x", "made_up": 1,
}  # fmt: skip


@pytest.mark.parametrize("model", ["base", "chain", "echo"])
@pytest.mark.parametrize("field", sorted(IGNORED))
def test_a_field_that_has_no_effect_is_refused_by_name(url: str, model: str, field: str) -> None:
    body = {"model": model, "messages": HELLO, field: IGNORED[field]}
    found = post(url, body)
    assert found.status_code == 400
    assert found.json()["error"]["param"] == field
    assert f"`{field}` is not supported by {model}" in found.json()["error"]["message"]


@pytest.mark.parametrize("field", ["temperature", "max_tokens", "response_format", "seed", "stop"])
def test_a_chain_takes_no_settings_of_a_model(url: str, field: str) -> None:
    assert post(url, {"model": "chain", "messages": HELLO, field: 1}).status_code == 400


@pytest.mark.parametrize("stream", [False, True])
def test_a_chain_that_reads_turns_is_given_the_conversation(url: str, stream: bool) -> None:
    turns = [*HELLO, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and?"}]
    found = post(url, {"model": "talk", "messages": turns, "stream": stream})
    assert found.status_code == 200
    pieces = re.findall(r'"content": ?"([^"]*)"', found.text)
    assert "".join(pieces).strip() == "you asked: hello there / hi / and?"


@pytest.mark.parametrize("fields", [{"n": 1}, {"logprobs": False}, {"store": None}, {"user": "u"}])
def test_a_field_that_asks_for_what_happens_anyway_is_fine(url: str, fields: dict) -> None:
    assert post(url, {"model": "echo", "messages": HELLO, **fields}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("{", 400, "is not JSON"),
        ("[]", 400, "must be a JSON object"),
        ({"messages": HELLO}, 404, "model None is not served here; known: base"),
        ({"model": "gpt-5", "messages": HELLO}, 404, "'gpt-5' is not served here"),
        ({"model": "echo"}, 400, "`messages` must be a list"),
        ({"model": "echo", "messages": []}, 400, "at least one message"),
        ({"model": "echo", "messages": [{"role": "boss", "content": "x"}]}, 400, "needs a `role`"),
        ({"model": "echo", "messages": [{"role": "user"}]}, 400, "content` is missing"),
        ({"model": "echo", "messages": HELLO, "stream": "yes"}, 400, "`stream` must be true"),
        ({"model": "echo", "messages": HELLO, "stream_options": {}}, 400, "with `stream` alone"),
        ({"model": "chain", "messages": [*HELLO, *HELLO]}, 400, "sees no conversation"),
        ({"model": "talk", "messages": [{"role": "system", "content": "Lie."}, *HELLO]}, 400,
         "after turns of user and assistant"),
        ({"model": "base", "messages": HELLO, "temperature": 9}, 400, "from 0 to 2, not 9"),
        ({"model": "base", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:"}}]}]}, 400, "images and files"),
        ({"model": "down", "messages": HELLO}, 429, "model x: no"),
        ({"model": "shout", "messages": [{"role": "user", "content": "input"}]}, 400,
         "notes.txt: is empty"),
        ({"model": "shout", "messages": [{"role": "user", "content": "crash"}]}, 500,
         "a fault of the server: RuntimeError"),
    ],
)  # fmt: skip
def test_bad_input_is_a_status_and_one_sentence(
    url: str, body: Any, status: int, said: str
) -> None:
    found = post(url, body)
    assert found.status_code == status
    assert said in found.json()["error"]["message"]
    assert "password" not in found.text


def test_a_refusal_before_the_first_piece_is_no_200(url: str) -> None:
    body = {"model": "base", "messages": HELLO, "temperature": 9, "stream": True}
    assert post(url, body).status_code == 400


def test_a_stream_asks_proxies_to_pass_each_piece_on(url: str) -> None:
    found = post(url, {"model": "chain", "messages": HELLO, "stream": True})
    assert found.headers["content-type"].startswith("text/event-stream")
    assert (found.headers["cache-control"], found.headers["x-accel-buffering"]) == (
        "no-cache",
        "no",
    )


def test_an_error_in_the_middle_of_a_stream_is_told_and_has_no_end(url: str) -> None:
    found = post(url, {"model": "chain", "stream": True,
                       "messages": [{"role": "user", "content": "fails late"}]})  # fmt: skip
    assert '"code": "network"' in found.text
    assert "[DONE]" not in found.text


def test_a_chain_that_declines_says_so(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "the secret"}]
    for stream in (False, True):
        found: Any = client.chat.completions.create(model="chain", messages=asked, stream=stream)
        text = (
            "".join(p.choices[0].delta.content or "" for p in found)
            if stream
            else found.choices[0].message.content
        )
        assert text == "A guard stopped this."


@pytest.mark.parametrize("key", ["", "wrong", "ä"])
def test_a_wrong_key_opens_nothing_but_the_health_check(url: str, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}".encode()} if key else {}
    with httpx.Client(base_url=url, headers=headers) as asker:
        assert asker.post("/v1/chat/completions", json={}).status_code == 401
        assert asker.get("/v1/models").status_code == 401
        assert asker.get("/v1/models/base").status_code == 401
        assert asker.get("/health").json() == {"status": "ok"}


def test_the_metrics_are_those_of_the_report(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    cost = Cost(Decimal("0.25"), CostStatus.PRICED)
    ledger.record(Call("a", "model", time.time(), 0.5, "ok", "m", cost=cost))
    ledger.flush()

    def figures() -> str:
        return prometheus(monitor(ledger))

    for address in loopback({"shout": shout}, KEY, figures):
        assert httpx.get(f"{address}/metrics").status_code == 401
        reply = httpx.get(f"{address}/metrics", headers={"authorization": f"Bearer {KEY}"})
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert reply.text == figures()
    assert "0.25" in reply.text


def test_a_request_that_is_too_large_is_refused(url: str) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "x" * (5 << 20)}]}
    assert post(url, body).status_code == 413


def test_adapters_swapped_under_load_lose_no_request(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["one"], tmp_path / "served")
    tiny_adapter(folder, folders["base"], seed=1)
    model = open_model(f"local/{folder}")
    fixed = {"base": open_model(f"local/{folders['base']}")}
    (url,) = [next(made := loopback(Tasks(fixed, lambda: {"served": model})))]
    said: list[tuple[str, str]] = []

    async def load() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as asker:

            async def ask(name: str) -> None:
                found = await asker.chat.completions.create(
                    model=name, messages=HELLO, max_tokens=6
                )
                said.append((name, found.choices[0].message.content or ""))

            for _ in range(3):
                await asyncio.gather(*(ask(name) for name in ("base", "served") * 8))
            newer = await asyncio.to_thread(
                tiny_adapter, tmp_path / "newer", folders["base"], seed=5
            )
            swapping = asyncio.gather(*(ask(name) for name in ("base", "served") * 8))
            await asyncio.to_thread(_swap, newer, folder, folders["base"])
            await swapping
            await asyncio.gather(*(ask(name) for name in ("base", "served") * 8))

    asyncio.run(load())
    next(made, None)
    assert len(said) == 5 * 16
    assert len({text for name, text in said if name == "base"}) == 1
    before, after = [text for name, text in said if name == "served"][:: 5 * 8 - 1]
    assert before != after
    assert {text for name, text in said if name == "served"} == {before, after}


def _swap(newer: Path, folder: Path, base: Path) -> None:
    """Replace a folder as promotion does: whole, in one step."""
    from genai.finetune.gate import copy_model

    (newer / "chat_template.jinja").write_text((base / "chat_template.jinja").read_text())
    draft = folder.with_name("draft")
    copy_model(newer, draft)
    folder.rename(folder.with_name("old"))
    draft.rename(folder)


def post(url: str, body: Any) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.post(f"{url}/v1/chat/completions", content=content, headers=headers, timeout=60)
