"""From a run to its report and its scorecard."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from genai.evals import scorecard as cards
from genai.evals.case import Case
from genai.evals.metrics import Metric
from genai.evals.report.base import Measured, Report, baseline_path
from genai.evals.report.measure import measure, row_values, slices, telling
from genai.evals.scorers import Tools
from genai.evals.suite import Suite

if TYPE_CHECKING:
    from genai.evals.run import Options, Run


_NEVER = "missing_field"  # what a case or the task does not have, no later start will measure


def assemble(run: "Run", suite: Suite, options: "Options") -> Report:
    """Write a run's report and scorecard, and give the report."""
    results, log, gate = run.results, run.log, suite.settings.gate
    held = baseline_path(suite.path.parent, suite.name, gate.baseline).exists()
    columns = results.columns.values()
    measured = tuple(measure(column, results, run.said, held=held) for column in columns)
    distrust = {
        each.name: distrust_of(each, run.tools, suite)
        for each in (column.metric for column in columns)
    }
    measured = tuple(
        replace(
            each,
            state="shown" if distrust[each.name] and each.state != "unmeasured" else each.state,
            note=distrust[each.name] or each.note,
        )
        for each in measured
    )
    _scorecard(run, suite, measured).write(log.folder / "scorecard.jsonl")
    plain = [each.name for each in measured if each.statistic == "mean" and each.kind != "label"]
    found = Report(
        suite=suite.name, dataset=log.head.dataset, task=log.head.task, variant=log.head.variant,
        run=log.head.run, cases=len(suite.cases), trials=results.size, repeats=log.head.repeats,
        seconds=run.seconds, metrics=measured, slices=slices(results, plain[:8]),
        states=dict(results.states), reasons=dict(results.reasons), cost=results.cost,
        unknown_cost=results.unknown_cost, judging=results.judging, tokens=results.tokens,
        resumed=run.resumed, since=_at(log.head.since) if run.resumed else "",
        stage=options.stage, baseline=gate.baseline,
        margins={"pull_request": gate.margin, "release": gate.release_margin},
        stopped=run.stopped, at=_at(time.time()), folder=log.folder.absolute(),
        evals=suite.path.parent.absolute(),
    )  # fmt: skip
    found.write()
    codes = (code for column in results.columns.values() for code in column.codes.values())
    log.finish(complete=all(code == _NEVER for code in codes))
    return found


def _scorecard(run: "Run", suite: Suite, measured: Sequence[Measured]) -> cards.Scorecard:
    results, head = run.results, run.log.head
    heads = [
        cards.MetricHead(
            each.name, column.metric.id, column.metric.scorer.better, column.metric.scorer.width,
            each.kind if each.statistic == "mean" else "percentile", each.gate, each.hard,
            column.metric.settings.margin,
            *_judged_by(column.metric, run.tools),
            each.note if column.metric.judge and each.state == "shown" else "",
        )
        for each, column in zip(measured, results.columns.values(), strict=True)
    ]  # fmt: skip
    count = len(suite.cases)
    rows = [
        cards.Row(
            case.id, row_values(results, position), case.cluster,
            (*_kind(case), *case.tags, *case.risks, *_relation(case)),
            cards.kept_answer(run.said.get(telling(results, position), ""), count),
        )
        for position, case in enumerate(suite.cases)
    ]  # fmt: skip
    return cards.Scorecard(
        cards.Head(
            suite=head.suite, dataset=head.dataset, task=head.task, variant=head.variant,
            metrics=heads, cases=count, repeats=head.repeats, run=head.run, at=_at(time.time()),
            cost=str(results.cost) if not results.unknown_cost else None,
        ),
        rows,
    )  # fmt: skip


def distrust_of(metric: Metric, tools: Tools, suite: Suite) -> str:
    """Say why a judge may not gate; "" where it may, or no model judges.

    Raises:
        CaseError: its calibration is damaged.
    """
    if not metric.judge:
        return ""
    from genai.evals.trust import trust_of

    trust = trust_of(metric, tools, suite.path.parent)
    return "" if trust.may_gate else trust.sentence


def _judged_by(metric: Metric, tools: Tools) -> tuple[str, str]:
    if not metric.judge:
        return "", ""
    from genai.evals.judge import judge_version

    return tools.judge_name, judge_version(metric.scorer.name, tools.prompts)


def _kind(case: Case) -> tuple[str, ...]:
    return (case.kind,) if case.kind else ()


def _relation(case: Case) -> tuple[str, ...]:
    return (f"variant:{case.variant.relation}",) if case.variant else ()


def _at(moment: float | None) -> str:
    return "" if moment is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
