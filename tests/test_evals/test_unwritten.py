"""What would spoil a run's end is told before it is paid; what spoils it later leaves the run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """suite: shop
task: shop:answer
metrics:
  contains: {min: 0.5}
cases:
  - {id: a, input: "How long?", expected: two years}
"""
# counts how often it is asked, and spoils the folder of the reports where it is told to
TASK = """from pathlib import Path


def answer(question):
    with open("asked.txt", "a") as asked:
        asked.write("x")
    if Path("spoil").exists():
        Path("out").mkdir(exist_ok=True)
        Path("out").rename("gone")
        Path("out").write_text("a file")
    return "two years"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "shop.yaml").write_text(SUITE)
    (tmp_path / "shop.py").write_text(TASK)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GENAI_", "PYTEST_"))}
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, env=clean,
                          capture_output=True, text=True, timeout=120)  # fmt: skip


EVAL = ("genai", "eval", "shop", "--html", "out/run.html", "--markdown", "run.md")
PYTEST = ("pytest", "-p", "no:cacheprovider", "evals", "--evals-reports", "out")


@pytest.mark.parametrize("words", [EVAL, PYTEST])
@pytest.mark.parametrize("spoilt", ["out", "evals/designs/bigger.yaml"])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_asked(
    project: Path, words: tuple[str, ...], spoilt: str
) -> None:
    (project / spoilt).parent.mkdir(exist_ok=True)
    (project / spoilt).write_text("is: neither a folder nor a design\n")
    done = run(project, *words)
    said = done.stdout + done.stderr
    assert done.returncode == (64 if words is EVAL else 1), said
    assert spoilt.rpartition("/")[2] in said
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    assert not (project / "asked.txt").exists()
    assert not (project / "run.md").exists()  # the try leaves nothing behind


def test_a_damaged_calibration_is_told_before_anything_is_asked(project: Path) -> None:
    (project / "configs").mkdir()
    (project / "configs" / "genai.yaml").write_text("version: 1\nevals: {judge: fake/echo}\n")
    suite = project / "evals" / "shop.yaml"
    suite.write_text(SUITE.replace("contains: {min", "correctness: {min"))
    (project / "evals" / "judges").mkdir()
    (project / "evals" / "judges" / "correctness.json").write_text("{")
    done = run(project, *EVAL)
    assert done.returncode == 64, done.stdout + done.stderr
    assert "evals/judges/correctness.json: cannot be read" in done.stderr
    assert not (project / "asked.txt").exists()


@pytest.mark.parametrize("words", [EVAL, PYTEST])
def test_a_report_that_fails_later_says_how_to_write_it_from_the_run(
    project: Path, words: tuple[str, ...]
) -> None:
    (project / "spoil").touch()
    done = run(project, *words)
    said = done.stdout + done.stderr
    assert done.returncode == (64 if words is EVAL else 1), said
    assert "suite shop (1 case" in said  # the table
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    assert (project / "run.md").exists() == (words is EVAL)  # one does not keep the others back
    (line,) = [each for each in said.splitlines() if "cannot be written" in each]
    (folder,) = (project / ".genai" / "runs" / "shop").iterdir()
    assert f"The run is kept in {folder}" in line
    again = shlex.split(
        line.partition("it was run with: ")[2].replace("html FILE", "html again.html")
    )
    done = run(project, *again)
    assert done.returncode == 0, done.stderr
    assert "suite shop" in (project / "again.html").read_text()
    assert (project / "asked.txt").read_text() == "x"
