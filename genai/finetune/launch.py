"""Files for other programs: how to start a run on many processes, and how to serve its model."""

import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from genai import extras
from genai.compute import on_cluster
from genai.errors import ConfigError, InputError
from genai.finetune.recipe import Recipe
from genai.models.weights import is_adapter, read_base

_FSDP2 = {
    "fsdp_version": 2,
    "fsdp_reshard_after_forward": True,
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_cpu_ram_efficient_loading": True,
    "fsdp_state_dict_type": "FULL_STATE_DICT",
    "fsdp_activation_checkpointing": False,
    "fsdp_offload_params": False,
}
_ZERO3 = {
    "zero_stage": 3,
    "zero3_init_flag": True,
    "zero3_save_16bit_model": True,
    "offload_optimizer_device": "none",
    "offload_param_device": "none",
    "deepspeed_multinode_launcher": "standard",
}
_PORT = 29500  # where the machines meet
_ASKS = ': "${MAIN_HOST:?set it to the name or address of machine 0}"'
_DISTRIBUTED = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}


def accelerate_config(recipe: Recipe, *, gpu: bool, rank: int = 0) -> dict[str, Any]:
    """Give what `accelerate launch --config_file` reads, for one machine of the recipe's.

    On a CPU there is nothing to shard over, so a run there checks the recipe and nothing else.

    Raises:
        ConfigError: the recipe asks for one process.
    """
    scale = recipe.scale
    if scale.strategy == "single":
        raise ConfigError(f"{recipe.name}: `scale.strategy` is single; nothing is to be launched")
    found: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": _DISTRIBUTED[scale.strategy] if gpu else "MULTI_CPU",
        "mixed_precision": "bf16" if gpu and recipe.training.precision != "fp32" else "no",
        "num_machines": scale.nodes,
        "num_processes": recipe.world_size,
        "machine_rank": rank,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "use_cpu": not gpu,
    }
    if gpu and scale.strategy == "fsdp2":
        found["fsdp_config"] = dict(_FSDP2)
    if gpu and scale.strategy == "zero3":
        found["deepspeed_config"] = dict(_ZERO3)
    if scale.nodes > 1:
        found["main_process_port"] = _PORT
    return found


def command(recipe: Recipe, config: Path, recipe_path: str, *, gpu: bool, rank: int = 0) -> str:
    """Give the line that starts a run on one machine; many meet at machine 0, `$MAIN_HOST`.

    On CPUs it is torchrun, since accelerate starts one process there.
    """
    scale, module = recipe.scale, ["-m", "genai", "finetune", "run", recipe_path]
    if gpu:
        words = ["accelerate", "launch", "--config_file", str(config)]
        host = ' --main_process_ip "$MAIN_HOST"' if scale.nodes > 1 else ""
        return f"{shlex.join(words)}{host} {shlex.join(module)}"
    words = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={scale.processes}"]
    host = " --standalone"
    if scale.nodes > 1:
        words += [f"--nnodes={scale.nodes}", f"--node_rank={rank}", f"--master_port={_PORT}"]
        host = ' --master_addr="$MAIN_HOST"'
    return f"{shlex.join(words)}{host} {shlex.join(module)}"


