"""What a run measured, kept as columns: a value or a reason for every metric, case and repeat."""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from genai.evals.case import Case
from genai.evals.metrics import Metric
from genai.evals.trial import CannotMeasure, Score, Trial, as_score

PENDING, VALUE, UNMEASURED, NOT_APPLICABLE, LABEL = range(5)
_NOTES = 200  # reasons kept in memory, a metric


class Column:
    """One metric over all units of a run."""

    def __init__(self, metric: Metric, size: int) -> None:
        self.metric = metric
        self.values = array("d", [math.nan]) * size
        self.states = bytearray(size)
        self.codes: dict[int, str] = {}
        self.notes: dict[int, str] = {}
        self.labels: Counter[str] = Counter()
        self.binary = True  # every value is a verdict: 0 or 1
        scorer = metric.scorer
        self._share = scorer.width == 1.0 and scorer.better == "higher"

    def put(self, unit: int, value: Any, note: str = "") -> None:
        """Note what a scorer gave."""
        if value is None:
            self.states[unit] = NOT_APPLICABLE
        elif isinstance(value, str):
            self.states[unit] = LABEL
            self.labels[value] += 1
        else:
            self.binary &= isinstance(value, bool) or (value in (0.0, 1.0) and self._share)
            self.states[unit], self.values[unit] = VALUE, float(value)
        if note and len(self.notes) < _NOTES:
            self.notes[unit] = note

    def miss(self, unit: int, code: str, note: str = "") -> None:
        """Note that a unit could not be measured, and why."""
        self.states[unit] = UNMEASURED
        self.codes[unit] = code
        if len(self.notes) < _NOTES:
            self.notes[unit] = note or code

    def count(self, state: int) -> int:
        """Count the units in a state."""
        return self.states.count(state)


class Results:
    """All columns of a run, and what it spent. Units are cases times repeats, in case order."""

    def __init__(
        self, cases: Sequence[Case], repeats: Sequence[int], metrics: Sequence[Metric]
    ) -> None:
        self.cases = cases
        self.first = array("l", [0])
        for count in repeats:
            self.first.append(self.first[-1] + count)
        self.size = self.first[-1]
        self.columns = {each.name: Column(each, self.size) for each in metrics}
        self.cost = Decimal(0)
        self.judging = Decimal(0)  # what asking the judge cost
        self.unknown_cost = 0
        self.tokens = 0
        self.states: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def units(self) -> Iterator[tuple[int, Case, int]]:
        """Give every unit: its number, case and repeat."""
        for position, case in enumerate(self.cases):
            for repeat in range(self.first[position + 1] - self.first[position]):
                yield self.first[position] + repeat, case, repeat

    def seen(self, trial: Trial) -> None:
        """Count a trial's outcome and money."""
        self.states[trial.state] += 1
        if trial.reason and trial.state != "answered":
            self.reasons[trial.reason] += 1
        self.tokens += trial.usage.input_tokens + trial.usage.output_tokens
        if trial.cost is not None:
            self.cost += trial.cost
        elif trial.state != "unmeasured":
            self.unknown_cost += 1


def of_score(column: Column, unit: int, given: object) -> Any:
    """Put a scorer's result into its column; give what the log keeps."""
    try:
        score: Score = as_score(given)
    except CannotMeasure as error:
        column.miss(unit, error.code, str(error))
        return [error.code, str(error)]
    column.put(unit, score.value, score.reason)
    return score.value if not score.reason else [None, score.value, score.reason]


def of_log(column: Column, unit: int, kept: Any) -> None:
    """Put what the log kept into its column."""
    if not isinstance(kept, list):
        column.put(unit, kept)
    elif kept[0] is None:
        column.put(unit, kept[1], kept[2])
    else:
        column.miss(unit, kept[0], kept[1])
