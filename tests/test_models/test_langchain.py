"""LangChain both ways: what its own standard tests do not ask."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import faults
import httpx
import pytest
import rules
from faults import faulty
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from pydantic import BaseModel
from servers import Behaviour, openai_server

from genai import bridge
from genai.config import ModelSettings
from genai.errors import ModelError, Unmeasured
from genai.models import Hooks, Model, make_embedder, open_model
from genai.models.langchain.outward import ChatGenai, GenaiEmbeddings
from genai.models.replay import Replay
from genai.types import Call, Cost, CostStatus, Message, Reply, ToolCall, Usage

ADDER = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


class Joke(BaseModel):
    setup: str
    punchline: str


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    with openai_server(answer=rules.answer) as given:
        yield given


OPENED: list[httpx.AsyncClient] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what `theirs` opened: a cache of LangChain's would keep its sockets past the tests."""
    yield
    while OPENED:
        bridge.run(OPENED.pop().aclose())


def theirs(url: str, **more: Any) -> Any:
    from langchain_openai import ChatOpenAI

    OPENED.append(httpx.AsyncClient())
    return ChatOpenAI(
        model="gpt-x",
        base_url=url,
        api_key="k",
        max_retries=0,
        http_async_client=OPENED[-1],
        **more,
    )


def ours(chat: Any, rows: list[Call] | None = None, **more: Any) -> Model:
    return open_model(
        "mine/x", provider=chat, record=rows.append if rows is not None else None, **more
    )


# -- theirs as ours ------------------------------------------------------------------------------


def test_their_chat_model_answers_streams_and_leaves_one_row_a_call(
    server: tuple[str, Behaviour],
) -> None:
    rows: list[Call] = []
    model = ours(theirs(server[0], stream_usage=True), rows)
    whole = model([Message.user("Hello"), {"role": "system", "content": "Be kind."}])
    *pieces, reply = model.stream("Hello")
    assert whole.text == "".join(map(str, pieces)) == "Hello from the rules."
    assert len(pieces) == 4
    for got in (whole, reply):
        assert isinstance(got, Reply)
        assert (got.usage.input_tokens, got.usage.output_tokens) == (11, 7)
        assert got.response_model == "gpt-x"
        assert got.finish_reason == "stop"
    assert [(row.outcome, row.provider, row.stream) for row in rows] == [
        ("ok", "openai", False), ("ok", "openai", True),
    ]  # fmt: skip
    assert [m["role"] for m in server[1].requests[0]["messages"]] == ["user", "system"]


@pytest.mark.parametrize("streamed", [False, True])
def test_the_service_tier_that_they_name_prices_the_call(
    server: tuple[str, Behaviour], streamed: bool
) -> None:
    server[1].more = {"service_tier": "priority"}
    server[1].details = {"prompt_tokens_details": {"cached_tokens": 5},
                         "completion_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip
    rows: list[Call] = []
    priced: list[str] = []

    def price(model: str, usage: Usage, *, tier: str = "", **_: str) -> Cost:
        priced.append(tier)
        return Cost(Decimal(1), CostStatus.PRICED)

    hooks = Hooks(price=price, record=rows.append)
    model = open_model("mine/x", provider=theirs(server[0], stream_usage=True), hooks=hooks)
    list(model.stream("Hello")) if streamed else model("Hello")
    assert set(priced) == {"priority"}
    (row,) = rows
    assert row.served_tier == "priority"
    assert (row.usage.cached_tokens, row.usage.reasoning_tokens, row.usage.flag) == (5, 3, "")


def test_leaving_a_stream_of_theirs_or_its_awaiter_ends_their_request() -> None:
    rows: list[Call] = []
    with openai_server(text="one two three four five six", delay=0.1) as (url, own):
        model = ours(theirs(url), rows)
        assert next(iter(stream := model.stream("Hello"))) == "one "
        stream.close()
        assert own.hung_up.wait(5)
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(model.acall("Hello", stream=True), 0.15))
    assert [row.outcome for row in rows] == ["cancelled", "cancelled"]


def test_tools_go_through_their_bind_tools_both_whole_and_in_pieces(
    server: tuple[str, Behaviour],
) -> None:
    model = ours(theirs(server[0]))
    asked = {"tools": [ADDER], "tool_choice": "required"}
    *_, streamed = model.stream("Add 41", **asked)
    called = (ToolCall("call_1", "add", '{"a": 41}'),)
    assert isinstance(streamed, Reply)
    assert model("Add 41", **asked).tool_calls == streamed.tool_calls == called
    answered = {"role": "tool", "content": "42", "tool_call_id": "call_1"}
    again = model([Message.user("Add 41"), Message("assistant", (), called), answered], **asked)
    assert again.text == "Hello from the rules."
    assert server[1].requests[-1]["messages"][1]["tool_calls"][0]["id"] == "call_1"


