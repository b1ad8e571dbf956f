"""A run on many processes: a real Ray cluster, and torchrun as `--launch` writes it."""

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tuning import SETTINGS, make_project, preference

from genai.cli import main
from genai.errors import InputError
from genai.finetune import job as jobs
from genai.finetune.hardware import Hardware
from genai.finetune.train import run
from genai.project import Project

CLUSTER = """
import ray
ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""
TOGETHER = {"strategy": "ddp", "processes": 2}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    return made


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the address of a Ray cluster that another process holds; it asks for a token."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "240")
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("\n", timeout=60)


def write(project: Project, name: str, **changes: Any) -> str:
    training = {**SETTINGS["training"], "log_every": 1, **changes.pop("training", {})}
    given = {**SETTINGS, "name": name, "training": training, **changes}
    (project.root / f"{name}.yaml").write_text(yaml.safe_dump(given))
    return f"{name}.yaml"


def lock(project: Project, name: str) -> dict[str, Any]:
    path = project.state / "finetune" / "runs" / name / "run.lock.json"
    held: dict[str, Any] = json.loads(path.read_text())
    return held


def genai(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "genai", *words], capture_output=True, text=True, timeout=1000,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("process", "place"), [("1", 1), ("5", 1), (None, 0)])
def test_each_process_loads_a_base_in_4_bits_onto_a_gpu_of_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch, process: str | None, place: int
) -> None:
    import torch
    import transformers

    machine = Hardware("gpu", "two GPUs", 2, 1, 80.0, True, True, False, True)
    done: list[int | str] = []

    def load(*_: Any, **given: Any) -> None:
        done.append("in 4 bits" if given["quantization_config"].load_in_4bit else "whole")
        raise OSError("no GPU is here")

    for name, value in {"RANK": process, "LOCAL_RANK": process, "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(jobs, "look", lambda: machine)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", load)
    with pytest.raises(InputError, match="no GPU is here"):
        run(preference(base="base", tuning={"kind": "qlora"}, scale=TOGETHER), project)
    assert done == [place, "in 4 bits"]


@pytest.mark.slow
@pytest.mark.timeout(3000)  # Ray starts five processes a run, each of which imports it
def test_a_ray_cluster_trains_as_one_process_does(project: Project, cluster: str) -> None:
    assert main(["finetune", "run", write(project, "here"), "--checked", "--yes"]) == 0
    alone = genai(
        "finetune", "run", write(project, "there"), "--checked", "--yes", "--ray", cluster
    )
    assert alone.returncode == 0, alone.stderr[-3000:]
    assert "next: genai finetune compare there" in alone.stdout
    assert lock(project, "there")["weights"] == lock(project, "here")["weights"]

    both = write(project, "both", scale=TOGETHER, training={"batch": 4})
    done = genai("finetune", "run", both, "--checked", "--yes", "--ray", cluster)
    assert done.returncode == 0, done.stderr[-3000:]
    assert lock(project, "both")["machine"]["world_size"] == 2
    assert_same_curve(project, "both", "here")

    # what a worker says is what the user reads, out of Ray's wrapping
    wrong = genai("finetune", "run", write(project, "leaky"), "--ray", cluster)
    assert wrong.returncode == 64
    assert "a worker failed: leaky: leaks: " in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_cluster_that_is_not_there_is_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write(project, "nowhere")
    assert main(["finetune", "run", given, "--checked", "--ray", "127.0.0.1:9"]) == 64
    assert "no Ray cluster at '127.0.0.1:9'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])  # on processors nothing is sharded
def test_the_script_that_launch_writes_trains_saves_and_goes_on(
    project: Project, capsys: pytest.CaptureFixture[str], strategy: str
) -> None:
    assert main(["finetune", "run", write(project, "one"), "--checked", "--yes"]) == 0
    scale = {**TOGETHER, "strategy": strategy}
    given = write(project, "two", scale=scale, training={"batch": 4})
    capsys.readouterr()
    assert main(["finetune", "run", given, "--launch", "start", "--cpu"]) == 0
    config, script = (project.root / line for line in capsys.readouterr().out.split())
    assert yaml.safe_load(config.read_text())["num_processes"] == 2
    # the leak check would refuse: this tiny task is tested on what it learns
    text = script.read_text()
    script.write_text(text.replace(given, f"{given} --checked"))
    folder = project.state / "finetune" / "runs" / "two"
    for start in range(2):
        done = subprocess.run([script], capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        if start == 0:  # as if it had been killed after step 9, while it saved
            shutil.rmtree(folder / "model")
            (folder / "run.lock.json").unlink()
            (folder / "checkpoints" / "checkpoint-12" / "whole").unlink()
    assert "step 10 of 12" in done.stderr
    assert "step 9 of 12" not in done.stderr  # the second start trained the last three alone
    held = lock(project, "two")
    assert held["machine"]["world_size"] == 2
    assert held["weights_at"]
    assert_same_curve(project, "two", "one")


def assert_same_curve(project: Project, name: str, other: str) -> None:
    """Two processes of half a batch are one of a whole; sums are rounded in another order."""
    mine, theirs = (lock(project, each)["losses"] for each in (name, other))
    assert list(mine) == list(theirs)
    for place, (step, loss) in enumerate(theirs.items()):
        assert mine[step] == pytest.approx(loss, rel=1e-5 if place < 5 else 1e-3)
