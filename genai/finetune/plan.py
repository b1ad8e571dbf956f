"""What a run will take, before it: tokens, hours, memory, energy and money, each with its band.

How it is measured and counted stands in `calibrate.py`; what nobody told (a price, the watts)
stays unknown.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genai.config import digest
from genai.errors import BudgetExceeded, InputError
from genai.finetune.recipe import Recipe
from genai.project import Project

# what makes a process one of a group
_GROUP = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_")
_OVER = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will take. `bands` gives least and most of each figure; None is unknown.

    `tokens` counts every sequence that passes through the model once; `flops` what that costs.
    `startup_seconds` and `eval_seconds` are in the hours. `cores` is the processor time that the
    timed steps had a second: much below the threads of the run, the machine is busy with others.
    `gib` is the memory of one process, `processes` their number.
    """

    name: str
    recipe: str
    machine: str
    processes: int
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
    gib: float
    cost: float | None
    currency: str
    kwh: float | None
    bands: Mapping[str, tuple[float, float]]

    def text(self, actual: Mapping[str, Any] | None = None) -> str:
        """Give the plan as lines; of a run that has ended, what it took and how that was foreseen.

        `actual` is that of its lock: `seconds`, `steps`, `tokens` and `gib`.
        """
        each = f" each of {self.processes} processes" if self.processes > 1 else ""
        took = {} if actual is None else self._took(actual)

        def beside(name: str, show: Callable[[Any], str]) -> str:
            return f"; actual {self._judged(name, took[name], show)}" if took else ""

        lines = [
            f"{self.name} on {self.machine}",
            f"steps    {self.steps} of {self.step_seconds:.3f} s ({self.cores:.1f} cores), rows"
            f" {self.rows}, max_length {self.max_length}" + beside("steps", str),
            f"tokens   {self._figure('tokens', '{:,.0f}')}" + beside("tokens", "{:,d}".format),
            f"FLOPs    {self._figure('flops', '{:.3g}')}",
            f"weights  {self.parameters:,}, trained {self.trainable:,}",
            f"time     {_span(self.hours)} ({' to '.join(map(_span, self.bands['hours']))})"
            + beside("hours", _span),
            f"memory   {self._figure('gib', '{:.2f}')} GiB{each}"
            + beside("gib", "{:.2f}".format),
            "money    unknown: set `budget.hourly_price`" if self.cost is None
            else f"money    {self._figure('cost', '{:.4g}')} {self.currency}"
            + beside("cost", "{:.4g}".format),
            "energy   unknown: set `budget.watts`" if self.kwh is None
            else f"energy   {self._figure('kwh', '{:.4g}')} kWh"
            + beside("kwh", "{:.4g}".format),
        ]  # fmt: skip
        return "\n".join(lines)

    def _took(self, actual: Mapping[str, Any]) -> dict[str, Any]:
        """Give what a run took, by the names of the plan; money and energy follow its time."""
        hours = actual["seconds"] / 3600
        share = hours / self.hours
        return {
            "steps": actual["steps"], "tokens": actual["tokens"], "gib": actual["gib"],
            "hours": hours, "cost": None if self.cost is None else self.cost * share,
            "kwh": None if self.kwh is None else self.kwh * share,
        }  # fmt: skip

    def _judged(self, name: str, value: Any, show: Callable[[Any], str]) -> str:
        """Say a figure, and whether it lies in its band."""
        if value is None:
            return "unknown"
        if name not in self.bands:
            return show(value)
        low, high = self.bands[name]
        where = "below" if value < low else "above" if value > high else "within"
        return f"{show(value)}, {where} the band"

    def _figure(self, name: str, form: str) -> str:
        low, high = (form.format(each) for each in self.bands[name])
        return f"{form.format(getattr(self, name))} ({low} to {high})"

    def as_dict(self) -> dict[str, Any]:
        """Give the plan as JSON values."""
        return asdict(self)


def plan_path(recipe: Recipe, project: Project) -> Path:
    """Say where the newest plan of a recipe is kept."""
    return project.state / "finetune" / "plans" / f"{recipe.name}.json"


def read_plan(recipe: Recipe, project: Project) -> Plan | None:
    """Give the plan that was made of this very recipe, or None."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        held = json.loads(plan_path(recipe, project).read_text(encoding="utf-8"))
        bands = {name: (float(low), float(high)) for name, (low, high) in held["bands"].items()}
        found = Plan(**{**held, "bands": bands})
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


def plan_apart(recipe: Recipe, project: Project) -> None:
    """Plan in a process of its own, since this one belongs to a group that would be waited for.

    Raises:
        InputError: the plan could not be made; says what the other process said.
    """
    folder = project.state / "finetune"
    folder.mkdir(parents=True, exist_ok=True)
    around = {key: value for key, value in os.environ.items() if not key.startswith(_GROUP)}
    around["GENAI_PROJECT"] = str(project.state.parent)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=folder) as file:
        json.dump(recipe.model_dump(mode="json", exclude_unset=True), file)  # JSON is YAML
        file.flush()
        command = [sys.executable, "-m", "genai", "finetune", "plan", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=around)
    if done.returncode not in (0, _OVER):
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise InputError(f"{recipe.name}: cannot be planned: {said[0]}")


def recipe_digest(recipe: Recipe) -> str:
    """Give 12 hex digits over the settings that a plan depends on."""
    return digest(recipe.model_dump(mode="json", exclude={"card"}))


def _span(hours: float) -> str:
    return f"{hours * 3600:.0f} s" if hours < 0.05 else f"{hours:.2f} h"
