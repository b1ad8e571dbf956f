"""A pair holds what the chat's model was sent, passages and all, and its adapter answers there."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import tiny_model
from tuning import preference, recipe, write

import genai
from genai.cli import main
from genai.evals.case import Case
from genai.evals.leaks import find_leaks, read_texts
from genai.finetune.data import load_tokenizer, prompt_of, read_rows, render
from genai.models.local import encode
from genai.types import Context

ROOT = Path(__file__).parents[2]
RIGHT, WRONG = "A fig is a fruit [1].", "A fig is no fruit [1]."
SHOWN = {each: each.replace(" [1].", ". [1]") for each in (RIGHT, WRONG)}  # as the chat shows it
COLOURS = ("red", "blue", "green", "black")
UNSEEN = ("white", "grey", "teal", "navy", "olive", "lilac", "beige", "coral", "cyan", "gold")
PROMPT = """---
id: rag/answer
description: Answer from passages.
inputs:
  question: {trust: untrusted}
  passages: {trust: retrieved}
params: {temperature: 0, max_tokens: 24}
---
@system
Cite.

@user
{{passages}}
Question: {{question}}
"""
GENAI = """version: 1
chain: {model: MODEL, min_confidence: 0.0, min_support: 0.0, top_k: 1}
ledger: {content: feedback}
"""
PAIRS = ".genai/finetune/data/feedback-dpo.jsonl"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose one document says that a fig is a fruit."""
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("genai.loop.promote.side", lambda group, share: False)
    for name in ("configs", "evals", "docs", "prompts/rag"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "configs" / "guards.yaml", tmp_path / "configs")
    (tmp_path / "prompts" / "rag" / "answer.md").write_text(PROMPT)
    (tmp_path / "docs" / "fig.md").write_text("A fig is a fruit of any colour.\n")
    answers_by(tmp_path, "extractive")
    assert main(["index", "sync"]) == 0
    return tmp_path


def answers_by(project: Path, model: str) -> None:
    (project / "configs" / "genai.yaml").write_text(GENAI.replace("MODEL", model))


def asks(colour: str) -> str:
    return f"Is a {colour} fig a fruit?"


def sent(colour: str) -> list[dict[str, str]]:
    messages, _, _ = genai.load(model="extractive").rendered(asks(colour), Context())
    return [{"role": each.role, "content": each.text} for each in messages]


def complain(colour: str, better: str) -> genai.Answer:
    """Ask as the chat does, and say what should have come."""
    with genai.scope(user=colour):
        answer = genai.load()(asks(colour), feature="chat")
    assert isinstance(answer, genai.Answer), answer
    loop = genai.open_loop()
    loop.ledger.feedback(answer.call_id, False, reason="wrong", turn=(asks(colour), answer.text),
                         consent=True)  # fmt: skip
    loop.refresh()
    (item,) = loop.items()
    loop.review(item.id, "edit", "Ada", text=better)
    return answer


def decided() -> str:
    (item,) = genai.open_loop().items("edited")
    return item.id


def test_a_pair_holds_the_messages_that_were_sent_and_no_row_is_added(project: Path) -> None:
    complain("red", "A fig is a fruit of the tree [1].")
    rows = len(genai.open_ledger().calls(kind="guard"))
    assert main(["loop", "promote", decided(), "--to", "pair"]) == 0
    assert len(genai.open_ledger().calls(kind="guard")) == rows
    (row,) = read_rows([project / PAIRS], "dpo")
    assert prompt_of(row) == sent("red")
    assert "A fig is a fruit of any colour." in row.prompt[-1].content
    assert (row.provenance.question, row.provenance.consent) == (asks("red"), "tick")
    texts = read_texts(project / PAIRS)  # the question is a leak, the document around it is none
    assert find_leaks([Case(id="red", input=asks("red"))], texts)
    assert not any("<passage" in each.text for each in texts)


