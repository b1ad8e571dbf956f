"""The proof that a run can be made again: its first steps are trained once more and compared.

On the same processor and packages the weights are the same to the bit. Elsewhere the losses are
compared, and on a GPU, which adds up in another order each time; it is said.
"""

import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai.config import validate
from genai.errors import ConfigError, InputError
from genai.finetune.job import prepare
from genai.finetune.lock import LOCK, differences, inputs, read_lock
from genai.finetune.recipe import Recipe
from genai.finetune.train import Options, run
from genai.models.weights import weights_digest
from genai.project import Project

_CLOSE = 1e-3  # relative difference of two losses on different machines


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found of a run. `same` is None where only the losses could be compared."""

    ok: bool
    same: bool | None
    steps: int
    words: str


def verify(folder: Path, project: Project, steps: int | None = None) -> Verified:
    """Train the first steps of a run again and compare.

    Raises:
        InputError: the lock is missing, or an input has changed since; names it.
    """
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
    """Name what else than the inputs the bits may differ by."""
    then, new = held["packages"], now["packages"]
    packages = "; ".join(
        f"{name} {then.get(name) or 'none'} then, {new.get(name) or 'none'} now"
        for name in {**then, **new} if then.get(name) != new.get(name)
    )  # fmt: skip
    machine = "a GPU" if held["machine"]["kind"] == "gpu" else ""
    if held["machine"] != now["machine"]:
        machine = "another machine"
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
) -> Verified:
    if weights == held["weights_at"][str(steps)]:
        return Verified(
            True, True, steps, f"the weights after {steps} steps are the same to the bit"
        )
    if not elsewhere:
        return Verified(False, False, steps, f"the weights after {steps} steps are not those of the"
                       " run, on the same machine and packages")  # fmt: skip
    both = [(held["losses"][n], losses[n]) for n in losses if n in held["losses"]]
    worst = max((abs(a - b) / max(abs(a), 1e-9) for a, b in both), default=math.inf)
    words = (
        f"{elsewhere}, so not bit-comparable; the losses of {len(both)} logs"
        f" differ by {worst:.2g} at the most"
    )
    return Verified(worst <= _CLOSE, None, steps, words)
