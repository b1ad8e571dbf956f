"""The gate: is the candidate worse than the baseline, by more than a margin, beyond chance?

Cases are paired by id. Differences are candidate minus baseline, turned so that more is better.
Pass or fail, once a case: Bonett-Price bounds and McNemar's mid-p. Scores, repeats and clusters:
cluster-robust t bounds and a sign-flip test. The bounds are one-sided, at 95 % each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from genai import stats
from genai.errors import CaseError
from genai.evals.pairs import Pairs, changed_metric, incomparable, pair, uncovered
from genai.evals.scorecard import Cell, MetricHead, Scorecard

Stage = Literal["pull_request", "release"]
MARGINS: dict[Stage, float] = {"pull_request": 0.05, "release": 0.02}
_Q = 0.10  # Holm-adjusted p of a regression at the most
_PAIRED = ("pass", "score")
_CLUSTERS, _CHANGED = 10, 6  # below these no regression can be said


class Word(StrEnum):
    """What the gate says."""

    PASS = "PASS"
    IMPROVED = "IMPROVED"
    REGRESSION = "REGRESSION"
    INCONCLUSIVE = "INCONCLUSIVE"
    CANNOT_COMPARE = "CANNOT_COMPARE"


_CODES = {Word.PASS: 0, Word.IMPROVED: 0, Word.REGRESSION: 1, Word.CANNOT_COMPARE: 4}


@dataclass(frozen=True, slots=True)
class Flip:
    """A case whose value changed, with what was said before and now."""

    case: str
    before: float
    after: float
    said_before: str = ""
    said_after: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two runs. `low` and `high` bound the mean difference, better being more.

    `p` is that of the test that it is worse, `q` the same adjusted for all metrics that gate.
    `needs` is the number of cases that would decide, `worst` the word with every unmeasured
    case taken at its worst, `within` the share of the variance that comes from repeats.
    `ratio` is now to before, with its bounds, for amounts such as cost and seconds. `least` is the
    number of independent cases below which a score cannot pass: fewer do not show a rare loss.
    `turned`: less is better, so that `low` and `high` are those of before minus now.
    """

    metric: str
    word: Word
    gate: bool
    margin: float
    before: float | None = None
    after: float | None = None
    n: int = 0
    clusters: int = 0
    losses: int = 0
    gains: int = 0
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None
    test: str = ""
    detectable: float | None = None
    needs: int | None = None
    coverage: tuple[float, float] = (1.0, 1.0)
    worst: Word | None = None
    suspect: bool = False
    hard: bool = False
    within: float | None = None
    ratio: tuple[float, float, float] | None = None
    least: int = 0
    note: str = ""
    flips: tuple[Flip, ...] = field(default=(), repr=False)
    turned: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds of now minus before, which stand beside what was before and is now."""
        low, high = self.low or 0.0, self.high or 0.0
        return (-high, -low) if self.turned else (low, high)


@dataclass(frozen=True, slots=True)
class Decision:
    """The word of the gate over all metrics that decide, and the comparison of every metric."""

    suite: str
    baseline: str
    stage: Stage
    word: Word
    comparisons: tuple[Comparison, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        return str(self.word)

    @property
    def exit_code(self) -> int:
        """0 pass or improved (or undecided, before a release), 1 worse, 2 undecided, 4 neither."""
        undecided = 2 if self.stage == "release" else 0
        return _CODES.get(self.word, undecided)

    @property
    def gating(self) -> tuple[Comparison, ...]:
        """The comparisons that decide."""
        return tuple(each for each in self.comparisons if each.gate)


def decide(
    baseline: Scorecard,
    candidate: Scorecard,
    *,
    stage: Stage = "pull_request",
    margin: float | None = None,
    name: str = "main",
) -> Decision:
    """Compare two runs of one suite; say one word.

    Which metrics gate, and their own margins, are the candidate's.

    Raises:
        CaseError: the margin is not between 0 and 1.
    """
    margin = MARGINS[stage] if margin is None else sound_margin(margin)
    problem = incomparable(baseline, candidate)
    suite = candidate.head.suite
    if problem:
        return Decision(suite, name, stage, Word.CANNOT_COMPARE, (), problem)
    each_metric = (_compare(baseline, candidate, head, margin) for head in candidate.head.metrics)
    found = _families([each for each in each_metric if each is not None])
    gone = {each.metric: each for each in _gone(baseline, candidate, margin)}
    found = [*(each for each in found if each.metric not in gone), *gone.values()]
    lapsed = _lapsed(baseline, candidate)
    words = [*(each.word for each in found if each.gate), *[Word.CANNOT_COMPARE] * bool(lapsed)]
    if not words:
        untried = (head.distrust for head in candidate.head.metrics if head.gate or head.hard)
        none = "no metric of the suite gates; set `gate: true` on those that decide"
        reason = next(filter(None, untried), none)
        return Decision(suite, name, stage, Word.CANNOT_COMPARE, tuple(found), reason)
    order = (Word.REGRESSION, Word.CANNOT_COMPARE, Word.INCONCLUSIVE)
    worst = next((word for word in order if word in words), None)
    word = worst or (Word.IMPROVED if Word.IMPROVED in words else Word.PASS)
    notes = [each.note for each in found if each.gate and each.word is word]
    notes += lapsed if word is Word.CANNOT_COMPARE else []
    reason = next(iter(notes), "")
    return Decision(suite, name, stage, word, tuple(found), reason)


def sound_margin(margin: float, below: float = 1.0) -> float:
    """Give a margin that means something: a share of the metric's range. Raises `CaseError`."""
    if not 0 < margin < below:
        most = f" and below {below:g}: 0.05 is 5 points" if below < math.inf else ""
        raise CaseError(f"the margin is {margin:g}; give how large a drop may be, above 0{most}")
    return margin