def write_launch(recipe: Recipe, recipe_path: str, folder: Path, *, gpu: bool) -> list[Path]:
    """Write a configuration for each machine, and a script that starts the run there.

    Raises:
        ConfigError: the recipe asks for one process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for rank in range(recipe.scale.nodes):
        config = folder / f"accelerate-{rank}.yaml"
        settings = accelerate_config(recipe, gpu=gpu, rank=rank)
        config.write_text(yaml.safe_dump(settings, sort_keys=True), encoding="utf-8")
        script = folder / f"launch-{rank}.sh"
        line = command(recipe, config, recipe_path, gpu=gpu, rank=rank)
        asks = f"{_ASKS}\n" if recipe.scale.nodes > 1 else ""
        script.write_text(
            f"#!/bin/sh\n# machine {rank} of {recipe.scale.nodes}\n{asks}exec {line}\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
        written += [config, script]
    return written


# -- serving -------------------------------------------------------------------------------------


def serving_commands(folder: Path, recipe: Recipe) -> Mapping[str, str]:
    """Give the command of each server that can take an exported folder, run from within it.

    An adapter is served on its base: a hub id, or the way to its folder from here. A model that can
    think was trained not to, which `transformers serve` cannot tell it.
    """
    name, after = recipe.name, '--generation-config vllm --api-key "$KEY"'
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    thinks = "enable_thinking" in template
    if thinks:
        after += " --default-chat-template-kwargs '{\"enable_thinking\": false}'"
    if is_adapter(folder):
        held = read_base(folder)
        named, commit = (held, "") if (folder / held).is_dir() else held.partition("@")[::2]
        base, revision = shlex.quote(named), f" --revision {commit}" if commit else ""
        vllm = (
            f"vllm serve {base}{revision} --enable-lora --lora-modules {name}=. --max-lora-rank"
            f" {recipe.tuning.rank} --max-loras 4 --max-cpu-loras 8"
        )
        return {"vllm": f"{vllm} {after}"}
    found = {"vllm": f"vllm serve . --served-model-name {name} {after}"}
    if not thinks:
        found["transformers"] = "transformers serve . --host 127.0.0.1 --port 8000"
    return found


_SAID = {
    "vllm": """# vLLM, for GPUs. It applies generation_config.json unless told otherwise, which
# would change the answers that were judged; `--generation-config vllm` turns that off.
# After a start, ask it one question of the suite whose answer you know: adapters have been loaded
# wrongly with a friendly 200.""",
    "transformers": """# `transformers serve` ignores what it does not know, `response_format` above
# all, and has no key: keep it on this machine, and hold its answers to the schema yourself.
# A client must send the very path given here as `model`.""",
}


def write_serving(folder: Path, recipe: Recipe) -> list[str]:
    """Write a script a server into `serve/`, with what one must know; give their names."""
    target = folder / "serve"
    target.mkdir(exist_ok=True)
    for name, line in serving_commands(folder, recipe).items():
        path = target / f"{name}.sh"
        text = f'#!/bin/sh\n{_SAID[name]}\ncd "$(dirname "$0")/.." && exec {line}\n'
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    return [f"serve/{name}.sh" for name in serving_commands(folder, recipe)]


# -- a cluster -----------------------------------------------------------------------------------


def ray_run(
    recipe: Recipe, work: Callable[[], object], address: str = "", storage: Path | None = None
) -> None:
    """Have Ray Train do `work` (a run of the recipe) in one worker a process of the recipe.

    The workers meet as torchrun's do, with a GPU each where the cluster has enough. They read and
    write the project's folder, which every machine must see at the same path. `storage` takes what
    Ray itself notes.

    Raises:
        InputError: there is no such cluster, or a worker ended with an error.
    """
    with on_cluster(address, recipe.world_size) as ray:
        train = extras.load("ray.train", "scale")
        trainers = extras.load("ray.train.torch", "scale")
        scaling = train.ScalingConfig(
            num_workers=recipe.world_size,
            use_gpu=ray.cluster_resources().get("GPU", 0) >= recipe.world_size,
        )
        notes = train.RunConfig(storage_path=storage and str(storage))
        try:
            trainers.TorchTrainer(
                lambda: work() and None, scaling_config=scaling, run_config=notes
            ).fit()
        except Exception as error:  # Ray wraps what a worker raised in classes of its own
            raise InputError(f"{recipe.name}: a worker failed: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """Give what a worker said, out of Ray's wrapping."""
    own = re.findall(r"^genai\.errors\.\w+: (.+)$", str(error), re.MULTILINE)
    return str(own[-1]) if own else " ".join(str(error).split())[-300:]
