"""A run or a baseline as one small file: a head, then a line a case, made for diffs.

A value is a number; for several repeats `[mean, variance, repeats]`; `"-"` where the metric does
not apply, and `"!code"` where it could not be measured.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from genai.errors import CaseError, shown

_ANSWER = 500  # characters of an answer that a row keeps
MANY = 5000  # cases above which rows keep no answers


class MetricHead(msgspec.Struct, omit_defaults=True):
    """One metric as it was measured; runs compare on it only where `id` is the same.

    `judge` names the model that judges and `prompt` the hash of its prompts.
    """

    name: str
    id: str
    better: Literal["higher", "lower"] = "higher"
    width: float = 1.0
    kind: Literal["pass", "score", "label", "percentile"] = "pass"
    gate: bool = False
    hard: bool = False
    margin: float | None = None
    judge: str = ""
    prompt: str = ""
    distrust: str = ""


class Head(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a scorecard is of. `at` is UTC; `reason` says why a baseline was accepted."""

    suite: str
    dataset: str
    task: str
    variant: str
    metrics: list[MetricHead]
    cases: int
    repeats: int = 1
    run: str = ""
    at: str = ""
    cost: str | None = None
    reason: str = ""
    version: str = ""


class Row(msgspec.Struct, omit_defaults=True):
    """One case: its values in the order of the head's metrics."""

    case: str
    values: list[Any]
    cluster: str = ""
    tags: tuple[str, ...] = ()
    answer: str = ""


class Cell(msgspec.Struct, gc=False):
    """One value: `mean` of the repeats, or None; `missing` is "-" or a reason code."""

    mean: float | None = None
    variance: float = 0.0
    repeats: int = 1
    missing: str = ""


class Scorecard:
    """A head and its rows, by case id."""

    def __init__(self, head: Head, rows: Sequence[Row]) -> None:
        self.head = head
        self.rows = rows
        self._at = {row.case: number for number, row in enumerate(rows)}
        self._metric = {metric.name: n for n, metric in enumerate(head.metrics)}

    def metric(self, name: str) -> MetricHead | None:
        """Give a metric's head."""
        return self.head.metrics[self._metric[name]] if name in self._metric else None

    def known(self, name: str) -> MetricHead:
        """Give the head of a metric that must be there. Raises `CaseError`."""
        head = self.metric(name)
        if head is None:
            names = ", ".join(each.name for each in self.head.metrics)
            raise CaseError(f"run {self.head.run}: has no metric `{name}`; known: {names}")
        return head

    def row(self, case: str) -> Row | None:
        """Give a case's row."""
        return self.rows[self._at[case]] if case in self._at else None

    def cell(self, row: Row, name: str) -> Cell:
        """Give a value of a row."""
        value = row.values[self._metric[name]]
        if isinstance(value, str):
            return Cell(missing=value.removeprefix("!") if value != "-" else "-")
        if isinstance(value, list):
            return Cell(value[0], value[1], int(value[2]))
        return Cell(float(value))

    def write(self, path: Path) -> None:
        """Write the file in one step: whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        encode = msgspec.json.Encoder().encode
        try:
            with draft.open("wb") as file:
                file.write(encode(self.head) + b"\n")
                for row in self.rows:
                    file.write(encode(row) + b"\n")
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise CaseError(f"{path}: cannot be written ({error}); free space or mend its rights"
                            ) from error  # fmt: skip


def read_scorecard(path: Path) -> Scorecard:
    """Read a scorecard. Raises `CaseError` where it is absent or damaged."""
    name = shown(path, 3)
    try:
        lines = path.read_bytes().splitlines()
        head = msgspec.json.decode(lines[0], type=Head)
        decode = msgspec.json.Decoder(Row).decode
        rows = [decode(line) for line in lines[1:] if line.strip()]
    except FileNotFoundError as error:
        raise CaseError(
            f"{name}: no such scorecard; accept a run first: genai eval accept SUITE --reason WHY"
        ) from error
    except (OSError, IndexError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CaseError(
            f"{name}: is damaged ({error}); restore it from git, or accept a run again"
        ) from error
    if any(len(row.values) != len(head.metrics) for row in rows):
        raise CaseError(f"{name}: is damaged (a row has too few values); restore it from git")
    if not len({row.case for row in rows}) == len(rows) == head.cases:  # as a merge may leave it
        raise CaseError(
            f"{name}: is damaged (its {len(rows)} rows are not one for each of {head.cases} cases);"
            " restore it from git, or accept a run again"
        )
    return Scorecard(head, rows)


def value_of(values: Iterable[float], missing: Mapping[str, int]) -> Any:
    """Give what a row keeps of the repeats of one case."""
    found = list(values)
    if not found:
        codes = [code for code in missing if code != "-"]
        return f"!{codes[0]}" if codes else "-"
    mean = math.fsum(found) / len(found)
    if len(found) == 1 and not missing:
        return _short(mean)
    spread = len(found) - 1
    variance = math.fsum((each - mean) ** 2 for each in found) / spread if spread else 0.0
    return [_short(mean), _short(variance), len(found)]


def _short(value: float) -> float | int:
    """Write 1 instead of 1.0, and no digits that are noise."""
    rounded = float(f"{value:.9g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def figure(value: float, sign: str = "") -> str:
    """Give three decimals, and of an amount that they would show as nothing its first digits."""
    return f"{value:{sign}.3f}" if abs(value) >= 0.001 or not value else f"{value:{sign}.3g}"


def kept_answer(text: str, cases: int) -> str:
    """Give what a row keeps of an answer; nothing where there are too many cases."""
    if cases > MANY:
        return ""
    flat = " ".join(text.encode("utf-8", "replace").decode().split())
    return flat[:_ANSWER]
