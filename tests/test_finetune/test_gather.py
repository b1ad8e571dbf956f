"""Rows are made from what people said and from failed cases, with consent, and reviewed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from makers import call
from training import demo_project

from genai.cli import main
from genai.errors import InputError
from genai.evals import Options, Tools, evaluate, load_suite
from genai.finetune.data import LabelledRow, PreferenceRow, SftRow, Turn, read_rows
from genai.finetune.data.gather import from_failures, from_feedback, question_only
from genai.finetune.data.review import accept_drafts, add_drafts, data_path, read_drafts
from genai.finetune.data.split import side
from genai.ledger import Ledger
from genai.project import Project
from genai.types import Context

EDITED = '{"intent":"late","plan":null,"urgent":true}'


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / ".genai" / "ledger.db", content="feedback")


def say(ledger: Ledger, name: str, question: str, answer: str, **given: Any) -> None:
    """Record a call and a thumb on it, as the chat does."""
    consent, user = given.pop("consent", True), given.pop("user", f"user-{name}")
    at, session = given.pop("at", 0.0), given.pop("session", f"session-{name}")
    prompt = given.pop("prompt", "")
    context = Context(user=user, session=session, prompt_id=prompt)
    ledger.record(call(id=name, kind="chain", started_at=1_800_000_000.0 + at, context=context))
    value = given.pop("value", None)
    if value is not None:
        turn = (question, answer)
        ledger.feedback(name, value, turn=turn, consent=consent, **given)


def everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold nobody out."""
    monkeypatch.setattr("genai.finetune.data.gather.side", lambda group, share: False)


