"""Stretches of days on which a figure is away from its reference, beyond what days differ by.

A day is compared alone and together with the days before it, since a small shift that stays is
seen only in several. What days differ by anyway is measured on the reference days themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genai import extras
from genai.errors import Unmeasured
from genai.reports.incidents.facts import Facts, Figure

_WINDOWS = (1, 3, 7)  # days that are looked at together
_LEAST_DAYS = 5  # of a reference
_LEAST_SHARE, _LEAST_RATIO, _LEAST_SD = 0.02, 0.05, 0.2  # shifts that are worth a person's time
_JUMP = 3.0  # times the shift at which another stretch begins
_CAUTION = 0.25  # chance that days differ more than is assumed
_QUIET = 3  # days near the reference again after which a stretch has ended
_Sure = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A figure away from its reference from day `first` to `last`. `sure` is its t value.

    Where `scale` is `log`, `before` and `now` are means of logarithms.
    """

    figure: str
    first: int
    last: int
    before: float
    now: float
    sure: float
    scale: str = "number"


@dataclass(frozen=True, slots=True)
class _Daily:
    """A figure by day: how many values, their mean; and how the reference days vary.

    `worth` is the least shift that anybody would act on.
    """

    counts: Any
    means: Any
    middle: float
    within: float
    between: float
    lumps: float
    total: float
    days: int
    scale: str
    worth: float

    @property
    def share(self) -> bool:
        """Whether the values are 0 and 1."""
        return self.scale in ("share", "mix")

    def away(self, first: int, last: int) -> tuple[float, float]:
        """Give the t value of some days against the reference, and its degrees of freedom.

        What days differ by is known from few days, what questions differ by from many: the
        degrees are those of the mixture (Satterthwaite).
        """
        counts = self.counts[first : last + 1]
        total = float(counts.sum())
        if total < 1:
            return 0.0, 1.0
        mean = self.mean(first, last)
        within = max(self.within, mean * (1 - mean)) if self.share else self.within
        between = self.between * (float((counts**2).sum()) / total**2 + self.lumps)
        whole = max(between + within / total + self.within / self.total, 1e-18)
        freedom = (self.days - 1) * (whole / between) ** 2 if between > 0 else 1e6
        return float((mean - self.middle) / whole**0.5), min(freedom, 1e6)

    def mean(self, first: int, last: int) -> float:
        """Give the mean of some days' values."""
        counts = self.counts[first : last + 1]
        return float((counts * self.means[first : last + 1]).sum() / counts.sum())


def stretches(facts: Facts, reference: int, *, alarms: float = 0.05) -> list[Stretch]:
    """Give the stretches after the first `reference` days, the surest first.

    `alarms` is how many false ones are expected in the whole period where nothing moved.

    Raises:
        Unmeasured: fewer than five days of reference have a question.
    """
    np: Any = extras.load("numpy", "evals")
    special: Any = extras.load("scipy.special", "evals")
    known = len(set(facts.days[facts.days < reference].tolist()))
    if known < _LEAST_DAYS:
        raise Unmeasured(
            f"the reference has {known} days with questions; {_LEAST_DAYS} are needed to say what"
            " days differ by anyway"
        )
    looks = max(len(facts.figures) * max(facts.span - reference, 1) * len(_WINDOWS), 1)

    def sure(t: float, freedom: float) -> bool:
        return bool(2 * special.stdtr(freedom, -abs(t)) <= alarms / looks)

    found: list[Stretch] = []
    for name, figure in facts.figures.items():
        daily = _daily(np, facts, figure, reference)
        if daily is not None:
            found += _of_figure(name, daily, facts.span, reference, sure)
    return sorted(found, key=lambda each: -abs(each.sure))


def _daily(np: Any, facts: Facts, figure: Figure, reference: int) -> _Daily | None:
    special: Any = extras.load("scipy.special", "evals")
    held = np.isfinite(figure.values)
    days, values = facts.days[held], figure.values[held]
    counts = np.bincount(days, minlength=facts.span).astype(float)
    means = np.bincount(days, weights=values, minlength=facts.span) / np.maximum(counts, 1)
    some = counts[:reference] > 0
    n, x = counts[:reference][some], means[:reference][some]
    if len(n) < _LEAST_DAYS:
        return None
    old = values[days < reference]
    middle, share = float(old.mean()), figure.scale in ("share", "mix")
    within = float(old.var())
    worth = _LEAST_RATIO if figure.scale == "log" else _LEAST_SD * within**0.5
    if share:  # nothing seen is not nothing possible
        smooth = (float(old.sum()) + 0.5) / (len(old) + 1)
        within, worth = smooth * (1 - smooth), _LEAST_SHARE
    weight = float(n.sum() - (n**2).sum() / n.sum())
    # few days say little about how days differ: the upper end of what they allow
    freedom = len(n) - 1
    most = freedom / float(special.chdtri(freedom, 1 - _CAUTION))
    excess = float((n * (x - middle) ** 2).sum()) * most - freedom * within
    between = max(excess / weight, 0.0)
    total = float(n.sum())
    lumps = float((n**2).sum()) / total**2
    return _Daily(counts, means, middle, within, between, lumps, total, len(n), figure.scale, worth)


def _of_figure(name: str, daily: _Daily, span: int, reference: int, sure: _Sure) -> list[Stretch]:
    found: list[Stretch] = []
    day = reference
    while day < span:
        if not _fires(daily, day, reference, sure):
            day += 1
            continue
        first = _onset(daily, day, reference)
        last = _end(daily, first, day, span)
        t, _ = daily.away(first, last)
        found.append(
            Stretch(name, first, last, daily.middle, daily.mean(first, last), t, daily.scale)
        )
        day = last + 1
        reference = day  # what is told is not told again by a window that reaches back
    return found


def _fires(daily: _Daily, day: int, start: int, sure: _Sure) -> bool:
    for length in _WINDOWS:
        first = day - length + 1
        if first < start or not daily.counts[first : day + 1].sum():
            continue
        shift = daily.mean(first, day) - daily.middle
        if abs(shift) >= max(daily.worth, 1e-9) and sure(*daily.away(first, day)):
            return True
    return False


def _onset(daily: _Daily, day: int, start: int) -> int:
    """Give the first day of the run of days that stands out most."""
    firsts = range(max(start, day - max(_WINDOWS) + 1), day + 1)
    return max(firsts, key=lambda first: abs(daily.away(first, day)[0]))


def _end(daily: _Daily, first: int, day: int, span: int) -> int:
    """Give the last day before the figure stayed near its reference."""
    last, shift = day, daily.mean(first, day) - daily.middle
    for later in range(day + 1, span):
        if not daily.counts[later]:
            continue
        ratio = (daily.means[later] - daily.middle) / shift
        if ratio > _JUMP:
            break
        if ratio >= 0.5:
            last, shift = later, daily.mean(first, later) - daily.middle
        elif later - last >= _QUIET:
            break
    return last
