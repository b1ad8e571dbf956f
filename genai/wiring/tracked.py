"""What runs, trainings, prompts and adapters say of themselves, for `exp diff` and for MLflow."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import tracking
from genai.config import Config, settings_of, text_hash
from genai.errors import CaseError
from genai.evals import Suite
from genai.models import Model
from genai.models.address import bare
from genai.project import Project, git
from genai.prompts import load_prompt, prompt_names
from genai.prompts.labels import read_labels
from genai.prompts.render import Segment
from genai.tracking import Record, Store, Version

if TYPE_CHECKING:
    from genai.evals import Report
    from genai.evals.grid import GridReport
    from genai.finetune import Recipe
    from genai.finetune.gate import Gate
    from genai.finetune.train import Outcome
FACTS = "facts.json"
_PAUSE = 2.0  # seconds between two looks at a training's curves


def store(project: Project, config: Config) -> Store | None:
    """Give where experiments are tracked; None where they are not.

    Raises:
        MissingExtra: tracking is on, and MLflow is not installed.
    """
    if not config.tracking.enabled:
        return None
    tracking.require()
    return Store(project.state / "mlflow", config.tracking.url)


# -- evaluations ---------------------------------------------------------------------------------


def facts(task: Any, suite: Suite, config: Config, root: Path) -> dict[str, str]:
    """Name everything a run depends on: hashes, versions, seed and every setting of a chain."""
    found = {"suite": suite.hash, "judge": suite.settings.judge or config.evals.judge}
    if isinstance(task, Model):
        found |= {"model": task.name, "model_hash": text_hash(task.identity)[:12]}
    chains = sys.modules.get("genai.rag.chain")  # not loaded, where the task is none
    if chains is not None and isinstance(task, chains.Chain):
        own = task.config
        found |= {
            "model": task.model.name, "model_hash": text_hash(task.model.identity)[:12],
            "prompt": task.prompt.name, "prompt_hash": task.prompt.hash,
            "index": task.index.name, "index_revision": task.index.revision,
            "guards": task.guards.hash, "config": own.hash,
            **_flat(own.model_dump(mode="json", exclude={"tracking", "refusals"})),
        }  # fmt: skip
        params = settings_of(own.chain.model, own.models).params
        found["seed"] = str({**task.prompt.params, **params}.get("seed", ""))
    found["git"] = git(root, "rev-parse", "HEAD")[:12]
    return {name: bare(value) for name, value in found.items() if value != ""}


def keep_facts(report: "Report", found: Mapping[str, str]) -> None:
    """Write beside a run what it depended on."""
    said = {"task": report.task, "variant": report.variant, **found}
    with suppress(OSError):  # the run is whole without them
        (report.folder / FACTS).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def read_facts(folder: Path) -> dict[str, str]:
    """Give what a run depended on; nothing where it was made before that was kept."""
    try:
        found: dict[str, str] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def evaluation(project: Project, where: Store, report: "Report") -> None:
    """Log a run of a suite, and mirror the prompt it used."""
    from genai.loop.seen import ONLINE  # it loads the ledger's tables

    found = read_facts(report.folder)
    at = time.time()
    with suppress(CaseError):  # the page is a convenience, and named among what is not copied
        report.save(report.folder / "report.html", "html")
    values: dict[str, float | None] = {
        "cases": report.cases, "trials": report.trials, "seconds": report.seconds,
        "tokens": report.tokens, "cost": float(report.cost), "cost_unknown": report.unknown_cost,
    }  # fmt: skip
    for each in report.metrics:
        values |= {
            each.name: each.value, f"{each.name}.low": each.low, f"{each.name}.high": each.high,
            f"{each.name}.n": each.n, f"{each.name}.unmeasured": each.unmeasured,
        }  # fmt: skip
    params = {**found, "dataset": report.dataset, "repeats": str(report.repeats)}
    tags = {"genai.kind": "eval", "genai.run": report.run, "genai.stage": report.stage}
    tags |= {f"{each.name}.state": each.state for each in report.metrics}
    if report.stopped:
        tags["genai.stopped"] = report.stopped
    files = ("report.json", "scorecard.jsonl", "report.html", FACTS)
    names = (FACTS,) if report.suite == ONLINE else files  # those hold what people asked
    tracking.log(
        where,
        Record(
            key_of(report), report.suite, report.run, params, tags, _metrics(values, at),
            [report.folder / name for name in names], started=at - report.seconds,
        ),
    )  # fmt: skip
    if "prompt" in found:
        mirror_prompts(project, where, only=found["prompt"])


def key_of(report: "Report") -> str:
    """Name a run for good."""
    return f"eval/{report.suite}/{report.run}"


def grid(where: Store, report: "GridReport") -> None:
    """Log a grid, its cells under it."""
    at = time.time()
    values: dict[str, float | None] = {}
    for each in report.entries:
        values |= {
            f"{each.label}/{report.metric}": each.quality, f"{each.label}/low": each.low,
            f"{each.label}/high": each.high, f"{each.label}/n": each.n,
            f"{each.label}/tie": each.group,
            f"{each.label}/cost": None if each.cost is None else float(each.cost),
        }  # fmt: skip
    best = ", ".join(each.label for each in report.best)
    tracking.log(
        where,
        Record(
            f"grid/{report.suite}/{report.folder.name}", report.suite, report.folder.name,
            {"dataset": report.dataset, "metric": report.metric, "cells": str(len(report.entries))},
            {"genai.kind": "grid", "genai.best": best}, _metrics(values, at),
            sorted(report.folder.glob("grid*.*")),
            [f"eval/{report.suite}/{each.run}" for each in report.entries],
        ),
    )  # fmt: skip


def _metrics(
    values: Mapping[str, float | None], at: float, step: int = 0
) -> list[tuple[str, float, int, float]]:
    """Give what is known; what is not measured is left out, never 0."""
    return [(name, float(v), step, at) for name, v in values.items() if v is not None]


# -- prompts and adapters ------------------------------------------------------------------------


def mirror_prompts(project: Project, where: Store, only: str = "") -> int:
    """Mirror prompts as they are and every version that a label points at; give how many."""
    folder = project.root / "prompts"
    labels = read_labels(folder).labels
    count = 0
    for name in prompt_names(folder):
        if only and name != only:
            continue
        pointed: dict[str, list[str]] = {}
        for label, versions in labels.items():
            if name in versions:
                pointed.setdefault(versions[name], []).append(label)
        now = load_prompt(name, folder)
        for sha in {now.hash: None, **dict.fromkeys(pointed)}:
            prompt = now if sha == now.hash else load_prompt(f"{name}@{sha}", folder)
            turns = [(role, "".join(map(_written, segments))) for role, segments in prompt.body]
            tracking.mirror(
                where,
                Version(
                    "prompt", name, sha, pointed.get(sha, []), turns, {"sha256": prompt.sha256}
                ),
            )
            count += 1
    return count


def _written(segment: Segment) -> str:
    return f"{{{{{segment.slot}}}}}" if segment.slot else segment.text


def adapter(where: Store, placed: Path, run: Path, weights: str) -> None:
    """Mirror a model that is served from now on, under the alias `serving`."""
    files = [path for path in sorted(placed.rglob("*")) if path.is_file()]
    tracking.mirror(
        where,
        Version(
            "adapter", placed.name, weights[:12], ["serving"], (), {"weights": weights}, placed,
            files, training_key(run),
        ),
    )  # fmt: skip


# -- training ------------------------------------------------------------------------------------


def training_key(folder: Path) -> str:
    """Name a training for good: one that goes on after a stop is the same, a fresh one is not."""
    inputs = folder / "inputs.json"
    made = f"{inputs.stat().st_mtime_ns}" if inputs.exists() else ""
    return f"finetune/{folder.name}/{made}"


class Training:
    """Follows a training by the curves it writes, and logs it when it ends."""

    def __init__(
        self, where: Store, recipe: "Recipe", folder: Path, say: Callable[[str], None] | None,
        fresh: bool,
    ) -> None:  # fmt: skip
        self._store, self._recipe, self._folder, self._say = where, recipe, folder, say
        self._started, self._looked = time.time(), 0.0
        curves = folder / "curves.jsonl"
        # what an earlier start of the same run wrote was logged by it
        self._read = curves.stat().st_size if curves.exists() and not fresh else 0

    def say(self, text: str) -> None:
        """Pass a line of progress on; now and then, log the curves so far."""
        if self._say is not None:
            self._say(text)
        if time.monotonic() - self._looked >= _PAUSE:
            self._looked = time.monotonic()
            self._log("RUNNING")

    def finished(self, outcome: "Outcome") -> None:
        """Log the end of a training, with its lock."""
        held = json.loads((self._folder / "run.lock.json").read_text(encoding="utf-8"))
        values = {
            "score": outcome.score, "best_step": outcome.best_step, "rows": held["rows"]["count"],
            "train_seconds": outcome.seconds, "train_tokens": outcome.tokens,
        }  # fmt: skip
        hashes = {  # none named as a setting of the recipe: MLflow keeps the first value it got
            "data_hash": held["rows"]["sha256"],
            "base_weights": held["base"]["weights"], "template": held["template"],
            "tokenizer": held["tokenizer"], "git": json.dumps(held["git"]),
        }  # fmt: skip
        more = _metrics(values, time.time(), outcome.steps)
        tags = {"weights": outcome.weights, "notes": "; ".join(outcome.notes)}
        self._log("FINISHED", hashes, more, tags)

    def failed(self, error: BaseException) -> None:
        """Log that a training ended early, if it had begun; it may go on later as the same run."""
        if not self._looked:
            return
        self._log("FAILED", tags={"genai.stopped": f"{type(error).__name__}: {error}"})

    def _log(
        self, status: tracking.Status, hashes: Mapping[str, Any] | None = None,
        more: list[tuple[str, float, int, float]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        recipe = self._recipe
        params = {
            "recipe": text_hash(recipe.model_dump_json())[:12],
            "seed": str(recipe.training.seed),
        }
        params |= _flat(recipe.model_dump(mode="json"))
        params |= {name: str(value) for name, value in (hashes or {}).items()}
        names = ("run.lock.json", "curves.jsonl", "inputs.json")
        said = {name: value for name, value in (tags or {}).items() if value}
        tracking.log(
            self._store,
            Record(
                training_key(self._folder), "finetune", recipe.name, params,
                {"genai.kind": "finetune", **said}, [*self._curves(), *(more or [])],
                [self._folder / name for name in names] if status != "RUNNING" else (),
                (), status, self._started,
            ),
        )  # fmt: skip

    def _curves(self) -> list[tuple[str, float, int, float]]:
        """Give the lines of the curves that were written since the last look."""
        path = self._folder / "curves.jsonl"
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        found = []
        for line in map(json.loads, whole.splitlines()):
            step, at = int(line.pop("step")), self._started + line.pop("seconds")
            found += [(name, float(value), step, at) for name, value in line.items()]
        return found


def judged(where: Store, folder: Path, gates: "Sequence[Gate]") -> None:
    """Log what the evals say of a training, as figures of its run."""
    values: dict[str, float | None] = {}
    tags = {"genai.kind": "finetune"}
    for gate in gates:
        tags[f"gate/{gate.baseline}"] = gate.word
        for each in gate.slices:
            name = f"gate/{gate.baseline}/{each.metric}"
            values |= {
                f"{name}.before": each.before, f"{name}.after": each.after, f"{name}.n": each.n,
                f"{name}.low": each.low, f"{name}.high": each.high,
            }  # fmt: skip
    tracking.log(
        where,
        Record(
            training_key(folder), "finetune", folder.name, {}, tags,
            _metrics(values, time.time()), [folder / "gate.json"],
        ),
    )  # fmt: skip


# -- words ---------------------------------------------------------------------------------------


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Give nested settings as dotted ones; empty ones are left out."""
    found: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        elif value not in (None, "", []):
            found[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return found
