"""An experiment is written down before its run, and a run is held to it; datasets have diffs."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import genai
from genai.cli import main
from genai.errors import CaseError
from genai.evals import design as designs
from genai.evals import load_suite
from genai.evals.baseline import accept, runs_of
from genai.evals.versions import cases_of, difference

HEAD = """suite: sums
metrics:
  exact: {gate: true}
  contains: {show: true}
"""


def suite_text(count: int = 60) -> str:
    lines = [f'  - {{id: s{n}, input: "{n} + 1", expected: "{n + 1}"}}' for n in range(count)]
    return HEAD + "cases:\n" + "\n".join(lines) + "\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("configs", "evals", "docs"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "evals" / "sums.yaml").write_text(suite_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def right(question: str) -> str:
    return str(eval(question))


def made(name: str = "bigger", **options: object) -> designs.Design:
    chosen = {"hypothesis": "a bigger model adds better", "metric": "exact", "margin": 0.05,
              "cases": None}  # fmt: skip
    return designs.write_design(
        load_suite(Path("evals/sums.yaml").resolve()), name, **{**chosen, **options}
    )  # type: ignore[arg-type]


def test_a_design_is_written_once_and_names_cases_metric_margin_and_time(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["eval", "design", "sums", "bigger", "--metric", "exact", "--margin", ".05",
               "--hypothesis", "a bigger model adds better"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "to pass at all, even with no change" in said  # what the sample can and cannot show
    assert "evals/designs/bigger.yaml; commit it" in said
    design = designs.read_design(project / "evals", "bigger")
    assert (design.metric, design.margin, design.cases) == ("exact", 0.05, 60)
    assert design.dataset == load_suite(project / "evals" / "sums.yaml").hash
    assert main(command) == 64
    assert "a design is not changed" in capsys.readouterr().err


def test_a_margin_that_the_gate_does_not_use_is_said_at_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["eval", "design", "sums", "small", "--metric", "exact", "--margin", ".03",
               "--hypothesis", "a bigger model adds better"]  # fmt: skip
    assert main(command) == 0
    assert "set `metrics.exact.margin: 0.03` in evals/sums.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hypothesis": "better"}, "needs a hypothesis"),
        ({"metric": "bleu"}, "not one of its metrics; known: exact, contains"),
        ({"metric": "contains"}, "decides nothing; set `metrics.contains.gate: true`"),
        ({"cases": 61}, "has 60 cases, not 61"),
        ({"margin": 0}, "`margin`"),
        ({"name": "../up"}, "`design`"),
    ],
)
def test_a_design_that_cannot_be_kept_is_refused(
    project: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(CaseError, match=said):
        made(**options)  # type: ignore[arg-type]
    assert not list((project / "evals").glob("designs/*"))


def measured(task: Callable[[str], str] = right, **options: object) -> genai.Report:
    return genai.evaluate("sums", task, resume=False, **options)


def test_a_run_that_keeps_its_design_says_so_part_by_part(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accept(measured(), "the model before")
    time.sleep(1.1)  # runs are named by the second
    made()
    measured()
    capsys.readouterr()
    assert main(["eval", "design", "bigger", "--check", "-"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("design bigger was kept: a bigger model adds better")
    assert said.count("  kept  ") == 7
    assert said.endswith("exact: PASS\n")


def broken(design: designs.Design, report: genai.Report) -> set[str]:
    decision = report.judged()
    others = runs_of(report.folder.parent.parent, "sums")
    return {each.part for each in designs.kept(design, report, decision, others) if not each.kept}


def test_each_departure_from_the_design_is_named(project: Path) -> None:
    accept(measured(), "the model before")
    early = runs_of(project / ".genai" / "runs", "sums")[0]
    time.sleep(1.1)
    design = made()
    assert broken(design, early) == {"order"}
    report = measured()
    assert broken(design, report) == set()
    assert broken(design.model_copy(update={"margin": 0.02}), report) == {"margin"}
    assert broken(design.model_copy(update={"metric": "contains"}), report) == {"metric", "margin"}
    assert broken(design.model_copy(update={"cases": 30}), report) == {"sample"}
    assert broken(design.model_copy(update={"dataset": "0" * 12}), report) == {"dataset"}
    assert broken(design, replace(report, stopped="budget_stop")) == {"stopping"}
    assert broken(design, replace(report, stage="release")) == {"margin", "stage"}


def test_running_again_until_it_passes_is_not_the_first_look(project: Path) -> None:
    accept(measured(), "the model before")
    time.sleep(1.1)
    design = made()
    measured()
    second = measured()
    assert broken(design, second) == {"stopping"}
    later = measured(str.upper)  # another task has looks of its own
    assert broken(design, later) == set()


# -- versions of a dataset --------------------------------------------------------------------


def git(*arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


def test_a_diff_with_a_git_revision_names_cases_and_fields(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "evals" / "sums.yaml"
    path.write_text(suite_text(3) + "files: [more.jsonl]\n")
    (project / "evals" / "more.jsonl").write_text('{"id": "m", "input": "old"}\n')
    git("init")
    git("add", "evals")
    git("commit", "-m", "first")
    text = suite_text(4).replace('"0 + 1", expected: "1"', '"0 + 1", expected: "one"')
    text = text.replace('id: s1, input: "1 + 1"', 'id: s1, tags: [easy], input: "1 + 1"')
    path.write_text(text.replace("s2,", "s9,") + "files: [more.jsonl]\n")
    (project / "evals" / "more.jsonl").write_text('{"id": "m", "input": "new"}\n')
    assert main(["eval", "diff", "HEAD:evals/sums.yaml", "sums"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "2 added, 1 removed, 3 changed, 0 the same" in said[0]
    assert {"+ s9: 2 + 1", "+ s3: 3 + 1", "- s2: 2 + 1", "~ s0: expected"} <= set(said)
    assert "~ s1: tags (notes only: the hash stays)" in said
    assert said[-3:] == ["~ m: input", "    input - old", "    input + new"]


def test_the_same_cases_in_another_order_and_form_are_the_same_dataset(project: Path) -> None:
    cases = cases_of("sums", project)
    lines = [f'{{"id": "{c.id}", "input": "{c.input}", "expected": "{c.expected}"}}'
             for c in reversed(cases)]  # fmt: skip
    (project / "evals" / "sums.jsonl").write_text("\n".join(lines))
    found = difference(cases, cases_of("evals/sums.jsonl", project))
    assert (found.before, found.same) == (found.after, 60)
    assert (found.added, found.removed, found.changed) == ((), (), ())


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "none: cannot be read"), ("HEAD:evals/none.yaml", "git has no such file"),
     ("--output=x:evals/sums.yaml", "git has no such file")],
)  # fmt: skip
def test_a_version_that_is_not_there_is_an_error(project: Path, name: str, said: str) -> None:
    git("init")
    with pytest.raises(CaseError, match=said):
        cases_of(name, project)
