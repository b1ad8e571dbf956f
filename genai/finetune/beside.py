"""Runs beside each other: what their trainers say, and what the evals say."""

from collections.abc import Sequence
from pathlib import Path

from genai.errors import InputError
from genai.evals.gate import Word
from genai.finetune.gate import Gate
from genai.finetune.lock import read_lock

_SAID = ("rewards/margins", "rewards/accuracies", "logps/chosen", "loss")
_BEST = "rewards/margins"


def comparable(folders: Sequence[Path]) -> None:
    """Refuse runs whose figures are of other tasks or other prompts.

    Raises:
        InputError: they are gated by other suites, or asked by other chat templates.
    """
    first, *rest = ((each.name, read_lock(each)) for each in folders)
    for name, held in rest:
        for what, mine, other in (
            ("suite", held["recipe"]["evals"]["suite"], first[1]["recipe"]["evals"]["suite"]),
            ("chat template", held["template"][:12], first[1]["template"][:12]),
        ):
            if mine != other:
                raise InputError(
                    f"{name} and {first[0]} are not compared: the {what} is {mine} of the one and"
                    f" {other} of the other; judge each on its own, or train both with one"
                )


def beside(gates: Sequence[Gate]) -> str:
    """Give a table with a column a run; then the run whose trainer says most and whose task fell.

    Raises:
        InputError: the runs were judged on other cases.
    """
    for each in gates:
        if each.dataset != gates[0].dataset:
            raise InputError(f"{each.run} was judged on other cases than {gates[0].run}; run both"
                             " again in one: genai finetune compare")  # fmt: skip
    names = [name for name in _SAID if any(name in each.trainer for each in gates)]
    metrics = dict.fromkeys(row.metric for each in gates for row in each.slices)
    rows = [("", [each.run for each in gates])]
    rows += [(f"trainer: {name}", [_number(each.trainer.get(name)) for each in gates])
             for name in names]  # fmt: skip
    rows += [(name, [_change(each, name) for each in gates]) for name in metrics]
    rows.append(("the gate", [each.word for each in gates]))
    first = max(len(name) for name, _ in rows)
    width = max(len(cell) for _, cells in rows for cell in cells) + 2
    lines = [f"{name:{first}}{''.join(f'{each:>{width}}' for each in cells)}"
             for name, cells in rows]  # fmt: skip
    return "\n".join([*lines, *_lies(gates)])


def _fallen(gate: Gate) -> list[str]:
    """Name the metrics that fell, each with its figures."""
    return [
        f"{row.metric} {_number(row.before)} -> {_number(row.after)}"
        for row in gate.slices
        if row.gate and row.word == Word.REGRESSION
    ]


def _lies(gates: Sequence[Gate]) -> list[str]:
    """Say where the best of the trainer's margins is of a run that the evals refuse."""
    said = [each for each in gates if _BEST in each.trainer]
    best = max(said, key=lambda each: each.trainer[_BEST], default=None)
    if best is None or best.passed or not any(each.passed for each in said):
        return []
    return [f"{best.run} has the largest margin and is the worse model: {'; '.join(_fallen(best))}"]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _change(gate: Gate, metric: str) -> str:
    row = next((each for each in gate.slices if each.metric == metric), None)
    return "-" if row is None else f"{_number(row.before)} -> {_number(row.after)}"
