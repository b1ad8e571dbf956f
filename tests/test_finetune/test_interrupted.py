"""A run that is killed while it saves, or whose disk or memory is full."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tuning import make_project, recipe

from genai.errors import InputError
from genai.finetune.train import Options, Outcome, newest, run, run_folder
from genai.project import Project

TESTS = Path(__file__).parent.parent
WEIGHTS = "model.safetensors"
# the second checkpoint's weights are written half, and no line of the process follows
KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
import transformers.modeling_utils as writing
from tuning import recipe
from genai.finetune.train import Options, run
from genai.project import Project

save = writing.safe_save_file
def half(tensors, path, **options):
    save(tensors, path, **options)
    if "checkpoint-6" in str(path):
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
writing.safe_save_file = half
root = pathlib.Path(sys.argv[2])
run(recipe(name="shot"), Project(root, root / ".genai"), Options(score=False))
"""
# the command of a user, twice; in between somebody makes room
FULL = """
import os, pathlib, resource, signal, subprocess, sys
from genai.cli import main

folder, limit = sys.argv[1:]
def room(size, again=""):
    if limit == "disk":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", folder],
                       check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
room(os.environ["LEAST"])
for _ in "ab":
    print("code", main(["finetune", "run", "configs/full.yaml", "--checked", "--yes"]), flush=True)
    room(1 << 30, "remount,")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def whole(project: Project) -> Outcome:
    return run(recipe(name="whole"), project, Options(score=False))


def test_a_run_killed_half_way_through_its_weights_goes_on_from_the_last_whole_checkpoint(
    project: Project, whole: Outcome
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(TESTS), str(project.root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=False, timeout=280)
    assert done.returncode == -signal.SIGKILL
    given = recipe(name="shot")
    folder = run_folder(given, project)
    half = folder / "checkpoints" / "checkpoint-6"
    assert [each.name for each in half.iterdir() if each.suffix in (".safetensors", ".pt")] == [
        WEIGHTS
    ]  # in the middle of a save: its optimizer never came
    assert (half / WEIGHTS).stat().st_size == (whole.model / WEIGHTS).stat().st_size // 2
    assert not (folder / "run.lock.json").exists()
    found = newest(folder)
    assert found is not None
    assert found.name == "checkpoint-3"
    assert not half.exists()  # nobody takes it up
    again = run(given, project, Options(score=False))
    assert (again.steps, again.weights, again.tokens) == (12, whole.weights, whole.tokens)


@pytest.mark.parametrize("limit", ["disk", "size"])
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(
    project: Project, whole: Outcome, limit: str
) -> None:
    name, folder = f"full-{limit}", project.state / "finetune" / "runs" / f"full-{limit}"
    folder.mkdir(parents=True)
    given = recipe(name=name).model_dump(mode="json", exclude_unset=True)
    (project.root / "configs" / "full.yaml").write_text(json.dumps(given))  # JSON is YAML
    one = whole.folder / "checkpoints" / "checkpoint-12"
    least = (one / WEIGHTS).stat().st_size // 2  # no file may be longer
    command = [sys.executable, "-W", "ignore", "-c", FULL, str(folder), limit]
    if limit == "disk":
        command = [*mounting(folder), *command]
        least = int(1.5 * sum(each.stat().st_size for each in one.iterdir()))
    environment = {**os.environ, "GENAI_PROJECT": str(project.root), "LEAST": str(least)}
    done = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert re.findall(r"code (\d+)", done.stdout) == ["64", "0"], done.stderr[-3000:]
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("genai:")]
    assert said.startswith(f"genai: {name}: a checkpoint could not be written (")
    why, place = {
        "disk": ("; 0 MB are free);", "checkpoint-3"), "size": ("File too large", "the start")
    }[limit]  # fmt: skip
    assert why in said
    assert said.endswith(f" free space and run it again, it goes on from {place}")
    assert "Traceback" not in done.stderr
    assert f"(weights {whole.weights[:16]})" in done.stdout


def mounting(folder: Path) -> list[str]:
    """Give what starts a command that may mount a disk of its own; skip where nobody may."""
    alone = ["unshare", "--map-root-user", "--mount"]
    tried = [*alone, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if not shutil.which("unshare") or subprocess.run(tried, capture_output=True).returncode:
        pytest.skip("root only: nobody else may mount a disk here")
    return alone


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
     RuntimeError("[enforce fail at alloc_cpu.cpp:13] DefaultCPUAllocator: can't allocate memory")],
)  # fmt: skip
def test_a_memory_that_is_full_is_one_sentence_with_what_to_lower(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("trl.SFTTrainer.training_step", full)
    said = r"large: the memory is full \(.*allocate.*\); lower `training.batch` \(now 8\) and raise"
    with pytest.raises(InputError, match=said):
        run(recipe(name="large"), project)
