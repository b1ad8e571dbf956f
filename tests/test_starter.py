"""The wheel in an empty environment: `genai init` gives a project whose evals pass."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [pytest.mark.starter, pytest.mark.timeout(1500)]


def run(*command: str | Path, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=1200
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", target, cwd=ROOT)
    return next(target.glob("*.whl"))


def test_the_wheel_holds_the_library_the_starter_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"genai"}
    for part in ("configs/genai.yaml", "prompts/rag/answer.md", "evals/handbook.yaml",
                 "apps/chat.py", "docs/introduction.md"):  # fmt: skip
        assert f"genai/_starter/{part}" in names
    assert "genai/models/static/model.safetensors" in names
    assert wheel.stat().st_size < 12_000_000
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_an_empty_environment_and_an_empty_folder_give_a_working_project(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "env"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    # what the evals need: documents, guards and pytest; no torch, no gateway
    run(python, "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}[rag,evals]",
        "detect-secrets", "phonenumbers", "python-stdnum", cwd=tmp_path)  # fmt: skip
    installed = run(python, "-m", "pip", "list", cwd=tmp_path).lower()
    assert "torch" not in installed
    genai = environment / "bin" / "genai"
    readme = (ROOT / "README.md").read_text().partition("\n## A project of your own\n")[2]
    install, *lines = readme.partition("```bash")[2].partition("```")[0].splitlines()[1:]
    assert install.startswith("pip install 'genai-workbench[")
    path = f"export PATH={genai.parent}:$PATH"
    said = run("bash", "-euc", "\n".join([path, *lines]), cwd=tmp_path)
    assert "files written" in said
    assert "[1] data.md: The index reads Markdown, HTML, PDF, DOCX" in said
    folder = tmp_path / "my-project"
    assert "no mistakes" in run(genai, "check", cwd=folder)
    out = run(python, "-m", "pytest", "evals", cwd=folder)
    assert "suite handbook (88 cases" in out
    answer = run(genai, "ask", "What are the three parts of a refusal?", cwd=folder)
    assert "[1] user-experience.md" in answer
    missing = subprocess.run(
        [genai, "app"], cwd=folder, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert missing.returncode == 64
    assert "pip install 'genai-workbench[apps]'" in missing.stderr
