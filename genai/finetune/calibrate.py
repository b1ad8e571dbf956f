"""A plan is measured and counted: a few steps are timed, memory and arithmetic follow the shapes.

Seven steps are trained into a folder that is thrown away, and the last five are timed; of a run on
many processes, one is.
"""

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai import extras
from genai.errors import InputError
from genai.evals.suite import load_suite
from genai.finetune.check import tokens
from genai.finetune.data import load_tokenizer, read_rows
from genai.finetune.hardware import Hardware, look
from genai.finetune.plan import Plan, plan_path, recipe_digest
from genai.finetune.recipe import Recipe, base_of, located
from genai.finetune.sections import ScaleSettings
from genai.project import Project, write_whole

_WARM, _TIMED = 2, 5
_BAND = 0.2  # the least share that the time may be off by
_SURE = 2.0  # standard errors of the mean length
_GENERATED = 0.8  # tokens generated in the time that one is trained; measured on a tiny model
_BYTES = {"fp32": 4.0, "bf16": 2.0}
_QLORA, _OPTIMIZED = 0.6, 16.0  # bytes of a 4-bit weight; of a weight, its gradient and two moments
_LOGIT = 4 * 4.0  # bytes of a logit: four copies in float32
_PROCESS = 1.0  # GiB of the process itself


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a model: all weights, those that are trained, and what activations depend on."""

    parameters: int
    trainable: int
    hidden: int
    layers: int
    vocabulary: int


def plan_run(
    recipe: Recipe, project: Project, *, say: Callable[[str], None] = lambda _: None
) -> Plan:
    """Measure and count what a run will take; keep it beside the runs.

    Raises:
        InputError: base or rows cannot be used, or no step could be timed.
        MissingExtra: torch is not installed.
    """
    hardware = look()
    given, recipe = recipe, recipe.fitted(hardware)
    base = base_of(recipe, project)
    rows = read_rows([located(project, each.path) for each in recipe.data], recipe.method)
    say("measuring lengths")
    measured = tokens.measure(load_tokenizer(base, recipe.revision), rows, recipe.mask)
    most = tokens.choose_length(recipe, measured)
    shape = shape_of(recipe, base)
    settled = recipe.settled(hardware, max_length=most, parameters=shape.parameters)
    say(f"training {_WARM + _TIMED} steps to time them")
    times = timed(settled, project)
    counted = _counted(settled, hardware, shape, measured, len(rows))
    clocked = _clocked(settled, hardware, measured, counted, times, project)
    bands = {**counted.pop("bands"), **clocked.pop("bands")}
    own = recipe_digest(given)  # as it was given, nothing settled
    found = Plan(name=recipe.name, recipe=own, bands=bands, **counted, **clocked)
    write_whole(plan_path(recipe, project), json.dumps(found.as_dict(), indent=1) + "\n")
    return found


def shape_of(recipe: Recipe, base: str) -> Shape:
    """Count weights without making any: the model is built on torch's meta device."""
    transformers = extras.load("transformers", "finetune")
    torch = extras.load("torch", "finetune")
    try:
        config = transformers.AutoConfig.from_pretrained(base, revision=recipe.revision or None)
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(config)
        text = config.get_text_config()  # of a model that takes images too
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"base {base}: its config.json makes no model of texts ({said}); name a"
                         " causal language model") from error  # fmt: skip
    count = sum(each.numel() for each in model.parameters())
    trainable = count if recipe.tuning.kind == "full" else _adapter(recipe, model, torch)
    sizes = (text.hidden_size, text.num_hidden_layers, text.vocab_size)
    return Shape(count, trainable, *map(int, sizes))


