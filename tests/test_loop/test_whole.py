"""Once around: a thumb in a chat, the queue, an edit, a case that fails, a prompt that mends it."""

import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import genai
from genai.cli import main
from genai.finetune.data import read_rows
from genai.finetune.gate import GATE
from genai.finetune.lock import LOCK
from genai.loop.changelog import add_lines
from genai.loop.queue import Word
from genai.models import Delta
from genai.types import Message

ROOT = Path(__file__).parents[2]
LAMP = "How long may a guest return a lamp?"
RULES = """# Returns

Members may return a lamp within ten days. Guests may return a lamp within thirty days.

# Chairs

Members may return a chair within two weeks. Guests may return a chair within four weeks.
"""
GENAI = """version: 1
chain: {model: fake/clerk, min_confidence: 0.0, top_k: 2}
index: {documents: docs}
ledger: {content: feedback}
"""
SUITE = """suite: shop
metrics:
  token_f1: {min: 0.9}
cases:
  - {id: chair, input: "Within how many weeks may a member return a chair?",
     expected: "Members may return a chair within two weeks."}
"""


class Clerk:
    """A model that quotes the first rule for the thing, or for the person where it is told to."""

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        told = "who asks" in messages[0].text
        passages, _, question = messages[-1].text.partition("Question:")
        thing = "lamp" if "lamp" in question else "chair"
        who = "Guests" if told and "guest" in question else "Members"
        (sentence,) = re.findall(rf"{who} may return a {thing}[^.]*", passages)[:1]
        number = 1 if passages.find(sentence) < passages.find("[2]") else 2
        yield Delta(f"{sentence} [{number}].")
        yield Delta(finish_reason="stop")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("configs/guards.yaml", "configs/prices.yaml", "prompts/rag/answer.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name, text in (("configs/genai.yaml", GENAI), ("configs/loop.yaml", "cases: shop\n"),
                       ("docs/returns.md", RULES), ("evals/shop.yaml", SUITE)):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    monkeypatch.setattr("genai.loop.promote.side", lambda group, share: False)
    return tmp_path


def chat(question: str) -> genai.Answer:
    """Answer as the chat page does."""
    outcome = clerk()(question, feature="chat")
    assert isinstance(outcome, genai.Answer), outcome
    return outcome


def clerk() -> genai.Chain:
    chain = genai.load(model=genai.model("fake/clerk", provider=Clerk()))
    chain.index.sync(genai.find_project().root / "docs")
    return chain


def thumb_down(question: str, answer: genai.Answer) -> None:
    genai.open_ledger().feedback(
        answer.call_id, False, reason="wrong", comment="I am a guest",
        turn=(question, answer.text), consent=True,
    )  # fmt: skip


