"""From the columns of a run to its metrics: means, intervals, limits, slices."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from genai import stats
from genai.evals.metrics import Metric
from genai.evals.report.base import Lapse, Measured, Slice, State
from genai.evals.results import (
    LABEL,
    NOT_APPLICABLE,
    PENDING,
    UNMEASURED,
    VALUE,
    Column,
    Results,
)
from genai.evals.scorecard import value_of

Kind = Literal["pass", "score", "label"]
_COVERAGE = 0.02
_FLOOR = 0.90  # one-sided confidence of a limit
_LAPSES = 500
_FEW = 59  # calls below which the 95th percentile has no upper bound


def measure(
    column: Column, results: Results, said: Mapping[int, str], *, held: bool
) -> Measured:  # fmt: skip
    """Give one metric of a run. `said`: what was answered; `held`: there is a baseline.

    One of zero tolerance may then have the failures that were accepted; the gate finds new ones.
    """
    metric, settings = column.metric, column.metric.settings
    least, most = settings.min, settings.max
    if settings.hard and not held and metric.sign > 0:
        least = 1.0 if least is None else least
    elif settings.hard and not held:
        most = 0.0 if most is None else most
    values, clusters, spread = _cases(column, results)
    unmeasured = _missing(column, results)
    kind: Kind = "label" if column.labels else "pass" if column.binary else "score"
    found = Measured(
        metric.name, None, None, None, len(values), unmeasured, "unmeasured", least,
        most, kind, metric.statistic, settings.gate, settings.hard,
        column.count(NOT_APPLICABLE), labels=dict(column.labels), reason=_reason(column),
        where=settings.where, lapses=_lapses(column, results, said),
    )  # fmt: skip
    if kind == "label":
        return replace(found, state="shown", n=column.count(LABEL))
    if not values:
        return found if unmeasured else replace(found, reason="no case applies")
    if metric.statistic != "mean":
        return _percentile(found, sorted(values), 0.95 if metric.statistic == "p95" else 0.5)
    found = _mean(found, column, values, clusters)
    return replace(found, every=spread[0], any=spread[1]) if spread else found


def _cases(
    column: Column, results: Results
) -> tuple[list[float], list[str], tuple[float, float] | None]:
    """Give the mean of each measured case, its cluster, and what repeats say."""
    values: list[float] = []
    clusters: list[str] = []
    every = any_ = 0.0
    repeated = False
    for position, case in enumerate(results.cases):
        start, end = results.first[position], results.first[position + 1]
        found = _measured(column, start, end)
        if not found or case.variant is not None:
            continue  # a variant speaks of the task's behaviour, not of its quality
        values.append(found[0] if len(found) == 1 else math.fsum(found) / len(found))
        clusters.append(case.cluster or f"\x00{case.id}")
        if column.binary and end - start > 1:
            repeated = True
            passed = sum(value == max(column.metric.sign, 0) for value in found)
            every += stats.pass_hat(len(found), passed, len(found))
            any_ += stats.pass_at(len(found), passed, len(found))
    share = (every / len(values), any_ / len(values)) if repeated else None
    return values, clusters, share


def _measured(column: Column, start: int, end: int) -> list[float]:
    """Give the repeats of a case; none where one of them lacks, for the rest is another sample."""
    if _lacks(column, start, end):
        return []
    return [column.values[n] for n in range(start, end) if column.states[n] == VALUE]


def _lacks(column: Column, start: int, end: int) -> bool:
    states = column.states[start:end]
    return UNMEASURED in states or PENDING in states


def _missing(column: Column, results: Results) -> int:
    """Count the cases of which a repeat could not be measured."""
    if results.size == len(results.cases) and not any(c.variant for c in results.cases):
        return column.count(UNMEASURED) + column.count(PENDING)
    return sum(
        case.variant is None and _lacks(column, *results.first[position : position + 2])
        for position, case in enumerate(results.cases)
    )


def _mean(found: Measured, column: Column, values: list[float], clusters: list[str]) -> Measured:
    n, width, missing = len(values), column.metric.scorer.width, found.unmeasured
    mean, simple = math.fsum(values) / n, found.kind == "pass"
    low, high = _interval(values, clusters, width, simple, 0.975)
    least = most = None
    shares = _are_shares(values, width)
    if missing and shares:
        least, most = mean * n / (n + missing), (mean * n + missing) / (n + missing)
    found = replace(found, value=mean, low=low, high=high, least=least, most=most)
    if missing > _COVERAGE * (n + missing):
        return found
    best = (shares and (found.min or 0.0) >= 1) or (found.max == 0 and min(values) >= 0)
    exact = n < 2 or found.name.startswith("cost") or best
    bounds = (None, None) if exact else _interval(values, clusters, width, simple, _FLOOR)
    state, note = _limit(found, shares, *bounds)
    return replace(found, state=state, note=note)


def _are_shares(values: Sequence[float], width: float) -> bool:
    """Say whether a metric is from 0 to 1; a number of somebody's own may be on any scale."""
    return width == 1.0 and min(values) >= 0 and max(values) <= 1


def _interval(
    values: Sequence[float], clusters: Sequence[str], width: float, simple: bool, confidence: float
) -> tuple[float | None, float | None]:
    """Give the bounds of a mean, each at `confidence`; none of a single score."""
    n = len(values)
    if simple and len(set(clusters)) == n and all(value in (0.0, 1.0) for value in values):
        return stats.wilson(int(sum(values)), n, 2 * confidence - 1)
    if n < 2:
        return None, None
    bounds = stats.clustered(values, clusters, width=width, confidence=confidence)
    if _are_shares(values, width):
        return max(bounds.low, 0.0), min(bounds.high, 1.0)
    return (max(bounds.low, 0.0) if min(values) >= 0 else bounds.low), bounds.high


