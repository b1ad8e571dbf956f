"""Exports: a merge that is held to its adapter, papers, checksums, and files for other servers."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tuning import QUESTIONS, make_project, preference, recipe

from genai.errors import ConfigError, InputError
from genai.finetune.export import check_merge, export_run, write_sums
from genai.finetune.gate import judge_run
from genai.finetune.launch import accelerate_config, serving_commands, write_launch
from genai.finetune.train import Options, Outcome, run
from genai.models import open_model
from genai.models.local import find_folder
from genai.models.weights import read_manifest
from genai.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def tuned(project: Project) -> Outcome:
    run(recipe(training__steps=60), project, Options(score=False))
    given = preference(name="tuned", training__learning_rate=1e-4)
    made = run(given, project, Options(score=False))
    (gate,) = judge_run(made.folder, project)
    assert gate.passed
    return made


def test_a_merged_export_says_what_the_adapter_says(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    made = export_run(tuned.folder, project, tmp_path / "merged")
    assert made.difference is not None
    assert made.difference < 1e-3
    assert (made.same, made.asked) == (24, 24)
    own, merged = (open_model(f"local/{each}") for each in (tuned.model, made.folder))
    for question in QUESTIONS[:4]:
        assert merged(question, max_tokens=16).text == own(question, max_tokens=16).text
    names = {each.relative_to(made.folder).as_posix() for each in made.folder.rglob("*")}
    assert {
        "model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json", "README.md",
        "generation_config.json", "run.lock.json", "gate.json", "SHA256SUMS", "serve/vllm.sh",
        "serve/transformers.sh",
    } <= names  # fmt: skip
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    for line in (made.folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((made.folder / name).read_bytes()).hexdigest() == digest


def test_a_merge_that_a_gpu_has_no_room_for_is_made_and_compared_without_it(
    project: Project, tuned: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    size = sum(each.stat().st_size for each in find_folder(
        read_manifest(tuned.model)["base"]).glob("*.safetensors"))  # fmt: skip
    asked: list[str] = []
    whole = torch.nn.Module.to

    def to(model: Any, *given: Any, **options: Any) -> Any:
        asked.extend(each for each in given if isinstance(each, str))
        return whole(model, *("cpu" if each == "cuda" else each for each in given), **options)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2 * size, 4 * size))
    made = export_run(tuned.folder, project, tmp_path / "small")
    assert "cuda" not in asked
    assert (made.same, made.asked) == (24, 24)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 * size, 4 * size))
    check_merge(tuned.model, made.folder, QUESTIONS, 16)
    assert asked.count("cuda") == 2  # where there is room, both


def test_one_changed_weight_of_a_merge_is_found(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    made = export_run(tuned.folder, project, tmp_path / "merged")
    path = made.folder / "model.safetensors"
    tensors = load_file(path)
    tensors["model.layers.0.mlp.up_proj.weight"][3, 5] += 0.5
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(InputError, match=r"a logit of the merged model is .* off the adapter's"):
        check_merge(tuned.model, made.folder, QUESTIONS, 16)


@pytest.mark.parametrize("fault", ["template", "end"])
def test_a_merge_with_another_template_or_end_is_found(
    project: Project, tuned: Outcome, tmp_path: Path, fault: str
) -> None:
    made = export_run(tuned.folder, project, tmp_path / "merged")
    if fault == "template":
        path = made.folder / "chat_template.jinja"
        path.write_text(path.read_text() + "\n")
    else:
        path = made.folder / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": 0}))
    with pytest.raises(InputError, match="is not that of the base|does not end at the tokenizer"):
        check_merge(tuned.model, made.folder, QUESTIONS, 16)


def test_an_adapter_alone_finds_its_base_from_where_it_now_lies(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    made = export_run(tuned.folder, project, project.root / "out" / "adapter", merge=False)
    assert made.difference is None
    said = open_model(f"local/{made.folder}")(QUESTIONS[0], max_tokens=16).text
    assert said == open_model(f"local/{tuned.model}")(QUESTIONS[0], max_tokens=16).text
    script = (made.folder / "serve" / "vllm.sh").read_text()
    assert "vllm serve ../../.genai/finetune/runs/small/model --enable-lora" in script
    # the script runs from within the folder, and its base is found from there
    assert _argument_of(made.folder / "serve" / "vllm.sh", tmp_path) == find_folder(
        read_manifest(made.folder)["base"]
    )
    assert "genai.model('local/adapter')" in (made.folder / "README.md").read_text()


def _argument_of(script: Path, tmp_path: Path) -> Path:
    """Run a script with a `vllm` that only says which folder it was given."""
    fake = tmp_path / "vllm"
    fake.write_text('#!/bin/sh\ncd "$2" && pwd\n')
    fake.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [script], capture_output=True, text=True, check=True, env={**os.environ, "PATH": path}
    )
    return Path(done.stdout.strip())


def test_an_adapter_of_a_hub_base_is_served_on_its_id_at_its_commit(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    adapter = shutil.copytree(tuned.model, tmp_path / "adapter")
    held = json.loads((adapter / "adapter.json").read_text())
    (adapter / "adapter.json").write_text(json.dumps({**held, "base": "org/base@abc123"}))
    line = serving_commands(adapter, preference())["vllm"]
    assert line.startswith("vllm serve org/base --revision abc123 --enable-lora --lora-modules")


def test_what_the_gate_refuses_is_exported_only_when_forced_and_says_so(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    folder = shutil.copytree(tuned.folder, tuned.folder.parent / "refused")
    held = json.loads((folder / "gate.json").read_text())
    held[0] |= {"word": "REGRESSION", "reason": "exact fell"}
    (folder / "gate.json").write_text(json.dumps(held))
    with pytest.raises(InputError, match="is not exported: REGRESSION"):
        export_run(folder, project, tmp_path / "no")
    made = export_run(folder, project, tmp_path / "yes", force=True)
    assert "The evals do not let this model through" in (made.folder / "README.md").read_text()


def test_a_folder_that_holds_something_is_left_alone(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        export_run(tuned.folder, project, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_energy_and_money_of_a_card_are_unknown_until_watts_and_price_are_told(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    export_run(tuned.folder, project, tmp_path / "bare")
    bare = (tmp_path / "bare" / "README.md").read_text()
    assert "| energy | unknown: the recipe names no `budget.watts` |" in bare
    assert "| cost | unknown: the recipe names no `budget.hourly_price` |" in bare
    assert " kWh" not in bare
    budget = {"hourly_price": 3.6, "watts": 50}
    given = preference(name="metered", training__learning_rate=1e-4, budget=budget)
    made = run(given, project, Options(score=False))
    judge_run(made.folder, project)
    export_run(made.folder, project, tmp_path / "metered")
    card = (tmp_path / "metered" / "README.md").read_text()
    hours = made.seconds / 3600  # the measured time, at the watts that were told
    assert f"| energy | {hours * 0.05:.4g} kWh |" in card
    assert f"| cost | {hours * 3.6:.4g} USD |" in card


def test_a_pickle_is_never_exported(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="may hold a pickle"):
        write_sums(tmp_path)


def test_gguf_is_made_by_the_converter_that_is_given(
    project: Project, tuned: Outcome, tmp_path: Path
) -> None:
    converter = tmp_path / "convert_hf_to_gguf.py"
    with pytest.raises(InputError, match="a checkout of llama.cpp"):
        export_run(tuned.folder, project, tmp_path / "a", gguf=converter)
    converter.write_text(  # the arguments of llama.cpp's own that concern a folder
        "import argparse, pathlib\n"
        "parser = argparse.ArgumentParser(allow_abbrev=False)\n"
        "parser.add_argument('model', nargs='?')\n"
        "parser.add_argument('--outfile', type=pathlib.Path)\n"
        "parser.add_argument('--outtype', choices=['f32', 'f16', 'bf16', 'q8_0', 'auto'])\n"
        "parser.add_argument('--model-name')\n"
        "given = parser.parse_args()\n"
        "assert (pathlib.Path(given.model) / 'model.safetensors').exists()\n"
        "given.outfile.write_bytes(b'GGUF ' + given.model_name.encode())\n"
    )
    made = export_run(tuned.folder, project, tmp_path / "b", gguf=converter)
    assert made.gguf == tmp_path / "b" / "model.gguf"
    assert made.gguf.read_bytes() == b"GGUF tuned"
    assert "model.gguf" in (tmp_path / "b" / "SHA256SUMS").read_text()
    # the gate has judged the safetensors: both papers and the command say that of the GGUF file
    assert "another form of the weights: judge it with the suite too" in made.words[-1]
    card = (tmp_path / "b" / "README.md").read_text()
    assert "`model.gguf` was not judged: it is another form of the weights" in card
    converter.write_text("raise SystemExit('this architecture is unknown')")
    with pytest.raises(InputError, match="failed: this architecture is unknown"):
        export_run(tuned.folder, project, tmp_path / "c", gguf=converter)


# -- many processes ------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", "zero3"])
def test_accelerate_reads_what_is_written_for_it(strategy: str, tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    given = recipe(scale={"strategy": strategy, "processes": 4, "nodes": 2})
    written = write_launch(given, "configs/sft.yaml", tmp_path, gpu=True)
    assert [each.name for each in written] == [
        "accelerate-0.yaml", "launch-0.sh", "accelerate-1.yaml", "launch-1.sh"
    ]  # fmt: skip
    for rank in (0, 1):
        found = load_config_from_file(str(tmp_path / f"accelerate-{rank}.yaml"))
        assert (found.num_processes, found.num_machines, found.machine_rank) == (8, 2, rank)
        wanted = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}[strategy]
        assert str(found.distributed_type.value) == wanted
    script = (tmp_path / "launch-1.sh").read_text()
    assert "accelerate launch --config_file" in script
    assert '--main_process_ip "$MAIN_HOST"' in script
    assert "finetune run configs/sft.yaml" in script
    settings = yaml.safe_load((tmp_path / "accelerate-0.yaml").read_text())
    if strategy == "fsdp2":
        assert settings["fsdp_config"]["fsdp_version"] == 2
    if strategy == "zero3":
        assert settings["deepspeed_config"]["zero_stage"] == 3


def test_processors_are_started_by_torchrun(tmp_path: Path) -> None:
    given = recipe(scale={"strategy": "ddp", "processes": 2})
    write_launch(given, "small.yaml", tmp_path, gpu=False)
    script = (tmp_path / "launch-0.sh").read_text()
    assert "torch.distributed.run --nproc_per_node=2 --standalone -m genai" in script
    assert "accelerate launch" not in script  # it would start one process without a word
    assert subprocess.run(["sh", "-n", tmp_path / "launch-0.sh"], check=False).returncode == 0
    assert sys.executable in script


def test_machines_of_processors_meet_at_the_first_one(tmp_path: Path) -> None:
    given = recipe(scale={"strategy": "ddp", "processes": 2, "nodes": 3})
    write_launch(given, "small.yaml", tmp_path, gpu=False)
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    for rank in range(3):
        script = tmp_path / f"launch-{rank}.sh"
        script.write_text(script.read_text().replace(sys.executable, str(fake)))
        bare = {key: value for key, value in os.environ.items() if key != "MAIN_HOST"}
        alone = subprocess.run([script], capture_output=True, text=True, check=False, env=bare)
        assert alone.returncode != 0
        assert "set it to the name or address of machine 0" in alone.stderr
        done = subprocess.run([script], capture_output=True, text=True, check=True,
                              env={**bare, "MAIN_HOST": "10.0.0.7"})  # fmt: skip
        assert done.stdout == (
            f"-m torch.distributed.run --nproc_per_node=2 --nnodes=3 --node_rank={rank}"
            " --master_port=29500 --master_addr=10.0.0.7 -m genai finetune run small.yaml\n"
        )


def test_one_process_needs_no_launcher() -> None:
    with pytest.raises(ConfigError, match="nothing is to be launched"):
        accelerate_config(recipe(), gpu=True)
