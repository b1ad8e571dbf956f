"""What goes on during a run: progress, curves, dev scores, the best weights so far, and alarms."""

import json
import math
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.config import ModelSettings
from genai.errors import InputError
from genai.evals import Options as EvalOptions
from genai.evals import Tools, evaluate, load_suite
from genai.finetune.curves import append
from genai.finetune.hardware import costly, peak_gib
from genai.finetune.job import Job, rank
from genai.finetune.recipe import located
from genai.models import Model, open_model
from genai.models.engine import Engine
from genai.models.local import Local
from genai.models.weights import weights_digest
from genai.project import Project

if TYPE_CHECKING:
    from genai.finetune.train import Options
COUNT = "_total_train_tokens"  # where TRL counts tokens, from zero at each start; ORPO does not
WHOLE = "whole"  # a checkpoint with this file was written to its end
_FALL = 0.5  # nats that the chosen answers may lose before an alarm, twice in a row


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has taken. `gib` is the most memory of a process; None where nobody knows it."""

    tokens: int
    seconds: float
    gib: float | None


class Watch:
    """Follows one run and keeps what it sees."""

    def __init__(self, job: Job, project: Project, options: "Options", started: float) -> None:
        self.curves: list[dict[str, float]] = []
        self.notes: list[str] = []
        self.weights_at: dict[str, str] = {}
        self.step = 0
        self.tokens = 0
        self.before = Spent(0, 0.0, None)
        self.best: Path | None = None
        self.best_score: float | None = None
        self.best_step = 0
        self._job, self._project, self._options = job, project, options
        self._start, self._started = time.perf_counter(), started
        self._first_chosen: float | None = None
        self._falls = 0
        self._stale = 0
        self._engine: Engine | None = None
        self._began = (0, 0.0)
        training = job.recipe.training
        self.notes += costly(job.hardware, training.precision, training.activation_checkpointing)
        if options.say is not None:
            for note in self.notes:
                options.say(f"beware: {note}")

    def resume(self, checkpoint: Path) -> None:
        """Take over what an earlier start has seen up to a checkpoint."""
        held = json.loads((checkpoint / "watch.json").read_text(encoding="utf-8"))
        self.step = int(checkpoint.name.rpartition("-")[2])
        self.curves, self.weights_at = held["curves"], held["weights_at"]
        self.best_score, self.best_step = held["best_score"], held["best_step"]
        best = self._job.folder / "best"
        self.best = best if self.best_step and best.is_dir() else None
        self._first_chosen, self._falls = held["first_chosen"], held["falls"]
        self._stale = held["stale"]
        self.before = Spent(**held["spent"])
        self.tokens = self.before.tokens

    def spent(self) -> Spent:
        """Give what the run has taken so far, with every start up to its last checkpoint."""
        most = [each for each in (self.before.gib, peak_gib()) if each is not None]
        seconds = self.before.seconds + time.time() - self._started
        return Spent(self.tokens, seconds, max(most, default=None))

    # -- what the trainer calls ------------------------------------------------------------------

    def logged(self, step: int, logs: dict[str, Any]) -> None:
        """Take a line of the trainer's log.

        Raises:
            InputError: the loss is not a number.
        """
        numbers = {k: float(v) for k, v in logs.items() if isinstance(v, int | float)}
        for name in ("loss", "grad_norm"):
            if not math.isfinite(numbers.get(name, 0.0)):
                raise InputError(
                    f"{self._job.recipe.name}: {name} is {numbers[name]} at step {step}; lower"
                    f" `training.learning_rate` (now {self._job.recipe.training.learning_rate:g})"
                )
        self.tokens = int(numbers.get("num_tokens", self.tokens))
        seconds = time.perf_counter() - self._start
        line = {"step": step, "seconds": round(seconds, 3), **numbers}
        self.curves.append(line)
        append(self._job.folder, line)
        self._alarm(numbers)
        self._progress(step, numbers, seconds)

    def _progress(self, step: int, numbers: dict[str, float], seconds: float) -> None:
        if self._options.say is None or "loss" not in numbers:
            return
        if not self._began[1]:
            self._began = (step, seconds)
        done, took = step - self._began[0], seconds - self._began[1]
        words = f"step {step} of {self._job.steps}, loss {numbers['loss']:.4f}"
        if done and took:
            left = took / done * (self._job.steps - step)
            fed = self.tokens - self.before.tokens
            rate = f"{fed / seconds:,.0f} tokens/s, " if fed else ""
            words += f", {rate}{left:.0f} s left"
        self._options.say(words)

    def _alarm(self, numbers: dict[str, float]) -> None:
        """Chosen answers that become unlikely are the one trainer's number that tells a bad run."""
        chosen = numbers.get("logps/chosen")
        if chosen is None:
            return
        if self._first_chosen is None:
            self._first_chosen = chosen
        self._falls = self._falls + 1 if chosen < self._first_chosen - _FALL else 0
        if self._falls == 2:
            rate, lost = self._job.recipe.training.learning_rate, self._first_chosen - chosen
            self.notes.append(
                f"the chosen answers lost {lost:.2f} nats: the model unlearns what it is shown; try"
                f" `training.learning_rate: {rate / 5:g}` or"
                " `preference.losses: {sigmoid: 1, sft: 1}`"
            )

    def stepped(self, step: int, model: Any) -> bool:
        """Score the weights where the recipe asks for it; True ends the run."""
        self.step = step
        evals = self._job.recipe.evals
        last = step >= self._job.steps
        due = (evals.every and step % evals.every == 0) or last
        # sharded weights cannot generate on one process
        here = self._job.recipe.scale.strategy in ("single", "ddp") and rank() == 0
        if self._options.score and due and here:
            self._score(step, model, keep=bool(evals.every))
        stop = self._options.stop_at is not None and step >= self._options.stop_at
        return stop or bool(evals.patience and self._stale >= evals.patience)

    def saved(self, checkpoint: Path, tokens: int) -> None:
        """Note the weights of a checkpoint, and what was seen and taken up to it."""
        self.weights_at[checkpoint.name.rpartition("-")[2]] = weights_digest(checkpoint)
        held = {
            "curves": self.curves, "weights_at": self.weights_at, "best_score": self.best_score,
            "best_step": self.best_step, "first_chosen": self._first_chosen,
            "falls": self._falls, "stale": self._stale,
            "spent": asdict(replace(self.spent(), tokens=tokens)),
        }  # fmt: skip
        (checkpoint / "watch.json").write_text(json.dumps(held), encoding="utf-8")
        (checkpoint / WHOLE).touch()

    # -- the dev set -----------------------------------------------------------------------------

    def _score(self, step: int, model: Any, *, keep: bool) -> None:
        """Ask the weights the dev set; the best ones are kept where several are scored."""
        recipe = self._job.recipe
        suite = load_suite(located(self._project, recipe.evals.dev))
        side = self._job.tokenizer.padding_side
        report = evaluate(
            suite, self._task(model, step), self._job.folder / "dev", Tools(),
            EvalOptions(limit=recipe.evals.limit, resume=False, concurrency=64),
        )  # fmt: skip
        self._job.tokenizer.padding_side = side
        value = report.metric(recipe.evals.metric).value
        if value is None:
            raise InputError(
                f"{suite.path.name}: `{recipe.evals.metric}` could not be measured at step {step};"
                f" see its notes in {self._job.folder.name}/dev"
            )
        if self._options.say is not None:
            self._options.say(f"step {step}: {recipe.evals.metric} {value:.3f} on {suite.name}")
        score = {"step": step, f"dev/{recipe.evals.metric}": value}
        self.curves.append(score)
        append(self._job.folder, {**score, "seconds": time.perf_counter() - self._start})
        if self.best_score is None or value > self.best_score:
            self.best_score, self.best_step, self._stale = value, step, 0
            if keep:
                self._keep(model)
        else:
            self._stale += 1

    def _task(self, model: Any, step: int) -> Model:
        if self._engine is None:
            self._engine = Engine(model, self._job.tokenizer)
        name = f"{self._job.recipe.name}#{step}"
        settings = ModelSettings(params={"max_tokens": self._job.recipe.evals.max_tokens})
        provider = Local(name, engine=self._engine)
        return open_model(f"local/{name}", settings=settings, provider=provider)

    def _keep(self, model: Any) -> None:
        best = self._job.folder / "best"
        draft = best.with_name("best.draft")
        shutil.rmtree(draft, ignore_errors=True)
        model.save_pretrained(draft)
        shutil.rmtree(best, ignore_errors=True)
        draft.replace(best)
        self.best = best


def follow(trainer: Any, watch: Watch) -> Any:
    """Have a watch follow a trainer, which prints nothing itself; give the trainer."""
    transformers = extras.load("transformers", "finetune")

    class Follow(transformers.TrainerCallback):  # type: ignore[misc,name-defined]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if (
                state.is_world_process_zero
                and logs
                and not any(k.startswith("eval_") for k in logs)
            ):
                watch.logged(state.global_step, logs)

        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if watch.stepped(state.global_step, given["model"]):
                control.should_training_stop = True
                control.should_save = True

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                watch.saved(path, getattr(trainer, COUNT, 0))

    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(Follow())
    return trainer
