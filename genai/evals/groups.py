"""Fairness: does a task serve one group as it serves another?

Names of groups are swapped inside the same questions (the relation `names`), so that nothing else
differs between the two sides. Groups that are tags of different questions can be compared too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from genai import stats
from genai.errors import CaseError
from genai.evals.behaviour import metric_head, variants_by
from genai.evals.case import Case
from genai.evals.report import Report
from genai.evals.scorecard import Cell, MetricHead, Scorecard
from genai.evals.suite import Suite


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference of a metric between two groups, `b` minus `a`.

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


def by_tag(run: Report | Scorecard, beginning: str, *metrics: str) -> list[Gap]:
    """Compare the cases of each two tags that begin alike, such as `language:de` and `language:fr`.

    The sides have different questions, so what differs may be these and not the group. Newcombe's
    interval for verdicts, a cluster-robust one for scores, repeats and clusters.

    Raises:
        CaseError: fewer than two tags begin so, or the run has no such metric.
    """
    card = run.scorecard if isinstance(run, Report) else run
    tags = sorted({tag for row in card.rows for tag in row.tags if tag.startswith(beginning)})
    if len(tags) < 2:
        raise CaseError(
            f"run {card.head.run}: tags that begin with {beginning!r}: {', '.join(tags) or 'none'};"
            " two are needed to compare"
        )
    gaps = []
    for metric in metrics:
        head = card.known(metric)
        sides = {tag: _of_tag(card, tag, metric) for tag in tags}
        for a, b in combinations(tags, 2):
            if sides[a] and sides[b]:
                gaps.append(_apart(head, (a, b), (sides[a], sides[b])))
    adjusted = stats.benjamini_hochberg([each.p for each in gaps])
    return [replace(each, q=q) for each, q in zip(gaps, adjusted, strict=True)]


def _of_tag(card: Scorecard, tag: str, metric: str) -> list[tuple[str, Cell]]:
    """Give cluster and value of the measured cases with a tag; variants aside."""
    rows = (
        row
        for row in card.rows
        if tag in row.tags and not any(each.startswith("variant:") for each in row.tags)
    )
    cells = ((row.cluster or row.case, card.cell(row, metric)) for row in rows)
    return [(cluster, cell) for cluster, cell in cells if cell.mean is not None]


def _apart(
    head: MetricHead,
    groups: tuple[str, str],
    sides: tuple[Sequence[tuple[str, Cell]], Sequence[tuple[str, Cell]]],
) -> Gap:
    a, b = ([cell.mean or 0.0 for _, cell in side] for side in sides)
    owners = [[cluster for cluster, _ in side] for side in sides]
    single = len({*owners[0], *owners[1]}) == len(a) + len(b)
    if head.kind == "pass" and single and {*a, *b} <= {0.0, 1.0}:
        counts = int(sum(a)), len(a), int(sum(b)), len(b)
        bounds, below = stats.newcombe(*counts, 0.975), stats.score_test(*counts)
        above = stats.score_test(*counts[2:], *counts[:2])
    else:
        bounds, below = stats.clustered_difference(a, b, owners[0], owners[1], confidence=0.975)
        _, above = stats.clustered_difference(b, a, owners[1], owners[0])
    p = min(2 * min(below, above), 1.0)
    means = math.fsum(a) / len(a), math.fsum(b) / len(b)
    return Gap(head.name, *groups, *means, bounds.low, bounds.high, len(a) + len(b), p, p)


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
