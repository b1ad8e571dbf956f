"""The programs in finetune/, each started as a reader starts it, on a task of seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from training import ROOT
from tuning import SETTINGS, make_project

from genai.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("project"))
    # the suites hold what is trained, since this task is learned by heart: they are shown apart
    for name in ("suite", "dev"):
        suite = json.loads((made.root / f"{name}.yaml").read_text())
        suite["cases"] = [
            {**each, "input": f"the {name} {each['input']}"} for each in suite["cases"]
        ]
        (made.root / f"{name}.yaml").write_text(json.dumps(suite))
    return made


def recipe(project: Project, name: str, **changes: Any) -> str:
    given = {**SETTINGS, "name": name, "check": {"near": 1}, **changes}
    (project.root / f"{name}.yaml").write_text(yaml.safe_dump(given))
    return f"{name}.yaml"


def program(project: Project, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "finetune" / name, *words], cwd=project.root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GENAI_PROJECT": str(project.root)},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_programs_train_judge_serve_and_compare(project: Project) -> None:
    sft = program(project, "sft.py", recipe(project, "small"))
    assert sft.returncode == 0, sft.stderr[-2000:]
    assert "small: 12 steps, " in sft.stdout
    assert "small against random weights: PASS" in sft.stdout

    small = {"base": ".genai/finetune/runs/small/model", "weights": "pretrained", "method": "dpo",
             "data": [{**SETTINGS["data"][0], "path": "pairs.jsonl"}],
             "tuning": {"kind": "lora", "rank": 8, "alpha": 16}}  # fmt: skip
    dpo = program(project, "dpo.py", recipe(project, "pairs", **small))
    assert dpo.returncode == 0, dpo.stderr[-2000:]
    assert "pairs against small: PASS" in dpo.stdout
    assert "served as local/.genai/adapters/pairs" in dpo.stdout
    assert (project.state / "adapters" / "pairs" / "adapter.json").exists()

    both = program(project, "compare.py", "small", "pairs")
    assert both.returncode == 0, both.stderr[-2000:]
    assert "small against random weights: PASS" in both.stdout
    assert "pairs against pairs: PASS" in both.stdout  # what is served now


def test_a_program_says_in_one_line_what_is_wrong(project: Project) -> None:
    done = program(project, "compare.py", "nothing")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"run 'nothing': there is no such run; known: {_known(project)}"
    ]


def _known(project: Project) -> str:
    runs = project.state / "finetune" / "runs"
    return ", ".join(sorted(each.name for each in runs.glob("*"))) or "none"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_data_program_writes_a_preset_and_checks_it(tmp_path: Path) -> None:
    elsewhere = Project(ROOT, tmp_path)  # the starter is the project, and the state lies here
    done = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "finetune" / "prepare_data.py", "quick"],
        cwd=elsewhere.state, capture_output=True, text=True, timeout=280, check=False,
        env={key: value for key, value in os.environ.items() if key != "GENAI_PROJECT"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "quick-sft: 4000 rows" in done.stdout
    assert "nothing stops this run" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("next: python finetune/sft.py")
    assert (tmp_path / ".genai/finetune/demo/quick/pairs.jsonl").exists()
