"""Drift: what has moved since a pinned reference period, beyond what days differ by anyway.

Every figure of a question is compared as a distribution, day by day; the tests of one report are
adjusted together, so that the share of false findings is kept. A finding names what changed in the
same period (prompt, model, fingerprint, index or settings) and what the shift costs.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from genai import stats
from genai.errors import InputError, Unmeasured, one_line
from genai.ledger import Ledger
from genai.ledger.query import dollar_text
from genai.ledger.sums import in_dollars
from genai.reports.asked import FINGERPRINT, asked
from genai.types import Call

_LEAST = 200  # questions of a period
_FEW = 30  # questions that have a figure, below which it is not compared
_DAY = 86_400
# what may explain a finding, as it stands on the row
_CAUSES = ("prompt_id", "index_revision", "config_hash", "release")
_SHARES = ("refusal", "error")
_COVERED = 0.95  # share of the questions whose cost must be known
_NUMBERS = ("input_tokens", "output_tokens", "seconds", "ttft")


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure that was compared. `p` is adjusted for all of them; `effect` is the PSI.

    `before` and `now` are the mean or the share; `causes` are the values that are new since.
    `dollars` is what the current questions cost more because the figure has other values now, each
    at what such a value cost in the reference; None where costs are not known.
    """

    figure: str
    before: float
    now: float
    effect: float
    p: float
    drifted: bool
    causes: tuple[str, ...] = ()
    dollars: float | None = None

    def text(self) -> str:
        """Say it in a line."""
        word = "moved" if self.drifted else "steady"
        new = one_line(", ".join(self.causes))
        why = f"; new since: {new}" if self.drifted and self.causes else ""
        cost = "" if self.dollars is None else f", {dollar_text(self.dollars)} by it"
        return (
            f"{word:7} {self.figure}: {self.before:.4g} to {self.now:.4g} (PSI {self.effect:.3f},"
            f" adjusted p {self.p:.3f}{cost}){why}"
        )


@dataclass(frozen=True, slots=True)
class Period:
    """Days of questions, the first and the last included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        """Refuse a period that ends before it begins. Raises `InputError`."""
        if self.last < self.first:
            raise InputError(f"{self.first} to {self.last}: a period has at least one day")

    @property
    def bounds(self) -> tuple[float, float]:
        """Its first moment and the first one after it, as Unix times in UTC."""
        first, last = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (
            self.first, self.last))  # fmt: skip
        return float(first * _DAY), float((last + 1) * _DAY)


def drift(
    ledger: Ledger, reference: Period, current: Period, *, rate: float = 0.05
) -> list[Finding]:
    """Compare the questions of two periods; `rate` is the share of false findings accepted.

    Raises:
        InputError: the periods overlap, or the rate is no share.
        Unmeasured: a period has fewer than 200 questions.
    """
    if not 0 < rate < 1:
        raise InputError(f"rate={rate:g}: the share of false findings lies between 0 and 1")
    if reference.first <= current.last and current.first <= reference.last:
        raise InputError(
            f"the reference, {reference.first} to {reference.last}, shares days with the current"
            f" period, {current.first} to {current.last}; take a reference before it"
        )
    sides = [asked(ledger, *period.bounds) for period in (reference, current)]
    for period, calls in zip((reference, current), sides, strict=True):
        if len(calls) < _LEAST:
            raise Unmeasured(
                f"{period.first} to {period.last}: {len(calls)} questions; {_LEAST} are needed to"
                " say that something moved, take a longer period"
            )
    return compare(*sides, rate=rate)


def compare(
    reference: Sequence[Call], current: Sequence[Call], *, rate: float = 0.05
) -> list[Finding]:
    """Compare two lists of questions, the surest finding first."""
    tested = []
    for name, before, now in _figures(reference, current):
        old, new = _by_day(before), _by_day(now)
        if len(old) < 2 or len(new) < 2:
            continue
        if len({each.value for each in (*before, *now)}) < 2:
            continue  # what never differs cannot move, and would cost the others power
        tested.append(_test(name, old, new))
    adjusted = stats.benjamini_hochberg([each.p for each in tested])
    causes = _causes(reference, current)
    found = [
        replace(each, p=p, drifted=p <= rate, causes=causes)
        for each, p in zip(tested, adjusted, strict=True)
    ]
    return sorted(found, key=lambda each: (each.p, -each.effect))


@dataclass(frozen=True, slots=True)
class _Value:
    """What a question has of a figure: when it was asked, the value, and its dollars."""

    at: float
    value: float | str
    dollars: float | None


_Days = Mapping[int, Sequence[_Value]]
_Get = Callable[[Call], float | str | None]


def _figures(
    reference: Sequence[Call], current: Sequence[Call]
) -> Iterator[tuple[str, list[_Value], list[_Value]]]:
    tags = Counter(name for call in (*reference, *current) for name in call.tags)
    gets: dict[str, _Get] = {name: partial(_number, name=name) for name in _NUMBERS}
    gets |= {f"{outcome} share": partial(_share, outcome=outcome) for outcome in _SHARES}
    gets["model"] = lambda call: call.model
    gets |= {name: partial(_tag, name=name) for name in sorted(tags) if tags[name] >= _FEW}
    for name, get in gets.items():
        yield name, _values(reference, get), _values(current, get)


def _values(calls: Sequence[Call], get: _Get) -> list[_Value]:
    found = []
    for call in calls:
        value = get(call)
        if value is not None:
            paid = in_dollars(call.cost)
            found.append(_Value(call.started_at, value, None if paid is None else float(paid)))
    return found


def _number(call: Call, name: str) -> float | None:
    value = getattr(call, name)
    return None if value is None else float(value)


def _share(call: Call, outcome: str) -> float:
    return float(call.outcome == outcome)


def _tag(call: Call, name: str) -> float | str | None:
    return call.tags.get(name)


def _by_day(values: Sequence[_Value]) -> _Days:
    days: dict[int, list[_Value]] = defaultdict(list)
    for each in values:
        days[int(each.at // _DAY)].append(each)
    return days


def _test(name: str, old: _Days, new: _Days) -> Finding:
    """Give means or shares, the PSI on bins of the reference, and the p on bins of both."""
    before = [each for day in old.values() for each in day]
    now = [each for day in new.values() for each in day]
    if any(isinstance(each.value, str) for each in (*before, *now)):
        return _test_kinds(name, old, new, before, now)
    numbers, later = ([float(each.value) for each in side] for side in (before, now))
    pooled = stats.edges([*numbers, *later])
    rows = [
        list(map(float, stats.histogram([float(each.value) for each in day], pooled)))
        for side in (old, new)
        for day in side.values()
    ]
    inner = stats.edges(numbers) or pooled
    effect = stats.psi(stats.histogram(numbers, inner), stats.histogram(later, inner))
    p = stats.day_permutation(rows[: len(old)], rows[len(old) :], ordered=True)
    cost = _cost_of_numbers(before, now, inner)
    means = [sum(side) / len(side) for side in (numbers, later)]
    return Finding(name, means[0], means[1], effect, p, False, dollars=cost)


def _test_kinds(
    name: str, old: _Days, new: _Days, before: Sequence[_Value], now: Sequence[_Value]
) -> Finding:
    """Compare by the shares of each kind; the finding's are those of the commonest before."""
    kinds = sorted({str(each.value) for each in (*before, *now)})
    rows = [_kinds(day, kinds) for side in (old, new) for day in side.values()]
    effect = stats.psi(_kinds(before, kinds), _kinds(now, kinds))
    most = Counter(str(each.value) for each in before).most_common(1)[0][0]
    shares = [sum(str(e.value) == most for e in side) / len(side) for side in (before, now)]
    p = stats.day_permutation(rows[: len(old)], rows[len(old) :])
    cost = _cost_of_kinds(before, now)
    return Finding(name, shares[0], shares[1], effect, p, False, dollars=cost)