def _adapter(recipe: Recipe, model: Any, torch: Any) -> int:
    """Count the weights of an adapter: rank times in and out of each layer, and DoRA's norms."""
    turned = extras.load("transformers.pytorch_utils", "finetune").Conv1D  # GPT-2 has no Linear
    named = recipe.tuning.named
    total = 0
    for name, layer in model.named_modules():
        if not isinstance(layer, torch.nn.Linear | turned):
            continue
        if layer is model.get_output_embeddings():
            continue
        if not named or any(f".{name}".endswith(f".{each}") for each in named):
            total += recipe.tuning.rank * sum(layer.weight.shape)
            norms = layer.weight.shape[1 if isinstance(layer, turned) else 0]
            total += norms if recipe.tuning.kind == "dora" else 0
    return total


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of each timed step and of all before the first, and the cores that they had."""

    steps: tuple[float, ...]
    startup: float
    cores: float


def timed(recipe: Recipe, project: Project) -> Times:
    """Train a few steps for nothing but their time."""
    from genai.finetune.train import Options, run

    few = recipe.training.model_copy(update={"log_every": 1})
    short = recipe.model_copy(update={"training": few, "scale": ScaleSettings()})
    state = project.state / "finetune"
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="plan-", dir=state) as folder:
        options = Options(folder=Path(folder), stop_at=_WARM + _TIMED, score=False)
        start, used = time.perf_counter(), time.process_time()
        outcome = run(short, project, options)
        cores = (time.process_time() - used) / (time.perf_counter() - start)
    at = [each["seconds"] for each in outcome.curves if "loss" in each and "seconds" in each]
    between = [later - earlier for earlier, later in zip(at, at[1:], strict=False)]
    if not between:
        raise InputError(f"{recipe.name}: one step is too few to be timed; just run it")
    startup = outcome.seconds - sum(between)
    return Times(tuple(between[max(0, len(between) - _TIMED) :]), startup, cores)


def _counted(
    recipe: Recipe, hardware: Hardware, shape: Shape, measured: tokens.Measured, rows: int
) -> dict[str, Any]:
    """Count what needs no clock: steps, tokens, arithmetic and memory, with their bands."""
    steps, most = recipe.steps_for(rows), int(recipe.max_length)
    sequences = len(measured.length) // rows
    lengths = [min(each, most) for each in measured.length]
    mean = sum(lengths) / rows  # a row of a preference is two sequences
    total = round(steps * recipe.rows_per_step * mean)
    drawn = steps * recipe.rows_per_step * sequences
    off = _SURE * statistics.pstdev(lengths) / statistics.fmean(lengths) / math.sqrt(drawn)
    arithmetic = flops(recipe, shape, total)
    memory = gib(recipe, shape, most, sequences)
    return {
        "machine": hardware.name if hardware.kind == "cpu"
        else f"{hardware.devices} {hardware.name}",
        "processes": recipe.world_size, "rows": rows, "steps": steps, "max_length": most,
        "tokens": total, "flops": arithmetic, "parameters": shape.parameters,
        "trainable": shape.trainable, "gib": sum(memory),
        "bands": {
            "tokens": (total * (1 - off), total * (1 + off)),
            "flops": (arithmetic * (1 - off), arithmetic * (1 + off)),
            "gib": _memory_band(recipe, *memory),
        },
    }  # fmt: skip


def _memory_band(
    recipe: Recipe, weights: float, activations: float, own: float
) -> tuple[float, float]:
    """Weights are sure unless they are spread; what activations take may be half, or twice."""
    spread = recipe.world_size if recipe.scale.strategy in ("fsdp2", "zero3") else 1
    low, high = weights / spread + activations / 2 + own / 2, weights + activations * 2 + own * 1.5
    return low, high


def _clocked(
    recipe: Recipe, hardware: Hardware, measured: tokens.Measured, counted: Mapping[str, Any],
    times: Times, project: Project,
) -> dict[str, Any]:  # fmt: skip
    """Give what follows from the time of a step. On CPUs the processes may share their cores."""
    step = statistics.median(times.steps)
    answers = sum(map(measured.answer, range(len(measured.length)))) / len(measured.length)
    mean = counted["tokens"] / counted["steps"]
    evals = _dev_cases(recipe, project, counted["steps"]) * answers / (mean / step * _GENERATED)
    hours = (times.startup + counted["steps"] * step + evals) / 3600
    least = min(1 - _BAND, min(times.steps) / step)  # never below nothing, however they vary
    most = 1 + max(_BAND, (max(times.steps) - min(times.steps)) / 2 / step)
    shared = recipe.scale.processes if hardware.kind == "cpu" else 1
    budget = recipe.budget
    cost = None if budget.hourly_price is None else hours * budget.hourly_price
    kwh = None if budget.watts is None else hours * budget.watts / 1000
    bands = {
        name: (value * least, value * most * shared)
        for name, value in (("hours", hours), ("cost", cost), ("kwh", kwh)) if value is not None
    }  # fmt: skip
    return {
        "step_seconds": step, "cores": times.cores, "startup_seconds": times.startup,
        "eval_seconds": evals, "hours": hours, "cost": cost, "currency": budget.currency,
        "kwh": kwh, "bands": bands,
    }  # fmt: skip


def _dev_cases(recipe: Recipe, project: Project, steps: int) -> int:
    """Count the dev cases that will be generated over the whole run."""
    cases = len(load_suite(located(project, recipe.evals.dev)).cases)
    cases = min(cases, recipe.evals.limit or cases)
    return cases * (-(-steps // recipe.evals.every) if recipe.evals.every else 1)


def flops(recipe: Recipe, shape: Shape, total: int) -> float:
    """Count the arithmetic: 6 a weight and token, 4 with an adapter, 2 more each for extras."""
    each = 6 if recipe.tuning.kind == "full" else 4
    each += 2 if recipe.training.activation_checkpointing is True else 0
    each += 2 if recipe.method in ("dpo", "kto") and not _precomputed(recipe) else 0
    return float(each * shape.parameters * total)


def gib(recipe: Recipe, shape: Shape, most: int, sequences: int) -> tuple[float, float, float]:
    """Count the GiB of weights with what the optimizer keeps, of activations, of the process.

    A reference is among the weights. Activations are an estimate: 2 bytes a hidden value with
    checkpointing, some 34 without (Korthikanti et al. 2022), in half precision. ORPO adds batch x
    length x vocabulary, four times in float32: logits, log-probabilities and the gradient of each,
    as PyTorch's cross-entropy holds them. The other methods compute their head in tiles of 4,096
    tokens (TRL's `ChunkedLogProbFunction`), which are part of the process.
    """
    training = recipe.training
    size = _BYTES["bf16" if training.precision == "bf16" else "fp32"]
    if recipe.tuning.kind == "full":
        weights = shape.parameters * _OPTIMIZED
        if recipe.method in ("dpo", "kto") and not _precomputed(recipe):
            weights += shape.parameters * size
    else:
        base = _QLORA if recipe.tuning.kind == "qlora" else size
        weights = shape.parameters * base + shape.trainable * _OPTIMIZED
    values = training.batch * sequences * most * shape.hidden * shape.layers
    drawn = training.batch * sequences * most * shape.vocabulary if recipe.method == "orpo" else 0
    kept = 2.0 if training.activation_checkpointing is True else 34.0
    activations = values * kept * size / 2 + drawn * _LOGIT
    return weights / 2**30, activations / 2**30, _PROCESS


def _precomputed(recipe: Recipe) -> bool:
    return recipe.preference.precompute_reference
