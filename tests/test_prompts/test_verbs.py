"""From an edit to production: check fails, an eval passes, lock, label, roll back, diff, split."""

import json
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sarif_log import check_sarif

import genai
from genai.cli import main
from genai.wiring.prompts import lint_prompts

ROOT = Path(__file__).parent.parent.parent
PROMPT = """---
id: sums/add
description: Adds.
inputs: {question: {max_length: 100}}
params: {max_tokens: 9}
---
@user
{{question}} = ?
"""
TASK = """
import genai


def ask(question: str) -> str:
    prompt = genai.prompt("sums/add")
    with genai.scope(prompt_id=prompt.id):
        said = genai.model("fake/echo")(prompt.render(question=question)).text
    return str(eval(said.partition("=")[0]))
"""
SUITE = """suite: sums
task: sums_of_prompts_tests:ask
metrics: {exact: {min: 0.9, gate: true}}
cases:
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with one prompt, and a suite whose task asks with it."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    settings = tmp_path / "configs" / "genai.yaml"
    settings.write_text(settings.read_text().replace("prompt: rag/answer", "prompt: sums/add"))
    for name in ("configs/sft.yaml", "configs/dpo.yaml", "configs/loop.yaml"):
        (tmp_path / name).unlink()
    for name in ("prompts/sums", "evals", "docs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "prompts" / "sums" / "add.md").write_text(PROMPT)
    (tmp_path / "sums_of_prompts_tests.py").write_text(textwrap.dedent(TASK))
    cases = "".join(f"  - {{id: s{n}, input: '{n} + 1', expected: '{n + 1}'}}\n" for n in range(60))
    (tmp_path / "evals" / "sums.yaml").write_text(SUITE + cases)
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    genai.open_ledger().flush()


def edit(folder: Path, old: str, new: str) -> str:
    path = folder / "prompts" / "sums" / "add.md"
    path.write_text(path.read_text().replace(old, new))
    return genai.prompt("sums/add").id


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(words) == code, capsys.readouterr()
    found = capsys.readouterr()
    return found.out + found.err


def test_an_edit_fails_the_check_until_its_eval_has_passed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = genai.prompt("sums/add").id
    assert "no mistakes" in said(capsys, "check")  # never locked: a note, no mistake
    assert f"{first}  1 tokens, new" in said(capsys, "prompt")
    refused = said(capsys, "prompt", "lock", "--suite", "sums", code=64)
    assert "run it: genai eval sums" in refused

    said(capsys, "eval", "sums")
    locked = said(capsys, "prompt", "lock", "--suite", "sums")
    assert f"{first} is locked by run " in locked
    assert "is locked as it is" in said(capsys, "prompt", "lock", "--suite", "sums")
    assert "no mistakes" in said(capsys, "check")
    assert "1 tokens, locked by sums run " in said(capsys, "prompt")

    second = edit(folder, "= ?", "= what?")
    failed = said(capsys, "check", code=64)
    assert "prompts/sums/add.md: has changed since it was evaluated" in failed
    assert ": 1 mistake\n" in failed
    assert ", changed" in said(capsys, "prompt")
    refused = said(capsys, "prompt", "lock", "sums/add", "--suite", "sums", code=64)
    assert f"did not use {second}" in refused  # the newest run is that of the first version

    said(capsys, "eval", "sums")
    assert f"{second} is locked" in said(capsys, "prompt", "lock", "--suite", "sums")
    assert "no mistakes" in said(capsys, "check")

    edit(folder, "= what?", "= ?")  # going back in the file needs a receipt for it again
    assert "has changed since" in said(capsys, "check", code=64)


def test_a_run_that_does_not_pass_locks_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder, "{{question}} = ?", "9 + {{question}} = ?")
    said(capsys, "eval", "sums", code=1)
    refused = said(capsys, "prompt", "lock", "--suite", "sums", code=64)
    assert "did not pass (its exit code is 1), so it locks nothing" in refused
    assert not (folder / "prompts" / "prompts.lock").exists()


def test_a_run_of_a_part_of_the_suite_locks_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "eval", "sums", "--limit", "1")
    refused = said(capsys, "prompt", "lock", "--suite", "sums", code=64)
    assert "its 1 cases are not the 60 of evals/sums.yaml; run the whole suite" in refused
    assert not (folder / "prompts" / "prompts.lock").exists()


def test_a_run_that_is_worse_than_the_baseline_locks_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = folder / "evals" / "sums.yaml"
    suite.write_text(suite.read_text().replace("min: 0.9, ", ""))
    said(capsys, "eval", "sums")
    said(capsys, "eval", "accept", "sums", "--reason", "the first run")
    edit(folder, "{{question}} = ?", "9 + {{question}} = ?")
    said(capsys, "eval", "sums", code=1)
    refused = said(capsys, "prompt", "lock", "--suite", "sums", code=64)
    assert "so it locks nothing" in refused


def test_a_label_moves_to_evaluated_versions_only_and_back(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = genai.prompt("sums/add")
    refused = said(capsys, "prompt", "label", "production", "sums/add", code=64)
    assert "has no receipt, so no label can point at it" in refused
    said(capsys, "eval", "sums")
    said(capsys, "prompt", "lock", "--suite", "sums")
    moved = said(capsys, "prompt", "label", "production", "sums/add")
    assert f"production: sums/add@nothing -> {first.id}" in moved

    second = edit(folder, "= ?", "= what?")
    assert genai.prompt("sums/add@production") == first
    said(capsys, "eval", "sums")
    said(capsys, "prompt", "lock", "sums/add", "--suite", "sums")
    said(capsys, "prompt", "label", "production", "sums/add")
    assert genai.prompt("sums/add@production").id == second
    assert f"production@{second.partition('@')[2]}" in said(capsys, "prompt")
    assert "no mistakes" in said(capsys, "check")
    said(capsys, "prompt", "label", "production", first.id)
    assert genai.prompt("sums/add@production") == first

    labels = folder / "prompts" / "labels.yaml"
    labels.write_text(labels.read_text().replace(first.hash, "a" * 12))
    assert "label `production` points at sums/add@aaaaaaaaaaaa" in said(capsys, "check", code=64)


def test_users_of_an_experiment_keep_their_arm(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "eval", "sums")
    said(capsys, "prompt", "lock", "--suite", "sums")
    first = genai.prompt("sums/add").id
    second = edit(folder, "= ?", "= what?")
    said(capsys, "eval", "sums")
    said(capsys, "prompt", "lock", "--suite", "sums")
    (folder / "prompts" / "labels.yaml").write_text(
        f"experiments: {{words: {{{first}: 1.0, {second}: 1.0}}}}\n"
    )
    ids = {
        user: genai.prompt(experiment="words", user=user).id
        for user in (f"u{n}" for n in range(40))
    }
    assert set(ids.values()) == {first, second}
    assert all(genai.prompt(experiment="words", user=user).id == ids[user] for user in ids)
    assert "no mistakes" in said(capsys, "check")
    with pytest.raises(genai.InputError, match="give one of the two"):
        genai.prompt("sums/add", experiment="words", user="u")
    with pytest.raises(genai.InputError, match="give one of the two"):
        genai.prompt()


def test_a_lost_or_edited_version_and_a_broken_lock_fail_the_check(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "eval", "sums")
    said(capsys, "prompt", "lock", "--suite", "sums")
    edit(folder, "= ?", "= what?")
    said(capsys, "eval", "sums")
    said(capsys, "prompt", "lock", "--suite", "sums")
    oldest = sorted(
        (folder / "prompts" / "versions" / "sums").iterdir(), key=lambda p: p.stat().st_mtime
    )[0]
    kept = oldest.read_text()
    oldest.write_text(kept.replace(" = ?", " = !"))
    assert "a locked version is never edited" in said(capsys, "check", code=64)
    oldest.unlink()
    assert "no such version" in said(capsys, "check", code=64)
    oldest.write_text(kept)
    lock = folder / "prompts" / "prompts.lock"
    lock.write_text(lock.read_text().replace("decision: PASS", "decision: FINE"))
    assert "prompts/prompts.lock: " in said(capsys, "check", code=64)


def test_diff_takes_names_files_pins_and_revisions(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["init", "-q"], ["add", "prompts"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "one"],
    ):  # fmt: skip
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    other = folder / "other.md"
    other.write_text(PROMPT.replace("max_length: 100", "max_length: 9"))
    second = edit(folder, "= ?", "= what?")
    revision = "HEAD:prompts/sums/add.md"
    out = said(capsys, "prompt", "diff", revision, "sums/add", "--model", "openai/gpt-5-mini")
    assert f"-> {second}: 1 change, none breaking" in out
    assert "    +{{question}} = what?" in out
    assert "input cost of 1,000 calls of openai/gpt-5-mini: +$0.00025" in out
    priced = ("--model", "openai/gpt-5-mini", "--form")
    found = json.loads(said(capsys, "prompt", "diff", revision, "sums/add", *priced, "json"))
    assert (found["tokens"], Decimal(found["spend"])) == ([1, 2], Decimal("0.00025"))
    out = said(capsys, "prompt", "diff", revision, "sums/add", *priced, "sarif")
    assert check_sarif(out)[-1]["message"]["text"].endswith("calls of openai/gpt-5-mini: +$0.00025")
    long = folder / "long.md"  # 300 tokens; a thousand times as many cost twice as much a token
    long.write_text(PROMPT.replace("= ?", "= " + "what? " * 199))
    gemini = ("--model", "gemini/gemini-2.5-pro", "--form", "json")
    found = json.loads(said(capsys, "prompt", "diff", revision, "long.md", *gemini))
    assert Decimal(found["spend"]) == (found["tokens"][1] - 1) * 1000 * Decimal("0.00000125")
    out = said(capsys, "prompt", "diff", revision, "prompts/sums/add.md", "--form", "json")
    assert json.loads(out)["changes"][0]["rule"] == "text"
    out = said(capsys, "prompt", "diff", revision, "other.md", "--form", "sarif", code=1)
    (result,) = check_sarif(out)
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "other.md"
    for bad, words in (
        ("HEAD:prompts/none.md", "git has no such file"), ("none.md", "no such file"),
        ("--output=x:prompts/a.md", "git has no such file"), ("t/none", "no such prompt"),
    ):  # fmt: skip
        assert words in said(capsys, "prompt", "diff", "--", bad, "sums/add", code=64)
    (known,) = genai.known_prompts()
    assert [words.split()[0] for _, words in known.versions()] == ["the", "commit"]


def test_growth_since_the_lock_is_told_in_tokens_and_in_money(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "eval", "sums")
    said(capsys, "prompt", "lock", "--suite", "sums")
    edit(folder, "params:", "models: [openai/gpt-5-mini]\nparams:")
    edit(folder, "= ?", "= ? Reply with one number.")
    words = "input cost of 1,000 calls of openai/gpt-5-mini: +$0.0"
    assert f"warning: prompts/sums/add.md: has 7 tokens, +600% on the locked 1; {words}" in said(
        capsys, "check", code=64
    )
    for form in ("json", "sarif"):
        out = said(capsys, "prompt", "lint", "--form", form, code=64)
        found = json.loads(out) if form == "json" else check_sarif(out)
        rule, text = ("rule", "message") if form == "json" else ("ruleId", "message")
        (grown,) = [each for each in found if each[rule] == "token_growth"]
        assert words in str(grown[text])


def test_a_prompt_that_cannot_be_read_is_listed_and_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_path = folder / "prompts" / "sums" / "add.md"
    edit_path.write_text(PROMPT.replace("{{question}}", "{{question.x}}"))
    assert "is no placeholder" in said(capsys, "prompt")
    assert "is no placeholder" in said(capsys, "check", code=64)
    (result,) = check_sarif(said(capsys, "prompt", "lint", "--form", "sarif", code=64))
    assert result["ruleId"] == "unreadable"
    edit_path.write_text(PROMPT.replace("params: {max_tokens: 9}\n", ""))
    out = said(capsys, "prompt", "lint", "sums/add")
    assert "note no_token_limit: prompts/sums/add.md: " in out
    rules = [each["rule"] for each in json.loads(said(capsys, "prompt", "lint", "--form", "json"))]
    assert rules == ["no_token_limit", "not_locked"]


def test_the_shipped_prompts_were_evaluated_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(ROOT))
    found = lint_prompts()
    assert [each for each in found if each.level != "note"] == []
    configured = genai.settings().chain.prompt
    assert {each.name: each.state for each in genai.known_prompts()}[configured] == "locked"
