"""The run lock: everything a run depended on, and the digest of what came out."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.config import text_hash
from genai.errors import InputError
from genai.finetune.data import rows_hash
from genai.finetune.job import Job
from genai.finetune.recipe import located
from genai.models.weights import weights_digest
from genai.project import Project, git, write_whole

if TYPE_CHECKING:
    from genai.finetune.train import Outcome
LOCK = "run.lock.json"
_PACKAGES = (
    "torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors",
)  # fmt: skip
# what must be the same for two runs to be the same run; the rest is where it happened
_INPUTS = ("recipe", "data", "rows", "template", "tokenizer", "tokens", "base")
_UNTRAINED = ("card", "budget")  # words and limits of a recipe: they change no weight


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
        "tokens": job.tokens,  # a template may write the day's date into them
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
    held, now = ({**each, "recipe": _trained_by(each)} for each in (held, now))
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


def _trained_by(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in given["recipe"].items() if key not in _UNTRAINED}


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
        held["started"], held["data"]  # what is read of every lock
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{folder.name}: has no {LOCK} that can be read; the run has not finished, run it again"
        ) from error
    return held


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
