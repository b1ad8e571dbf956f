"""One training run: base and rows in, weights and their record out; interrupted, it goes on.

.genai/finetune/runs/NAME/
    run.lock.json     what the run depended on, and the digest of what came out
    curves.jsonl      what the trainer measured, a line a log
    checkpoints/      the newest two that are whole
    model/            the weights: a whole model, or an adapter bound to its base
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from typing import Any

from genai import extras
from genai.errors import InputError
from genai.finetune import lock as locks
from genai.finetune.job import Job, hub_off, prepare, rank
from genai.finetune.recipe import Recipe
from genai.finetune.watch import COUNT, WHOLE, Watch
from genai.models.engine import is_of_memory
from genai.models.weights import is_adapter, weights_digest, write_manifest
from genai.project import Project, write_whole

Say = Callable[[str], None]


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
    """A finished run. `weights` is the digest of `model`; `score` is that of the dev set.

    `seconds` and `gib`, the most memory that a process held, are of every start of the run, up to
    its last checkpoint. None is unknown: memory that the system, tokens that the trainer does not
    tell.
    """

    name: str
    model: Path
    weights: str
    steps: int
    seconds: float
    tokens: int | None
    gib: float | None
    score: float | None
    best_step: int
    notes: tuple[str, ...]
    curves: tuple[Mapping[str, float], ...] = field(repr=False, default=())

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.model.parent


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
    with _told_of_room(recipe, folder), hub_off():
        with _first(job):
            if rank() == 0:
                _same_run(folder, inputs, options.fresh)
        watch = Watch(job, project, options, started)
        trainer = _trainer(job, watch)
        resume = newest(folder)
        if resume is not None:
            watch.resume(resume)
            setattr(trainer, COUNT, watch.tokens)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        _keep(job, trainer, watch, folder / "model")
        with _first(job):
            outcome = _finish(job, watch, inputs, options, started)
    return outcome


@contextmanager
def _told_of_room(recipe: Recipe, folder: Path) -> Iterator[None]:
    """Say in one line that memory or disk is full, and where the run goes on."""
    try:
        yield
    except Exception as error:  # each package has its own class for a file that cannot be written
        if is_of_memory(error):
            raise InputError(
                f"{recipe.name}: the memory is full ({' '.join(str(error).split())[:200]}); lower"
                f" `training.batch` (now {recipe.training.batch}) and raise `training.accumulation`"
                " as much, or lower `max_length`, and begin with --fresh"
            ) from error
        if not _is_of_disk(error):
            raise
        step, said = newest(folder), " ".join(str(error).split())
        there = next(each for each in (folder, *folder.parents) if each.exists())
        free = shutil.disk_usage(there).free / 1e6
        raise InputError(
            f"{recipe.name}: a checkpoint could not be written ({said}; {free:,.0f} MB are free);"
            f" free space and run it again, it goes on from {step.name if step else 'the start'}"
        ) from error


def _is_of_disk(error: Exception) -> bool:
    kinds = (OSError, extras.load("safetensors", "finetune").SafetensorError)
    save = extras.load("torch", "finetune").save.__code__  # it has no class of error for that
    places = walk_tb(error.__traceback__)
    return isinstance(error, kinds) or any(frame.f_code is save for frame, _ in places)


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
        if (each / WHOLE).exists():
            found.append(each)
        else:  # killed in the middle of saving
            shutil.rmtree(each, ignore_errors=True)
    return max(found, key=lambda each: int(each.name.rpartition("-")[2]), default=None)


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
        write_whole(path, json.dumps(inputs, indent=1))


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
    for path in (draft / "training_args.bin", draft / "README.md", draft / WHOLE):
        path.unlink(missing_ok=True)
    job.tokenizer.save_pretrained(draft)
    if is_adapter(draft):
        _forget_path(draft / "adapter_config.json", job.base)
        write_manifest(draft, job.base, job.source, job.tokenizer.chat_template)
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
    held["base_model_name_or_path"] = "" if Path(base).is_dir() else base.partition("@")[0]
    config.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _finish(
    job: Job, watch: Watch, inputs: Mapping[str, Any], options: Options, started: float
) -> Outcome:
    model = job.folder / "model"
    spent = watch.spent()
    outcome = Outcome(
        job.recipe.name, model, weights_digest(model), watch.step, spent.seconds,
        spent.tokens or None, spent.gib, watch.best_score, watch.best_step or watch.step,
        tuple(watch.notes), tuple(watch.curves),
    )  # fmt: skip
    if rank() == 0:
        locks.write(job, inputs, outcome, watch.weights_at, options.plan, started)
    return outcome
