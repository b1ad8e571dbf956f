"""Run a suite on a task: any callable from a question to an outcome.

A case that raises is a failure of that case; one that could not be measured (no key, no network, a
limit) is `unmeasured`, with its reason. Neither stops the others.
"""

import asyncio
import inspect
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai import bridge
from genai.errors import ModelError
from genai.evals.case import Case, Suite
from genai.evals.case import load_suite as _load
from genai.evals.report import Lapse, Metric, Report
from genai.evals.scorers import METRICS, SCORERS, Scored
from genai.project import find_project
from genai.stats import wilson
from genai.types import Answer, Call, Context, Cost, CostStatus, Refusal, new_id

_UNMEASURED = {"key", "network", "timeout", "rate_limited", "unknown_model"}
_WIDTH = 4


def load_suite(path: Path) -> Suite:
    """Read and check `evals/<suite>.yaml`. Raises `CaseError`."""
    return _load(path, dict.fromkeys(METRICS))


def evaluate(
    suite: str | Path,
    task: Callable[[str], Any],
    *,
    limit: int | None = None,
    record: Callable[[Call], None] | None = None,
) -> Report:
    """Run a suite (a name in `evals/`, or a path) on a task; give its Report.

    The row of every case, question and outcome included, is written to `.genai/runs/`, which
    belongs to this machine. `record` takes one ledger row a case.

    Raises:
        CaseError: the suite has a mistake; names file, line and case.
    """
    project = find_project()
    path = suite if isinstance(suite, Path) else project.root / "evals" / f"{suite}.yaml"
    loaded = load_suite(path)
    source = path.parent.parent / loaded.source
    start = time.perf_counter()
    cases = loaded.cases[:limit]
    scored = bridge.run(_run_all(cases, task))
    seconds = time.perf_counter() - start
    scores = {
        name: [SCORERS[name](each, source) if not each.unmeasured else None for each in scored]
        for name in loaded.metrics
        if name in SCORERS
    }
    log = _write(project.state / "runs", loaded.suite, scored, scores)
    for position, each in enumerate(scored) if record else ():
        assert record is not None
        values = {name: column[position] for name, column in scores.items()}
        record(_row(loaded, each, values, _name(task)))
    return Report(
        suite=loaded.suite,
        dataset=loaded.hash,
        task=_name(task),
        cases=len(cases),
        seconds=seconds,
        metrics=tuple(_metric(name, loaded, scored, scores) for name in loaded.metrics),
        path=log,
    )


async def _run_all(cases: Sequence[Case], task: Callable[[str], Any]) -> list[Scored]:
    gate = asyncio.Semaphore(_WIDTH)

    async def one(case: Case) -> Scored:
        async with gate:
            return await _run(case, task)

    return list(await asyncio.gather(*(one(case) for case in cases)))


async def _run(case: Case, task: Callable[[str], Any]) -> Scored:
    start = time.perf_counter()
    try:
        acall = getattr(task, "acall", None)
        if acall is not None:
            outcome = await acall(case.input)
        elif inspect.iscoroutinefunction(task):
            outcome = await task(case.input)
        else:
            outcome = await asyncio.to_thread(task, case.input)
    except Exception as error:  # a task is the user's code: whatever it raises belongs to its case
        took = time.perf_counter() - start
        if isinstance(error, ModelError) and error.kind in _UNMEASURED:
            return Scored(case, None, took, unmeasured=f"{error.kind}: {error}")
        return Scored(case, None, took, failure=f"{type(error).__name__}: {error}")
    return Scored(case, outcome, time.perf_counter() - start)