def _kinds(values: Iterable[_Value], kinds: Sequence[str]) -> list[float]:
    counts = Counter(str(each.value) for each in values)
    return [float(counts[kind]) for kind in kinds]


def _known(values: Sequence[_Value]) -> bool:
    """Say whether the cost of enough questions is known."""
    return sum(each.dollars is not None for each in values) >= _COVERED * len(values)


def _cost_of_kinds(before: Sequence[_Value], now: Sequence[_Value]) -> float | None:
    """Give what the new shares of the kinds cost, each kind at its mean cost in the reference.

    A kind that the reference does not know is taken at its cost now.
    """
    if not _known(before) or not _known(now):
        return None
    means: dict[float | str, float] = {}
    for side in (now, before):
        paid: dict[float | str, list[float]] = defaultdict(list)
        for each in side:
            if each.dollars is not None:
                paid[each.value].append(each.dollars)
        means |= {kind: sum(held) / len(held) for kind, held in paid.items()}
    old = sum(means.get(each.value, 0.0) for each in before) / len(before)
    return sum(means.get(each.value, 0.0) - old for each in now)


def _cost_of_numbers(
    before: Sequence[_Value], now: Sequence[_Value], inner: Sequence[float]
) -> float | None:
    """Give what the new values cost, each at what such a value cost in the reference.

    Between the bins of the reference, and beyond the outer ones, the cost is taken as a line.
    """
    if not _known(before) or not _known(now):
        return None
    bins: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for each in before:
        if each.dollars is not None:
            value = float(each.value)
            bins[bisect_right(inner, value)].append((value, each.dollars))
    knots = [
        (sum(x for x, _ in held) / len(held), sum(y for _, y in held) / len(held))
        for _, held in sorted(bins.items())
    ]
    if len(knots) < 2:
        return 0.0

    def at(value: float) -> float:
        right = min(max(bisect_right(knots, (value, math.inf)), 1), len(knots) - 1)
        (x0, y0), (x1, y1) = knots[right - 1], knots[right]
        return y0 + (y1 - y0) * (value - x0) / (x1 - x0)

    old = sum(at(float(each.value)) for each in before) / len(before)
    return sum(at(float(each.value)) - old for each in now)


def _causes(reference: Sequence[Call], current: Sequence[Call]) -> tuple[str, ...]:
    """Name what stands on the rows now and did not before."""
    found = []
    for name in _CAUSES:
        before = {getattr(call.context, name) for call in reference}
        now = Counter(getattr(call.context, name) for call in current)
        found += [
            f"{name} {value}" for value, _ in now.most_common() if value and value not in before
        ]
    for name, get in (("model", lambda call: call.model), (FINGERPRINT, _fingerprint)):
        new = {get(call) for call in current} - {get(call) for call in reference} - {""}
        found += [f"{name} {value}" for value in sorted(new)]
    return tuple(found)


def _fingerprint(call: Call) -> str:
    return str(call.tags.get(FINGERPRINT, ""))
