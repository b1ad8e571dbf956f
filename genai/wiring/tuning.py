"""Fine-tuning on the project's parts: check, budget, training, the gate, promotion."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import project as projects
from genai.errors import InputError
from genai.project import Project
from genai.wiring import tracked
from genai.wiring.parts import hooks, open_ledger, settings
from genai.wiring.trials import suite_tools

if TYPE_CHECKING:
    from genai.finetune import Recipe
    from genai.finetune.gate import Gate
    from genai.finetune.train import Outcome


def train(
    recipe: "str | Path | Recipe", *, fresh: bool = False, checked: bool = False,
    yes: bool = False, say: Callable[[str], None] | None = None,
) -> "Outcome":  # fmt: skip
    """Train by a recipe: its data are checked and its plan is held to the budget first.

    `recipe` is a path, or a name in `configs/`. A run that was interrupted goes on; `fresh` begins
    it anew. `checked` skips the check, `yes` the budget. Evaluate the outcome with `judge`.

    Raises:
        ConfigError: the recipe has a mistake; names file, key and cure.
        InputError: the check fails, or base, rows or disk do not allow it.
        BudgetExceeded: the plan is above a limit of the recipe.
    """
    from genai.finetune.job import rank
    from genai.finetune.train import Options, run
    from genai.finetune.train import run_folder as place

    project = projects.find_project()
    loaded = _recipe(recipe, project)
    if not checked and rank() == 0:
        _check(loaded, project)
    plan = None if yes or rank() else _plan(loaded, project, say)
    where = tracked.store(project, settings(project)) if rank() == 0 else None
    if where is None:
        return run(loaded, project, Options(fresh=fresh, say=say, plan=plan))
    training = tracked.Training(where, loaded, place(loaded, project), say, fresh)
    try:
        outcome = run(loaded, project, Options(fresh=fresh, say=training.say, plan=plan))
    except BaseException as error:
        training.failed(error)
        raise
    training.finished(outcome)
    return outcome


def train_in(start: str, recipe: str, **options: Any) -> "Outcome":
    """Train in a process that another one started, such as a worker of a cluster."""
    os.environ["GENAI_PROJECT"] = start
    return train(recipe, **options)


def train_on(recipe: str, address: str, **options: bool) -> "Path":
    """Train on a Ray cluster ("" for one of its own); give the run's folder.

    Raises:
        InputError: there is no such cluster, or a worker ended with an error.
    """
    from genai.finetune import find_recipe, load_recipe
    from genai.finetune.launch import ray_run
    from genai.finetune.train import run_folder as folder_of

    project = projects.find_project()
    path = find_recipe(project, recipe).absolute()
    loaded = load_recipe(path)
    work = partial(train_in, str(project.state.parent), str(path), **options)
    ray_run(loaded, work, address, project.state / "finetune" / "ray")
    return folder_of(loaded, project)


def _recipe(given: "str | Path | Recipe", project: Project) -> "Recipe":
    from genai.finetune import find_recipe, load_recipe

    if isinstance(given, str | Path):
        return load_recipe(find_recipe(project, str(given)))
    return given


def _check(recipe: "Recipe", project: Project) -> None:
    from genai.finetune.check import check_data

    report = check_data(recipe, project)
    for each in report.findings:
        if each.state == "fail":
            place = f" ({each.examples[0]})" if each.examples else ""
            raise InputError(
                f"{recipe.name}: {each.name}: {each.message}{place}; see all: genai finetune check"
            )


def _plan(
    recipe: "Recipe", project: Project, say: Callable[[str], None] | None
) -> dict[str, object] | None:
    """Plan a run whose recipe has a limit, and hold it to that."""
    from genai.finetune.calibrate import plan_run
    from genai.finetune.plan import hold, plan_apart, read_plan

    budget = recipe.budget
    found = read_plan(recipe, project)
    if found is None:
        if budget.max_hours is budget.max_gib is budget.max_cost is None:
            return None
        if recipe.world_size > 1:
            plan_apart(recipe, project)
            found = read_plan(recipe, project)
        else:
            found = plan_run(recipe, project, say=say or (lambda _: None))
    if found is None:
        return None
    hold(found, recipe)
    return found.as_dict()


def judge(run: str | Path, against: Sequence[str] = (), name: str = "") -> "list[Gate]":
    """Judge a run by its suite against its base and what is served now, or those in `against`.

    `run` is a run's name or folder, `name` what it would be served as (default: the run's name).
    The record is kept beside the run; `promote` needs it.

    Raises:
        InputError: the run has not finished, or a model is not there.
    """
    from genai.finetune.gate import Judge, judge_run

    project = projects.find_project()
    config = settings(project)
    own = Judge(
        hooks=hooks(project, config),
        record=open_ledger(project).record,
        tools=suite_tools(project),
    )
    where, folder = tracked.store(project, config), run_folder(run)
    found = judge_run(folder, project, against, own, name)
    if where is not None:
        tracked.judged(where, folder, found)
    return found


def promote(run: str | Path, name: str = "") -> Path:
    """Serve a run's model as `local/.genai/adapters/NAME` (default: the run's name).

    Raises:
        InputError: the gate does not let it through; names the slice that fell.
    """
    from genai.finetune.gate import promote as put
    from genai.finetune.lock import read_lock

    project, folder = projects.find_project(), run_folder(run)
    placed = put(folder, project, name)
    where = tracked.store(project, settings(project))
    if where is not None:
        tracked.adapter(where, placed, folder, read_lock(folder)["weights"])
    return placed


def run_folder(run: str | Path) -> Path:
    """Find a run by its folder or its name. Raises `InputError`."""
    runs = projects.find_project().state / "finetune" / "runs"
    found = next((each for each in (Path(run), runs / run) if each.is_dir()), None)
    if found is None:
        known = ", ".join(sorted(each.name for each in runs.glob("*"))) or "none"
        raise InputError(f"run {str(run)!r}: there is no such run; known: {known}")
    return found
