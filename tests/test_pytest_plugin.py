"""Suites as tests: one a metric, readable failures, exit status 14 when nothing was measured."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from genai import project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("plugin") / "project"
    project.init(target)
    return target


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip


def test_a_suite_is_one_test_a_metric_with_a_table_and_junit(folder: Path, tmp_path: Path) -> None:
    done = run(folder, "evals", "--evals-reports", str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert "suite handbook (88 cases" in done.stdout
    assert "PASS against main (pull request)" in done.stdout
    endings = ("xml", "md", "html")
    assert {path.name for path in tmp_path.iterdir()} >= {f"handbook.{each}" for each in endings}
    assert "16 passed" in done.stdout  # nine metrics, one of the red team, six tests


def test_xdist_gives_the_same_verdict(folder: Path) -> None:
    runs = folder / ".genai" / "runs" / "handbook"
    before = set(runs.glob("session-*"))  # of other tests in this folder
    done = run(folder, "evals", "-n", "2")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("suite handbook (88 cases") == 1
    assert len(set(runs.glob("session-*")) - before) == 1


def test_a_broken_limit_names_the_cases_and_what_happened(folder: Path) -> None:
    done = run(folder, "evals/handbook.yaml", GENAI_CHAIN_MIN_CONFIDENCE="1")
    assert done.returncode == 1
    assert "answer_rate is 0" in done.stdout
    assert "usecase-definition: What is a use case?" in done.stdout
    assert "refused (no_evidence" in done.stdout
    assert re.search(
        r"REGRESSION against main: answer_rate fell from 0\.\d+ to 0\.000", done.stdout
    )
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("words", [(), ("-n", "2")])
def test_a_dead_model_is_unmeasured_and_ends_with_14(folder: Path, words: tuple[str, ...]) -> None:
    done = run(folder, "evals/handbook.yaml", "--evals-model", "openai/x@http://127.0.0.1:9/v1",
               "-k", "answer_span_hit or answer_rate", *words)  # fmt: skip
    assert done.returncode == 14, done.stdout
    assert "unmeasured: network" in done.stdout


def test_a_broken_suite_is_a_collection_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "x.yaml").write_text("suite: x\nmetric: {}\ncases: []\n")
    done = run(tmp_path, "evals")
    assert "evals/x.yaml: `metric` is not a setting; did you mean `metrics`?" in done.stdout


def test_an_unrelated_run_pays_nothing_and_sees_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x(): pass\n")
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "other.yaml").write_text("key: value\n")
    (tmp_path / "conftest.py").write_text(
        "def pytest_unconfigure(config):\n"
        "    import sys\n"
        "    assert config.pluginmanager.has_plugin('genai')  # by its entry point\n"
        "    heavy = {'numpy', 'sqlalchemy', 'pydantic', 'yaml', 'asyncio', 'genai.types'}\n"
        "    found = heavy & set(sys.modules)\n"
        "    assert not found, found\n"
    )
    others = [
        "hypothesispytest", "socket", "anyio", "langsmith_plugin", "faker", "xdist", "asyncio",
        "benchmark", "codspeed", "recording", "syrupy",
    ]  # fmt: skip
    done = run(tmp_path, "-q", *(word for name in others for word in ("-p", f"no:{name}")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "suite" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == [
        "conftest.py", "evals", "test_x.py",
    ]  # fmt: skip


SUMS = """suite: sums
task: mine:add
metrics:
  exact: {min: 0.5, gate: true}
  cost_per_case: {max: 0.001}
cases: [{cases}]
"""
MINE = """
def add(question):
    left, _, right = question.partition(" + ")
    return {"text": str(int(left) + int(right) + WRONG), "cost": COST}
"""


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """A project of its own, with a suite of 40 sums and a test a case."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "evals").mkdir()
    cases = ", ".join(
        f"{{id: s{n}, input: '{n} + 1', expected: '{n + 1}', tags: [even]}}" for n in range(40)
    )
    (tmp_path / "evals" / "sums.yaml").write_text(SUMS.replace("{cases}", cases))
    (tmp_path / "evals" / "test_sums.py").write_text(
        "def test_a_sum_is_a_number(case, task):\n    assert task(case.input)['text'].isdigit()\n"
    )
    mine(tmp_path, wrong="0", cost="0.0001")
    return tmp_path


def mine(folder: Path, *, wrong: str, cost: str) -> None:
    text = MINE.replace("WRONG", wrong).replace("COST", cost)
    (folder / "mine.py").write_text(text, encoding="utf-8")


def test_a_test_that_asks_for_a_case_runs_once_a_case(sums: Path) -> None:
    done = run(sums, "evals/test_sums.py")
    assert done.returncode == 0, done.stdout
    assert "40 passed" in done.stdout


