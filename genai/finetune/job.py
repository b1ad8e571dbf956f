"""What a trainer is made from: model, tokenizer, rows as tokens, and what it is told."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai import extras
from genai.errors import ConfigError, InputError
from genai.finetune.check import tokens
from genai.finetune.data import Row, load_tokenizer, read_rows, render_all
from genai.finetune.hardware import Hardware, look
from genai.finetune.recipe import Recipe, base_of, located, pinned
from genai.models.local import find_folder
from genai.models.weights import is_adapter
from genai.project import Project

SAVES = 4  # checkpoints over a run whose recipe scores none


@dataclass(slots=True)
class Job:
    """What a trainer is made from: everything is loaded and nothing is left open.

    `base` is the whole name of the base, `source` the folder where it lies; `tokens` is the digest
    of the rows as tokens, `model` stands there once it is built.
    """

    recipe: Recipe
    hardware: Hardware
    folder: Path
    base: str
    source: Path
    tokenizer: Any
    rows: Sequence[Row]
    steps: int
    every: int
    tokens: str = ""
    model: Any = None


def rank() -> int:
    """Give the number of this process among those of the run."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def hub_off() -> Iterator[None]:
    """Have nothing leave this machine: TRL tells the hub of each trainer, and PEFT asks it things.

    The hub's package reads its variables once, when it is imported, which was long before.
    """
    hub: Any = extras.load("huggingface_hub.constants", "finetune")
    before, hub.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def environment(threads: int | None) -> None:
    """Have the same number of threads each time, a GPU for each process, and no noise."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch = extras.load("torch", "finetune")
    if torch.cuda.is_available():  # a base in 4 bits is loaded onto the GPU of its process
        own = int(os.environ.get("LOCAL_RANK", "0"))
        torch.cuda.set_device(own % torch.cuda.device_count())
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
    named = pinned(recipe, base)
    source = find_folder(named)  # from the hub, while it may be asked
    environment(recipe.training.threads)
    hardware = look()
    recipe = recipe.fitted(hardware)
    _check_world(recipe)
    rows = read_rows([located(project, each.path) for each in recipe.data], recipe.method)
    steps = recipe.steps_for(len(rows))
    every = recipe.evals.every or max(1, -(-steps // SAVES))
    job = Job(recipe, hardware, folder, named, source, tokenizer, rows, steps, every)
    job.model, parameters = build(job)
    measured = tokens.measure(tokenizer, rows, recipe.mask)
    job.tokens = measured.whole.hexdigest()
    longest = tokens.choose_length(recipe, measured)
    job.recipe = recipe.settled(hardware, max_length=longest, parameters=parameters)
    if job.recipe.training.engine == "native":
        cure = "use `training.engine: trl`" if hardware.trl else (
            "trl or datasets is not installed; run: pip install 'genai-workbench[finetune]'"
        )  # fmt: skip
        raise ConfigError(f"{recipe.name}: there is no engine but TRL yet; {cure}")
    return job


def _check_world(recipe: Recipe) -> None:
    """Refuse another number of processes than the recipe's: the batch would be another one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world != recipe.world_size:
        raise ConfigError(
            f"{recipe.name}: {world} processes run where `scale` asks for {recipe.world_size}; use"
            " the command that `genai finetune run --launch` writes (`accelerate launch --cpu`"
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
    given: dict[str, Any] = {}
    torch.manual_seed(recipe.training.seed)
    if recipe.tuning.kind == "qlora":
        given["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_use_double_quant=True,
        )  # fmt: skip
    kind = torch.bfloat16 if job.hardware.bf16 and recipe.tuning.kind != "full" else "float32"
    try:
        if recipe.weights == "random":
            config = transformers.AutoConfig.from_pretrained(job.source)
            model = transformers.AutoModelForCausalLM.from_config(config)
            model.generation_config.eos_token_id = sorted(tokens.stops(job.tokenizer, job.source))
        else:
            model = transformers.AutoModelForCausalLM.from_pretrained(
                job.source, dtype=kind, **given
            )
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"base {job.base}: cannot be loaded ({said}); name a whole model"
                         ) from error  # fmt: skip
    _check_modules(recipe, model)
    return model, model.num_parameters()  # weights in 4 bits lie two in a number


def _check_modules(recipe: Recipe, model: Any) -> None:
    """Refuse a layer that the base has not: PEFT leaves it out where another one is found."""
    names = [name for name, _ in model.named_modules()]
    for wanted in () if recipe.tuning.kind == "full" else recipe.tuning.named:
        if not any(f".{name}".endswith(f".{wanted}") for name in names):
            weighty = (n.rpartition(".")[2] for n, each in model.named_modules()
                       if getattr(each, "weight", None) is not None)  # fmt: skip
            raise ConfigError(
                f"{recipe.name}: `tuning.modules`: {wanted!r} is no layer of the base; it has"
                f" {', '.join(dict.fromkeys(weighty))}, or use `all-linear`"
            )


def adapter_config(recipe: Recipe) -> Any:
    """Give PEFT's settings of the adapter, or None where all weights are trained."""
    tuning = recipe.tuning
    if tuning.kind == "full":
        return None
    peft = extras.load("peft", "finetune")
    return peft.LoraConfig(
        r=tuning.rank, lora_alpha=tuning.alpha, lora_dropout=tuning.dropout,
        target_modules=tuning.named or tuning.modules, use_dora=tuning.kind == "dora",
        task_type="CAUSAL_LM",
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
        "ddp_find_unused_parameters": False,
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
