"""Judge two versions by what their users did, with the rules of the gate.

The unit is the user, not the call: somebody who asks ten times counts once, with the share of good
outcomes. Where most users saw both versions each is compared with themselves, else side with side.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from genai import stats
from genai.evals.gate import Comparison, Word, decided, least_cases
from genai.ledger.outcomes import Outcome

Metric = Literal["answered", "thumbs"]
_UNFAIR = 0.001  # p under which a split or a coverage is not chance
_CODES = {Word.PASS: 0, Word.IMPROVED: 0, Word.REGRESSION: 1, Word.INCONCLUSIVE: 2}


@dataclass(frozen=True, slots=True)
class Arm:
    """One side: its calls and those with a measured outcome, its users and those measured.

    `mean` is the mean over users of their share of good outcomes, `low` and `high` its 95 %
    interval; None where nothing was measured.
    """

    name: str
    calls: int
    measured: int
    units: int
    measured_units: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None

    def text(self) -> str:
        """Give the side as one line."""
        value = "unmeasured"
        if self.mean is not None:
            value = f"{self.mean:.3f} (95 % {self.low:.3f} to {self.high:.3f})"
        return (
            f"  {self.name}: {value}, measured {self.measured} of {self.calls} calls,"
            f" {self.measured_units} of {self.units} users"
        )


@dataclass(frozen=True, slots=True)
class Online:
    """The judgement of an online experiment.

    `low` and `high` bound the difference, after minus before, one-sided at 95 % each. `split` is
    the p of the users' split against the planned one, `coverage` the p that both sides are
    measured equally often; under .001 nothing is compared.
    """

    metric: Metric
    word: Word
    margin: float
    before: Arm
    after: Arm
    split: float
    coverage: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    method: str = ""
    note: str = ""

    @property
    def exit_code(self) -> int:
        """0 pass or improved, 1 worse, 2 undecided, 4 cannot compare."""
        return _CODES.get(self.word, 4)

    def text(self) -> str:
        """Give the judgement as lines for a terminal."""
        head = f"{self.word}: {self.after.name} against {self.before.name} on {self.metric}"
        lines = [head + (f": {self.note}" if self.note else ""), self.before.text()]
        lines.append(self.after.text())
        if self.difference is not None:
            lines.append(
                f"  difference {self.difference:+.3f} (bounds {self.low:+.3f} to {self.high:+.3f},"
                f" margin {self.margin:g}, p worse {self.p:.3f}; {self.method})"
            )
        lines.append(f"  split of the users: p {self.split:.3f}")
        return "\n".join(lines)


def ab(
    rows: Sequence[Outcome], before: str, after: str, *, metric: Metric = "answered",
    margin: float = 0.05, share: float = 0.5,
) -> Online:  # fmt: skip
    """Compare the calls of two sides; `share` is the planned share of users that get `before`.

    `answered`: an answer is good, a refusal or an error is not, a cancelled call says nothing.
    `thumbs`: up is good; a call without a thumb says nothing.
    """
    sides = [_Side(name, rows, metric) for name in (before, after)]
    arms = [side.arm() for side in sides]
    found = Online(
        metric, Word.CANNOT_COMPARE, margin, arms[0], arms[1], _split(rows, sides, share)
    )
    for arm in arms:
        if not arm.measured:
            return replace(found, note=f"no call of {arm.name} has a measured outcome")
    if found.split < _UNFAIR:
        seen = " : ".join(str(arm.units) for arm in arms)
        note = f"users split {seen}, not as planned; find out who is missing before you compare"
        return replace(found, note=note)
    coverage = _coverage(sides)
    found = replace(found, coverage=coverage)
    if coverage < _UNFAIR:
        note = "one side is measured more often than the other, so what is left is no fair sample"
        return replace(found, note=note)
    return _judge(found, sides)


class _Side:
    """The calls of one side, and each user's share of good ones."""

    def __init__(self, name: str, rows: Sequence[Outcome], metric: Metric) -> None:
        self.name = name
        self.rows = [row for row in rows if row.arm == name]
        values: dict[str, list[float]] = defaultdict(list)
        seen: dict[str, list[float]] = defaultdict(list)
        for row in self.rows:
            value = _value(row, metric)
            seen[row.unit].append(float(value is not None))
            if value is not None:
                values[row.unit].append(value)
        self.measured = sum(map(len, values.values()))
        self.means = {unit: math.fsum(each) / len(each) for unit, each in values.items()}
        self.covered = {unit: math.fsum(each) / len(each) for unit, each in seen.items()}

    @property
    def binary(self) -> bool:
        """Whether every user is wholly satisfied or not at all."""
        return all(mean in (0.0, 1.0) for mean in self.means.values())

    def arm(self) -> Arm:
        """Give what is shown of the side."""
        found = Arm(self.name, len(self.rows), self.measured, len(self.covered), len(self.means))
        values, n = list(self.means.values()), len(self.means)
        if not n:
            return found
        if self.binary:
            low, high = stats.wilson(int(sum(values)), n)
        else:
            bounds = stats.clustered(values, confidence=0.975)
            low, high = max(bounds.low, 0.0), min(bounds.high, 1.0)
        return replace(found, mean=math.fsum(values) / n, low=low, high=high)


