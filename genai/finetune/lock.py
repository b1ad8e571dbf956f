"""The run lock: everything a run depended on, and the proof that it can be made again.

`verify` trains the first steps once more and compares the digest of the weights. On the same
processor and packages they are the same to the bit; elsewhere the losses are compared, and said.
"""

import hashlib
import json
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.config import text_hash, validate
from genai.errors import ConfigError, InputError
from genai.finetune.data import rows_hash
from genai.finetune.job import Job, prepare
from genai.finetune.recipe import Recipe, located
from genai.models.weights import weights_digest
from genai.project import Project, git, write_whole

if TYPE_CHECKING:
    from genai.finetune.train import Outcome
LOCK = "run.lock.json"
_PACKAGES = (
    "torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors",
)  # fmt: skip
# what must be the same for two runs to be the same run; the rest is where it happened
_INPUTS = ("recipe", "data", "rows", "template", "tokenizer", "base")
_CLOSE = 1e-3  # relative difference of two losses on different machines


def inputs(job: Job, project: Project) -> dict[str, Any]:
    """Give what a run is made from, before its first step."""
    recipe = job.recipe
    return {
        "version": 1,
        "recipe": recipe.model_dump(mode="json"),
        "data": {
            each.path: {
                **each.model_dump(mode="json"),
                "sha256": file_digest(located(project, each.path)),
            }
            for each in recipe.data
        },
        "rows": {"count": len(job.rows), "sha256": rows_hash(job.rows)},
        "steps": job.steps,
        "template": text_hash(job.tokenizer.chat_template),
        "tokenizer": text_hash(job.tokenizer.backend_tokenizer.to_str()),
        "base": {
            "name": recipe.base,
            "weights": _base_weights(job),
            "revision": recipe.revision,
            "licence": recipe.licences.base,
        },
        "packages": {name: _version(name) for name in _PACKAGES},
        "machine": _machine(job),
        "git": _git(project.root),
        "engine": recipe.training.engine,
    }


def differences(held: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name what differs between the inputs of two runs; a data file is named itself."""
    found = []
    for name in _INPUTS:
        if name == "data" and name in held:
            found += [
                path
                for path in {**held["data"], **now["data"]}
                if held["data"].get(path) != now["data"].get(path)
            ]
        elif held.get(name) != now.get(name):
            found.append(name)
    return found


def write(
    job: Job, given: Mapping[str, Any], outcome: "Outcome", weights_at: Mapping[str, str],
    plan: Mapping[str, Any] | None, started: float,
) -> None:  # fmt: skip
    """Write the lock of a finished run, whole or not at all."""
    losses = {str(int(c["step"])): c["loss"] for c in outcome.curves if "loss" in c}
    last = [c for c in outcome.curves if "loss" in c][-1:]
    held = {
        **given,
        "started": started,
        "ended": time.time(),
        "weights": outcome.weights,
        "weights_at": dict(weights_at),
        "best_step": outcome.best_step,
        "score": outcome.score,
        "losses": losses,
        "trainer": dict(last[0]) if last else {},
        "plan": dict(plan) if plan is not None else None,
        "actual": {name: getattr(outcome, name) for name in ("seconds", "steps", "tokens", "gib")},
        "notes": list(outcome.notes),
    }
    write_whole(job.folder / LOCK, json.dumps(held, indent=1) + "\n")


def read_lock(folder: Path) -> dict[str, Any]:
    """Read the lock of a run. Raises `InputError` where there is none."""
    try:
        held: dict[str, Any] = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder.name}: has no {LOCK} that can be read; the run has not finished, run it again"
        ) from error
    return held


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found. `same` is None where only the losses could be compared."""

    ok: bool
    same: bool | None
    steps: int
    words: str


def verify(folder: Path, project: Project, steps: int | None = None) -> Verdict:
    """Train the first steps of a run again and compare.

    Raises:
        InputError: the lock is missing, or an input has changed since; names it.
    """
    from genai.finetune.train import Options, run

    held = read_lock(folder)
    recipe = validate(Recipe, held["recipe"], f"{folder.name}/{LOCK}")
    found = weights_digest(folder / "model")
    if found != held["weights"]:
        raise InputError(f"{folder.name}: model holds other weights than its lock says; they were"
                         " changed after the run")  # fmt: skip
    known = sorted(map(int, held["weights_at"]))
    if not known:
        raise ConfigError(f"{folder.name}: its lock holds no weights of a step to compare with; run"
                          " it again")  # fmt: skip
    target = _target(folder, known, steps)
    temporary = Path(tempfile.mkdtemp(prefix="verify-", dir=folder))
    try:
        now = inputs(prepare(recipe, project, temporary), project)
        if changed := differences(held, now):
            raise InputError(
                f"{folder.name}: {changed[0]} has changed since the run; restore it, or train again"
            )
        options = Options(folder=temporary, stop_at=target, score=False)
        run(recipe, project, options)
        weights = weights_digest(temporary / "checkpoints" / f"checkpoint-{target}")
        losses = read_lock(temporary)["losses"]
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _judge(held, weights, losses, target, _elsewhere(held, now))


def _elsewhere(held: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name what else than the inputs differs, where the bits may differ with it."""
    then, new = held["packages"], now["packages"]
    packages = "; ".join(
        f"{name} {then.get(name) or 'none'} then, {new.get(name) or 'none'} now"
        for name in {**then, **new} if then.get(name) != new.get(name)
    )  # fmt: skip
    machine = "another machine" if held["machine"] != now["machine"] else ""
    other = f"other packages ({packages})" if packages else ""
    return " and ".join(filter(None, (machine, other)))


def _target(folder: Path, known: list[int], steps: int | None) -> int:
    if steps is None:
        return known[0]
    if steps not in known:
        raise InputError(
            f"{folder.name}: the lock holds no weights of step {steps}; choose one of"
            f" {', '.join(map(str, known))}"
        )
    return steps


def _judge(
    held: Mapping[str, Any], weights: str, losses: Mapping[str, float], steps: int, elsewhere: str
) -> Verdict:
    if weights == held["weights_at"][str(steps)]:
        return Verdict(
            True, True, steps, f"the weights after {steps} steps are the same to the bit"
        )
    if not elsewhere:
        return Verdict(False, False, steps, f"the weights after {steps} steps are not those of the"
                       " run, on the same machine and packages")  # fmt: skip
    both = [(held["losses"][n], losses[n]) for n in losses if n in held["losses"]]
    worst = max((abs(a - b) / max(abs(a), 1e-9) for a, b in both), default=math.inf)
    words = (
        f"{elsewhere}, so not bit-comparable; the losses of {len(both)} logs"
        f" differ by {worst:.2g} at the most"
    )
    return Verdict(worst <= _CLOSE, None, steps, words)


def file_digest(path: Path) -> str:
    """Give the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _base_weights(job: Job) -> str:
    """Give the digest of the base; random weights follow from their config and the seed."""
    if job.recipe.weights == "random":
        return f"random:{file_digest(job.source / 'config.json')}"
    return weights_digest(job.source)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _machine(job: Job) -> dict[str, Any]:
    torch = extras.load("torch", "finetune")
    return {
        "kind": job.hardware.kind,
        "name": job.hardware.name,
        "threads": torch.get_num_threads(),
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
        "python": platform.python_version(),
    }


def _git(root: Path) -> dict[str, Any]:
    """Give the commit and whether there are changes beside it; nothing where git knows nothing."""
    commit = git(root, "rev-parse", "HEAD") or None
    return {"commit": commit, "dirty": bool(git(root, "status", "--porcelain")) if commit else None}