def test_calls_without_an_index_and_calls_of_one_index_stay_apart() -> None:
    def call(n: int, index: int | None) -> Any:
        return tool_call_chunk(name="add", args=f'{{"a": {n}}}', id=f"t{n}", index=index)

    async def chunks(_: AsyncIterator[Any]) -> AsyncIterator[Any]:
        yield AIMessageChunk("", tool_call_chunks=[call(1, None), call(2, None)])
        yield AIMessageChunk("", tool_call_chunks=[call(3, 0)])

    *_, reply = ours(RunnableGenerator(chunks)).stream("Add")
    assert isinstance(reply, Reply)
    assert [(each.id, each.arguments) for each in reply.tool_calls] == [
        ("t1", '{"a": 1}'), ("t3", '{"a": 3}'), ("t2", '{"a": 2}'),
    ]  # fmt: skip


def test_a_schema_goes_through_their_structured_output(server: tuple[str, Behaviour]) -> None:
    reply = ours(theirs(server[0]))("Tell 'Why?'", schema=Joke)
    assert reply.parsed == Joke(setup="Why?", punchline="Why?")
    assert reply.usage.input_tokens == 11


def test_another_model_behind_the_same_name_is_not_replayed(tmp_path: Path) -> None:
    def opened(name: str, mode: Any) -> Model:
        chat = theirs("http://127.0.0.1:1/v1").model_copy(update={"model_name": name})
        return ours(chat, hooks=Hooks(replay=Replay(tmp_path / "r.db", mode)))

    with openai_server(answer=rules.answer) as (url, _):
        chat = theirs(url)
        hooks = Hooks(replay=Replay(tmp_path / "r.db", "record"))
        said = ours(chat, hooks=hooks)("Hello").text
    assert opened("gpt-x", "replay")("Hello").text == said
    with pytest.raises(Unmeasured):
        opened("gpt-y", "replay")("Hello")


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limited"), (401, "key"), (503, "server")])
def test_what_their_client_raises_has_our_kinds_and_a_fallback_follows(
    server: tuple[str, Behaviour], status: int, kind: str
) -> None:
    server[1].status = status
    with pytest.raises(ModelError, match="mine/x") as caught:
        ours(theirs(server[0]))("Hello")
    assert caught.value.kind == kind
    rows: list[Call] = []
    model = ours(theirs(server[0]), rows, settings=ModelSettings(fallbacks=["fake/echo"]))
    assert model("Hello").text == "Hello"
    assert [row.outcome for row in rows] == ["error", "ok"]


def test_a_runnable_of_messages_is_a_model_and_one_of_mappings_is_not() -> None:
    shout = FakeListChatModel(responses=["yes"]) | StrOutputParser() | RunnableLambda(str.upper)
    assert ours(shout)("Hello").text == "YES"
    assert "".join(map(str, [*ours(shout).stream("Hello")][:-1])) == "YES"
    with pytest.raises(ModelError, match="gave dict; a model gives text or a message"):
        ours(RunnableLambda(lambda _: {"answer": 1}))("Hello")


def test_a_model_without_tools_says_so() -> None:
    with pytest.raises(ModelError, match="takes no tools") as caught:
        ours(FakeListChatModel(responses=["x"]))("Hello", tools=[ADDER])
    assert caught.value.kind == "bad_request"


def test_a_name_opens_an_object_or_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lc_mine.py").write_text(
        "from langchain_core.language_models import FakeListChatModel\n"
        "chat = FakeListChatModel(responses=['from the object'])\n"
        "def make(): return FakeListChatModel(responses=['from the function'])\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert open_model("langchain/lc_mine:chat")("x").text == "from the object"
    assert open_model("langchain/lc_mine:make")("x").text == "from the function"
    for name in ("lc_mine:number", "lc_mine:gone", "lc_absent:chat"):
        with pytest.raises(ModelError, match=f"langchain/{name}") as caught:
            open_model(f"langchain/{name}")
        assert caught.value.kind == "unknown_model"


def test_their_embeddings_are_ours_by_object_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lc_vectors.py").write_text(
        "from langchain_core.embeddings import DeterministicFakeEmbedding\n"
        "vectors = DeterministicFakeEmbedding(size=8)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    embedder = make_embedder("langchain/lc_vectors:vectors")
    found = embedder.embed(["a", "b"])
    assert found.shape == (2, 8)
    assert (found**2).sum(axis=1) == pytest.approx([1, 1])
    raw = DeterministicFakeEmbedding(size=8).embed_query("b")
    back = GenaiEmbeddings(embedder).embed_query("b")
    size = sum(x * x for x in raw) ** 0.5
    assert back == pytest.approx([x / size for x in raw], abs=1e-6)


# -- ours as theirs ------------------------------------------------------------------------------


def test_a_chain_of_theirs_on_our_model_is_a_row_and_tells_its_cost(
    server: tuple[str, Behaviour],
) -> None:
    rows: list[Call] = []
    model = ChatGenai(model=open_model(f"openai/x@{server[0]}", record=rows.append), temperature=0)
    message = model.invoke("Hello", seed=7)
    assert message.response_metadata["call_id"] == rows[0].id
    assert message.response_metadata["cost_status"] == "unpriced"
    assert message.response_metadata["cost"] is None
    chain = ChatPromptTemplate.from_template("Say {word}.") | model | StrOutputParser()
    assert "".join(chain.stream({"word": "Hi"})) == "Hello from the rules."
    assert len(rows) == 2
    sent = server[1].requests
    assert (sent[0]["temperature"], sent[0]["seed"]) == (0, 7)
    assert sent[1]["messages"] == [{"role": "user", "content": "Say Hi."}]