def _lapsed(baseline: Scorecard, candidate: Scorecard) -> list[str]:
    """Say of each judge that decided before why it may decide no more."""
    before = {head.name for head in baseline.head.metrics
              if (head.gate or head.hard) and not head.distrust}  # fmt: skip
    return [
        head.distrust
        for head in candidate.head.metrics
        if head.distrust and (head.gate or head.hard) and head.name in before
    ]


def _gone(baseline: Scorecard, candidate: Scorecard, margin: float) -> list[Comparison]:
    """Name the metrics that decided before and decide no more: what is left is not the whole."""
    now = {head.name for head in candidate.head.metrics if head.gate or head.hard}
    return [
        Comparison(
            head.name, Word.CANNOT_COMPARE, True, head.margin or margin * head.width,
            note=f"{head.name} decides in the baseline and no more in the run; gate on it again,"
            " or accept a new baseline: genai eval accept",
        )
        for head in baseline.head.metrics
        if (head.gate or head.hard) and head.name not in now and head.kind in _PAIRED
    ]  # fmt: skip


def _compare(
    baseline: Scorecard, candidate: Scorecard, head: MetricHead, margin: float
) -> Comparison | None:
    if head.kind not in _PAIRED:
        return None  # nothing to pair: labels have no order, a percentile has no case
    gate = (head.gate or head.hard) and not head.distrust
    share, margin = margin, head.margin or margin * head.width
    old = baseline.metric(head.name)
    if old is None or old.id != head.id:
        what = "is new" if old is None else f"changed ({changed_metric(old, head)})"
        note = f"{head.name} {what}; accept a new baseline: genai eval accept"
        return Comparison(head.name, Word.CANNOT_COMPARE, gate, margin, note=note)
    pairs = pair(baseline, candidate, head.name)
    problem = uncovered(pairs, head)
    total = pairs.total or 1
    coverage = (1 - pairs.unmeasured[0] / total, 1 - pairs.unmeasured[1] / total)
    if problem and not (head.hard and pairs.cells):
        return Comparison(
            head.name, Word.CANNOT_COMPARE, gate, margin, coverage=coverage, n=len(pairs.cells),
            note=problem,
        )  # fmt: skip
    scale = _scale(head, pairs)
    found = _judge(head, pairs, gate, head.margin or share * scale, coverage, scale)
    if problem and found.word is not Word.REGRESSION:  # what was not measured may have failed
        return replace(found, word=Word.CANNOT_COMPARE, note=problem)
    return found


