"""A plan says how many cases a question needs and what they cost, from how the last runs went."""

import json
import os
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import stdev

import pytest
from suites import right, run, suite, wrong_below

from genai import stats
from genai.cli import main
from genai.errors import CaseError
from genai.evals import Report, load_suite
from genai.evals.baseline import Plan, accept, card_of, find_run, plan, runs_of

EXACT = "suite: sums\nmetrics:\n  exact: {gate: true}\n"
NONE = "taking a discordant share of .10, for want of two runs"


def planned(path: Path, margin: float, *last: Report) -> Plan:
    (found,) = plan(load_suite(path), margin, last)
    return found


def test_verdicts_are_planned_by_the_share_that_differed(tmp_path: Path) -> None:
    path = suite(tmp_path, EXACT)
    now, before = run(path, wrong_below(12)), run(path, right)
    found = planned(path, 0.05, now, before)
    assert found.basis == "12 of 60 cases differed between the last two runs"
    assert found.to_prove == stats.cases_to_prove(0.05, 14 / 62)
    assert found.to_see == stats.cases_for_drop(0.05, discordant=14 / 62)
    alone = planned(path, 0.05, now)
    assert (alone.basis, alone.to_prove, alone.to_see) == (NONE, 248, 242)
    # of a drop by half at least half the cases must differ
    assert planned(path, 0.5, now).to_see == stats.cases_for_drop(0.5, discordant=0.5)


def test_runs_of_other_cases_say_nothing_of_the_spread(tmp_path: Path) -> None:
    old = [run(suite(tmp_path, EXACT, count=20), each) for each in (right, wrong_below(2))]
    found = planned(suite(tmp_path, EXACT, count=30), 0.05, *old)
    assert found.basis == f"{NONE}; no run says yet to which cases it applies"
    assert found.minutes is not None  # a case still takes what it took


def test_scores_are_planned_by_the_spread_of_their_differences(tmp_path: Path) -> None:
    path = suite(tmp_path, "suite: sums\nmetrics:\n  token_f1: {gate: true}\n")

    def wordy(question: str) -> str:  # one word of two is right, so the score is 2/3
        return right(question) + " indeed" * (int(question.split()[0]) < 12)

    found = planned(path, 0.05, run(path, wordy), run(path, right))
    sd = stdev([1 / 3] * 12 + [0.0] * 48)
    assert found.basis == f"spread {sd:.3f} between the last two runs"
    assert found.to_prove == found.to_see == stats.cases_for_drop(0.05, sd=sd)
    # with 45 a score that stands still does not pass, as a verdict does: its bound is 3/n
    assert found.least == stats.cases_unmoved(0.05) == 61
    assert planned(suite(tmp_path, EXACT), 0.05, run(path, right)).least == 45
    path = suite(tmp_path, "suite: sums\nmetrics:\n  token_f1: {gate: true}\n", count=1)
    assert (
        planned(path, 0.05, run(path, wordy), run(path, right)).basis == NONE
    )  # one case has none


def test_money_and_minutes_are_those_of_a_case_that_was_run(tmp_path: Path) -> None:
    path = suite(tmp_path, EXACT)
    last = replace(
        run(path, right), cost=Decimal("0.12"), judging=Decimal("0.06"), trials=60, resumed=20,
        seconds=80.0, repeats=2, unknown_cost=0,
    )  # fmt: skip
    found = planned(path, 0.05, last)
    assert found.dollars == Decimal("0.003") * 248 * 2
    assert found.minutes == pytest.approx(2 * 248 * 2 / 60)
    unknown = planned(path, 0.05, replace(last, unknown_cost=1))
    assert (unknown.dollars, unknown.minutes) == (None, found.minutes)
    assert planned(path, 0.05, replace(last, resumed=60)).minutes is None
    nothing = planned(path, 0.05, replace(last, trials=0))
    assert (nothing.dollars, nothing.minutes) == (None, None)


def test_only_cases_that_a_metric_applies_to_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = "{refusal_recall: {gate: true}, exact: {gate: true, where: easy}}"
    path = suite(tmp_path, f"suite: sums\nmetrics: {metrics}\n")
    with (tmp_path / "evals" / "sums.jsonl").open("a") as file:
        for n in range(20):
            file.write(json.dumps({"id": f"r{n}", "input": f"{n} + x", "expect": "refusal"}) + "\n")

    def task(question: str) -> str:
        return right(question.replace("x", "1"))

    _, early = plan(load_suite(path), 0.1, [])
    refusals, easy = plan(load_suite(path), 0.1, [run(path, task)])
    assert (early.cases, easy.cases, refusals.cases) == (30, 30, 20)
    assert early.basis.endswith("; no run says yet to which cases it applies")
    assert (refusals.to_prove, refusals.asked, refusals.enough) == (62, 80 + 42, False)
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "plan", "--margin", "0.1"]) == 2
    said = capsys.readouterr().out
    assert "refusal_recall: has 20 cases in the suite, 42 fewer than needed" in said
    assert "one run of 122 cases: " in said


def test_as_many_cases_as_are_needed_are_enough() -> None:
    made = Plan("exact", 0.05, 248, 248, 242, 1, NONE, None, None, 248)
    assert made.enough
    assert made.text().startswith("exact: has 248 cases in the suite, enough for")
    assert "even with no change in any case: 1 case\n" in made.text()
    few = replace(made, cases=247)
    assert not few.enough
    assert "has 247 cases in the suite, 1 fewer than needed" in few.text()


def test_runs_are_found_newest_first_and_the_last_five_are_named(tmp_path: Path) -> None:
    path = suite(tmp_path, EXACT, count=2)
    made, runs = run(path, right), tmp_path / ".genai" / "runs"
    for n in range(6):
        copy = runs / "sums" / f"copy{n}"
        shutil.copytree(runs / "sums" / made.run, copy)
        report = copy / "report.json"
        report.write_text(report.read_text().replace(made.run, copy.name))
        os.utime(report, (1_800_000_000 + n,) * 2)
    names = [f"copy{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert [each.run for each in runs_of(runs, "sums")] == [*names, made.run]
    assert find_run(runs, "sums").run == "copy5"
    with pytest.raises(CaseError, match=f"suite sums; known: {', '.join(names[:5])}$"):
        find_run(runs, "sums", "nope")
    accept(made, "the first version")
    assert card_of(runs, path.parent, "sums", "main").head.reason == "the first version"
    assert card_of(runs, path.parent, "sums", "copy3").head.reason == ""
