"""What a run will take, before it: tokens, hours, memory, energy and money, with an error band.

The time of a step is measured: seven steps are trained into a folder that is thrown away, and the
last five are timed. Memory is counted from the shapes; what nobody told (a price, the watts) stays
unknown.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from genai import extras
from genai.config import digest
from genai.errors import BudgetExceeded, InputError
from genai.evals.suite import load_suite
from genai.finetune.check import tokens
from genai.finetune.data import load_tokenizer, read_rows
from genai.finetune.hardware import Hardware, look
from genai.finetune.recipe import Recipe, base_of, located
from genai.project import Project

_WARM, _TIMED = 2, 5
_BAND = 0.2  # the least share that a plan may be off by
_GENERATED = 0.8  # tokens generated in the time that one is trained; measured on a tiny model
_BYTES = {"fp32": 4.0, "bf16": 2.0}
_QLORA, _OPTIMIZED = 0.6, 16.0  # bytes of a 4-bit weight; of a weight, its gradient and two moments


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a model: all weights, those that are trained, and what activations depend on."""

    parameters: int
    trainable: int
    hidden: int
    layers: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will take. `low_hours` and `high_hours` are its band; None is unknown.

    `tokens` counts every sequence that passes through the model once; `flops` what that costs.
    `startup_seconds` and `eval_seconds` are in the hours. `cores` is the processor time that the
    timed steps had a second: much below the threads of the run, the machine is busy with others.
    """

    name: str
    recipe: str
    machine: str
    rows: int
    steps: int
    max_length: int
    tokens: int
    flops: float
    parameters: int
    trainable: int
    step_seconds: float
    cores: float
    startup_seconds: float
    eval_seconds: float
    hours: float
    low_hours: float
    high_hours: float
    gib: float
    cost: float | None
    currency: str
    kwh: float | None

    def text(self, actual: Mapping[str, Any] | None = None) -> str:
        """Give the plan as lines, beside what the run took where it has ended."""
        done = {} if actual is None else dict(actual)
        took = done.get("seconds")
        lines = [
            f"{self.name} on {self.machine}",
            f"steps    {self.steps} of {self.step_seconds:.3f} s ({self.cores:.1f} cores), rows"
            f" {self.rows}, max_length {self.max_length}" + _beside(done.get("steps"), "{:d}"),
            f"tokens   {self.tokens:,} ({self.flops:.3g} FLOPs)"
            + _beside(done.get("tokens"), "{:,d}"),
            f"weights  {self.parameters:,}, trained {self.trainable:,}",
            f"time     {_span(self.hours)} ({_span(self.low_hours)} to {_span(self.high_hours)})"
            + _beside(None if took is None else _span(took / 3600), "{}"),
            f"memory   {self.gib:.2f} GiB",
            "money    unknown: set `budget.hourly_price`" if self.cost is None
            else f"money    {self.cost:.4g} {self.currency}"
            + _beside(None if took is None else self.cost * took / 3600 / self.hours, "{:.4g}"),
            "energy   unknown: set `budget.watts`" if self.kwh is None
            else f"energy   {self.kwh:.4g} kWh"
            + _beside(None if took is None else self.kwh * took / 3600 / self.hours, "{:.4g}"),
        ]  # fmt: skip
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Give the plan as JSON values."""
        return asdict(self)


def plan_run(
    recipe: Recipe, project: Project, *, say: Callable[[str], None] = lambda _: None
) -> Plan:
    """Measure and count what a run will take; keep it beside the runs.

    Raises:
        InputError: base or rows cannot be used, or no step could be timed.
        MissingExtra: torch is not installed.
    """
    base = base_of(recipe, project)
    rows = read_rows([located(project, each.path) for each in recipe.data], recipe.method)
    say("measuring lengths")
    measured = tokens.measure(load_tokenizer(base, recipe.revision), rows, recipe.mask)
    most = tokens.choose_length(recipe, measured)
    hardware, shape = look(), shape_of(recipe, base)
    settled = recipe.settled(hardware, max_length=most, parameters=shape.parameters)
    say(f"training {_WARM + _TIMED} steps to time them")
    times = timed(settled, project)
    found = _plan(settled, hardware, shape, measured, len(rows), times, project)
    found = replace(found, recipe=recipe_digest(recipe))  # as it was given, nothing settled
    path = plan_path(recipe, project)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found.as_dict(), indent=1) + "\n", encoding="utf-8")
    return found


def plan_path(recipe: Recipe, project: Project) -> Path:
    """Say where the newest plan of a recipe is kept."""
    return project.state / "finetune" / "plans" / f"{recipe.name}.json"


def read_plan(recipe: Recipe, project: Project) -> Plan | None:
    """Give the plan that was made of this very recipe, or None."""
    with suppress(OSError, ValueError, TypeError):
        found = Plan(**json.loads(plan_path(recipe, project).read_text(encoding="utf-8")))
        if found.recipe == recipe_digest(recipe):
            return found
    return None


def actual(recipe: Recipe, project: Project) -> Mapping[str, Any] | None:
    """Give what the finished run of a recipe took; None where there is none."""
    path = project.state / "finetune" / "runs" / recipe.name / "run.lock.json"
    with suppress(OSError, ValueError, KeyError):
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["actual"]
        return found
    return None


