"""Thumbs of a chat become pairs, are reviewed, checked and trained, and the new adapter answers."""

import asyncio
import json
import shlex
import shutil
from pathlib import Path

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

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUNING = "prompting-and-fine-tuning.md"
COLOURS = ("red", "blue", "green", "black", "brown", "pink")
UNSEEN = ("white", "grey", "teal", "navy", "olive", "lilac", "beige", "coral", "cyan", "gold")
DEV = ("violet", "orange")
FRUITS = ("apple", "pear", "plum", "fig")
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
    async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
        body = {"model": "feedback", "messages": [{"role": "user", "content": question}],
                "max_tokens": 16}  # fmt: skip
        reply = await client.post("/v1/chat/completions", json=body)
        said: str = reply.json()["choices"][0]["message"]["content"]
        return said
