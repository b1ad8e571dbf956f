"""Fairness: does a task serve one group as it serves another?

Names of groups are swapped inside the same questions (the relation `names`), so that nothing else
differs between the two sides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from genai import stats
from genai.evals.behaviour import metric_head, variants_by
from genai.evals.case import Case
from genai.evals.report import Report
from genai.evals.scorecard import Cell, MetricHead, Scorecard
from genai.evals.suite import Suite


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference of a metric between two groups on the same questions, `b` minus `a`.

    `low` and `high` are the two-sided 95 % interval, `q` the two-sided p adjusted over all gaps
    that were looked at (Benjamini-Hochberg).
    """

    metric: str
    a: str
    b: str
    mean_a: float
    mean_b: float
    low: float | None
    high: float | None
    n: int
    p: float
    q: float

    @property
    def difference(self) -> float:
        """How much more the second group gets."""
        return self.mean_b - self.mean_a

    def text(self) -> str:
        """Say it in one line."""
        between = "" if self.low is None else f" (95 % {self.low:+.3f} to {self.high:+.3f})"
        return (
            f"{self.metric}: {self.b} {self.mean_b:.3f}, {self.a} {self.mean_a:.3f}, difference"
            f" {self.difference:+.3f}{between}, q {self.q:.3f}, n {self.n}"
        )


def by_group(run: Report | Scorecard, suite: Suite, *metrics: str) -> list[Gap]:
    """Compare the groups whose names were swapped, each two of them on the cases both have.

    Raises:
        CaseError: the run is of other cases, or the suite has no variants by `names`.
    """
    card = run.scorecard if isinstance(run, Report) else run
    variants = variants_by(suite, "names")
    clusters = {case.id: case.cluster or case.id for case in suite.cases}
    gaps = []
    for metric in metrics:
        head = metric_head(card, suite, metric)
        values = _by_source(card, variants, metric)
        groups = sorted({group for each in values.values() for group in each})
        for a, b in combinations(groups, 2):
            both = {source: each for source, each in values.items() if a in each and b in each}
            if both:
                owners = [clusters[source] for source in both]
                sides = [each[a] for each in both.values()], [each[b] for each in both.values()]
                gaps.append(_gap(head, (a, b), sides, owners))
    adjusted = stats.benjamini_hochberg([each.p for each in gaps])
    return [replace(each, q=q) for each, q in zip(gaps, adjusted, strict=True)]


def _by_source(
    card: Scorecard, variants: Sequence[Case], metric: str
) -> Mapping[str, dict[str, Cell]]:
    """Give the measured value of each group, by source case."""
    found: dict[str, dict[str, Cell]] = {}
    for case in variants:
        known = case.metadata or {}
        assert case.variant is not None
        for group, name in (
            (known.get("group"), case.id), (known.get("source_group"), case.variant.of)
        ):  # fmt: skip
            row = card.row(name)
            cell = card.cell(row, metric) if row is not None else Cell()
            if group and cell.mean is not None:
                found.setdefault(case.variant.of, {})[group] = cell
    return found


def _gap(
    head: MetricHead,
    groups: tuple[str, str],
    sides: tuple[Sequence[Cell], Sequence[Cell]],
    owners: Sequence[str],
) -> Gap:
    before = [cell.mean or 0.0 for cell in sides[0]]
    after = [cell.mean or 0.0 for cell in sides[1]]
    d = [b - a for a, b in zip(before, after, strict=True)]
    n = len(d)
    once = all(cell.repeats == 1 for side in sides for cell in side)
    low = high = None
    if head.kind == "pass" and once and len(set(owners)) == n:
        losses, gains = sum(each < 0 for each in d), sum(each > 0 for each in d)
        bounds = stats.bonett_price(losses, gains, n, 0.975)
        low, high = bounds.low, bounds.high
        p = min(2 * min(stats.mcnemar(losses, gains), stats.mcnemar(gains, losses)), 1.0)
    else:
        if len(set(owners)) > 1:
            bounds = stats.clustered(d, owners, width=head.width, confidence=0.975)
            low, high = bounds.low, bounds.high
        worse, better = (stats.sign_flip([s * each for each in d], owners) for s in (1, -1))
        p = min(2 * min(worse, better), 1.0)
    return Gap(head.name, *groups, math.fsum(before) / n, math.fsum(after) / n, low, high, n, p, p)
