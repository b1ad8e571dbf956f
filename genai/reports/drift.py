"""Drift: what has moved since a pinned reference period, beyond what days differ by anyway.

Every figure of a question is compared as a distribution, day by day; the tests of one report are
adjusted together, so that the share of false findings is kept. A finding names what changed in the
same period: prompt, model, index or settings.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from genai import stats
from genai.errors import InputError, Unmeasured
from genai.ledger import Ledger
from genai.types import Call

_LEAST = 200  # questions of a period
_DAY = 86_400
# what may explain a finding, as it stands on the row
_CAUSES = ("prompt_id", "index_revision", "config_hash", "release")
_NUMBERS = ("input_tokens", "output_tokens", "seconds", "ttft")


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure that was compared. `p` is adjusted for all of them; `effect` is the PSI.

    `before` and `now` are the mean or the share; `causes` are the values that are new since.
    """

    figure: str
    before: float
    now: float
    effect: float
    p: float
    drifted: bool
    causes: tuple[str, ...] = ()

    def text(self) -> str:
        """Say it in a line."""
        word = "moved" if self.drifted else "steady"
        why = f"; new since: {', '.join(self.causes)}" if self.drifted and self.causes else ""
        return (
            f"{word:7} {self.figure}: {self.before:.4g} to {self.now:.4g} (PSI {self.effect:.3f},"
            f" adjusted p {self.p:.3f}){why}"
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

    def holds(self, at: float) -> bool:
        """Whether a Unix time lies in it, in UTC days."""
        return (
            self.first.toordinal()
            <= at // _DAY + date(1970, 1, 1).toordinal()
            <= (self.last.toordinal())
        )


def drift(
    ledger: Ledger, reference: Period, current: Period, *, rate: float = 0.05
) -> list[Finding]:
    """Compare the questions of two periods; `rate` is the share of false findings accepted.

    Raises:
        InputError: the periods overlap, or the rate is no share.
        Unmeasured: a period has fewer than 200 questions.
    """
    if not 0 < rate < 1:
        raise InputError(f"--rate {rate:g}: the share of false findings lies between 0 and 1")
    if reference.first <= current.last and current.first <= reference.last:
        raise InputError(
            f"the reference, {reference.first} to {reference.last}, shares days with the current"
            f" period, {current.first} to {current.last}; set --from and --to before it"
        )
    first = min(reference.first, current.first)
    since = float((first.toordinal() - date(1970, 1, 1).toordinal()) * _DAY)
    chains = ledger.calls(limit=10**9, since=since, kind="chain")
    sides = [
        [call for call in chains if each.holds(call.started_at)] for each in (reference, current)
    ]
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
        if len({value for _, value in (*before, *now)}) < 2:
            continue  # what never differs cannot move, and would cost the others power
        tested.append(_test(name, old, new))
    adjusted = stats.benjamini_hochberg([each[-1] for each in tested])
    causes = _causes(reference, current)
    found = [
        Finding(name, before, now, effect, p, p <= rate, causes)
        for (name, before, now, effect, _), p in zip(tested, adjusted, strict=True)
    ]
    return sorted(found, key=lambda each: (each.p, -each.effect))


_Value = tuple[float, float | str]  # when, and what
_Days = Mapping[int, Sequence[float | str]]


def _figures(
    reference: Sequence[Call], current: Sequence[Call]
) -> Iterable[tuple[str, list[_Value], list[_Value]]]:
    for name in _NUMBERS:
        yield name, _numbers(reference, name), _numbers(current, name)
    for outcome in ("refusal", "error"):
        sides = (
            [(c.started_at, float(c.outcome == outcome)) for c in side]
            for side in (reference, current)
        )
        yield f"{outcome} share", *sides  # type: ignore[misc]
    yield (
        "model",
        [(c.started_at, c.model) for c in reference],
        [(c.started_at, c.model) for c in current],
    )
    names = Counter(name for call in (*reference, *current) for name in call.tags)
    for name in sorted(name for name, count in names.items() if count >= _LEAST):
        yield name, _tagged(reference, name), _tagged(current, name)


def _numbers(calls: Sequence[Call], name: str) -> list[_Value]:
    values = ((call.started_at, getattr(call, name)) for call in calls)
    return [(at, float(value)) for at, value in values if value is not None]


def _tagged(calls: Sequence[Call], name: str) -> list[_Value]:
    return [(call.started_at, call.tags[name]) for call in calls if name in call.tags]


def _by_day(values: Sequence[_Value]) -> _Days:
    days: dict[int, list[float | str]] = defaultdict(list)
    for at, value in values:
        days[int(at // _DAY)].append(value)
    return days


def _test(name: str, old: _Days, new: _Days) -> tuple[str, float, float, float, float]:
    """Give means or shares, the PSI on bins of the reference, and the p on bins of both."""
    before = [value for day in old.values() for value in day]
    now = [value for day in new.values() for value in day]
    if any(isinstance(value, str) for value in (*before, *now)):
        kinds = sorted({str(value) for value in (*before, *now)})
        rows = [_kinds(day, kinds) for side in (old, new) for day in side.values()]
        effect = stats.psi(_kinds(before, kinds), _kinds(now, kinds))
        most = Counter(map(str, before)).most_common(1)[0][0]
        shares = [sum(str(v) == most for v in side) / len(side) for side in (before, now)]
        p = stats.day_permutation(rows[: len(old)], rows[len(old) :])
        return name, shares[0], shares[1], effect, p
    numbers, later = [float(v) for v in before], [float(v) for v in now]
    pooled = stats.edges([*numbers, *later])
    rows = [
        list(map(float, stats.histogram([float(v) for v in day], pooled)))
        for side in (old, new)
        for day in side.values()
    ]
    inner = stats.edges(numbers) or pooled
    effect = stats.psi(stats.histogram(numbers, inner), stats.histogram(later, inner))
    p = stats.day_permutation(rows[: len(old)], rows[len(old) :], ordered=True)
    return name, sum(numbers) / len(numbers), sum(later) / len(later), effect, p


def _kinds(values: Iterable[float | str], kinds: Sequence[str]) -> list[float]:
    counts = Counter(map(str, values))
    return [float(counts[kind]) for kind in kinds]


def _causes(reference: Sequence[Call], current: Sequence[Call]) -> tuple[str, ...]:
    """Name what stands on the rows now and did not before."""
    found = []
    for name in _CAUSES:
        before = {getattr(call.context, name) for call in reference}
        now = Counter(getattr(call.context, name) for call in current)
        found += [
            f"{name} {value}" for value, _ in now.most_common() if value and value not in before
        ]
    models = {call.model for call in current} - {call.model for call in reference}
    return tuple([*found, *(f"model {name}" for name in sorted(models))])