def _scale(head: MetricHead, pairs: Pairs) -> float:
    """Give what a margin is a share of: a metric's range, of an amount at most what it was."""
    before = [cell.mean or 0.0 for cell, _ in pairs.cells] if head.width != 1.0 else []
    return min(head.width, math.fsum(before) / max(len(before), 1)) or head.width


def _judge(
    head: MetricHead, pairs: Pairs, gate: bool, margin: float, coverage: tuple[float, float],
    scale: float,
) -> Comparison:  # fmt: skip
    sign = -1 if head.better == "lower" else 1
    before = [cell.mean or 0.0 for cell, _ in pairs.cells]
    after = [cell.mean or 0.0 for _, cell in pairs.cells]
    d = [sign * (b - a) for a, b in zip(before, after, strict=True)]
    n = len(d)
    losses, gains = sum(each < 0 for each in d), sum(each > 0 for each in d)
    clusters = [old.cluster or f"\x00{old.case}" for old, _ in pairs.rows]
    count = len(set(clusters))
    least = 0 if head.hard else least_cases(margin / scale)
    simple = count == n and head.width == 1.0 and all(map(_verdict, pairs.cells))
    if simple:
        bounds, p, test = (
            stats.bonett_price(losses, gains, n),
            stats.mcnemar(losses, gains),
            "McNemar",
        )
    else:
        bounds = stats.clustered(d, clusters, width=scale)
        p, test = stats.sign_flip(d, clusters), "sign-flip"
    spread = (
        math.sqrt(math.fsum((x - math.fsum(d) / n) ** 2 for x in d) / (n - 1)) if n > 1 else 0.0
    )
    found = Comparison(
        head.name, Word.PASS, gate, margin, math.fsum(before) / n, math.fsum(after) / n, n, count,
        losses, gains, bounds.low, bounds.high, p, None, test,
        stats.detectable(spread, n) if spread else None,
        _needed(simple, losses, gains, n, spread, margin, least, scale), coverage,
        flips=_flips(pairs, before, after, d),
    )  # fmt: skip
    found = replace(found, within=_within(pairs, spread), ratio=_ratio(head, before, after),
                    least=0 if simple else least, turned=sign < 0)  # fmt: skip
    word, note = _word(found, head, p)
    found = replace(found, word=word, note=note, hard=head.hard)
    if max(pairs.unmeasured):
        found = replace(found, worst=_worst(head, pairs, found, simple, scale))
    return found


def _verdict(pair: tuple[Cell, Cell]) -> bool:
    """Whether both sides are one plain pass or fail."""
    return all(cell.repeats == 1 and cell.mean in (0.0, 1.0) for cell in pair)


def _word(found: Comparison, head: MetricHead, q: float) -> tuple[Word, str]:
    """Apply the rules in their order; `q` is the adjusted p."""
    name = found.metric
    if head.hard:
        if found.losses:
            return Word.REGRESSION, f"{name}: {cases(found.losses)} passed before, not now"
        top = stats.rule_of_three(found.n)
        return Word.PASS, f"{name}: no new failure in {found.n}; the rate is below {top:.3f}"
    return decided(found, q)


def decided(found: Comparison, q: float) -> tuple[Word, str]:
    """Give the word of a soft metric and what to say of it."""
    low, high, name = found.low or 0.0, found.high or 0.0, found.metric
    if low > 0 and found.clusters >= min(found.least, _CLUSTERS):
        return Word.IMPROVED, ""
    if low > -found.margin and found.clusters >= found.least:
        small = f"{name}: a real drop, but smaller than the margin" if high < 0 else ""
        return Word.PASS, small
    changed = found.losses + found.gains
    few = []
    if low > -found.margin:
        few.append(f"{found.clusters} independent cases, a score needs {found.least} to pass")
    elif found.clusters < _CLUSTERS:
        few.append(f"{found.clusters} independent cases, at least {_CLUSTERS} are needed")
    if 0 < changed < _CHANGED:
        few.append(f"{cases(changed)} changed, at least {_CHANGED} are needed")
    if high < 0 and q <= _Q and not few:
        return Word.REGRESSION, f"{name}: {cases(found.losses)} worse, {found.gains} better"
    more = [*few, f"about {found.needs} cases would decide"] if found.needs else few
    if found.within is not None and found.within > 0.5:
        more.append("more repeats of the same cases would help more than more cases")
    return Word.INCONCLUSIVE, f"{name}: undecided with {found.n} cases; {'; '.join(more)}"


