"""The GPU script says what is missing, and its dry mode runs every part of it on processors."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from training import ROOT

SCRIPT = ROOT / "benchmarks" / "gpu_finetune.sh"


def script(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", SCRIPT, *words], capture_output=True, text=True, timeout=1500, check=False,
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def hiding(folder: Path, *packages: str) -> str:
    """Give an interpreter that does not find some packages where they are installed."""
    made = folder / "python"
    names = ", ".join(repr(each) for each in packages)
    (folder / "sitecustomize.py").write_text(
        "import importlib.abc, importlib.util, sys\n"
        f"HIDDEN = ({names},)\n"
        "found = importlib.util.find_spec\n"
        "def find(name, package=None):\n"
        "    spec = found(name, package)\n"
        "    hidden = name in HIDDEN and 'site-packages' in str(spec and spec.origin)\n"
        "    return None if hidden else spec\n"
        "importlib.util.find_spec = find\n"
    )
    made.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}:$PYTHONPATH" exec "{sys.executable}" "$@"\n')
    made.chmod(0o755)
    return str(made)


def test_the_script_is_one_that_bash_reads() -> None:
    assert shutil.which("bash")
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0


def test_a_package_that_is_needed_is_named(tmp_path: Path) -> None:
    done = script(PYTHON=hiding(tmp_path, "peft"))
    assert done.returncode == 64
    assert "has no peft; name another with PYTHON=" in done.stderr


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = script(TARGET=str(tmp_path / "out.md"), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert "torch sees no GPU here; run it where one is, or try it with --cpu" in done.stderr
    assert not (tmp_path / "out.md").exists()


def test_what_is_missing_comes_from_a_folder_of_wheels(tmp_path: Path) -> None:
    wheels, around = tmp_path / "wheels", {"CUDA_VISIBLE_DEVICES": ""}
    wheels.mkdir()
    python = hiding(tmp_path, "dill")
    lacking = script(PYTHON=python, WHEELS=str(wheels), **around)
    assert f"{wheels} lacks some of: dill" in lacking.stderr
    with zipfile.ZipFile(wheels / "dill-9.9-py3-none-any.whl", "w") as wheel:
        about = "dill-9.9.dist-info"
        wheel.writestr("dill/__init__.py", "raise SystemExit('this dill was carried')\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: dill\nVersion: 9.9\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    carried = script(PYTHON=python, WHEELS=str(wheels), **around)
    assert "lacks" not in carried.stderr
    assert "this dill was carried" in carried.stderr  # the script went on, and took it


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_its_dry_mode_runs_every_part(tmp_path: Path) -> None:
    done = script("--cpu", TARGET=str(tmp_path / "out.md"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "not measured" not in done.stdout
    for method in ("sft", "dpo"):
        for who in ("ours", "TRL script", "bare loop"):
            assert f"| demo | {method} | {who} |" in done.stdout
    assert "| 0.0005 | 0.1 | 0 |" in done.stdout
    assert not (tmp_path / "out.md").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_trl_the_bare_loop_is_measured_and_the_rest_is_said(tmp_path: Path) -> None:
    done = script("--cpu", PYTHON=hiding(tmp_path, "trl", "datasets"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "trl and datasets not installed" in done.stdout
    assert "| demo | sft | bare loop |" in done.stdout
    assert "Not measured: trl datasets missing" in done.stdout
