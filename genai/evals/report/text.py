"""A run and a decision as text for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genai import stats
from genai.evals.gate import Comparison, Decision, cases
from genai.evals.scorecard import figure

if TYPE_CHECKING:
    from genai.evals.report.base import Measured, Report

_WORDS = {
    "pass": "PASS", "fail": "FAIL", "inconclusive": "UNDECIDED", "unmeasured": "UNMEASURED",
    "shown": "",
}  # fmt: skip


def table(report: "Report") -> str:
    """Give the table of a run, then the cases behind what failed."""
    heads = ("metric", "value", "95 % interval", "n", "unmeasured", "limit", "")
    rows = [heads, *(_row(each) for each in report.metrics)]
    failed = [each.words() for each in report.metrics if each.state not in ("pass", "shown")]
    return "\n".join([headline(report), *align(rows), *_notes(report), *failed])


def headline(report: "Report") -> str:
    """Say in one line what was run on what."""
    times = f" x {report.repeats} repeats" if report.repeats > 1 else ""
    resumed = f", {report.resumed} of them from an earlier start" if report.resumed else ""
    return (
        f"suite {report.suite} ({report.cases} cases{times}{resumed}, dataset {report.dataset}) on"
        f" {report.task}, {report.seconds:.1f} s, {money(report)}"
    )


def money(report: "Report") -> str:
    """Say what the run cost, judging apart, and of how many trials nobody knows."""
    known = f"${report.cost.normalize():f}" if report.cost else "$0"
    nothing = report.trials and report.unknown_cost == report.trials and not report.cost
    known = "unknown cost" if nothing else known
    known += f" and ${report.judging.normalize():f} for judging" if report.judging else ""
    if nothing or not report.unknown_cost:
        return known
    return f"{known} and {report.unknown_cost} of {report.trials} trials of unknown cost"


def _row(metric: "Measured") -> tuple[str, ...]:
    known = metric.low is not None and metric.high is not None
    between = f"{figure(metric.low or 0.0)} to {figure(metric.high or 0.0)}" if known else ""
    value = "-" if metric.value is None else metric.shown
    if metric.labels:
        value = " ".join(f"{name}:{count}" for name, count in sorted(metric.labels.items()))
    return (
        metric.name, value, between, str(metric.n), str(metric.unmeasured), metric.limit,
        _WORDS[metric.state],
    )  # fmt: skip


def _notes(report: "Report") -> list[str]:
    notes = []
    if report.since:
        notes.append(
            f"{report.resumed} answers are from {report.since}, an earlier start of this run; to"
            f" ask anew: genai eval {report.suite} --fresh"
        )
    if report.stopped:
        why = report.reasons.get(report.stopped, 0)
        notes.append(f"stopped: {report.stopped} ({why} trials); run again to go on")
    if report.crashed:
        notes.append(f"{report.crashed}; mend the task, then run again")
    for metric in report.metrics:
        if metric.state == "shown" and metric.note:
            notes.append(f"{metric.name} does not gate: {metric.note}")
        if metric.least is not None:
            notes.append(
                f"{metric.name}: between {metric.least:.4f} and {metric.most:.4f} whatever the"
                f" {metric.unmeasured} unmeasured cases would have given"
            )
        if metric.every is not None:
            every, some = (_share(each, metric.n) for each in (metric.every, metric.any or 0.0))
            notes.append(
                f"{metric.name}: {every} of {metric.n} cases pass every time, {some} at least once"
            )
    return notes


def _share(value: float, n: int) -> str:
    low, high = stats.wilson(round(value * n), n)
    return f"{value:.3f} (95 % {low:.3f} to {high:.3f})"


def coverage(each: Comparison) -> str:
    """Say which share of the cases was measured; of both sides where they differ."""
    before, now = (f"{100 * share:.3g} %" for share in each.coverage)
    return now if before == now else f"{before}, {now}"


def slowest(report: "Report") -> str:
    """Say the 95th percentile of the times with its bounds and n."""
    p95 = next((each for each in report.metrics if each.statistic == "p95"), None)
    if p95 is None or p95.value is None:
        return "not measured"
    between = "no upper bound" if p95.low is None else f"{p95.low:.3g} to {p95.high:.3g} s"
    return f"{p95.value:.3g} s ({between}, n {p95.n})"


def size_lines(report: "Report", decision: Decision | None) -> list[str]:
    """Say what a run of this size can show, and whether it kept the designs made for it."""
    from genai.evals.design import designs_for, kept

    times = f" x {report.repeats} repeats" if report.repeats > 1 else ", each asked once"
    lines = [f"{report.cases} cases{times}"]
    for each in decision.gating[:10] if decision else ():
        if each.detectable is None:
            continue
        said = f"{each.metric}: smallest drop shown {each.detectable:.3f} (power .80)"
        said += f", margin {each.margin:g}"
        said += f", about {each.needs} cases to decide at the margin" if each.needs else ""
        if each.within is not None:
            said += f", {each.within:.0%} of the variance is between repeats of a case"
        lines.append(said)
    for design in designs_for(report.evals, report):
        broken = [each.sentence for each in kept(design, report, decision) if not each.kept]
        how = f"NOT kept ({'; '.join(broken)})" if broken else "kept"
        lines.append(f"design {design.design} was {how}: {design.hypothesis}")
    return lines


def no_baseline(report: "Report") -> str:
    """Say that a run was compared with nothing, and how to take it as one where it can be."""
    if report.crashed:
        return "There is no baseline yet."
    accept = f"genai eval accept {report.suite} --reason 'why it is good'"
    return f"There is no baseline yet. To take this run as one: {accept}"


def decision_text(decision: Decision, flips: int = 10) -> str:
    """Give the word of the gate, a line a metric, and the cases that changed."""
    head = f"{decision.word} against {decision.baseline} ({decision.stage.replace('_', ' ')})"
    head += f": {decision.reason}" if decision.reason else ""
    if not decision.comparisons:
        return head
    heads = ("metric", "before", "now", "difference", "90 % bounds", "q", "n", "coverage", "")
    rows = [heads, *(_compared(each) for each in decision.comparisons)]
    lines = [head, *align(rows)]
    for each in decision.comparisons:
        if each.gate and each.worst not in (None, each.word):
            lines.append(f"{each.metric}: {each.worst} if every unmeasured case had failed")
        if each.ratio is not None:
            now, low, high = each.ratio
            lines.append(f"{each.metric}: {now:.2f} times as before ({low:.2f} to {high:.2f})")
        if each.suspect:
            lines.append(f"{each.metric}: suspect, it fell beyond chance but does not gate")
        if each.gate and each.losses:
            lines += _flips(each, flips)
    return "\n".join(lines)


def _compared(each: Comparison) -> tuple[str, ...]:
    if each.before is None or each.after is None or each.low is None or each.high is None:
        return (each.metric, "-", "-", "-", "", "", str(each.n), coverage(each), str(each.word))
    word = str(each.word) if each.gate else "(shown)"
    q = "" if each.q is None else f"{each.q:.3f}"
    low, high = each.bounds
    return (
        each.metric, figure(each.before), figure(each.after), figure(each.after - each.before, "+"),
        f"{figure(low, '+')} to {figure(high, '+')}", q, str(each.n), coverage(each), word,
    )  # fmt: skip


def comparison_text(each: Comparison) -> str:
    """Give one metric's difference with its bounds, and the cases that are worse."""
    before, after, (low, high) = each.before or 0.0, each.after or 0.0, each.bounds
    head = (
        f"{each.metric} {'rose' if after > before else 'fell'} from {figure(before)} to"
        f" {figure(after)} (bounds {figure(low, '+')} to {figure(high, '+')},"
        f" margin {each.margin:.3g}, q {each.q:.3f}, n {each.n})"
    )
    return "\n".join([head, *_flips(each, 10)])


def _flips(each: Comparison, most: int) -> list[str]:
    worse = each.flips[: each.losses]
    lines = [f"{each.metric}: {cases(each.losses)} worse"]
    for flip in worse[:most]:
        lines.append(f"  {flip.case}: {flip.before:g} -> {flip.after:g}")
        lines += [f"    before: {flip.said_before[:200]}", f"    now:    {flip.said_after[:200]}"]
    if len(worse) > most:
        lines.append(f"  and {len(worse) - most} more")
    return lines


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Give the rows of a table as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