def _within(pairs: Pairs, spread: float) -> float | None:
    """Give the share of the variance of the differences that repeats would take away."""
    if all(a.repeats == 1 == b.repeats for a, b in pairs.cells) or not spread:
        return None
    within = math.fsum(c.variance / c.repeats for pair in pairs.cells for c in pair)
    return min(within / len(pairs.cells) / (spread * spread), 1.0)


def _ratio(
    head: MetricHead, before: Sequence[float], after: Sequence[float]
) -> tuple[float, float, float] | None:
    if head.better != "lower" or len(before) < 2 or min(*before, *after) <= 0:
        return None
    found = stats.log_ratio(before, after)
    return found.mean, found.low, found.high


def cases(count: int) -> str:
    """Say a number of cases."""
    return f"{count} case{'s' * (count != 1)}"


def _needed(
    simple: bool, losses: int, gains: int, n: int, spread: float, margin: float, least: int,
    scale: float,
) -> int | None:  # fmt: skip
    if simple:
        return stats.cases_to_prove(margin, discordant=(losses + gains + 2) / (n + 2))
    if not losses + gains:
        return stats.cases_unmoved(margin / scale)
    return max(stats.cases_for_drop(margin, sd=spread), least) if spread else None


def least_cases(margin: float) -> int:
    """Give the fewest cases with which no change at all is within the margin."""
    few, most = 0, 1
    while stats.bonett_price(0, 0, most).low <= -margin:
        few, most = most, 2 * most
    while most - few > 1:
        middle = (few + most) // 2
        inside = stats.bonett_price(0, 0, middle).low > -margin
        few, most = (few, middle) if inside else (middle, most)
    return most


def _worst(
    head: MetricHead, pairs: Pairs, found: Comparison, simple: bool, scale: float
) -> Word:  # fmt: skip
    """Give the word if every case unmeasured now had failed, and every one before had passed."""
    lost = found.losses + max(pairs.unmeasured)
    n = found.n + max(pairs.unmeasured)
    if simple:
        bounds = stats.bonett_price(lost, found.gains, n)
        low, high, p = bounds.low, bounds.high, stats.mcnemar(lost, found.gains)
    else:
        shift = scale * max(pairs.unmeasured) / n
        low, high = (found.low or 0.0) - shift, (found.high or 0.0) - shift
        p = found.p or 1.0
    return _word(replace(found, losses=lost, n=n, low=low, high=high), head, p)[0]


def _flips(
    pairs: Pairs, before: Sequence[float], after: Sequence[float], d: Sequence[float]
) -> tuple[Flip, ...]:
    """Give the changed cases, losses first, the largest change first."""
    order = sorted(
        (n for n, each in enumerate(d) if each), key=lambda n: (d[n], pairs.rows[n][0].case)
    )
    changed = [(n, *pairs.rows[n]) for n in order]
    return tuple(Flip(a.case, before[n], after[n], a.answer, b.answer) for n, a, b in changed)


def _families(found: list[Comparison]) -> list[Comparison]:
    """Adjust p for the metrics that gate (Holm), and mark suspects among the others (BH)."""
    done = list(found)
    tested = {n: each.p for n, each in enumerate(found) if each.p is not None}
    gating = [n for n in tested if found[n].gate]
    for n, q in zip(gating, stats.holm([tested[n] for n in gating]), strict=True):
        each = replace(found[n], q=q)
        if not each.hard:
            word, note = decided(each, q)
            each = replace(each, word=word, note=note)
        done[n] = each
    others = [n for n in tested if not found[n].gate]
    shares = stats.benjamini_hochberg([tested[n] for n in others])
    for n, q in zip(others, shares, strict=True):
        worse = (found[n].high or 0.0) < 0 and q <= _Q
        done[n] = replace(found[n], q=q, suspect=worse)
    return done