def test_a_stream_of_theirs_that_is_left_ends_the_call() -> None:
    rows: list[Call] = []
    with openai_server(text="one two three four", delay=0.05) as (url, own):
        model = ChatGenai(model=open_model(f"openai/x@{url}", record=rows.append))
        for chunk in model.stream("Hello"):
            assert chunk.text == "one "
            break
        asyncio.run(_leave(model))
        assert own.hung_up.wait(5)
    assert [row.outcome for row in rows] == ["cancelled", "cancelled"]


async def _leave(model: ChatGenai) -> None:
    source = model.astream("Hello")
    await anext(source)
    await source.aclose()  # type: ignore[attr-defined]


def test_structured_output_is_mended_and_asked_for_again() -> None:
    said = iter(["no idea", '```json\n{"setup": "a", "punchline": "b",}\n```'] * 3)
    with openai_server(answer=lambda _: next(said)) as (url, own):
        model = ChatGenai(model=open_model(f"openai/x@{url}"))
        chain = model.with_structured_output(Joke)
        assert chain.invoke("joke") == Joke(setup="a", punchline="b")
        assert [*chain.stream("joke")] == [Joke(setup="a", punchline="b")]
        raw = model.with_structured_output(Joke, include_raw=True).invoke("joke")
        assert raw["parsed"] == Joke(setup="a", punchline="b")
        assert raw["raw"].usage_metadata["input_tokens"] == 22
        assert len(own.requests) == 6


def test_structured_output_that_never_fits_raises() -> None:
    with openai_server(text="no idea") as (url, own):
        chain = ChatGenai(model=open_model(f"openai/x@{url}")).with_structured_output(Joke)
        with pytest.raises(ModelError, match="no reply fitted the schema in 3 requests"):
            chain.invoke("joke")
        assert len(own.requests) == 3


def test_limits_are_the_calls_own(server: tuple[str, Behaviour]) -> None:
    model = open_model(f"openai/x@{server[0]}", settings=ModelSettings(retries=2))
    server[1].status = 500
    with pytest.raises(ModelError):
        ChatGenai(model=model, max_retries=0).invoke("Hello")
    assert len(server[1].requests) == 1
    server[1].status, server[1].delay = 200, 0.2
    with pytest.raises(ModelError, match="within"):
        [*ChatGenai(model=model, timeout=0.3, max_retries=0).stream("Hello")]


@pytest.mark.parametrize("wait", [False, True])
def test_a_whole_reply_keeps_to_the_time_of_the_class(wait: bool) -> None:
    with faulty(faults.stall) as (url, _):
        model = open_model(f"openai/x@{url}", settings=ModelSettings(total_timeout=3))
        limited = ChatGenai(model=model, timeout=0.1, max_retries=0)
        with pytest.raises(ModelError, match="no whole reply within 0.1 s"):
            asyncio.run(limited.ainvoke("Hello")) if wait else limited.invoke("Hello")


def test_an_unknown_keyword_of_the_class_is_refused() -> None:
    with pytest.raises(ValueError, match="api_key"):
        ChatGenai(model=open_model("fake/echo"), api_key="k")


def test_arguments_that_are_no_json_are_an_invalid_call_not_an_error() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": '}}
    with openai_server(answer=lambda _: {"content": None, "tool_calls": [call]}) as (url, _):
        message = ChatGenai(model=open_model(f"openai/x@{url}")).bind_tools([ADDER]).invoke("x")
    assert not message.tool_calls
    assert message.invalid_tool_calls[0]["args"] == '{"a": '


def test_two_models_do_not_share_a_cache_entry() -> None:
    from langchain_core.caches import InMemoryCache

    cache = InMemoryCache()
    texts = [
        ChatGenai(model=open_model(name, provider=_Says(name)), cache=cache).invoke("x").text
        for name in ("fake/a", "fake/b", "fake/a")
    ]
    assert texts == ["fake/a", "fake/b", "fake/a"]


class _Says:
    def __init__(self, text: str) -> None:
        self.text = text

    async def stream(self, messages: Any, params: Any) -> Any:
        from genai.models.base import Delta

        yield Delta(self.text, finish_reason="stop")


def test_all_the_way_round_changes_nothing(server: tuple[str, Behaviour]) -> None:
    inner = ChatGenai(model=open_model(f"openai/x@{server[0]}"))
    outer = ChatGenai(model=ours(ChatGenai(model=ours(inner))))
    message = outer.bind_tools([ADDER], tool_choice="any").invoke([HumanMessage("Add 41")])
    assert message.tool_calls[0]["args"] == {"a": 41}
    assert json.loads(json.dumps(message.usage_metadata))["total_tokens"] == 18
