"""One training run: base and rows in, weights and their record out; interrupted, it goes on.

.genai/finetune/runs/NAME/
    run.lock.json     what the run depended on, and the digest of what came out
    curves.jsonl      what the trainer measured, a line a log
    checkpoints/      the newest two that are whole
    model/            the weights: a whole model, or an adapter bound to its base
"""

import json
import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai import extras
from genai.errors import ConfigError, InputError
from genai.finetune import lock as locks
from genai.finetune.check import tokens
from genai.finetune.data import Row, load_tokenizer, read_rows, render_all
from genai.finetune.hardware import Hardware, look
from genai.finetune.recipe import Recipe, base_of, located
from genai.finetune.watch import Watch
from genai.models.weights import is_adapter, weights_digest, write_manifest
from genai.project import Project

Say = Callable[[str], None]
SAVES = 4  # checkpoints over a run whose recipe scores none
_MARK = "whole"  # a checkpoint with this file was written to its end


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is made. `folder` is where (default: the recipe's own).

    `stop_at` ends it after so many steps of the same schedule; `say` takes lines of progress;
    `plan` is what was foreseen, kept beside what came.
    """

    folder: Path | None = None
    fresh: bool = False
    stop_at: int | None = None
    score: bool = True
    say: Say | None = None
    plan: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run. `weights` is the digest of `model`; `score` is that of the dev set."""

    name: str
    model: Path
    weights: str
    steps: int
    seconds: float
    tokens: int
    score: float | None
    best_step: int
    notes: tuple[str, ...]
    curves: tuple[Mapping[str, float], ...] = field(repr=False, default=())

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.model.parent


@dataclass(slots=True)
class Job:
    """What a trainer is made from: everything is loaded and nothing is left open."""

    recipe: Recipe
    hardware: Hardware
    folder: Path
    base: str
    tokenizer: Any
    rows: Sequence[Row]
    steps: int
    every: int
    model: Any = None


def run(recipe: Recipe, project: Project, options: Options | None = None) -> Outcome:
    """Train by a recipe. A run that was interrupted goes on where its last checkpoint stands.

    Raises:
        InputError: the base, the rows or the disk do not allow it; names what and the next step.
    """
    options = options or Options()
    folder = options.folder or run_folder(recipe, project)
    started = time.time()
    job = prepare(recipe, project, folder)
    inputs = locks.inputs(job, project)
    with _first(job):
        if rank() == 0:
            _same_run(folder, inputs, options.fresh)
    watch = Watch(job, project, options)
    trainer = _trainer(job, watch)
    resume = newest(folder)
    if resume is not None:
        watch.resume(resume)
    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except OSError as error:
        step = newest(folder)
        raise InputError(
            f"{recipe.name}: a checkpoint could not be written ({error}); free space and run it"
            f" again, it goes on from {step.name if step else 'the start'}"
        ) from error
    _keep(job, trainer, watch, folder / "model")
    with _first(job):
        return _finish(job, watch, inputs, options, started)


def rank() -> int:
    """Give the number of this process among those of the run."""
    return int(os.environ.get("RANK", "0"))


def _first(job: Job) -> AbstractContextManager[Any]:
    """Have the first process do something before the others."""
    if job.recipe.world_size == 1:
        return nullcontext()
    state = extras.load("accelerate", "finetune").PartialState(cpu=job.hardware.kind == "cpu")
    found: AbstractContextManager[Any] = state.main_process_first()
    return found


def run_folder(recipe: Recipe, project: Project) -> Path:
    """Say where the run of a recipe is kept."""
    return project.state / "finetune" / "runs" / recipe.name


def environment(threads: int | None) -> None:
    """Have nothing leave this machine, and the same number of threads each time."""
    for name, value in {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}.items():
        os.environ.setdefault(name, value)
    # TRL tells its makers of each trainer by asking the hub, so the hub is off; all is local by now
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch = extras.load("torch", "finetune")
    transformers = extras.load("transformers", "finetune")
    transformers.utils.logging.disable_progress_bar()
    # peft asks transformers by a name that goes in its next major version
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
    if threads is not None:
        torch.set_num_threads(threads)


def prepare(recipe: Recipe, project: Project, folder: Path) -> Job:
    """Read the rows, settle what the recipe leaves open, and build the model.

    Raises:
        InputError: something is missing; names it.
    """
    base = base_of(recipe, project)
    if Path(base).is_dir() and is_adapter(Path(base)):
        raise ConfigError(
            f"{recipe.name}: `base` is an adapter; merge it first: genai finetune export, and name"
            " the folder that it writes"
        )
    tokenizer = load_tokenizer(base, recipe.revision)
    environment(recipe.training.threads)
    hardware = look()
    _check_world(recipe)
    rows = read_rows([located(project, each.path) for each in recipe.data], recipe.method)
    steps = recipe.steps_for(len(rows))
    every = recipe.evals.every or max(1, -(-steps // SAVES))
    job = Job(recipe, hardware, folder, base, tokenizer, rows, steps, every)
    job.model, parameters = build(job)
    longest = tokens.choose_length(recipe, tokens.measure(tokenizer, rows, recipe.mask))
    job.recipe = recipe.settled(hardware, max_length=longest, parameters=parameters)
    if job.recipe.training.engine == "native":
        raise ConfigError(
            f"{recipe.name}: trl or datasets is not installed; run:"
            " pip install 'genai-workbench[finetune]'"
        )
    return job


def _check_world(recipe: Recipe) -> None:
    """Refuse another number of processes than the recipe's: the batch would be another one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world != recipe.world_size:
        raise ConfigError(
            f"{recipe.name}: {world} processes run where `scale` asks for {recipe.world_size}; use"
            " the command that `genai finetune export --launch` writes (`accelerate launch --cpu`"
            " starts one process without a word)"
        )
    if world > 1 and recipe.evals.patience:
        raise ConfigError(
            f"{recipe.name}: `evals.patience` cannot stop {world} processes together; leave it out"
        )


def build(job: Job) -> tuple[Any, int]:
    """Give the model to train, and its number of parameters."""
    transformers = extras.load("transformers", "finetune")
    recipe, torch = job.recipe, extras.load("torch", "finetune")
    source: dict[str, Any] = {"revision": recipe.revision} if recipe.revision else {}
    torch.manual_seed(recipe.training.seed)
    if recipe.weights == "random":
        config = transformers.AutoConfig.from_pretrained(job.base, **source)
        model = transformers.AutoModelForCausalLM.from_config(config)
        ends = job.tokenizer.eos_token_id
        model.generation_config.eos_token_id = ends
    else:
        if recipe.tuning.kind == "qlora":
            source["quantization_config"] = transformers.BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_use_double_quant=True,
            )  # fmt: skip
        kind = torch.bfloat16 if job.hardware.bf16 and recipe.tuning.kind != "full" else "float32"
        try:
            model = transformers.AutoModelForCausalLM.from_pretrained(
                job.base, dtype=kind, **source
            )
        except (OSError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise InputError(f"base {job.base}: cannot be loaded ({said}); name a whole model"
                             ) from error  # fmt: skip
    return model, sum(each.numel() for each in model.parameters())


def adapter_config(recipe: Recipe) -> Any:
    """Give PEFT's settings of the adapter, or None where all weights are trained."""
    tuning = recipe.tuning
    if tuning.kind == "full":
        return None
    peft = extras.load("peft", "finetune")
    return peft.LoraConfig(
        r=tuning.rank, lora_alpha=tuning.alpha, lora_dropout=tuning.dropout,
        target_modules=tuning.modules, use_dora=tuning.kind == "dora", task_type="CAUSAL_LM",
    )  # fmt: skip


def arguments(job: Job) -> dict[str, Any]:
    """Give what every trainer is told; each name is one that the pinned trainers know."""
    recipe, training, gpu = job.recipe, job.recipe.training, job.hardware.kind == "gpu"
    return {
        "output_dir": str(job.folder / "checkpoints"),
        "max_steps": job.steps,
        "per_device_train_batch_size": training.batch,
        "per_device_eval_batch_size": training.batch,
        "gradient_accumulation_steps": training.accumulation,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup_steps,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "seed": training.seed,
        "data_seed": training.data_seed,
        "bf16": training.precision == "bf16",
        "activation_checkpointing": bool(training.activation_checkpointing),
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "max_length": recipe.max_length,
        "logging_steps": training.log_every,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": job.every,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
    }


def rendered(job: Job) -> list[dict[str, Any]]:
    """Give the rows as tokens, in our own masks; what is too long is cut at its end."""
    found = []
    most = int(job.recipe.max_length)
    mask = job.recipe.mask
    for row, forms in zip(job.rows, render_all(job.tokenizer, job.rows, mask), strict=True):
        start = min(form.prompt for form in forms)
        first = forms[0]
        each: dict[str, Any] = {
            "input_ids": first.ids[:most],
            "labels": [
                token if trained else -100
                for token, trained in zip(first.ids[:most], first.trained, strict=False)
            ],
            "prompt_ids": first.ids[:start],
            "answers": [form.ids[start:most] for form in forms],
        }
        if hasattr(row, "label"):
            each["label"] = row.label
        found.append(each)
    return found


def _trainer(job: Job, watch: Watch) -> Any:
    if job.recipe.method == "sft":
        from genai.finetune.sft import sft_trainer as make
    else:
        from genai.finetune.dpo import preference_trainer as make
    return make(job, watch)


# -- checkpoints and results ---------------------------------------------------------------------


def newest(folder: Path) -> Path | None:
    """Give the newest checkpoint that was written to its end; others are removed."""
    found = []
    for each in (folder / "checkpoints").glob("checkpoint-*"):
        if (each / _MARK).exists():
            found.append(each)
        else:  # killed in the middle of saving
            shutil.rmtree(each, ignore_errors=True)
    return max(found, key=lambda each: int(each.name.rpartition("-")[2]), default=None)


def mark_whole(checkpoint: Path) -> None:
    """Say that a checkpoint was written to its end."""
    (checkpoint / _MARK).touch()


def _same_run(folder: Path, inputs: Mapping[str, Any], fresh: bool) -> None:
    """Begin anew, or make sure that what stands there is of the same recipe, data and base."""
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    path = folder / "inputs.json"
    if path.exists():
        held = json.loads(path.read_text(encoding="utf-8"))
        if differing := locks.differences(held, inputs):
            raise InputError(
                f"{folder.name}: an earlier run of this name had other {differing[0]}; give"
                " --fresh to begin anew, or the recipe another name"
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(inputs, indent=1), encoding="utf-8")


def _keep(job: Job, trainer: Any, watch: Watch, model: Path) -> None:
    """Write the weights that the dev set liked best, all or nothing."""
    draft = model.with_name("model.draft")
    if rank() == 0:
        shutil.rmtree(draft, ignore_errors=True)
    if watch.best is None:
        _check_finite(job, trainer)
        trainer.save_model(str(draft))  # sharded weights are gathered from every process
    if rank() != 0:
        return
    if watch.best is not None:
        shutil.copytree(watch.best, draft)
    for path in (draft / "training_args.bin", draft / "README.md", draft / _MARK):
        path.unlink(missing_ok=True)
    job.tokenizer.save_pretrained(draft)
    if is_adapter(draft):
        from genai.models.local import find_folder

        _forget_path(draft / "adapter_config.json", job.base)
        base = find_folder(job.base)
        write_manifest(draft, job.base, base, job.tokenizer.chat_template)
    shutil.rmtree(model, ignore_errors=True)
    draft.replace(model)


def _check_finite(job: Job, trainer: Any) -> None:
    torch = extras.load("torch", "finetune")
    own = trainer.accelerator.unwrap_model(trainer.model)
    wrong = [n for n, each in own.named_parameters() if not torch.isfinite(each).all()]
    if wrong:
        raise InputError(f"{job.recipe.name}: {wrong[0]} is not finite after training; lower"
                         " `training.learning_rate`")  # fmt: skip


def _forget_path(config: Path, base: str) -> None:
    """PEFT keeps the path the base was loaded from, which leaks and breaks after a move."""
    held = json.loads(config.read_text(encoding="utf-8"))
    held["base_model_name_or_path"] = "" if Path(base).is_dir() else base
    config.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _finish(
    job: Job, watch: Watch, inputs: Mapping[str, Any], options: Options, started: float
) -> Outcome:
    model = job.folder / "model"
    outcome = Outcome(
        job.recipe.name, model, weights_digest(model), watch.step, time.time() - started,
        watch.tokens, watch.best_score, watch.best_step or watch.step, tuple(watch.notes),
        tuple(watch.curves),
    )  # fmt: skip
    if rank() == 0:
        locks.write(job, inputs, outcome, watch.weights_at, options.plan, started)
    return outcome