def _value(row: Outcome, metric: Metric) -> float | None:
    if metric == "thumbs":
        return None if row.thumb is None else float(row.thumb)
    return None if row.outcome == "cancelled" else float(row.outcome == "ok")


def _split(rows: Sequence[Outcome], sides: Sequence[_Side], share: float) -> float:
    """Count every user on the side they saw first."""
    names = {side.name for side in sides}
    first: dict[str, str] = {}
    for row in sorted(rows, key=lambda each: each.at):
        if row.arm in names:
            first.setdefault(row.unit, row.arm)
    count = sum(arm == sides[0].name for arm in first.values())
    return stats.split_p(count, len(first) - count, share)


def _coverage(sides: Sequence[_Side]) -> float:
    """Give the two-sided p that both sides are measured equally often."""
    a, b = sides[0].covered, sides[1].covered
    found, p = stats.clustered_difference([*a.values()], [*b.values()], [*a], [*b])
    return min(2 * min(p, 1 - p), 1.0) if found.se else 1.0


def _judge(found: Online, sides: Sequence[_Side]) -> Online:
    a, b = sides[0].means, sides[1].means
    shared = sorted(a.keys() & b.keys())
    units, total = min(len(a), len(b)), len(a) + len(b)
    good = math.fsum(a.values()) + math.fsum(b.values())
    changed = int(min(good, total - good))  # users' worth of the rarer outcome
    if len(shared) >= max(units / 2, 2):
        d = [b[unit] - a[unit] for unit in shared]
        bounds, p = stats.clustered(d), stats.sign_flip(d)
        method, units = f"paired, {len(shared)} users saw both", len(shared)
        changed = sum(each != 0 for each in d)
    elif sides[0].binary and sides[1].binary and not shared:
        counts = int(sum(a.values())), len(a), int(sum(b.values())), len(b)
        bounds, p = stats.newcombe(*counts), stats.score_test(*counts)
        method = "unpaired, users"
    else:
        bounds, p = stats.clustered_difference([*a.values()], [*b.values()], [*a], [*b])
        method = "unpaired, users' shares"
    comparison = Comparison(
        found.metric, Word.PASS, True, found.margin, n=bounds.n, clusters=units, losses=changed,
        low=bounds.low, high=bounds.high,
        least=0 if method == "unpaired, users" else least_cases(found.margin),
    )  # fmt: skip
    word, _ = decided(comparison, p)
    note = f"undecided with {units} users on the smaller side" if word is Word.INCONCLUSIVE else ""
    return replace(
        found, word=word, difference=bounds.mean, low=bounds.low, high=bounds.high, p=p,
        method=method, note=note,
    )  # fmt: skip
