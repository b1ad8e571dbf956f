"""The gate of a run: judged by its suite, promoted where it is no worse, refused with the slice."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
from tuning import make_project, preference, recipe

import genai
from genai.cli import main
from genai.errors import InputError
from genai.evals.gate import decide
from genai.evals.scorecard import Head, MetricHead, Row, Scorecard
from genai.finetune.gate import judge_run, promote, read_gate, refusal
from genai.finetune.train import Options, Outcome, run
from genai.models import open_model
from genai.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def good(project: Project) -> Outcome:
    return run(recipe(training__steps=60), project, Options(score=False))


@pytest.fixture(scope="module")
def bad(project: Project, good: Outcome) -> Outcome:
    given = preference(name="bad", training__learning_rate=0.02, training__steps=24)
    return run(given, project, Options(score=False))


def test_a_run_from_nothing_is_held_to_the_weights_it_began_with(
    project: Project, good: Outcome
) -> None:
    (found,) = judge_run(good.folder, project)
    assert found.word == "IMPROVED"
    assert found.passed
    assert found.baseline == "random weights"
    rows = {each.metric: each for each in found.slices}
    assert rows["exact"].before == 0
    assert rows["exact"].after is not None
    assert rows["exact"].after >= 0.4
    assert (rows["exact"].n, rows["exact_fig"].n) == (24, 6)
    assert found.trainer["loss"] < 0.5
    assert read_gate(good.folder) == [found]
    assert refusal(good.folder) == ""


def test_the_best_of_trainers_numbers_do_not_promote_a_worse_model(
    project: Project, good: Outcome, bad: Outcome
) -> None:
    (found,) = judge_run(bad.folder, project)
    assert found.trainer["rewards/accuracies"] > 0.9
    assert found.word == "REGRESSION"
    assert found.baseline == "small"
    with pytest.raises(InputError, match=r"bad: is not promoted: REGRESSION against small: exact"):
        promote(bad.folder, project)
    assert not (project.state / "adapters" / "bad").exists()
    assert "decides nothing" in found.text()


def test_a_promoted_adapter_answers_where_it_is_served(project: Project, good: Outcome) -> None:
    given = preference(name="same", training__learning_rate=1e-5)
    made = run(given, project, Options(score=False))
    (found,) = judge_run(made.folder, project)
    assert found.word == "PASS"
    path = promote(made.folder, project, "fruit")
    assert path == project.state / "adapters" / "fruit"
    own, served = (open_model(f"local/{each}") for each in (made.model, path))
    question = "colour red fruit fig"
    assert served(question, max_tokens=16).text == own(question, max_tokens=16).text
    assert {"gate.json", "run.lock.json", "adapter.json"} <= {each.name for each in path.iterdir()}


def test_a_run_is_held_to_what_is_served_under_its_name(project: Project, good: Outcome) -> None:
    judge_run(good.folder, project)
    promote(good.folder, project)
    again = judge_run(good.folder, project)
    assert [each.baseline for each in again] == ["random weights", "small"]
    assert [each.word for each in again] == ["IMPROVED", "PASS"]
    shutil.rmtree(project.state / "adapters" / "small")


@pytest.fixture(scope="module")
def weak(project: Project) -> Outcome:
    """A run that is no worse than nothing, and no more."""
    return run(recipe(name="weak", training__steps=12), project, Options(score=False))


def compare(project: Project, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    return main(["finetune", "compare", *words])


def test_a_run_is_held_to_what_it_would_replace_under_any_name(
    project: Project, good: Outcome, weak: Outcome, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    served = project.state / "adapters" / "task"
    assert compare(project, monkeypatch, "weak", "--promote", "--name", "task") == 0
    assert compare(project, monkeypatch, "small", "--promote", "--name", "task") == 0  # better
    assert "small against task: IMPROVED" in capsys.readouterr().out
    assert json.loads((served / "run.lock.json").read_text())["weights"] == good.weights

    assert compare(project, monkeypatch, "weak", "--promote", "--name", "task") == 1
    said = capsys.readouterr().out
    assert "weak against random weights: PASS" in said  # its base would let it through
    assert re.search(r"weak: not promoted: REGRESSION against task: exact \d\.\d+ -> \d\.\d+", said)
    assert json.loads((served / "run.lock.json").read_text())["weights"] == good.weights

    assert compare(project, monkeypatch, "small", "--promote", "--name", "task") == 0  # equal
    said = capsys.readouterr().out
    assert "small against task: PASS" in said
    assert "small: served as local/.genai/adapters/task\n" in said  # a name to ask for
    for path in (".genai/adapters/task", served):  # relative and whole
        assert compare(project, monkeypatch, "small", "--against", f"local/{path}") == 0
    assert "small against task: PASS" in capsys.readouterr().out
    models = {call.model for call in genai.open_ledger().calls(limit=500)}
    assert {"local/.genai/adapters/task", "local/.genai/finetune/runs/small/model"} <= models
    shutil.rmtree(served)


def test_what_a_run_was_not_held_to_it_does_not_replace(
    project: Project, good: Outcome, weak: Outcome, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    judge_run(good.folder, project)
    served = promote(good.folder, project, "task")
    judge_run(weak.folder, project)  # under its own name, where nothing is served
    with pytest.raises(InputError, match=r"against what is served as task; run: .* --name task$"):
        promote(weak.folder, project, "task")
    against = ("small", "--against", str(good.model), "--promote")
    assert compare(project, monkeypatch, *against) == 64  # its base is left out
    assert "it was not judged against its base" in capsys.readouterr().err
    shutil.rmtree(served)


def test_models_that_are_asked_by_other_templates_are_not_compared(
    project: Project, good: Outcome, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    served = project.state / "adapters" / "other"
    shutil.copytree(good.model, served)
    path = served / "chat_template.jinja"
    path.write_text(path.read_text().replace("{{ bos_token }}", "{{ bos_token }}{# v2 #}"))
    assert compare(project, monkeypatch, "small", "--promote", "--name", "other") == 4
    said = capsys.readouterr().out
    assert "small against other: CANNOT_COMPARE\n  it is asked by another chat template" in said
    assert "small: not promoted: CANNOT_COMPARE against other" in said
    shutil.rmtree(served)


def test_what_was_not_judged_or_was_trained_again_is_not_promoted(
    project: Project, good: Outcome, tmp_path: Path
) -> None:
    folder = shutil.copytree(good.folder, tmp_path / "run")
    for name in ("../../x", "a/b", ".draft"):
        with pytest.raises(InputError, match="is no plain name"):
            promote(folder, project, name)
        with pytest.raises(InputError, match="is no plain name"):
            judge_run(good.folder, project, name=name)
    judge_run(good.folder, project)
    (folder / "gate.json").unlink(missing_ok=True)
    with pytest.raises(InputError, match="the evals have not judged it"):
        promote(folder, project)
    held = json.loads((good.folder / "gate.json").read_text())
    held[0]["weights"] = "0" * 64
    (folder / "gate.json").write_text(json.dumps(held))
    with pytest.raises(InputError, match="was trained again since it was judged"):
        promote(folder, project)
    held[0] |= {"weights": good.weights, "word": "INCONCLUSIVE", "reason": "too few cases"}
    (folder / "gate.json").write_text(json.dumps(held))
    with pytest.raises(InputError, match="not promoted: INCONCLUSIVE .*: too few cases"):
        promote(folder, project)


def sliced(project: Project) -> str:
    """Write the suite once more, with a slice of twelve cases; give its name."""
    suite = json.loads((project.root / "suite.yaml").read_text())
    suite["metrics"]["exact_stone"] = {
        "scorer": "exact", "where": "stone", "gate": True, "margin": 0.45
    }  # fmt: skip
    for case in suite["cases"]:
        case["tags"] += ["stone"] if case["tags"][0] in ("fig", "plum") else []
    (project.root / "sliced.yaml").write_text(json.dumps({**suite, "suite": "sliced"}))
    return "sliced.yaml"


def test_more_margin_and_a_worse_model_stand_side_by_side_with_the_slice_that_fell(
    project: Project, good: Outcome, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, rate, steps in (("a", 0.02, 24), ("c", 2e-4, 6)):
        given = preference(name=name, training__learning_rate=rate, training__steps=steps,
                           evals__suite=sliced(project))  # fmt: skip
        run(given, project, Options(score=False))
    assert compare(project, monkeypatch, "a", "c", "--promote") == 1
    table, *_ = capsys.readouterr().out.split("\n\n")[-1].split("\na: not promoted")
    head, *lines = table.splitlines()
    assert head.split() == ["a", "c"]
    rows = {line.split("  ")[0]: re.findall(r"-?\d\.\d+|[A-Z]{4,}", line) for line in lines}
    worse, better = map(float, rows["trainer: rewards/margins"])
    assert worse > better  # margin up
    before, after, _, other = map(float, rows["exact_stone"])
    assert after < before  # and the task falls
    assert after < other
    assert rows["the gate"] == ["REGRESSION", "PASS"]
    last = r"a has the largest margin and is the worse model: .*exact_stone \d\.\d+ -> 0\.\d+"
    assert re.fullmatch(last, lines[-1])
    assert not (project.state / "adapters" / "a").exists()
    assert (project.state / "adapters" / "c").exists()


@pytest.mark.parametrize("what", ["template", "suite"])
def test_runs_of_other_templates_or_suites_are_not_put_side_by_side(
    project: Project, good: Outcome, monkeypatch: pytest.MonkeyPatch, what: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    other = project.state / "finetune" / "runs" / "other"
    shutil.copytree(good.folder, other)
    held = json.loads((other / "run.lock.json").read_text())
    if what == "template":
        held["template"] = "f" * 64
    else:
        held["recipe"]["evals"]["suite"] = "elsewhere.yaml"
    (other / "run.lock.json").write_text(json.dumps(held))
    assert compare(project, monkeypatch, "small", "other") == 64
    said = capsys.readouterr().err
    assert (
        f"other and small are not compared: the {'chat ' * (what == 'template')}{what} is" in said
    )
    shutil.rmtree(other)


# -- the measured runs of the support task: lost, won, n of each slice, and the word -------------

ORACLE = [
    ("A present", 130, 4, 278, -0.502313, -0.397687, "REGRESSION"),
    ("A city", 208, 0, 400, None, None, "REGRESSION"),
    ("A absent", 0, 83, 122, 0.597377, 0.741333, "IMPROVED"),
    ("B present", 14, 8, 278, -0.050130, 0.007273, "INCONCLUSIVE"),
    ("C present", 3, 2, 278, -0.019110, 0.011967, "PASS"),
    ("C all", 3, 124, 400, 0.261626, 0.340364, "IMPROVED"),
]


@pytest.mark.parametrize(("name", "lost", "won", "n", "low", "high", "word"), ORACLE)
@pytest.mark.parametrize("margin", [0.05, 0.02])
def test_the_gate_says_of_the_measured_runs_what_is_known(
    name: str, lost: int, won: int, n: int, low: float | None, high: float | None, word: str,
    margin: float,
) -> None:  # fmt: skip
    before, after = (_card([side(k, lost, won) for k in range(n)]) for side in (_before, _after))
    (found,) = decide(before, after, margin=margin).comparisons
    assert (found.losses, found.gains, found.n) == (lost, won, n)
    assert str(found.word) == word
    if low is not None:
        assert math.isclose(found.low or 0, low, abs_tol=1e-6)
        assert math.isclose(found.high or 0, high or 0, abs_tol=1e-6)


def _before(k: int, lost: int, won: int) -> int:
    return 0 if lost <= k < lost + won else 1


def _after(k: int, lost: int, won: int) -> int:
    return 0 if k < lost else 1


def _card(values: list[int]) -> Scorecard:
    metric = MetricHead(name="exact", id="x", gate=True)
    head = Head(suite="s", dataset="d", task="t", variant="v", metrics=[metric], cases=len(values))
    return Scorecard(head, [Row(f"c{n}", [value]) for n, value in enumerate(values)])