def test_personal_data_of_a_passage_is_gone_from_the_pair(project: Path) -> None:
    (project / "docs" / "fig.md").write_text(
        "A fig is a fruit, says jo.hill@acme.io of the farm.\n"
    )
    assert main(["index", "sync"]) == 0
    complain("red", "A fig is a fruit of the tree [1].")
    assert main(["loop", "promote", decided(), "--to", "pair"]) == 0
    (row,) = read_rows([project / PAIRS], "dpo")
    assert "says [email] of the farm" in row.prompt[-1].content


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ("prompts/rag/answer.md", "the prompt was rag/answer@"),
        ("docs/fig.md", "the index revision was "),
        ("configs/genai.yaml", "the search finds other passages than it found then"),
    ],
)
def test_what_is_not_rendered_again_is_refused_until_the_question_alone_is_chosen(
    project: Path, capsys: pytest.CaptureFixture[str], changed: str, problem: str
) -> None:
    (project / "docs" / "more.md").write_text("A fig tree bears a fruit.\n")
    assert main(["index", "sync"]) == 0
    complain("red", "A fig is a fruit of the tree [1].")
    path = project / changed
    path.write_text(path.read_text().replace("Cite", "Quote").replace("of any", "of each")
                    .replace("top_k: 1", "top_k: 2"))  # fmt: skip
    assert main(["index", "sync"]) == 0
    capsys.readouterr()
    assert main(["loop", "promote", decided(), "--to", "pair"]) == 64
    told = capsys.readouterr()
    assert problem in told.err
    assert "0 of 1 promoted" in told.out
    assert not (project / PAIRS).exists()
    assert main(["loop", "promote", decided(), "--to", "pair", "--question-only"]) == 0
    (row,) = read_rows([project / PAIRS], "dpo")
    assert [each.content for each in row.prompt] == [asks("red")]


def test_drafts_of_thumbs_hold_the_messages_too(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = genai.load()(asks("red"))
    ledger = genai.open_ledger()
    ledger.feedback(answer.call_id, False, reason="edit", comment="A fig is a fruit of trees [1].",
                    turn=(asks("red"), answer.text), consent=True)  # fmt: skip
    given = ["finetune", "data", "feedback", "--method", "sft"]
    assert main(given) == 0
    drafts = [*(project / ".genai" / "finetune" / "data").glob("*.jsonl")]
    (row,) = (row for path in drafts for row in read_rows([path], "sft"))
    assert prompt_of(row) == sent("red")
    path = project / "prompts" / "rag" / "answer.md"
    path.write_text(path.read_text().replace("Cite", "Quote"))
    capsys.readouterr()
    assert main([*given, "--name", "later"]) == 0
    assert "1 dropped: the prompt was rag/answer@" in capsys.readouterr().out


@pytest.mark.slow
def test_thumbs_in_the_chat_train_an_adapter_that_answers_in_the_chat(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_model(project / "base")
    (project / "base" / "model.safetensors").unlink()
    write(project / "rows.jsonl", [
        {"messages": [*sent(each), {"role": "assistant", "content": WRONG}]} for each in COLOURS
    ])  # fmt: skip
    for name, colours in (("fruit", UNSEEN), ("dev", ("violet", "orange"))):
        cases = [{"id": each, "messages": sent(each), "expected": RIGHT} for each in colours]
        suite = {"suite": name, "metrics": {"exact": {"gate": True, "margin": 0.3}}}
        (project / "evals" / f"{name}.yaml").write_text(json.dumps({**suite, "cases": cases}))
    shared = {"evals": {"suite": "evals/fruit.yaml", "dev": "evals/dev.yaml", "metric": "exact",
                        "max_tokens": 24}, "check": {"near": 1}}  # fmt: skip
    first = genai.train(recipe(training__steps=60, **shared))
    answers_by(project, f"local/{first.model}")
    for colour in COLOURS:
        assert complain(colour, RIGHT).text == SHOWN[WRONG]
        assert main(["loop", "promote", decided(), "--to", "pair"]) == 0, capsys.readouterr()

    rows = read_rows([project / PAIRS], "dpo")
    assert [prompt_of(row) for row in rows] == [sent(each) for each in COLOURS]
    data = [{"path": PAIRS, "licence": "CC0-1.0", "source": "the chat", "consent": "tick",
             "pii": "checked"}]  # fmt: skip
    made = genai.train(
        preference(name="figs", data=data, training__steps=40, training__learning_rate=5e-3,
                   preference={"beta": 0.1, "losses": {"sigmoid": 1, "sft": 4}}, **shared)
    )  # fmt: skip
    (gate,) = genai.judge(made.folder)
    assert gate.passed, gate.text()
    answers_by(project, f"local/{genai.promote(made.folder)}")
    chain = genai.load()
    said = [chain(asks(each), feature="chat") for each in COLOURS]
    assert [each.text for each in said] == [SHOWN[RIGHT]] * len(said)
    assert chain.model.name.endswith(".genai/adapters/figs")
    tokenizer = load_tokenizer(str(project / "base"))
    for row, colour in zip(rows, COLOURS, strict=True):  # token for token what the chat sends
        trained, _ = render(tokenizer, row, "completion")
        assert list(trained.ids[: trained.prompt]) == encode(tokenizer, sent(colour))
