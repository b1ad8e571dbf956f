"""How a task behaves when its input changes: how often a relation between two inputs is violated.

A pair is a source case and a variant of it. An invariance is violated where the verdicts differ; a
directional relation where a passed source does not turn into a failed variant. One source case is
one unit, however many variants it has.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from genai import stats
from genai.config import digest
from genai.errors import CaseError
from genai.evals.case import Case
from genai.evals.gate import Decision, Stage, Word, decide
from genai.evals.report import Report
from genai.evals.scorecard import Cell, MetricHead, Row, Scorecard
from genai.evals.suite import Suite
from genai.evals.vary import unreviewed

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Violation:
    """A variant that broke its relation, with what the task said to the source and to it."""

    source: str
    variant: str
    said: str = ""
    said_then: str = ""


@dataclass(frozen=True, slots=True)
class Violations:
    """How often a relation is violated on one metric; intervals at 95 %, two-sided.

    `rate` is the share of source cases with a violating variant. `pair_rate` is the chance that
    one ask of a source and one of its variant break the relation, and `flip` that two asks of the
    same source differ: an invariance is broken by no more than chance up to there. `flip` is None
    where each case was asked once.
    """

    metric: str
    relation: str
    directional: bool
    cases: int
    violating: int
    rate: float | None
    low: float | None
    high: float | None
    pairs: int
    pair_rate: float | None
    pair_low: float | None
    pair_high: float | None
    flip: float | None
    unmeasured: int = 0
    not_applicable: int = 0
    unreviewed: int = 0
    found: tuple[Violation, ...] = field(default=(), repr=False)

    def text(self, most: int = 5) -> str:
        """Say it in a few lines, with the first violations."""
        head = f"{self.relation} on {self.metric}: "
        if self.rate is None or self.pair_rate is None:
            return f"{head}nothing measured ({self.unmeasured} pairs unmeasured)"
        head += f"{self.violating} of {self.cases} cases violate, {self.rate:.3f}"
        head += f" (95 % {self.low:.3f} to {self.high:.3f})"
        between = "" if self.pair_low is None else f" ({self.pair_low:.3f} to {self.pair_high:.3f})"
        flip = "unknown, ask each case twice: --repeats 2"
        lines = [
            head,
            f"  pairs: {self.pair_rate:.3f} of {self.pairs}{between}; the same question asked again"
            f" differs: {flip if self.flip is None else f'{self.flip:.3f}'}",
        ]
        notes = {
            "unmeasured": self.unmeasured, "not applicable": self.not_applicable,
            "without a reviewer": self.unreviewed,
        }  # fmt: skip
        said = ", ".join(f"{count} {what}" for what, count in notes.items() if count)
        lines += [f"  pairs {said}"] if said else []
        for each in self.found[:most]:
            lines += [f"  {each.variant}", f"    source:  {each.said[:200]}"]
            lines += [f"    variant: {each.said_then[:200]}"]
        return "\n".join(lines)


@dataclass(slots=True)
class _Unit:
    """A source case with the outcome of each of its pairs."""

    case: Case
    row: Row
    source: Cell
    broken: list[Violation] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    unmeasured: int = 0
    not_applicable: int = 0

    @property
    def value(self) -> int | str:
        """1 where the relation holds, 0 where a variant breaks it, else what a row says."""
        if self.broken:
            return 0
        if self.unmeasured:
            return "!variant"
        return 1 if self.chances else "-"


def relations_in(cases: Sequence[Case]) -> list[str]:
    """Give the relations that have variants among the cases."""
    return sorted({case.variant.relation for case in cases if case.variant is not None})


def violations(run: Report | Scorecard, suite: Suite, metric: str, relation: str) -> Violations:
    """Measure how often a relation is violated.

    The verdict of a case is whether it passes (in most of its repeats), for a score whether it
    reaches a half.

    Raises:
        CaseError: the run is of other cases, or has no such metric or relation.
    """
    card = run.scorecard if isinstance(run, Report) else run
    head, units = _units(card, suite, metric, relation)
    values = [unit.value for unit in units]
    measured = [value for value in values if isinstance(value, int)]
    k, n = len(measured) - sum(measured), len(measured)
    chances = [each for unit in units for each in unit.chances]
    owners = [unit.case.id for unit in units for _ in unit.chances]
    low, high = stats.wilson(k, n) if n else (None, None)
    waiting = {case.id for case in unreviewed(suite.cases)}
    variants = variants_by(suite, relation)
    return Violations(
        metric, relation, variants[0].variant.expect == "changes",  # type: ignore[union-attr]
        n, k, k / n if n else None, low, high, len(chances),
        math.fsum(chances) / len(chances) if chances else None, *_bounds(chances, owners),
        _flip(head, units), sum(unit.unmeasured for unit in units),
        sum(unit.not_applicable for unit in units), sum(case.id in waiting for case in variants),
        tuple(each for unit in units for each in unit.broken),
    )  # fmt: skip


def _bounds(chances: Sequence[float], owners: Sequence[str]) -> tuple[float | None, float | None]:
    if len(set(owners)) == len(owners) and set(chances) <= {0.0, 1.0} and chances:
        return stats.wilson(int(sum(chances)), len(chances))
    if len(set(owners)) < 2:
        return None, None
    found = stats.clustered(chances, owners, confidence=0.975)
    return max(found.low, 0.0), min(found.high, 1.0)


def _flip(head: MetricHead, units: Sequence[_Unit]) -> float | None:
    """Give the chance that two asks of one source differ: twice the variance of a pass."""
    spread = [
        2 * unit.source.variance
        for unit in units
        if head.kind == "pass" and unit.source.mean is not None and unit.source.repeats > 1
    ]
    return math.fsum(spread) / len(spread) if spread else None


def variants_by(suite: Suite, relation: str) -> list[Case]:
    """Give the variants of a relation. Raises `CaseError` where there are none."""
    found = [case for case in suite.cases if case.variant and case.variant.relation == relation]
    if not found:
        known = ", ".join(relations_in(suite.cases)) or "none"
        raise CaseError(
            f"suite {suite.name}: has no variant by `{relation}` (there are: {known}); make them:"
            f" genai eval vary {suite.path.stem} --relation {relation}"
        )
    return found


def _units(
    card: Scorecard, suite: Suite, metric: str, relation: str
) -> tuple[MetricHead, list[_Unit]]:
    head = metric_head(card, suite, metric)
    cases = {case.id: case for case in suite.cases}
    units: dict[str, _Unit] = {}
    for case in variants_by(suite, relation):
        assert case.variant is not None
        source, row = cases.get(case.variant.of), card.row(case.id)
        old = card.row(case.variant.of)
        if source is None or row is None or old is None:
            raise CaseError(
                f"suite {suite.name}: variant `{case.id}` has no source `{case.variant.of}` in the"
                " run; run the whole suite"
            )
        unit = units.setdefault(source.id, _Unit(source, old, card.cell(old, metric)))
        _pair(unit, card.cell(row, metric), case, row, head)
    return head, list(units.values())


def metric_head(card: Scorecard, suite: Suite, metric: str) -> MetricHead:
    """Give a metric of a run of this suite as it is now. Raises `CaseError`."""
    if card.head.dataset != suite.hash:
        raise CaseError(
            f"run {card.head.run or card.head.at}: is of dataset {card.head.dataset}, the suite is"
            f" now {suite.hash}; run it again: genai eval {suite.path.stem}"
        )
    head = card.metric(metric)
    if head is None or head.kind not in ("pass", "score"):
        known = ", ".join(each.name for each in card.head.metrics if each.kind in ("pass", "score"))
        raise CaseError(f"suite {suite.name}: no metric `{metric}` to compare; known: {known}")
    return head


def _pair(unit: _Unit, cell: Cell, case: Case, row: Row, head: MetricHead) -> None:
    if unit.source.mean is None or cell.mean is None:
        absent = "-" in (unit.source.missing, cell.missing)
        unit.not_applicable += absent
        unit.unmeasured += not absent
        return
    before, after = (_passes(head, each.mean or 0.0) for each in (unit.source, cell))
    p, q = unit.source.mean, cell.mean
    if head.kind == "score":
        p, q = float(before), float(after)
    elif head.better == "lower":
        p, q = 1 - p, 1 - q
    directional = case.variant is not None and case.variant.expect == "changes"
    unit.chances.append(1 - p * (1 - q) if directional else p * (1 - q) + q * (1 - p))
    if not (before and not after) if directional else before != after:
        unit.broken.append(Violation(unit.case.id, case.id, unit.row.answer, row.answer))


def _passes(head: MetricHead, value: float) -> bool:
    return value <= _HALF if head.better == "lower" else value >= _HALF


def compare(
    before: Scorecard,
    after: Scorecard,
    suite: Suite,
    metric: str,
    relation: str,
    *,
    stage: Stage = "pull_request",
    margin: float | None = None,
) -> Decision:
    """Judge with the gate whether a relation is violated more often than before.

    A unit is a source case, its value 1 where the relation holds. Variants that need a reviewer
    and have none are left out.

    Raises:
        CaseError: the runs are of other cases, or have no such metric or relation.
    """
    waiting = unreviewed(variants_by(suite, relation))
    name = before.head.run or "before"
    reason = metric_head(after, suite, metric).distrust
    if len(waiting) == len(variants_by(suite, relation)):
        reason = (
            f"no variant by {relation} has a reviewer; look at them, then: genai eval vary"
            f" {suite.path.stem} --review NAME {waiting[0].id} ..."
        )
    if reason:
        return Decision(suite.name, name, stage, Word.CANNOT_COMPARE, (), reason)
    left = {case.id for case in waiting}
    kept = replace(suite, cases=[case for case in suite.cases if case.id not in left])
    cards = [_card(card, suite, kept, metric, relation) for card in (before, after)]
    decision = decide(cards[0], cards[1], stage=stage, margin=margin, name=name)
    if not waiting:
        return decision
    note = f"{len(waiting)} variants without a reviewer are left out"
    return replace(decision, reason="; ".join(filter(None, (decision.reason, note))))


def _card(card: Scorecard, suite: Suite, kept: Suite, metric: str, relation: str) -> Scorecard:
    """Give a scorecard of the relation: a row a source case."""
    metric_head(card, suite, metric)
    copy = Scorecard(msgspec.structs.replace(card.head, dataset=kept.hash), card.rows)
    head, units = _units(copy, kept, metric, relation)
    relation_head = MetricHead(
        f"{metric}.{relation}", digest([head.id, relation]), kind="pass", gate=True,
        judge=head.judge, distrust=head.distrust,
    )  # fmt: skip
    rows = [
        Row(
            unit.case.id, [unit.value], unit.case.cluster,
            answer=next((each.said_then for each in unit.broken), unit.row.answer),
        )
        for unit in units
    ]  # fmt: skip
    return Scorecard(msgspec.structs.replace(copy.head, metrics=[relation_head]), rows)
