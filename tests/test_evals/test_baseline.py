"""A baseline is accepted with its reason, runs are found again, a plan says what is needed."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from suites import HEAD, right, run, suite, wrong_below

from genai.cli import main
from genai.errors import CaseError
from genai.evals import Report, Tools, load_suite, read_scorecard
from genai.evals.baseline import accept, find_run, plan, runs_of
from genai.evals.metrics import bind
from genai.evals.schema import case_schema, suite_schema

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(folder: Path) -> Path:
    return folder / ".genai" / "runs"


def test_accept_compare_runs_and_plan_on_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(suite(folder), right)
    assert main(["eval", "accept", "sums", "--reason", "the first version"]) == 0
    card = read_scorecard(folder / "evals" / "baselines" / "sums" / "main.jsonl")
    assert (card.head.reason, card.head.run) == ("the first version", first.run)
    worse = run(suite(folder), wrong_below(12))
    assert main(["eval", "compare", "sums", "main"]) == 1
    assert "REGRESSION against main" in capsys.readouterr().out
    assert main(["eval", "compare", "sums", first.run, worse.run]) == 1
    assert main(["eval", "compare", "sums", worse.run, first.run]) == 0
    assert "IMPROVED" in capsys.readouterr().out
    assert main(["eval", "runs", "sums"]) == 0
    assert capsys.readouterr().out.count("suite sums") == 2
    assert main(["eval", "accept", "sums", "--reason", "older again", "--run", first.run]) == 0
    assert main(["eval", "plan", "sums", "--margin", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "exact: has 60 cases in the suite, enough for a margin of 0.5" in said
    assert "12 of 60 cases differed between the last two runs" in said


@pytest.mark.parametrize("copied", [False, True])
def test_a_project_that_was_moved_or_copied_accepts_its_own_run(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    copied: bool,
) -> None:  # fmt: skip
    path = suite(folder)
    first = run(path, wrong_below(3))
    accept(first, "the version before", "main")
    kept = first.folder / "report.json"
    kept.write_text(kept.read_text().replace(first.at, "2026-01-01T00:00:00Z"))
    newest = run(path, right)
    there = tmp_path_factory.mktemp("there") / "project"
    shutil.copytree(folder, there, copy_function=shutil.copy)
    if not copied:
        for each in ("evals", "configs", ".genai"):
            shutil.rmtree(folder / each)
    os.utime(find_run(runs(there), "sums", newest.run).folder / "report.json", (0, 0))
    monkeypatch.chdir(there)
    assert main(["eval", "accept", "sums", "--reason", "the copy's own"]) == 0
    kept = Path("evals", "baselines", "sums", "main.jsonl")
    assert read_scorecard(there / kept).head.reason == "the copy's own"
    assert read_scorecard(there / kept).head.run == newest.run
    assert not copied or read_scorecard(folder / kept).head.reason == "the version before"


def test_a_comparison_keeps_to_the_margins_of_the_suite(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = HEAD + "gate: {margin: 0.2, release_margin: 0.15}\n"
    accept(run(suite(folder, head), right), "the first version")
    report = run(suite(folder, head), wrong_below(4))
    assert str(report.against().word) == "PASS"
    for words in ([], ["--stage", "release"]):
        assert main(["eval", "compare", "sums", "main", *words]) == 0
        assert "PASS against main" in capsys.readouterr().out
    assert main(["eval", "compare", "sums", "main", "--stage", "release", "--margin", "0.02"]) == 2


def test_zero_tolerance_forgives_what_was_accepted_and_nothing_new(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = (
        "def answer(question):\n    n = int(question.split()[0])\n    return str(n + (n > MOST))\n"
    )
    suite(folder, "suite: sums\ntask: plus:answer\nmetrics:\n  exact: {hard: true}\n")
    (folder / "plus.py").write_text(app.replace("MOST", "2"))
    task = ["eval", "sums", "--task", "plus:answer"]
    assert main(task) == 1
    assert re.search(r"exact .*>= 1 +FAIL\n", capsys.readouterr().out)
    assert main(["eval", "accept", "sums", "--reason", "as it is"]) == 0
    capsys.readouterr()
    assert main(task) == 0
    said = capsys.readouterr().out
    assert re.search(r"exact .*no new failure\n", said)
    assert "PASS against main" in said
    (folder / "plus.py").write_text(app.replace("MOST", "10"))
    del sys.modules["plus"]
    assert main(task) == 1
    del sys.modules["plus"]
    assert "REGRESSION against main" in capsys.readouterr().out


def test_a_suites_own_margins_hold_for_their_stage(tmp_path: Path) -> None:
    path = suite(tmp_path, HEAD + "gate: {margin: 0.4, release_margin: 0.01}\n")
    accept(run(path, right), "the first version")
    report = run(path, wrong_below(8))
    words = {stage: str(report.against(stage=stage)) for stage in ("pull_request", "release")}
    assert words == {"pull_request": "PASS", "release": "REGRESSION"}


@pytest.mark.parametrize("rows", [slice(0, -1), [0, 1, 2, 3, 3], [0, 1, 2, 2]])
def test_a_baseline_that_a_merge_left_with_other_rows_is_damaged(
    folder: Path, capsys: pytest.CaptureFixture[str], rows: slice | list[int]
) -> None:
    path = accept(run(suite(folder, count=3), right), "the first version")
    lines = path.read_text().splitlines()
    kept = lines[rows] if isinstance(rows, slice) else [lines[n] for n in rows]
    path.write_text("\n".join(kept) + "\n")
    run(suite(folder, count=3), right)
    assert main(["eval", "compare", "sums", "main"]) == 64
    said = f"is damaged (its {len(kept) - 1} rows are not one for each of 3 cases)"
    assert said in capsys.readouterr().err


def test_a_margin_written_in_points_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accept(run(suite(folder), right), "the first version")
    run(suite(folder), lambda question: "no")
    assert main(["eval", "compare", "sums", "main"]) == 1
    assert main(["eval", "compare", "sums", "main", "--margin", "5"]) == 64
    assert "the margin is 5; give how large a drop may be" in capsys.readouterr().err
    for key in ("margin", "release_margin"):
        with pytest.raises(CaseError, match=rf"`gate\.{key}`: .*less than 1"):
            load_suite(suite(folder, HEAD + f"gate: {{{key}: 5}}\n"))


def test_a_plan_says_that_a_release_cannot_pass_at_this_size(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_suite(suite(folder, count=60))
    (found,) = plan(loaded, 0.02, [])
    assert not found.enough
    assert (found.to_prove, found.least) == (1546, 115)
    assert found.dollars is None  # no run yet, so nobody knows
    assert main(["eval", "plan", "sums", "--margin", "0.02"]) == 2
    said = capsys.readouterr().out
    assert "has 60 cases in the suite, 1486 fewer than needed for a margin" in said
    assert "to pass at all, even with no change in any case: 115 cases" in said


def test_a_score_that_two_runs_gave_alike_is_planned_by_a_bound(folder: Path) -> None:
    path = suite(folder, "suite: sums\nmetrics:\n  token_f1: {gate: true}\n")

    def wordy(question: str) -> str:
        return f"{right(question)} it is"

    two = [run(path, wordy), run(path, wordy)]
    (found,) = plan(load_suite(path), 0.05, two)
    assert found.basis == "none of 60 cases differed between the last two runs"
    assert found.to_prove == 80  # with two cases of 62 that may differ, and not one case
    changed = run(path, lambda question: "" if question[:2] in ("0 ", "1 ") else wordy(question))
    (other,) = plan(load_suite(path), 0.05, [two[0], changed])
    assert other.basis.startswith("spread 0.091 between")


@pytest.mark.parametrize(
    ("count", "more", "changed", "basis"),
    [(2, " it is", 0, "none of 2 cases differed"), (2, " it is", 1, "spread 0.354 between"),
     (2, "", 1, "1 of 2 cases differed"), (1, "", 1, "taking a discordant share of .10"),
     (1, " it is", 1, "taking a discordant share of .10")],
)  # fmt: skip
def test_two_cases_are_enough_to_say_how_runs_differ_and_one_is_not(
    folder: Path, count: int, more: str, changed: int, basis: str
) -> None:
    path = suite(folder, "suite: sums\nmetrics:\n  token_f1: {gate: true}\n", count=count)
    tasks = (right, wrong_below(changed))
    two = [run(path, lambda question, task=task: task(question) + more) for task in tasks]
    (found,) = plan(load_suite(path), 0.05, two)
    assert found.basis.startswith(basis)


def test_a_plan_takes_money_and_time_from_the_last_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(question: str) -> dict[str, str]:
        return {"text": right(question), "cost": "0.002"}

    last = run(suite(folder), task)
    (found,) = plan(load_suite(suite(folder)), 0.05, [last])
    assert found.dollars == found.to_prove * last.cost / 60
    assert found.minutes is not None
    capsys.readouterr()
    assert main(["eval", "plan", "sums", "--margin", "0.05"]) == 2
    said = capsys.readouterr().out
    assert f"one run of 248 cases: ${found.dollars:.4f}, {found.minutes:.1f} minutes" in said


@pytest.mark.parametrize(
    ("reason", "said"), [("", "needs a reason"), ("better", "a reason of a few words")]
)
def test_a_baseline_without_a_reason_is_refused(folder: Path, reason: str, said: str) -> None:
    with pytest.raises(CaseError, match=said):
        accept(run(suite(folder), right), reason)


def test_a_baseline_stays_small_whatever_was_said(folder: Path) -> None:
    """500 characters of an answer at the most, and none of a suite of more than 5,000 cases."""
    few = accept(run(suite(folder, count=20), lambda question: "長" * 300_000), "long answers")
    assert few.stat().st_size < 1500 + 20 * (500 * 3 + 150)
    many = accept(run(suite(folder, count=5001), right), "a large suite")
    assert many.stat().st_size < 1500 + 5001 * 60


def test_an_unmeasured_run_is_no_baseline(folder: Path) -> None:
    def dead(question: str) -> str:
        raise TimeoutError("slow")

    with pytest.raises(CaseError, match="exact is unmeasured"):
        accept(run(suite(folder), dead), "the first version")


def test_zero_tolerance_that_was_not_measured_is_no_baseline(folder: Path) -> None:
    def half(question: str) -> str:
        if int(question.split()[0]) % 2:
            raise TimeoutError("slow")
        return right(question)

    path = suite(folder, "suite: sums\nmetrics:\n  exact: {hard: true}\n")
    with pytest.raises(CaseError, match="exact is unmeasured"):
        accept(run(path, half), "the first version")


def test_a_part_of_the_suite_is_a_baseline_under_a_name_of_its_own_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(suite(folder), right, limit=10)
    command = ["eval", "accept", "sums", "--reason", "the first version"]
    assert main(command) == 64
    said = capsys.readouterr().err
    assert "its 10 cases are not the 60 of evals/sums.yaml; run the whole suite" in said
    assert not (folder / "evals" / "baselines").exists()
    assert main([*command, "--name", "smoke"]) == 0
    assert run(suite(folder), right, limit=10).against("smoke").exit_code == 0


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a b", ".x"])
def test_a_baseline_stays_in_its_folder(folder: Path, name: str) -> None:
    with pytest.raises(CaseError, match="the baseline's name .* must be letters, digits"):
        accept(run(suite(folder), right), "the first version", name)


@pytest.mark.parametrize("margin", ["0", "-0.1", "nan"])
def test_a_plan_for_no_margin_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], margin: str
) -> None:
    loaded = load_suite(suite(folder))
    assert main(["eval", "plan", "sums", "--margin", margin]) == 64
    assert "give how large a drop may be, above 0" in capsys.readouterr().err
    (found,) = plan(loaded, 1e-9, [])  # it is found by halving, not by counting
    assert found.least > 10**9


def test_a_run_is_found_by_a_unique_beginning(folder: Path) -> None:
    one = run(suite(folder), right)
    two = run(suite(folder), right)
    assert {each.run for each in runs_of(runs(folder), "sums")} == {one.run, two.run}
    assert find_run(runs(folder), "sums", two.run).run == two.run
    with pytest.raises(CaseError, match="is more than one run"):
        find_run(runs(folder), "sums", "20")
    with pytest.raises(CaseError, match="is not a run of suite sums"):
        find_run(runs(folder), "sums", "nope")
    with pytest.raises(CaseError, match="known: none; run it: genai eval other"):
        find_run(runs(folder), "other")


def test_a_report_against_a_missing_baseline_names_the_command(folder: Path) -> None:
    report: Report = run(suite(folder), right)
    assert report.judged() is None
    with pytest.raises(CaseError, match="accept a run first: genai eval accept"):
        report.against("other")


def test_another_embedder_is_another_metric(folder: Path) -> None:
    head = "suite: sums\nmetrics:\n  exact: {gate: true}\n  semantic_similarity: {show: true}\n"
    loaded = load_suite(suite(folder, head))
    one, other = (
        [each.id for each in bind(loaded, Tools(embed_name=name), folder)]
        for name in ("static", "openai/text-embedding-3-small")
    )
    assert one[0] == other[0]
    assert one[1] != other[1]


@pytest.mark.parametrize(("name", "made"), [("suite", suite_schema), ("case", case_schema)])
def test_the_shipped_schemas_are_those_of_the_code(name: str, made: Callable[[], object]) -> None:
    shipped = json.loads((ROOT / "evals" / "schema" / f"{name}.json").read_text())
    current = json.loads(json.dumps(made()))
    assert shipped == current, "run: python -m genai.evals.schema evals/schema"


def test_the_shipped_suite_fits_its_schema() -> None:
    import jsonschema
    import yaml

    text = (ROOT / "evals" / "handbook.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=schema/suite.json\n")
    jsonschema.validate(yaml.safe_load(text), suite_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"suite": "x", "metrics": {}, "caes": []}, suite_schema())