def test_a_thumb_becomes_a_case_and_another_a_pair_and_the_prompt_that_mends_it_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chair = "Within how many weeks may a guest give a chair back?"
    for question in (LAMP, chair):
        answer = chat(question)
        assert "Members" in answer.text
        thumb_down(question, answer)

    assert main(["loop", "review"]) == 0
    shown = capsys.readouterr().out
    assert "2 new of 2 calls to look at" in shown
    names = {question: re.search(rf"(\w+) .*{question[:20]}", shown)[1]  # type: ignore[index]
             for question in (LAMP, chair)}  # fmt: skip
    for question, text in ((LAMP, "Guests may return a lamp within thirty days."),
                           (chair, "Guests may return a chair within four weeks.")):  # fmt: skip
        given = ["loop", "review", names[question], "--edit", text, "--reviewer", "Ada"]
        assert main([*given, "--label", "wrong person"]) == 0

    assert main(["loop", "promote", names[LAMP]]) == 0
    assert main(["loop", "promote", names[chair], "--to", "pair"]) == 0, capsys.readouterr()
    (row,) = read_rows([project / ".genai/finetune/data/feedback-dpo.jsonl"], "dpo")
    assert row.answers[0] == "Guests may return a chair within four weeks."
    assert "Members may return a chair within two weeks" in row.answers[1]
    capsys.readouterr()

    case = f"loop-{names[LAMP]}"
    report = genai.evaluate("shop", clerk(), resume=False)
    before = report.metric("token_f1").value or 1.0
    status = genai.open_loop().status()
    assert (status.stage("case, fails").count, status.changelog) == (1, ())
    assert status.stage("pair, not trained").count == 1

    path = project / "prompts/rag/answer.md"
    old = genai.prompt("rag/answer").id
    path.write_text(path.read_text().replace("- Keep", "- Mind who asks.\n- Keep"))
    report = genai.evaluate("shop", clerk(), resume=False)
    assert before < 0.9 < (report.metric("token_f1").value or 0.0)

    assert main(["loop", "status"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"case, passes +1 +oldest under 1 h", shown)
    line = next(line for line in shown.splitlines() if line.startswith("- The case"))
    assert f"`{case}` of shop" in line
    assert "thumb, asked 1 times, reviewed by Ada" in line
    assert f"prompt {old} to {genai.prompt('rag/answer').id}; it failed in run" in line
    assert main(["loop", "status", "--write"]) == 0
    assert f"## Unreleased\n\n{line}\n" in (project / "CHANGELOG.md").read_text()

    thumb_down(LAMP, chat(LAMP))  # once more, by one who was answered otherwise
    assert main(["loop", "review"]) == 0
    again = genai.open_loop().status().changelog
    assert "thumb, asked 2 times, reviewed by Ada" in again[0]
    assert main(["loop", "status", "--write"]) == 0
    assert (project / "CHANGELOG.md").read_text().count("- The case") == 1


def test_the_changelog_takes_each_line_once_under_what_is_next(tmp_path: Path) -> None:
    log, line = tmp_path / "CHANGELOG.md", "- The case `loop-1` of shop is answered."
    log.write_text("# Changelog\n\nWords.\n\n## 1.0 (unreleased)\n\n- Old.\n\n## 0.9\n\n- Older.\n")
    assert [add_lines(log, [line]) for _ in "ab"] == [1, 0]
    assert log.read_text() == (
        f"# Changelog\n\nWords.\n\n## 1.0 (unreleased)\n\n{line}\n- Old.\n\n## 0.9\n\n- Older.\n"
    )
    log.write_text("# Changelog\n\n## 0.9\n\n- Older.\n")
    assert add_lines(log, [line]) == 1
    assert log.read_text() == f"# Changelog\n\n## Unreleased\n\n{line}\n\n## 0.9\n\n- Older.\n"
    log.unlink()
    assert add_lines(log, []) == 0
    assert not log.exists()
    assert add_lines(log, [line]) == 1
    assert log.read_text() == f"# Changelog\n\n## Unreleased\n\n{line}\n"


def test_every_stage_has_its_count_and_age(project: Path) -> None:
    loop = genai.open_loop()
    assert [each.count for each in loop.status().stages] == [0] * 10
    answer = chat(LAMP)
    thumb_down(LAMP, answer)
    loop.refresh()
    (item,) = loop.items()
    from genai.loop.status import status

    later = status(loop.queue, loop.project, now=item.found_at + 3 * 86_400)
    assert later.stage("open").text() == f"{'open':18} {1:5}  oldest 3.0 d, median 3.0 d"
    loop.review(item.id, "reject", "Ada")
    assert (loop.status().stage("open").count, loop.status().stage("rejected").count) == (0, 1)


def lock(folder: Path) -> None:
    """Leave what a training run on the pairs leaves."""
    folder.mkdir(parents=True)
    held = {"started": time.time(), "data": ["feedback-dpo.jsonl"]}
    (folder / LOCK).write_text(json.dumps(held))


def test_the_command_shows_count_and_age_at_every_stage(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thirty, two = "Guests may return a lamp within thirty days.", "Members may return a chair"
    chain, loop, state = clerk(), genai.open_loop(), project / ".genai"

    def decided(question: str, word: Word | None = None, text: str = "") -> str:
        answer = chain(question, feature="chat")
        assert isinstance(answer, genai.Answer)
        thumb_down(question, answer)
        loop.refresh()
        (name,) = [each.id for each in loop.items() if each.question == question]
        if word:
            loop.review(name, word, "Ada", text=text)
        return name

    decided("May a lamp be kept?")
    decided("May a chair be kept?", "accept")
    decided("What of a broken lamp?", "edit", thirty)
    decided("What of a broken chair?", "reject")
    for folder in (state / "adapters" / "one", state / "finetune/runs/two", None):
        loop.promote(decided(f"Is lamp {folder and folder.name} on loan?", "edit", thirty), "pair")
        if folder is not None:
            lock(folder)
    (state / "adapters" / "one" / GATE).write_text("[]")
    loop.promote(decided("When must a chair be back?", "edit", f"{two} within two weeks."))
    loop.promote(decided("When must a lamp be back?", "edit", thirty))
    genai.evaluate("shop", chain, resume=False)
    loop.promote(decided("Who may bring a lamp back?", "edit", thirty))
    capsys.readouterr()
    assert main(["loop", "status"]) == 0
    shown = capsys.readouterr().out
    for stage in (
        "open", "accepted", "edited", "rejected", "case, no run yet", "case, fails",
        "case, passes", "pair, not trained", "pair, trained", "pair, served",
    ):  # fmt: skip
        assert re.search(rf"^{stage} +1  oldest under 1 h, median under 1 h$", shown, re.M), shown


def test_a_damaged_lock_of_a_training_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock(project / ".genai" / "finetune" / "runs" / "two")
    (project / ".genai" / "finetune" / "runs" / "two" / LOCK).write_text("{")
    assert main(["loop", "status"]) == 64
    assert "genai: two: has no run.lock.json that can be read" in capsys.readouterr().err


def test_the_queue_says_nothing_of_evals(project: Path) -> None:
    genai.evaluate("shop", clerk(), resume=False)
    assert genai.open_loop().refresh().calls == 0


def test_an_item_is_shown_whole_and_a_word_without_one_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thumb_down(LAMP, chat(LAMP))
    main(["loop", "status"])
    (item,) = genai.open_loop().items()
    assert main(["loop", "review", item.id[:6]]) == 0
    shown = capsys.readouterr().out
    assert f"question: {LAMP}" in shown
    assert "comment: wrong: I am a guest" in shown
    assert main(["loop", "review", "--accept", "--reviewer", "Ada"]) == 64
    assert main(["loop"]) == 0
