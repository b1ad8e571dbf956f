"""The gate of a run: only what the evals call no worse, on every slice, can be promoted.

A trainer's own numbers are shown beside and decide nothing: the run with the best of them can be
the worst model. The suite gates; the dev set that chose the checkpoint is another one.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genai.config import ModelSettings, digest, validate
from genai.errors import InputError
from genai.evals import Decision, Options, Report, Tools, decide, evaluate, load_suite
from genai.evals.gate import Word
from genai.finetune.job import build, prepare
from genai.finetune.lock import LOCK, read_lock
from genai.finetune.recipe import Recipe, base_of, located, pinned
from genai.models import Hooks, Model, open_model
from genai.models.engine import Engine
from genai.models.local import Local, find_folder, local_name
from genai.models.weights import (
    is_adapter,
    read_manifest,
    template_digest,
    weights_digest,
    write_manifest,
)  # fmt: skip
from genai.project import Project
from genai.types import Call

GATE = "gate.json"
_GOOD = (Word.PASS, Word.IMPROVED)
_TRAINER = ("loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "mean_token_accuracy")
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One metric of the suite, before and after. The bounds are of the mean difference."""

    metric: str
    word: str
    gate: bool
    before: float | None
    after: float | None
    n: int
    lost: int
    won: int
    low: float | None
    high: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the evals say of a run against one model. `trainer` is for information."""

    id: str
    run: str
    weights: str
    baseline: str
    baseline_weights: str
    suite: str
    dataset: str
    word: str
    reason: str
    slices: tuple[SliceRow, ...]
    trainer: Mapping[str, float]
    at: float
    data: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether the run may be promoted over the baseline."""
        return self.word in _GOOD

    def text(self) -> str:
        """Give the table of one comparison."""
        lines = [f"{self.run} against {self.baseline}: {self.word}"]
        lines += [f"  {self.reason}"] if self.reason else []
        head = f"  {'metric':18} {'before':>7} {'after':>7} {'n':>5} {'lost':>5} {'won':>5}"
        lines.append(f"{head}  difference (95 % a side)  word")
        for each in self.slices:
            between = f"{_show(each.low, '+.3f')} to {_show(each.high, '+.3f')}"
            lines.append(
                f"  {each.metric:18} {_show(each.before, '.3f'):>7} {_show(each.after, '.3f'):>7}"
                f" {each.n:5} {each.lost:5} {each.won:5}  {between:24}"
                f"  {each.word if each.gate else 'shown'}"
            )
        said = ", ".join(f"{name} {value:.3f}" for name, value in self.trainer.items())
        lines.append(f"  the trainer says (and decides nothing): {said or 'nothing'}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Judge:
    """What judging takes from the project: hooks of model calls, the ledger, progress."""

    hooks: Hooks | None = None
    record: Callable[[Call], None] | None = None
    tools: Tools = Tools()
    progress: bool = False


def judge_run(
    folder: Path, project: Project, against: Sequence[str] = (), judge: Judge | None = None,
    name: str = "",
) -> list[Gate]:  # fmt: skip
    """Judge a run against its base and what is served as `name`, or against those in `against`.

    `name` is what the run would be served as (default: its own). The record is kept in the run's
    folder; `promote` needs it. A model that was asked by another chat template answers another
    prompt, so it is not compared.

    Raises:
        InputError: the run has not finished, or a model to compare with is not there.
    """
    judge = judge or Judge()
    held = read_lock(folder)
    recipe = validate(Recipe, held["recipe"], f"{folder.name}/{LOCK}")
    task = _task(str(folder / "model"), recipe, judge)
    after = _measure(recipe, project, task, judge)
    found = []
    for given in against or _rivals(recipe, project, name):
        rival = given.removeprefix("local/")  # as a served model is named
        if rival == "random weights":
            before_task = _untrained(recipe, project, judge)
            weights, template = str(held["base"]["weights"]), held["template"]
        else:
            before_task = _task(rival, recipe, judge)
            weights = weights_digest(find_folder(rival))
            template = template_digest(find_folder(rival))
        if template != held["template"]:
            decision = _other_template(after, rival, held["template"], template)
        else:
            before = _measure(recipe, project, before_task, judge)
            decision = _decide(recipe, before, after, rival)
        found.append(_gate(held, after, decision, weights))
    record = [asdict(each) for each in found]
    (folder / GATE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return found


def read_gate(folder: Path) -> list[Gate]:
    """Read what was decided of a run. Raises `InputError` where nothing was."""
    try:
        held = json.loads((folder / GATE).read_text(encoding="utf-8"))
        return [
            Gate(**{**each, "slices": tuple(SliceRow(**row) for row in each["slices"])})
            for each in held
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{folder.name}: the evals have not judged it; run: genai finetune compare"
            f" {folder.name}"
        ) from error


def refusal(folder: Path) -> str:
    """Say why a run cannot be promoted; "" where it can.

    Raises:
        InputError: it was not judged, or it has other weights than those that were.
    """
    gates = read_gate(folder)
    if any(each.weights != weights_digest(folder / "model") for each in gates):
        raise InputError(
            f"{folder.name}: was trained again since it was judged; run: genai finetune compare"
            f" {folder.name}"
        )
    for each in gates:
        if not each.passed:
            fell = [
                f"{row.metric} {_show(row.before, '.3f')} -> {_show(row.after, '.3f')}"
                for row in each.slices
                if row.gate and row.word == each.word
            ]
            return f"{each.word} against {each.baseline}: {'; '.join(fell) or each.reason}"
    return ""


def adapters(project: Project) -> Path:
    """Say where promoted models are: `local/.genai/adapters/NAME`."""
    return project.state / "adapters"


def _served_at(project: Project, name: str) -> Path:
    if name != Path(name).name or name.startswith("."):
        raise InputError(f"name {name!r}: is no plain name; models are served from .genai/adapters")
    return adapters(project) / name


def promote(folder: Path, project: Project, name: str = "") -> Path:
    """Put a run's model where it is served from. It replaces the one of that name at once.

    Raises:
        InputError: the name is a path, or the evals do not call it better, or no worse, than its
            base and the model that it would replace; names the slice that fell.
    """
    target = _served_at(project, name or folder.name)
    if why := refusal(folder) or _unjudged(folder, target):
        raise InputError(f"{folder.name}: is not promoted: {why}")
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    copy_model(folder / "model", draft)
    shutil.copy2(folder / GATE, draft / GATE)
    shutil.copy2(folder / LOCK, draft / LOCK)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    draft.replace(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def _unjudged(folder: Path, target: Path) -> str:
    """Name what a run would stand in for and was not held to; "" where there is no such thing."""
    held = read_lock(folder)
    judged = {held["weights"], *(each.baseline_weights for each in read_gate(folder))}
    rivals = {"its base": str(held["base"]["weights"])}
    if target.is_dir():
        rivals[f"what is served as {target.name}"] = weights_digest(target)
    missing = next((name for name, weights in rivals.items() if weights not in judged), "")
    if not missing:
        return ""
    named = f" --name {target.name}" if target.name != folder.name else ""
    return f"it was not judged against {missing}; run: genai finetune compare {folder.name}{named}"


def copy_model(source: Path, target: Path) -> None:
    """Copy a model's folder; an adapter is told the way to its base from where it now lies."""
    shutil.copytree(source, target)
    if is_adapter(source):
        held = read_manifest(source)
        template = (source / "chat_template.jinja").read_text(encoding="utf-8")
        write_manifest(target, held["base"], find_folder(held["base"]), template)


# -- measuring -----------------------------------------------------------------------------------


def _rivals(recipe: Recipe, project: Project, name: str) -> list[str]:
    """Give what a run must not be worse than: its base, and the model that it would replace."""
    random = recipe.weights == "random"
    base = "random weights" if random else pinned(recipe, base_of(recipe, project))
    current = _served_at(project, name or recipe.name)
    return [base, *([str(current)] if current.is_dir() else [])]


def _task(path: str, recipe: Recipe, judge: Judge, engine: Engine | None = None) -> Model:
    settings = ModelSettings(params={"max_tokens": recipe.evals.max_tokens})
    provider = None if engine is None else Local(path, engine=engine)
    return open_model(
        local_name(path).replace("@", "_"), settings=settings,
        provider=provider or Local(path), hooks=judge.hooks,
    )  # fmt: skip


def _untrained(recipe: Recipe, project: Project, judge: Judge) -> Model:
    """Give the weights a run from nothing began with."""
    job = prepare(recipe, project, project.state)
    model, _ = build(job)
    return _task(f"{recipe.name}#0", recipe, judge, Engine(model.eval(), job.tokenizer))


def _measure(recipe: Recipe, project: Project, task: Any, judge: Judge) -> Report:
    suite = load_suite(located(project, recipe.evals.suite))
    options = Options(
        concurrency=_AT_ONCE, stage=recipe.evals.stage, progress=judge.progress,
        record=judge.record,
    )  # fmt: skip
    return evaluate(suite, task, project.state / "runs", judge.tools, options)


def _other_template(after: Report, rival: str, own: str, template: str) -> Decision:
    reason = (
        f"it is asked by another chat template ({template[:12]}, the run by {own[:12]}), so the two"
        " answer other prompts; serve the run under another name, or train both with one template"
    )
    return Decision(after.suite, _shown(rival), after.stage, Word.CANNOT_COMPARE, (), reason)


def _decide(recipe: Recipe, before: Report, after: Report, rival: str) -> Decision:
    stage = recipe.evals.stage
    margin = after.margins.get(stage)
    return decide(before.scorecard, after.scorecard, stage=stage, margin=margin, name=_shown(rival))


def _shown(rival: str) -> str:
    """Give the short name of a model: that of its run, or of its folder."""
    name = Path(rival).parent.name if rival.endswith("/model") else rival
    return Path(name).name if Path(name).is_dir() else name


def _gate(held: Mapping[str, Any], after: Report, decision: Decision, weights: str) -> Gate:
    rows = tuple(
        SliceRow(
            c.metric, str(c.word), c.gate, c.before, c.after, c.n, c.losses, c.gains, c.low, c.high,
            c.note,
        )
        for c in decision.comparisons
    )  # fmt: skip
    data = {path: str(each["sha256"]) for path, each in held["data"].items()}
    key = digest([held["weights"], weights, after.dataset, [row.metric for row in rows]])
    return Gate(
        id=key, run=held["recipe"]["name"], weights=held["weights"], baseline=decision.baseline,
        baseline_weights=weights, suite=after.suite, dataset=after.dataset,
        word=str(decision.word), reason=decision.reason, slices=rows, trainer=_trainer(held),
        at=time.time(), data=data,
    )  # fmt: skip


def _trainer(held: Mapping[str, Any]) -> dict[str, float]:
    """Give what the trainer last said."""
    return {name: held["trainer"][name] for name in _TRAINER if name in held.get("trainer", {})}


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
