"""Suites as tests: one a metric, readable failures, exit status 14 when nothing was measured."""

import os
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
    done = run(folder, "evals", "--evals-junit", str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert "suite handbook (88 cases" in done.stdout
    assert "refusal_recall" in done.stdout
    assert (tmp_path / "handbook.xml").exists()
    assert "15 passed" in done.stdout or "14 passed" in done.stdout


def test_xdist_gives_the_same_verdict(folder: Path) -> None:
    done = run(folder, "evals", "-n", "2")
    assert done.returncode == 0, done.stdout


def test_a_broken_limit_names_the_cases_and_what_happened(folder: Path) -> None:
    done = run(folder, "evals/handbook.yaml", GENAI_CHAIN_MIN_CONFIDENCE="1")
    assert done.returncode == 1
    assert "answer_rate is 0" in done.stdout
    assert "usecase-definition: What is a use case?" in done.stdout
    assert "refused (no_evidence" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_dead_model_is_unmeasured_and_ends_with_14(folder: Path) -> None:
    done = run(folder, "evals/handbook.yaml", "--evals-model", "openai/x@http://127.0.0.1:9/v1",
               "-k", "answer_span_hit")  # fmt: skip
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
        "    heavy = {'numpy', 'sqlalchemy', 'pydantic', 'yaml', 'asyncio', 'genai.types'}\n"
        "    found = heavy & set(sys.modules)\n"
        "    assert not found, found\n"
    )
    others = ["hypothesispytest", "socket", "anyio", "langsmith_plugin", "faker", "xdist"]
    done = run(tmp_path, "-q", *(word for name in others for word in ("-p", f"no:{name}")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "suite" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == [
        "conftest.py", "evals", "test_x.py",
    ]  # fmt: skip
