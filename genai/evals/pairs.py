"""Whether two runs may be compared, and which of their values belong together.

Pairs are made by the id of a case, never by its place. What has no partner is counted, not dropped.
"""

from dataclasses import dataclass, field

from genai.evals.scorecard import Cell, MetricHead, Row, Scorecard

_COVERAGE = 0.02  # unmeasured share at the most, and the most that the sides may differ by


def incomparable(baseline: Scorecard, candidate: Scorecard) -> str:
    """Say why two runs cannot be compared at all; "" where they can."""
    old, new = baseline.head, candidate.head
    if old.suite != new.suite:
        return f"the baseline is of the suite `{old.suite}`, the run of `{new.suite}`"
    if old.dataset != new.dataset:
        ids = {row.case for row in baseline.rows}, {row.case for row in candidate.rows}
        came, went = len(ids[1] - ids[0]), len(ids[0] - ids[1])
        said = "no case is new or gone, some were edited"
        said = f"cases: {came} new, {went} gone" if came or went else said
        return (
            f"the dataset changed ({old.dataset} to {new.dataset}: {said}; see what changed: genai"
            f" eval diff REVISION:evals/{new.suite}.yaml {new.suite}); run both versions on it, or"
            " accept a new baseline: genai eval accept"
        )
    if old.repeats != new.repeats:
        return f"the baseline has {old.repeats} repeats a case, the run {new.repeats}"
    return ""


def changed_metric(old: MetricHead, new: MetricHead) -> str:
    """Say what of a metric is not what it was."""
    for what, before, now in (
        ("judge", old.judge, new.judge),
        ("judge prompt", old.prompt, new.prompt),
    ):
        if before and now and before != now:
            return f"its {what} was {before} and is {now}"
    return "scorer, version, parameters, embedder or judge"


@dataclass(slots=True)
class Pairs:
    """The paired values of one metric."""

    rows: list[tuple[Row, Row]] = field(default_factory=list)
    cells: list[tuple[Cell, Cell]] = field(default_factory=list)
    unmeasured: list[int] = field(default_factory=lambda: [0, 0])
    total: int = 0
    lopsided: int = 0


def pair(baseline: Scorecard, candidate: Scorecard, name: str) -> Pairs:
    """Pair the values of one metric by case; variants are left to `behaviour`."""
    pairs = Pairs()
    for new in candidate.rows:
        if any(tag.startswith("variant:") for tag in new.tags):
            continue  # variants are compared by `behaviour`
        old = baseline.row(new.case)
        assert old is not None  # equal dataset hashes
        cells = baseline.cell(old, name), candidate.cell(new, name)
        if cells[0].missing == "-" == cells[1].missing:
            continue
        pairs.total += 1
        for side in (0, 1):
            pairs.unmeasured[side] += cells[side].mean is None and cells[side].missing != "-"
        if None not in (cells[0].mean, cells[1].mean):
            pairs.rows.append((old, new))
            pairs.cells.append(cells)
        elif "-" in (cells[0].missing, cells[1].missing):
            pairs.lopsided += 1
    return pairs


def uncovered(pairs: Pairs, head: MetricHead) -> str:
    """Say why too little of a metric is measured on both sides; "" where enough is."""
    if not pairs.total:
        return f"{head.name}: no case applies on both sides"
    shares = [each / pairs.total for each in pairs.unmeasured]
    if max(shares) > _COVERAGE or abs(shares[0] - shares[1]) > _COVERAGE:
        return (
            f"{head.name}: {pairs.unmeasured[0]} of {pairs.total} cases are unmeasured in the"
            f" baseline and {pairs.unmeasured[1]} in the run; 2 % at the most. Run again, it goes"
            " on where it stopped"
        )
    if pairs.lopsided > _COVERAGE * pairs.total:
        return (
            f"{head.name}: {pairs.lopsided} of {pairs.total} cases apply on one side only, so the"
            " pairs left are no fair sample; gate on a metric that applies to every case"
        )
    return ""