def test_a_baseline_and_then_worse_undecided_dear_and_changed(sums: Path) -> None:
    genai = [sys.executable, "-m", "genai"]
    assert run(sums, "evals/sums.yaml").returncode == 0
    command = [*genai, "eval", "accept", "sums", "--reason", "first version"]
    subprocess.run(command, cwd=sums, check=True, capture_output=True)
    mine(sums, wrong="(1 if int(left) % 4 == 0 else 0)", cost="0.0001")
    done = run(sums, "evals/sums.yaml")
    assert done.returncode == 1
    assert "REGRESSION against main: exact fell from 1.000 to 0.750" in done.stdout
    mine(sums, wrong="(1 if int(left) < 2 else 0)", cost="0.0001")
    assert run(sums, "evals/sums.yaml").returncode == 0  # undecided, on a pull request
    done = run(sums, "evals/sums.yaml", "--evals-stage", "release")
    assert done.returncode == 12, done.stdout
    assert "INCONCLUSIVE: exact: undecided with 40 cases" in done.stdout
    mine(sums, wrong="0", cost="0.01")
    assert run(sums, "evals/sums.yaml").returncode == 13
    path = sums / "evals" / "sums.yaml"
    path.write_text(path.read_text().replace("'0 + 1'", "'00 + 1'"))
    mine(sums, wrong="0", cost="0.0001")
    done = run(sums, "evals/sums.yaml")
    assert done.returncode == 14
    assert "CANNOT_COMPARE: the dataset changed" in done.stdout
    done = subprocess.run([*genai, "eval", "sums"], cwd=sums, capture_output=True, text=True)
    assert done.returncode == 4


def test_a_metric_that_is_gone_from_the_suite_is_red_in_every_test_of_it(sums: Path) -> None:
    path = sums / "evals" / "sums.yaml"
    text = path.read_text()
    path.write_text(text.replace("  cost_per", "  contains: {gate: true}\n  cost_per"))
    genai = [sys.executable, "-m", "genai", "eval"]
    subprocess.run([*genai, "sums"], cwd=sums, check=True, capture_output=True)
    command = [*genai, "accept", "sums", "--reason", "first version"]
    subprocess.run(command, cwd=sums, check=True, capture_output=True)
    path.write_text(text)
    for words in ((), ("-k", "cost_per_case"), ("-n", "2")):
        done = run(sums, "evals/sums.yaml", *words)
        assert done.returncode == 14, done.stdout
        assert "CANNOT_COMPARE: contains decides in the baseline and no more" in done.stdout


NOTES = """
from pathlib import Path
note = Path(__file__).with_name("NAME").open("a")
"""


def test_a_baseline_that_is_not_there_costs_nothing(sums: Path) -> None:
    app = sums / "mine.py"
    app.write_text(NOTES.replace("NAME", "asked.log") + "\n\ndef add(question):\n"
                   "    note.write('x')\n    note.flush()\n    return '1'\n")  # fmt: skip
    done = run(sums, "evals/sums.yaml", "--evals-baseline", "mian")
    assert done.returncode == 1
    assert done.stdout.count("baselines/sums/mian.jsonl: no such scorecard; accept a run") >= 2
    command = [sys.executable, "-m", "genai", "eval", "sums", "--baseline", "mian"]
    told = subprocess.run(command, cwd=sums, capture_output=True, text=True)
    assert told.returncode == 64
    assert "mian.jsonl: no such scorecard" in told.stderr
    assert not (sums / "asked.log").exists()


def test_what_a_suite_raises_is_raised_once_and_told_of_each_metric(sums: Path) -> None:
    (sums / "mine.py").write_text(
        NOTES.replace("NAME", "loads.log") + "note.write('x')\nnote.flush()\n1 / 0\n"
    )
    done = run(sums, "evals/sums.yaml")
    assert "2 failed" in done.stdout
    assert done.stdout.count("cannot be imported (ZeroDivisionError") >= 2
    assert (sums / "loads.log").read_text() == "x"


def test_an_application_that_exists_needs_one_suite_and_no_other_file(tmp_path: Path) -> None:
    app = tmp_path / "shop.py"
    app.write_text("def answer(question: str) -> str:\n    return 'It lasts two years.'\n")
    (tmp_path / "evals").mkdir()
    cases = "\n".join(
        f'  - {{id: case-{n}, input: "How long is warranty {n}?", expected: two years}}'
        for n in range(12)
    )
    (tmp_path / "evals" / "shop.yaml").write_text(
        "suite: shop\ntask: shop:answer\nmetrics:\n  contains: {gate: true}\ncases:\n" + cases,
        encoding="utf-8-sig",  # as some editors save it
    )
    first = run(tmp_path, "evals")
    assert first.returncode == 0
    assert "There is no baseline yet. To take this run as one: genai eval" in first.stdout
    assert "s, unknown cost\n" in first.stdout  # a function of theirs says nothing of money
    command = [sys.executable, "-m", "genai"]
    # the only suite needs no name
    for words in (["check"], ["eval"], ["eval", "accept", "shop", "--reason", "the first release"]):
        subprocess.run([*command, *words], cwd=tmp_path, check=True, capture_output=True)
    app.write_text("def answer(question: str) -> str:\n    return 'I do not know.'\n")
    done = run(tmp_path, "evals")
    assert done.returncode == 1
    assert "REGRESSION against main: contains fell from 1.000 to 0.000" in done.stdout
    assert "  case-11: 1 -> 0\n    before: answered: It lasts two years." in done.stdout