def hold(found: Plan, recipe: Recipe) -> None:
    """Hold a plan to the budget of its recipe.

    Raises:
        BudgetExceeded: a limit would be passed, or money is limited and its price unknown.
    """
    budget = recipe.budget
    if budget.max_cost is not None and found.cost is None:
        raise BudgetExceeded(f"{recipe.name}: `budget.max_cost` is set and no price is known; set"
                             " `budget.hourly_price`")  # fmt: skip
    for key, value, unit in (
        ("max_hours", found.hours, "hours"),
        ("max_gib", found.gib, "GiB"),
        ("max_cost", found.cost, budget.currency),
    ):
        limit = getattr(budget, key)
        if limit is not None and value is not None and value > limit:
            raise BudgetExceeded(
                f"{recipe.name}: the plan takes {value:.3g} {unit}, `budget.{key}` is {limit:g};"
                " train fewer steps or raise the limit"
            )


def shape_of(recipe: Recipe, base: str) -> Shape:
    """Count weights without making any: the model is built on torch's meta device."""
    transformers = extras.load("transformers", "finetune")
    torch = extras.load("torch", "finetune")
    try:
        config = transformers.AutoConfig.from_pretrained(base, revision=recipe.revision or None)
    except (OSError, ValueError) as error:
        raise InputError(f"base {base}: has no config.json that can be read ({error})") from error
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    count = sum(each.numel() for each in model.parameters())
    trainable = count if recipe.tuning.kind == "full" else _adapter(recipe, model, torch)
    return Shape(count, trainable, int(config.hidden_size), int(config.num_hidden_layers))


def _adapter(recipe: Recipe, model: Any, torch: Any) -> int:
    """Count the weights of an adapter: rank times in and out of each layer, and DoRA's norms."""
    wanted = recipe.tuning.modules
    total = 0
    for name, layer in model.named_modules():
        if not isinstance(layer, torch.nn.Linear) or layer is model.get_output_embeddings():
            continue
        if wanted == "all-linear" or name.rpartition(".")[2] in (
            [wanted] if isinstance(wanted, str) else wanted
        ):
            total += recipe.tuning.rank * (layer.in_features + layer.out_features)
            total += layer.out_features if recipe.tuning.kind == "dora" else 0
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
    short = recipe.model_copy(update={"training": few})
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


def _plan(
    recipe: Recipe, hardware: Hardware, shape: Shape, measured: tokens.Measured, rows: int,
    times: Times, project: Project,
) -> Plan:  # fmt: skip
    steps = recipe.steps_for(rows)
    step = statistics.median(times.steps)
    most = int(recipe.max_length)
    mean = sum(min(each, most) for each in measured.length) / rows
    total = round(steps * recipe.rows_per_step * mean)
    answers = sum(map(measured.answer, range(len(measured.length)))) / len(measured.length)
    speed = recipe.rows_per_step * mean / step * _GENERATED
    evals = _dev_cases(recipe, project) * answers / speed
    seconds = times.startup + steps * step + evals
    band = max(_BAND, (max(times.steps) - min(times.steps)) / 2 / step)
    hours = seconds / 3600
    budget = recipe.budget
    return Plan(
        name=recipe.name,
        recipe="",
        machine=hardware.name if hardware.kind == "cpu" else f"{hardware.devices} {hardware.name}",
        rows=rows,
        steps=steps,
        max_length=most,
        tokens=total,
        flops=flops(recipe, shape, total),
        parameters=shape.parameters,
        trainable=shape.trainable,
        step_seconds=step,
        cores=times.cores,
        startup_seconds=times.startup,
        eval_seconds=evals,
        hours=hours,
        low_hours=hours * (1 - band),
        high_hours=hours * (1 + band),
        gib=gib(recipe, shape, most, len(measured.length) // rows),
        cost=None if budget.hourly_price is None else hours * budget.hourly_price,
        currency=budget.currency,
        kwh=None if budget.watts is None else hours * budget.watts / 1000,
    )


def _dev_cases(recipe: Recipe, project: Project) -> int:
    """Count the dev cases that will be generated over the whole run."""
    cases = len(load_suite(located(project, recipe.evals.dev)).cases)
    cases = min(cases, recipe.evals.limit or cases)
    times = 1
    if recipe.evals.every and recipe.training.steps is not None:
        times = -(-recipe.training.steps // recipe.evals.every)
    return cases * times


def flops(recipe: Recipe, shape: Shape, total: int) -> float:
    """Count the arithmetic: 6 a weight and token, 4 with an adapter, 2 more each for extras."""
    each = 6 if recipe.tuning.kind == "full" else 4
    each += 2 if recipe.training.activation_checkpointing is True else 0
    each += 2 if recipe.method in ("dpo", "kto") and not _precomputed(recipe) else 0
    return float(each * shape.parameters * total)


def gib(recipe: Recipe, shape: Shape, most: int, sequences: int) -> float:
    """Count memory: weights, what the optimizer keeps, the reference, and activations.

    Activations are an estimate: 2 bytes a hidden value with checkpointing, some 34 without
    (Korthikanti et al. 2022), in half precision. On a CPU the process itself takes a gibibyte.
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
    kept = 2.0 if training.activation_checkpointing is True else 34.0
    activations = values * kept * size / 2
    return (weights + activations) / 2**30 + 1.0


def _precomputed(recipe: Recipe) -> bool:
    return recipe.preference.precompute_reference


def recipe_digest(recipe: Recipe) -> str:
    """Give 12 hex digits over the settings that a plan depends on."""
    return digest(recipe.model_dump(mode="json", exclude={"card"}))


def _beside(value: Any, form: str) -> str:
    return "" if value is None else f"; actual {form.format(value)}"


def _span(hours: float) -> str:
    return f"{hours * 3600:.0f} s" if hours < 0.05 else f"{hours:.2f} h"
