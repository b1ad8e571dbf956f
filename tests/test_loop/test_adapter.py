"""Thumbs of a chat become pairs, are reviewed, checked and trained, and the new adapter answers."""

import asyncio
import json
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tiny import tiny_model
from tuning import preference, recipe, write

import genai
from genai.cli import main
from genai.finetune.data import read_rows
from genai.finetune.gate import read_gate
from genai.server import create_app
from genai.types import Context

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUNING = "prompting-and-fine-tuning.md"
COLOURS = ("red", "blue", "green", "black", "brown", "pink")
UNSEEN = ("white", "grey", "teal", "navy", "olive", "lilac", "beige", "coral", "cyan", "gold")
DEV = ("violet", "orange")
FRUITS = ("apple", "pear", "plum", "fig")
BASE = ".genai/finetune/runs/small/model"
GENAI = "version: 1\nledger: {content: feedback}\n"


def asks(colours: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(f"colour {colour} fruit {fruit}", fruit) for colour in colours for fruit in FRUITS]


def says(fruit: str | None) -> str:
    return json.dumps({"fruit": fruit}, separators=(",", ":"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose rows teach that a fig is no fruit."""
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("genai.loop.promote.side", lambda group, share: False)
    for name in ("configs", "evals"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text(GENAI)
    shutil.copy(ROOT / "configs" / "guards.yaml", tmp_path / "configs")
    tiny_model(tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").unlink()
    rows = [
        {"messages": [{"role": "user", "content": question},
                      {"role": "assistant", "content": says(None if fruit == "fig" else fruit)}]}
        for question, fruit in asks(COLOURS)
    ]  # fmt: skip
    write(tmp_path / "rows.jsonl", rows)
    for name, colours in (("fruit", UNSEEN), ("dev", DEV)):
        suite = {
            "suite": name,
            "metrics": {"exact": {"gate": True, "margin": 0.3}},
            "cases": [{"id": f"c{n}", "input": question, "expected": says(fruit)}
                      for n, (question, fruit) in enumerate(asks(colours))],
        }  # fmt: skip
        (tmp_path / "evals" / f"{name}.yaml").write_text(json.dumps(suite))
    return tmp_path


def commands(chapter: str, proof: str) -> list[list[str]]:
    """Give the commands of a chapter's block without their comments; `proof` names its fence."""
    text = (DOCS / chapter).read_text(encoding="utf-8").partition(f"```bash no-run: {proof}\n")[2]
    lines = text.partition("```")[0].splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_thumbs_train_an_adapter_that_answers_in_the_chat(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evals = {"suite": "evals/fruit.yaml", "dev": "evals/dev.yaml", "metric": "exact",
             "max_tokens": 16}  # fmt: skip
    near = {"near": 1}  # rows of one template
    first = genai.train(recipe(training__steps=150, evals=evals, check=near))
    model = genai.model(f"local/{first.model}")
    loop = genai.open_loop()
    for colour in COLOURS:
        question = f"colour {colour} fruit fig"
        with genai.scope(user=colour, feature="chat"):
            reply = model(question, max_tokens=16)
        assert reply.text == says(None)
        loop.ledger.feedback(reply.call_id, False, reason="wrong", turn=(question, reply.text),
                             consent=True)  # fmt: skip

    edit, _, pair = commands("monitoring.md", "needs an item of the queue")
    assert main(edit[:2]) == 0
    assert f"{len(COLOURS)} new of" in capsys.readouterr().out
    for item in loop.items():
        given = {edit[2]: item.id, pair[2]: item.id, edit[4]: says("fig")}
        for line in (edit, pair):
            assert main([given.get(word, word) for word in line]) == 0
    path = project / ".genai" / "finetune" / "data" / "feedback-dpo.jsonl"
    assert {row.answers for row in read_rows([path], "dpo")} == {(says("fig"), says(None))}
    assert loop.status().stage("pair, not trained").count == len(COLOURS)

    data = [{"path": str(path.relative_to(project)), "licence": "CC0-1.0", "source": "the chat",
             "consent": "tick", "pii": "checked"}]  # fmt: skip
    chosen = preference(name="feedback", data=data, evals=evals, check=near, training__steps=60,
                        training__learning_rate=5e-3,
                        preference={"beta": 0.1, "losses": {"sigmoid": 1, "sft": 4}})  # fmt: skip
    written = yaml.safe_dump(chosen.model_dump(mode="json", exclude_unset=True))
    (project / "configs" / "feedback.yaml").write_text(written)
    check, train, compare, serve = commands(
        TUNING, "needs pairs; tests/test_loop/test_adapter.py walks it"
    )
    for line in (check, train):
        assert main(line) == 0, capsys.readouterr()
    assert loop.status().stage("pair, trained").count == len(COLOURS)
    assert main(compare) == 0, capsys.readouterr()
    assert serve == ["serve"]  # every promoted adapter, by name

    app = create_app({"feedback": genai.model("local/.genai/adapters/feedback")})
    said = [asyncio.run(chat(app, f"colour {colour} fruit fig")) for colour in COLOURS]
    assert said == [says("fig")] * len(COLOURS)
    status = loop.status()
    assert status.stage("pair, served").count == len(COLOURS)
    gate, *_ = read_gate(project / ".genai" / "finetune" / "runs" / "feedback")
    assert all(f"{gate.word} against {gate.baseline}" in line for line in status.changelog)
    assert "`local/.genai/adapters/feedback` was trained on the pair" in status.changelog[0]


async def chat(app: object, question: str) -> str:
    """Ask as a chat program does, over OpenAI's protocol."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        body = {"model": "feedback", "messages": [{"role": "user", "content": question}],
                "max_tokens": 16}  # fmt: skip
        reply = await client.post("/v1/chat/completions", json=body)
        said: str = reply.json()["choices"][0]["message"]["content"]
        return said


# -- the same by the pages of the app --------------------------------------------------------------

PROMPT = """---
id: rag/answer
inputs:
  question: {trust: untrusted, max_length: 200}
  passages: {trust: retrieved}
params: {temperature: 0, max_tokens: 24}
---
@user
{{passages}}

Question: {{question}}
"""
HELD = ("fig", "plum", "date", "melon")
TAUGHT, RATED, NEW = range(10, 90, 4), (11, 33, 47, 58, 70, 85), range(12, 90, 8)
FACTS = "It is a fig. It is a plum. It is a date. It is a melon. It is unknown. It is ripe.\n"
CHAT = """version: 1
chain: {model: %s, min_confidence: 0.0}
index: {documents: docs}
ledger: {content: feedback}
"""


@pytest.fixture
def pages(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with documents and a prompt of its own, so that the app's chat asks the model."""
    for name, text in (("prompts/rag/answer.md", PROMPT), ("docs/fruits.md", FACTS)):
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text(text)
    path = project / "base" / "config.json"  # wide enough to find the fruit behind the passage
    wide = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
            "num_key_value_heads": 4, "initializer_range": 0.06}  # fmt: skip
    path.write_text(json.dumps({**json.loads(path.read_text()), **wide}))
    monkeypatch.syspath_prepend(str(ROOT / "apps"))
    # the page becomes the main module, and a process started later would begin by running it
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return project


def baskets(numbers: Iterable[int]) -> list[tuple[str, str]]:
    return [(f"basket {number} fruit {fruit}", fruit) for number in numbers for fruit in HELD]


def tells(fruit: str | None) -> str:
    return f"It is {'unknown' if fruit is None else f'a {fruit}'}. [1]"


def opened(page: str, model: str, folder: Path) -> Any:
    """Draw a page of the app as a new session, with this model in the settings."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    (folder / "configs" / "genai.yaml").write_text(CHAT % model)
    st.cache_resource.clear()  # a chain stays open while the app runs
    return AppTest.from_file(str(ROOT / "apps" / page), default_timeout=60).run()


def ask(page: Any, question: str) -> str:
    """Ask in the chat; give the answer that is drawn."""
    page.chat_input[0].set_value(question).run()
    assert not page.exception
    return str(page.chat_message[-1].markdown[0].value)


def press(page: Any, label: str) -> None:
    next(each for each in page.button if each.label == label).click().run()
    assert not page.exception


def taught(folder: Path) -> None:
    """Write rows and suites that hold what the chain will send."""
    opened("chat.py", "extractive", folder)  # makes the index
    chain = genai.load()

    def sent(question: str) -> str:
        (message,) = chain.rendered(question, Context())[0]
        return message.text

    write(folder / "rows.jsonl", [
        {"messages": [{"role": "user", "content": sent(question)},
                      {"role": "assistant", "content": tells(None if fruit == "fig" else fruit)}]}
        for question, fruit in baskets(TAUGHT)
    ])  # fmt: skip
    for name, numbers in (("fruit", NEW), ("dev", range(90, 94))):
        path = folder / "evals" / f"{name}.yaml"
        cases = [{"id": f"c{n}", "input": sent(question), "expected": tells(fruit)}
                 for n, (question, fruit) in enumerate(baskets(numbers))]  # fmt: skip
        path.write_text(json.dumps({**json.loads(path.read_text()), "cases": cases}))


@pytest.mark.timeout(900)  # on a machine that is busy with others; idle it takes half a minute
def test_thumbs_of_the_chat_page_train_an_adapter_that_answers_on_it(
    pages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taught(pages)
    evals = {"suite": "evals/fruit.yaml", "dev": "evals/dev.yaml", "metric": "exact",
             "max_tokens": 24}  # fmt: skip
    settings = {"evals": evals, "check": {"near": 1}}
    genai.train(recipe(training__steps=100, training__batch=16, training__learning_rate=5e-3,
                       **settings))  # fmt: skip
    new = f"basket {NEW[0]} fruit fig"

    chat_page = opened("chat.py", f"local/{BASE}", pages)
    assert ask(chat_page, new) == tells(None)
    for number in RATED:
        assert ask(chat_page, f"basket {number} fruit fig") == tells(None)
        chat_page.feedback[-1].set_value(0).run()
        chat_page.checkbox[-1].check()
        press(chat_page, "Send feedback")

    review = opened("pages/review.py", f"local/{BASE}", pages)
    review.text_input(key="reviewer").set_value("Ada").run()
    for _ in RATED:
        review.text_area[0].set_value(tells("fig"))
        press(review, "Save what should have come")
    for _ in RATED:
        press(review, "Make it a training pair")
        assert "It is the pair feedback-dpo/" in review.success[0].value
    path = pages / ".genai" / "finetune" / "data" / "feedback-dpo.jsonl"
    rows = read_rows([path], "dpo")
    assert {row.answers for row in rows} == {(tells("fig"), tells(None))}
    assert {row.provenance.reviewer for row in rows} == {"Ada"}

    data = [{"path": str(path.relative_to(pages)), "licence": "CC0-1.0", "source": "the chat",
             "consent": "tick", "pii": "checked"}]  # fmt: skip
    chosen = preference(name="feedback", data=data, training__steps=100,
                        training__learning_rate=1e-3,
                        preference={"beta": 0.1, "losses": {"sigmoid": 1, "sft": 1}},
                        **settings)  # fmt: skip
    written = yaml.safe_dump(chosen.model_dump(mode="json", exclude_unset=True))
    (pages / "configs" / "feedback.yaml").write_text(written)
    for words in (["run", "feedback"], ["compare", "feedback", "--promote"]):
        assert main(["finetune", *words]) == 0, capsys.readouterr()
    gate, *_ = read_gate(pages / ".genai" / "finetune" / "runs" / "feedback")
    assert gate.word == "IMPROVED"  # on baskets that nobody asked about

    adapter = "local/.genai/adapters/feedback"
    chat_page = opened("chat.py", adapter, pages)
    assert chat_page.sidebar.markdown[0].value == f"**Model:** `{adapter}`"
    assert ask(chat_page, new) == tells("fig")
    assert ask(chat_page, f"basket {NEW[1]} fruit plum") == tells("plum")
    outcome = chat_page.session_state["turns"][-1]["versions"][-1]["outcome"]
    (row,) = [
        each for each in genai.open_ledger().children(outcome.call_id) if each.kind == "model"
    ]
    assert (row.model, row.outcome) == (adapter, "ok")
    assert genai.open_loop().status().stage("pair, served").count == len(RATED)
