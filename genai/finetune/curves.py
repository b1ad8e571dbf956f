"""The curves of a run while it goes on: a line of JSON a log or dev score, for whoever looks."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genai.errors import InputError

CURVES = "curves.jsonl"
_QUIET = 120.0  # seconds without a line after which a run has stopped


def append(folder: Path, line: Mapping[str, float]) -> None:
    """Add a line to the curves of a run, in the place of one that a full disk cut."""
    with (folder / CURVES).open("a+b") as file:
        file.seek(max(file.tell() - 1, 0))
        if file.read() not in (b"", b"\n"):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(f"{json.dumps(line)}\n".encode())


@dataclass(frozen=True, slots=True)
class Curves:
    """What a run has logged so far.

    `lines` holds the figures of each step, in order; a step that was trained again after a stop
    counts once. `steps` is where the run ends, `metric` what the dev set scores. `state` is
    `running`, `finished`, or `stopped` where nothing was heard for two minutes.
    """

    name: str
    steps: int
    metric: str
    state: str
    lines: tuple[Mapping[str, float], ...]

    def last(self, figure: str) -> float | None:
        """Give the newest value of a figure; None where it was never logged."""
        return next((each[figure] for each in reversed(self.lines) if figure in each), None)


def read_curves(folder: Path) -> Curves:
    """Read the curves of a run in its folder, whether it goes on or has ended.

    Raises:
        InputError: the run has not begun, or its files are damaged.
    """
    path = folder / CURVES
    try:
        held = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
        text, changed = path.read_text(encoding="utf-8"), path.stat().st_mtime
        steps: dict[int, dict[str, float]] = {}
        for line in text[: text.rfind("\n") + 1].splitlines():  # the last may be half written
            given = json.loads(line)
            steps[int(given["step"])] = {**steps.get(int(given["step"]), {}), **given}
        if not steps:
            raise ValueError("no whole line yet")
        total, metric = int(held["steps"]), str(held["recipe"]["evals"]["metric"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{folder.name}: has no curves that can be read ({why}); start the run"
                         " with: genai finetune run") from error  # fmt: skip
    state = "running" if time.time() - changed < _QUIET else "stopped"
    state = "finished" if (folder / "run.lock.json").exists() else state
    return Curves(folder.name, total, metric, state, tuple(steps[n] for n in sorted(steps)))
