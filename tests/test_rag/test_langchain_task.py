"""LangChain's runnables as tasks of our evals: answer, passages, tokens, money and rows."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from servers import Behaviour, openai_server

import genai
from genai import project
from genai.evals import Report, Trial
from genai.evals.store import read_log

SUITE = """suite: tea
metrics:
  recall_at_k: {min: 0}
  contains: {min: 0}
cases:
  - {id: one, input: "What is hot?", expected: tea,
     gold: [{document: tea.md, quote: "Tea is hot."}]}
  - {id: two, input: "What has milk?", expected: cocoa,
     gold: [{document: cocoa.md, quote: "Cocoa has milk."}]}
"""
TEXTS = {"tea.md": "Tea is hot.", "cocoa.md": "Cocoa has milk."}
PRICE = 11 * Decimal("0.00000015") + 7 * Decimal("0.0000006")  # of the loopback's tokens


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Behaviour]]:
    """A project with a suite, and a server for its model."""
    project.init(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    Path("evals/tea.yaml").write_text(SUITE, encoding="utf-8")
    for name, text in TEXTS.items():
        Path("docs", name).write_text(text, encoding="utf-8")
    with openai_server(text="It is tea.") as given:
        yield given


def chat(url: str, **more: Any) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="k", max_retries=0, **more)


def retriever() -> Any:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    store.add_documents([Document(text, metadata={"source": n}) for n, text in TEXTS.items()])
    return store.as_retriever()


def chain(model: Any) -> Any:
    ask = ChatPromptTemplate.from_template("{found}\n{question}")
    given: Any = {"found": retriever(), "question": RunnablePassthrough()}
    return given | ask | model | StrOutputParser()


def trials(report: Report) -> list[Trial]:
    (log,) = report.folder.glob("log-*.jsonl")
    return [each for each in read_log(log) if isinstance(each, Trial)]


def rows(kind: str) -> list[genai.Call]:
    return genai.open_ledger().calls(kind=kind)


def test_a_chain_of_theirs_leaves_answer_passages_tokens_money_and_one_row_a_call(
    server: tuple[str, Behaviour],
) -> None:
    report = genai.evaluate("tea", chain(chat(server[0])))
    assert {each.name: each.value for each in report.metrics} == {
        "recall_at_k": 1.0, "contains": 0.5,
    }  # fmt: skip
    turns = {row.id: row for row in rows("chain")}
    for trial in trials(report):
        assert trial.text == "It is tea."
        assert {hit.passage.document for hit in trial.hits} == {"tea.md", "cocoa.md"}
        assert (trial.usage.input_tokens, trial.usage.output_tokens) == (11, 7)
        assert trial.cost == PRICE
        assert (turns[trial.call_id].usage, turns[trial.call_id].cost.amount) == (
            trial.usage, PRICE,
        )  # fmt: skip
    asked = rows("model")
    assert len(asked) == len(turns) == 2
    assert {row.context.parent_id for row in asked} == set(turns)
    assert {(row.model, row.outcome, row.context.run) for row in asked} == {
        ("openai/gpt-4o-mini", "ok", report.run)
    }
    assert {row.context.parent_id for row in rows("eval")} == set(turns)


def test_a_chat_model_of_theirs_is_asked_through_the_door(server: tuple[str, Behaviour]) -> None:
    report = genai.evaluate("tea", chat(server[0]))
    assert report.cost == 2 * PRICE
    asked = rows("model")
    assert [(row.model, row.input_tokens) for row in asked] == [("openai/gpt-4o-mini", 11)] * 2
    assert {trial.call_id for trial in trials(report)} == {row.id for row in asked}


def test_a_retriever_alone_is_judged_by_what_it_finds(server: tuple[str, Behaviour]) -> None:
    report = genai.evaluate("tea", retriever())
    assert report.metric("recall_at_k").value == 1.0
    assert [(row.cost.amount, row.tags["passages"]) for row in rows("chain")] == [(0, 2)] * 2


def test_a_model_of_ours_inside_is_counted_once(server: tuple[str, Behaviour]) -> None:
    ours = genai.to_langchain(genai.from_langchain(chat(server[0])))
    report = genai.evaluate("tea", chain(ours))
    assert len(rows("model")) == 2
    assert report.cost == 2 * PRICE == sum(row.cost.amount or 0 for row in rows("chain"))
    assert {row.context.parent_id for row in rows("model")} == {row.id for row in rows("chain")}


def test_the_tier_that_a_model_of_theirs_names_prices_its_row(
    server: tuple[str, Behaviour],
) -> None:
    server[1].details = {"prompt_tokens_details": {"cached_tokens": 4}}
    server[1].more = {"service_tier": "priority"}
    genai.evaluate("tea", chain(chat(server[0])), limit=1)
    (row,) = rows("model")
    assert (row.served_tier, row.usage.cached_tokens) == ("priority", 4)
    assert row.cost.reason == "no rates for tier priority; standard used"


def test_an_agents_last_message_and_its_calls_of_tools_are_read(
    server: tuple[str, Behaviour],
) -> None:
    from langchain_core.messages import AIMessage

    call = {"name": "add", "args": {"a": 1}, "id": "c", "type": "tool_call"}
    said = AIMessage("tea", tool_calls=[call])
    report = genai.evaluate("tea", RunnableLambda(lambda _: {"messages": [said]}), limit=1)
    (trial,) = trials(report)
    assert (trial.text, trial.tool_calls[0].name) == ("tea", "add")


def test_what_their_model_raises_is_a_row_and_no_answer(server: tuple[str, Behaviour]) -> None:
    server[1].status = 500
    report = genai.evaluate("tea", chain(chat(server[0])), limit=1)
    (trial,) = trials(report)
    assert (trial.state, trial.reason) == ("unmeasured", "server_error")
    assert [(row.outcome, row.reason) for row in (*rows("model"), *rows("chain"))] == [
        ("error", "server")
    ] * 2