ASKS = """
from pathlib import Path
here = Path(__file__).parent


class RateLimitError(Exception):
    status_code = 429


def answer(question):
    if "17" in question and not (here / "seen").exists():
        (here / "seen").touch()
        raise RateLimitError("slow down")
    return (here / "prompt.txt").read_text()
"""


def test_a_changed_application_is_asked_again_and_never_judged_by_its_old_answers(
    tmp_path: Path,
) -> None:
    (tmp_path / "shop.py").write_text(ASKS)
    (tmp_path / "prompt.txt").write_text("two years")
    (tmp_path / "evals").mkdir()
    cases = "".join(f"  - {{id: c{n}, input: 'Warranty {n}?', expected: two years}}\n"
                    for n in range(10, 50))  # fmt: skip
    (tmp_path / "evals" / "shop.yaml").write_text(
        "suite: shop\ntask: shop:answer\nmetrics:\n  contains: {min: 0.9}\ncases:\n" + cases
    )
    assert run(tmp_path, "evals").returncode == 14
    (tmp_path / "prompt.txt").write_text("no idea")
    done = run(tmp_path, "evals")
    assert done.returncode == 1, done.stdout
    assert "contains is 0 (95 %" in done.stdout


HERE = """
suite: shop
task: TASK
metrics:
  exact: {min: 0.5}
cases:
  - {id: a, input: "What is drift?", expected: "What is drift?"}
"""


def test_a_suite_runs_in_its_own_project_wherever_pytest_is_started(tmp_path: Path) -> None:
    for name, model in (("", "fake/none"), ("backend", "fake/echo")):
        (tmp_path / name / "configs").mkdir(parents=True)
        text = f"version: 1\nchain: {{model: {model}}}\n"
        (tmp_path / name / "configs" / "genai.yaml").write_text(text)
    evals = tmp_path / "backend" / "evals"
    evals.mkdir()
    (evals / "shop.yaml").write_text(HERE.replace("TASK", "model"))
    (evals / "test_shop.py").write_text(
        "def test_it(project, task, evaluate):\n    assert project.root.name == 'backend'\n"
        "    assert task('x').text == 'x'\n    assert evaluate('shop').ok\n"
    )
    (tmp_path / "backend" / "mine.py").write_text("def answer(question):\n    return question\n")
    (evals / "mine.yaml").write_text(HERE.replace("TASK", "mine:answer"))
    done = run(tmp_path, "backend/evals")
    assert "3 passed" in done.stdout, done.stdout
    assert (tmp_path / "backend" / ".genai" / "runs" / "shop").is_dir()
    assert not (tmp_path / ".genai").exists()


def test_two_projects_with_a_module_of_one_name_are_not_taken_for_each_other(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "evals").mkdir(parents=True)
        (tmp_path / name / "evals" / "shop.yaml").write_text(HERE.replace("TASK", "mine:answer"))
        (tmp_path / name / "mine.py").write_text(f"def answer(question):\n    return '{name}'\n")
    done = run(tmp_path, "one/evals", "two/evals")
    assert done.returncode == 1
    assert "one has one of this name too, and Python loads a module once" in done.stdout


def test_suites_of_one_name_in_two_projects_have_reports_of_their_own(tmp_path: Path) -> None:
    for name, limit in (("red", "0.5"), ("green", "0.0")):
        evals = tmp_path / "apps" / name / "evals"
        evals.mkdir(parents=True)
        text = HERE.replace("TASK", f"{name}:answer").replace("min: 0.5", f"min: {limit}")
        (evals / "shop.yaml").write_text(text)
        (tmp_path / "apps" / name / f"{name}.py").write_text(
            "def answer(question):\n    return '?'\n"
        )
    done = run(tmp_path, "apps/red/evals", "apps/green/evals", "--evals-reports", "reports")
    assert done.returncode == 1
    heads = {
        path.name: path.read_text().partition(":")[0]
        for path in (tmp_path / "reports").glob("*.md")
    }
    assert heads == {"apps-green-shop.md": "## PASS", "apps-red-shop.md": "## LIMIT_BROKEN"}