def _metric(
    name: str, suite: Suite, scored: Sequence[Scored], scores: dict[str, list[float | None]]
) -> Metric:
    limit = suite.metrics[name]
    missing = [each for each in scored if each.unmeasured]
    reason = missing[0].unmeasured if missing else ""
    if name not in SCORERS:
        return _aggregate(name, suite, scored, reason)
    pairs = [(s, value) for s, value in zip(scored, scores[name], strict=True) if value is not None]
    values = [value for _, value in pairs]
    low = high = None
    if values and all(value in (0.0, 1.0) for value in values):
        low, high = wilson(int(sum(values)), len(values))
    return Metric(
        name=name,
        value=sum(values) / len(values) if values else None,
        low=low,
        high=high,
        n=len(values),
        unmeasured=len(missing),
        limit=limit,
        lapses=tuple(_lapse(each) for each, value in pairs if value < 1.0),
        reason=reason or ("" if values else "no case applies"),
    )


def _aggregate(name: str, suite: Suite, scored: Sequence[Scored], reason: str) -> Metric:
    measured = [each for each in scored if each.outcome is not None]
    if name == "cost_per_case":
        costs = [each.cost for each in measured if each.cost is not None]
        total = sum(costs, Decimal(0))
        unknown = len(scored) - len(costs)
        value = float(total / len(costs)) if costs else None
        why = reason or ("the cost of some calls is unknown" if unknown else "")
        return Metric(name, value, None, None, len(costs), unknown, suite.metrics[name], (), why)
    times = sorted(each.seconds for each in measured)
    value = times[max(-(-95 * len(times) // 100), 1) - 1] if times else None
    missing = len(scored) - len(times)
    return Metric(name, value, None, None, len(times), missing, suite.metrics[name], (), reason)


def _lapse(scored: Scored) -> Lapse:
    return Lapse(scored.case.id, scored.case.input[:120], happened(scored))


def happened(scored: Scored) -> str:
    """Say in one line what a task gave for a case."""
    outcome = scored.outcome
    if outcome is None:
        return scored.failure or scored.unmeasured
    if isinstance(outcome, Refusal):
        found = ", ".join(dict.fromkeys(hit.passage.document for hit in outcome.evidence))
        return f"refused ({outcome.reason}, confidence {outcome.confidence:.2f}); saw {found}"
    text = outcome if isinstance(outcome, str) else outcome.text
    sure = f" (confidence {outcome.confidence:.2f})" if isinstance(outcome, Answer) else ""
    return f"answered{sure}: {' '.join(text.split())[:200]}"


def _row(suite: Suite, scored: Scored, values: dict[str, float | None], task: str) -> Call:
    numbers = {name: value for name, value in values.items() if value is not None}
    state = "error" if scored.outcome is None else "refusal" if scored.refused else "ok"
    return Call(
        id=new_id(),
        kind="eval",
        started_at=time.time() - scored.seconds,
        seconds=scored.seconds,
        outcome=state,
        model=task,
        context=Context(parent_id=getattr(scored.outcome, "call_id", "")),
        cost=Cost(Decimal(0), CostStatus.DECLARED_FREE, "the task's own rows carry its cost"),
        reason=scored.unmeasured.partition(":")[0] or scored.failure.partition(":")[0],
        tags={"suite": suite.suite, "dataset": suite.hash, "case": scored.case.id, **numbers},
    )


def _write(
    folder: Path, name: str, scored: Sequence[Scored], scores: dict[str, list[float | None]]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{new_id()[-6:]}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for position, each in enumerate(scored):
            row = {
                "case": each.case.id,
                "kind": each.case.kind,
                "input": each.case.input,
                "happened": happened(each),
                "seconds": round(each.seconds, 6),
                "scores": {metric: column[position] for metric, column in scores.items()},
                "unmeasured": each.unmeasured,
                "citations": [asdict(c) for c in getattr(each.outcome, "citations", ())],
            }
            file.write(json.dumps(row, ensure_ascii=True, allow_nan=False) + "\n")
    return path


def _name(task: Callable[[str], Any]) -> str:
    model = getattr(getattr(task, "model", None), "name", "")
    return str(model or getattr(task, "name", "") or getattr(task, "__name__", type(task).__name__))