def _limit(
    found: Measured, shares: bool, low: float | None, high: float | None
) -> tuple[State, str]:
    """Judge the limits with one-sided bounds at 90 %, and exactly where there are none."""
    least, most, value = found.min, found.max, found.value or 0.0
    if least is None and most is None:
        return "shown", ""
    if low is None or high is None:
        kept = (least is None or value >= least - 1e-12) and (most is None or value <= most)
        best = kept and shares and (least == 1 or most == 0)
        top = stats.rule_of_three(found.n) if best else 0
        return ("pass" if kept else "fail"), f"failure rate below {top:.3f}" if top else ""
    if (least is not None and high < least) or (most is not None and low > most):
        return "fail", ""
    if (least is None or low >= least) and (most is None or high <= most):
        return "pass", ""
    return "inconclusive", f"{found.n} cases do not prove the limit (bound {low:.3f})"


def _percentile(found: Measured, times: list[float], share: float) -> Measured:
    """Judge a percentile by order statistics: a breach is certain above the lower rank."""
    n = len(times)
    value = times[max(math.ceil(share * n), 1) - 1]
    low_rank, high_rank = stats.percentile_ranks(n, share)
    low = times[low_rank - 1]
    high = times[high_rank - 1] if high_rank <= n else None
    found = replace(found, value=value, low=low if high is not None else None, high=high,
                    kind="score")  # fmt: skip
    if found.unmeasured > _COVERAGE * (n + found.unmeasured):
        return found
    most = found.max
    if most is None:
        return replace(found, state="shown")
    if low > most:
        return replace(found, state="fail")
    if high is not None and high <= most:
        return replace(found, state="pass")
    if high is None and value <= most:
        note = f"{n} calls give no upper bound, {_FEW} are needed"
        return replace(found, state="inconclusive", note=note)
    return replace(found, state="inconclusive")


def _reason(column: Column) -> str:
    if not column.codes:
        return ""
    codes = list(column.codes.values())
    most = max(set(codes), key=codes.count)
    first = next((column.notes[n] for n, code in column.codes.items()
                  if code == most and n in column.notes), most)  # fmt: skip
    return most if first == most else f"{most}: {first}"


def _lapses(column: Column, results: Results, said: Mapping[int, str]) -> tuple[Lapse, ...]:
    """Name the first cases that lower the metric, and what happened the first time they did."""
    metric = column.metric
    if metric.statistic != "mean" or metric.scorer.width != 1.0:
        return ()
    found = []
    for position, case in enumerate(results.cases):
        n = None if case.variant is not None else _lapse([column], results, position)
        if n is not None:
            happened = column.notes.get(n) or said.get(n, "")
            found.append(Lapse(case.id, case.question[:120], happened))
        if len(found) == _LAPSES:
            break
    return tuple(found)


def _lapse(columns: Sequence[Column], results: Results, position: int) -> int | None:
    """Find the first repeat of a case that lowers one of the metrics."""
    for n in range(results.first[position], results.first[position + 1]):
        if any(c.states[n] == VALUE and _is_lapse(c.metric, c.values[n]) for c in columns):
            return n
    return None


def telling(results: Results, position: int) -> int:
    """Choose the repeat of a case that is shown: the first that lowers what decides.

    Where none does, it is the first.
    """
    deciding = [
        each
        for each in results.columns.values()
        if (each.metric.settings.gate or each.metric.settings.hard)
        and each.metric.scorer.width == 1.0
    ]
    found = _lapse(deciding, results, position)
    return results.first[position] if found is None else found


def _is_lapse(metric: Metric, value: float) -> bool:
    """Say whether a value is worse than the best, or on a scale of its own than the limit."""
    if metric.sign < 0:
        return value > (metric.settings.max or 0.0)
    return value < max(metric.settings.min or 1.0, 1.0)


def slices(results: Results, names: Sequence[str]) -> tuple[Slice, ...]:
    """Give the chosen metrics by tag, for tags that at least two cases have."""
    found = []
    tags: dict[str, list[int]] = {}
    for position, case in enumerate(results.cases):
        for tag in dict.fromkeys((*((case.kind,) if case.kind else ()), *case.tags, *case.risks)):
            tags.setdefault(tag, []).append(position)
    for name in names:
        column = results.columns[name]
        for tag, positions in sorted(tags.items()):
            if 2 <= len(positions) < len(results.cases):
                found.append(_slice(column, results, tag, positions))
    return tuple(each for each in found if each.n or each.unmeasured)


def _slice(column: Column, results: Results, tag: str, positions: Sequence[int]) -> Slice:
    values, clusters, missing = [], [], 0
    for position in positions:
        case = results.cases[position]
        start, end = results.first[position : position + 2]
        if found := _measured(column, start, end):
            values.append(math.fsum(found) / len(found))
            clusters.append(case.cluster or f"\x00{case.id}")
        missing += _lacks(column, start, end)
    n = len(values)
    if not n:
        return Slice(column.metric.name, tag, None, None, None, 0, missing)
    width = column.metric.scorer.width
    low, high = _interval(values, clusters, width, column.binary, 0.975)
    return Slice(column.metric.name, tag, math.fsum(values) / n, low, high, n, missing)


def row_values(results: Results, position: int) -> list[object]:
    """Give what the scorecard keeps of one case, in the order of the metrics."""
    start, end = results.first[position], results.first[position + 1]
    found: list[object] = []
    for column in results.columns.values():
        values = _measured(column, start, end)
        missing = {
            "-"
            if column.states[n] in (NOT_APPLICABLE, LABEL)
            else column.codes.get(n, "pending"): 1
            for n in range(start, end)
            if column.states[n] != VALUE
        }
        found.append(value_of(values, missing))
    return found
