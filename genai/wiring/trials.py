"""Evals on the project's parts: tasks by name, judge, embedder, ledger, other processes."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import compute
from genai import project as projects
from genai.config import Config
from genai.errors import InputError
from genai.evals import Options, Suite, Tools, load_suite
from genai.evals import evaluate as run_suite
from genai.evals.task import describe
from genai.models import Embedder, Model
from genai.models.address import bare
from genai.project import Project
from genai.prompts import load_prompt
from genai.wiring import tracked
from genai.wiring.parts import embedder, model, open_ledger, settings
from genai.wiring.tasks import as_task, open_chain, open_task, refuse_model

if TYPE_CHECKING:
    from genai.evals import Report
    from genai.evals.grid import GridReport
    from genai.evals.shard import Part
_model = model


def evaluate(
    suite: str | Path | Suite, task: Any = None, *, model: str = "", workers: int = 0,
    ray: str | None = None, **options: Any,
) -> "Report":  # fmt: skip
    """Run a suite (a name in `evals/`, or a path) on a task; give its Report.

    `task` is any callable from a question to an outcome, or `chain`, `model`, or
    `module:function`; without one it is what the suite names. `model` is another model for it.
    `options` are the fields of `genai.evals.Options`, such as `limit=5`, `repeats=3`,
    `spend=Decimal("1.00")`. The run is kept under `.genai/runs/`, and goes on there if interrupted.
    `workers` processes, or a Ray cluster by its address ("" for one of its own), share the cases.

    Raises:
        CaseError: the suite has a mistake; names file, line and case.
    """
    found = projects.find_project()
    loaded = _suite(suite, found)
    config = settings(found)
    where = tracked.store(found, config)
    given = task if task is not None else loaded.settings.task
    if isinstance(given, str):
        task = open_task(given, model_name=model)
    else:
        refuse_model(describe(given)[0], model)
        task = as_task(given)
    options.setdefault("record", open_ledger(found).record)
    options.setdefault("stage", config.evals.stage)
    chosen = Options(**options)
    if workers or ray is not None:
        chosen = replace(
            chosen, scatter=partial(_scatter, loaded, given, model, chosen, workers, ray)
        )
    report = run_suite(loaded, task, found.state / "runs", suite_tools(found, loaded), chosen)
    tracked.keep_facts(report, tracked.facts(task, loaded, config, found.root))
    if where is not None:
        tracked.evaluation(found, where, report)
    return report


def _suite(suite: str | Path | Suite, project: Project) -> Suite:
    path = project.root / "evals" / f"{suite}.yaml" if isinstance(suite, str) else suite
    return load_suite(path) if isinstance(path, Path) else path


def suite_tools(project: Project, suite: Suite | None = None) -> Tools:
    """Give what the scorers of a suite may use: the configured embedder, and the suite's judge."""
    config = settings(project)
    judge = (suite.settings.judge if suite else "") or config.evals.judge
    return Tools(
        embed=_Embed(project, config),
        embed_name=config.embedder,
        judge=_Judge(judge) if judge else None,
        judge_name=bare(judge),
        prompts=project.root / "prompts",
    )


class _Embed:
    """The configured embedder, opened on its first texts."""

    def __init__(self, project: Project, config: Config) -> None:
        self._given = project, config
        self._embedder: Embedder | None = None

    def __call__(self, texts: Sequence[str]) -> Any:
        if self._embedder is None:
            self._embedder = embedder(*self._given)
        return self._embedder.embed(texts)


class _Judge:
    """The judge model, opened on its first question."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: Model | None = None

    async def __call__(self, messages: Any, **params: Any) -> Any:
        if self._model is None:
            self._model = _model(self._name)
        return await self._model.acall(messages, **params)


# -- other processes -----------------------------------------------------------------------------


def _scatter(
    suite: Suite, task: Any, model: str, options: Options, workers: int, ray: str | None,
    folder: Path, cases: Sequence[str],
) -> None:  # fmt: skip
    """Have workers do the cases into the run's folder; each keeps to its share of the money."""
    from genai.evals.shard import Part, deal, shares

    spend = options.spend if options.spend is not None else suite.settings.spend
    root = projects.find_project().root
    dealt = deal(cases, workers or os.cpu_count() or 1)
    money = shares(folder, dealt, None if spend is None else Decimal(spend))
    parts = [
        Part(
            str(suite.path), task, model, str(root), str(folder), names, options.repeats, share,
            options.concurrency,
        )
        for names, share in zip(dealt, money, strict=True)
    ]  # fmt: skip
    for _ in compute.scatter(do_part, parts, workers=workers, ray=ray):
        pass


def do_part(part: "Part") -> int:
    """Do a part of a run in this process, a worker; give how many cases there were to do."""
    from genai.evals.shard import run_part

    os.environ["GENAI_PROJECT"] = part.root
    project = projects.find_project()
    suite = load_suite(Path(part.suite))
    named = isinstance(part.task, str)
    task = open_task(part.task, model_name=part.model) if named else as_task(part.task)
    ledger = open_ledger(project)
    options = Options(
        repeats=part.repeats, concurrency=part.concurrency, spend=part.spend, record=ledger.record
    )
    try:
        return run_part(part, suite, task, suite_tools(project, suite), options)
    finally:
        ledger.flush()


def grid(
    suite: str | Path | Suite, models: Sequence[str] = (), *, metric: str = "",
    vary: Mapping[str, Sequence[str]] | None = None, **options: Any,
) -> "GridReport":  # fmt: skip
    """Run a suite on every combination of models and dotted settings; give its GridReport.

    `vary` is such as `{"chain__top_k": ["3", "6"]}`, `options` are those of `evaluate`; `spend` is
    for all cells together. An interrupted grid goes on where it stopped.

    Raises:
        CaseError: the suite has a mistake, or there is nothing to compare.
        ConfigError: a setting has a mistake; nothing was run.
    """
    from genai.evals import grid as grids

    found = projects.find_project()
    loaded = _suite(suite, found)
    cells = grids.cells(models, vary or {})
    for cell in cells:
        load_prompt(settings(found, **cell).chain.prompt, found.root / "prompts")
    task = partial(_cell_task, found, loaded.settings.task)
    plan = grids.Plan(loaded, cells, metric, found.state / "runs", options)
    where = tracked.store(found, settings(found))
    report = grids.run_grid(plan, task, evaluate)
    if where is not None:
        tracked.grid(where, report)
    return report


def _cell_task(project: Project, task: str, cell: Mapping[str, Any]) -> Any:
    rest = {key: value for key, value in cell.items() if key != "chain__model"}
    if task == "model" and not rest:
        return model(cell["chain__model"])
    if task != "chain":
        raise InputError(f"grid: the task {task!r} takes no {', '.join(rest)}; use `task: chain`")
    return open_chain(project, model=cell.get("chain__model"), **rest)