def test_an_edit_becomes_a_pair_and_an_sft_row(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody(monkeypatch)
    answer = '{"intent":"late","plan":"team","urgent":true}'
    say(ledger, "a", "it is late", answer, value=False, reason="edit", comment=EDITED)
    say(ledger, "b", "where is it", answer, value=False, reason="edit", comment=answer)
    say(ledger, "c", "what now", answer, value=False, reason="edit", comment="???")
    found = from_feedback(ledger, "dpo")
    (row,) = found.rows
    assert isinstance(row, PreferenceRow)
    assert (row.chosen, row.rejected) == (EDITED, answer)
    assert row.prompt == (Turn("user", "it is late"),)
    made = row.provenance
    assert (made.source, made.call_id, made.consent) == ("feedback", "a", "tick")
    assert made.user_key == ledger.user_key("user-a")
    assert made.detector.startswith("genai ")
    assert len(made.events) == 1
    assert found.dropped == {
        "the edit changes next to nothing": 1, "the edit is another answer altogether": 1,
    }  # fmt: skip
    (sft,) = from_feedback(ledger, "sft").rows
    assert isinstance(sft, SftRow)
    assert sft.answers == (EDITED,)


def test_thumbs_are_kto_rows_and_no_pair(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody(monkeypatch)
    say(ledger, "a", "one", "good", value=True)
    say(ledger, "b", "two", "bad", value=False)
    rows = from_feedback(ledger, "kto").rows
    assert [(row.completion, row.label) for row in rows if isinstance(row, LabelledRow)] == [
        ("good", True), ("bad", False)
    ]  # fmt: skip
    found = from_feedback(ledger, "dpo")
    assert found.rows == []
    assert found.dropped == {"a thumb alone gives no better answer": 2}


def test_a_retry_that_was_liked_is_better_than_what_came_before(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody(monkeypatch)
    say(ledger, "a", "same question", "first", value=False, user="ada", session="s", at=1)
    say(ledger, "b", "same question", "second", value=True, user="ada", session="s", at=2)
    say(ledger, "c", "same question", "third", value=True, user="bob", session="t", at=3)
    (row,) = from_feedback(ledger, "dpo").rows
    assert isinstance(row, PreferenceRow)
    assert (row.chosen, row.rejected) == ("second", "first")
    assert len(row.provenance.events) == 2


def test_nothing_is_taken_without_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody(monkeypatch)
    ticked = Ledger(tmp_path / "a" / "ledger.db", content="feedback")
    say(ticked, "a", "one", "good", value=True, consent=False)
    assert from_feedback(ticked, "kto").rows == []
    stored = Ledger(tmp_path / "b" / "ledger.db", content="all")
    row = call(id="b", kind="chain", started_at=time.time())
    stored.record(row, question="two", answer="bad")
    stored.flush()
    stored.feedback("b", False)  # no tick
    found = from_feedback(stored, "kto")
    assert (found.rows, found.dropped) == ([], {"nobody consented": 1})
    (row_,) = from_feedback(stored, "kto", basis="contract").rows
    assert row_.provenance.consent == "contract"


def test_personal_data_and_foreign_prompts_stay_out(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody(monkeypatch)
    say(ledger, "a", "I am anna.smith@mail.org", "good", value=True)
    say(ledger, "b", "with passages", "good", value=True, prompt="rag/answer@0123456789ab")
    found = from_feedback(ledger, "kto")
    assert found.rows == []
    assert found.dropped == {
        "holds personal data or a secret (email)": 1,
        "the prompt of the call (rag/answer@0123456789ab) cannot be rebuilt": 1,
    }  # fmt: skip
    (row,) = from_feedback(ledger, "kto", rebuild=question_only).rows
    assert row.prompt == (Turn("user", "with passages"),)


def test_some_people_are_held_out_for_good_and_nobody_speaks_for_all(ledger: Ledger) -> None:
    for person in range(40):
        say(ledger, f"p{person}", f"ask {person}", f"say {person}", value=True)
    for time_ in range(9):
        say(ledger, f"x{time_}", f"more {time_}", "say", value=True, user="chatty", at=time_)
    found = from_feedback(ledger, "kto")
    out = {row.provenance.user_key for row in found.held_out}
    assert out
    assert not out & {row.provenance.user_key for row in found.rows}
    assert out == {
        row.provenance.user_key for row in (*found.held_out, *found.rows)
        if side(row.provenance.user_key, 0.15)
    }  # fmt: skip
    chatty = [r for r in found.rows if r.provenance.user_key == ledger.user_key("chatty")]
    assert len(chatty) == 5 or ledger.user_key("chatty") in out


# -- failed cases ---------------------------------------------------------------------------------

PRACTICE = """suite: practice
task: model
metrics:
  exact: {{{how}: true}}
cases:
  - {{id: a, input: first, expected: one}}
  - {{id: b, input: second, expected: two}}
  - {{id: c, input: third}}
"""


def test_failed_cases_of_a_suite_that_only_shows_become_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "evals" / "practice.yaml"
    path.parent.mkdir()
    path.write_text(PRACTICE.format(how="show"))
    suite = load_suite(path)
    report = evaluate(suite, lambda asked_: "one", tmp_path / "runs", Tools(), Options())
    (row,) = from_failures(report, suite, "dpo", "exact").rows
    assert isinstance(row, PreferenceRow)
    assert (row.chosen, row.rejected) == ("two", "one")
    assert row.provenance.events == ("b", report.run)
    with pytest.raises(InputError, match="has no metric `nothing`"):
        from_failures(report, suite, "dpo", "nothing")
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    evaluate(suite, lambda asked_: "one", tmp_path / ".genai" / "runs", Tools(), Options())
    words = ["--suite", "practice", "--metric", "exact", "--name", "practice"]
    assert main(["finetune", "data", "failures", *words]) == 0
    assert "1 new drafts" in capsys.readouterr().out
    path.write_text(PRACTICE.format(how="gate"))
    assert main(["finetune", "data", "failures", *words]) == 64
    with pytest.raises(InputError, match="`?exact`? gates, so its cases never enter training"):
        from_failures(report, load_suite(path), "dpo", "exact")


# -- review ---------------------------------------------------------------------------------------


def test_a_draft_counts_once_somebody_has_read_it(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    everybody(monkeypatch)
    project = Project(tmp_path, tmp_path / ".genai")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    answer = '{"intent":"late","plan":"team","urgent":true}'
    say(ledger, "a", "it is late", answer, value=False, reason="edit", comment=EDITED)
    ledger.flush()
    assert main(["finetune", "data", "feedback", "--method", "dpo"]) == 0
    assert main(["finetune", "data", "feedback", "--method", "dpo"]) == 0  # again: nothing new
    said = capsys.readouterr().out
    assert "1 new drafts" in said
    assert "0 new drafts" in said
    (draft,) = read_drafts(project, "feedback-dpo", "dpo")
    assert main(["finetune", "data", "accept", draft.id]) == 64
    assert "--reviewer NAME" in capsys.readouterr().err
    assert main(["finetune", "data", "accept", draft.id, "--reviewer", "Ada"]) == 0
    (row,) = read_rows([data_path(project, "feedback-dpo")], "dpo")
    assert row.provenance.reviewer == "Ada"
    assert read_drafts(project, "feedback-dpo", "dpo") == []
    assert main(["finetune", "data", "feedback", "--method", "dpo"]) == 0
    assert "0 new drafts" in capsys.readouterr().out  # what was accepted does not come again
    with pytest.raises(InputError, match="has no draft `zzz`"):
        accept_drafts(project, "feedback-dpo", "dpo", ["zzz"], "Ada")


def test_a_dropped_draft_is_gone(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody(monkeypatch)
    project = Project(tmp_path, tmp_path / ".genai")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    say(ledger, "a", "one", "good", value=True)
    add_drafts(project, "feedback-kto", "kto", from_feedback(ledger, "kto"))
    (draft,) = read_drafts(project, "feedback-kto", "kto")
    line = ["finetune", "data", "accept", draft.id, "--drop", "--method", "kto"]
    assert main(line) == 0
    assert read_drafts(project, "feedback-kto", "kto") == []
    assert not data_path(project, "feedback-kto").exists()


def test_the_demo_is_written_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    project = demo_project(tmp_path)
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    home = project.state / "finetune" / "demo" / "quick"
    (home / "sft.jsonl").unlink()
    assert main(["finetune", "data", "demo", "quick"]) == 0
    assert "next: genai finetune check" in capsys.readouterr().out
    first = json.loads((home / "sft.jsonl").read_text().splitlines()[0])
    assert first["provenance"]["source"] == "demo"
