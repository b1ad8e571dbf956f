"""Run a suite on a task: ask, score, log, and report. An interrupted run goes on where it stopped.

A case that raises is a failure of that case; one of which nobody knows what it would have given
(no key, no network, a limit) is `unmeasured`, with its reason. Neither stops the others.
"""

import asyncio
import bisect
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Container, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from genai import bridge, extras
from genai.errors import BudgetExceeded, InputError, ModelError, Unmeasured
from genai.evals import report as reports
from genai.evals.case import Case
from genai.evals.gate import Stage
from genai.evals.metrics import Metric, bind
from genai.evals.report.assemble import assemble, distrust_of
from genai.evals.results import Column, Results, of_log, of_score
from genai.evals.scorecard import MANY
from genai.evals.scorers import Tools
from genai.evals.sources import digest_of
from genai.evals.spend import Purse
from genai.evals.store import Head, RunLog, Scores, answers_of, copy_answers, open_run
from genai.evals.suite import Suite, load_suite
from genai.evals.task import CODES, Asker, Task, describe, width
from genai.evals.trial import CannotMeasure, Trial, as_score
from genai.evals.vary import check_variants
from genai.ledger import scope
from genai.ledger.cap import Cap, capped, dollars
from genai.ledger.context import repeated
from genai.types import Call, Context, Cost, CostStatus, new_id


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is made; what is None comes from the suite.

    `rescore` names the run ("" for the newest) whose answers are scored again instead of asking.
    `name` lets the processes of one session share a run. `record` takes one ledger row a trial.
    `scatter(folder, case ids)` has other processes do the cases first, into the same log.

    Raises:
        InputError: a count below 1, or no amount of money.
    """

    limit: int | None = None
    tag: str = ""
    repeats: int | None = None
    concurrency: int | None = None
    spend: Decimal | None = None
    stage: Stage = "pull_request"
    resume: bool = True
    progress: bool = False
    rescore: str | None = None
    name: str = ""
    record: Callable[[Call], None] | None = None
    scatter: Callable[[Path, Sequence[str]], None] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no run can be made with."""
        for name in ("limit", "repeats", "concurrency"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise InputError(f"`{name}` is {count}; give 1 or more")
        try:
            if self.spend is not None:
                dollars(self.spend)
        except ValueError as error:
            raise InputError(f"`spend` is {self.spend}; give dollars from 0 up") from error


def evaluate(
    suite: Suite | Path, task: Task, runs: Path, tools: Tools, options: Options | None = None
) -> reports.Report:
    """Run a suite on a task; give its Report. The run is kept in a folder of `runs`.

    Raises:
        CaseError: the suite has a mistake; names file, line and case.
    """
    options = options or Options()
    suite = load_suite(suite) if isinstance(suite, Path) else suite
    if any(case.variant for case in suite.cases):
        check_variants(suite)
    suite = suite.only(options.limit, options.tag) if options.limit or options.tag else suite
    tools = replace(tools, source=suite.source)
    metrics = bind(suite, tools, suite.path.parent.parent)
    for each in metrics:
        distrust_of(each, tools, suite)  # a damaged calibration is told before anything is paid
    name, variant = describe(task)
    head = Head(
        suite=suite.name, dataset=suite.hash, task=name, variant=variant,
        metrics={each.name: each.id for each in metrics},
        repeats=options.repeats or suite.settings.repeats, cases=len(suite.cases),
        started_at=time.time(), sources=digest_of(task, suite.root, runs),
    )  # fmt: skip
    again = None if options.rescore is None else answers_of(runs, head, options.rescore)
    log = open_run(runs, head, resume=options.resume and again is None, name=options.name)
    try:
        if again is not None:
            copy_answers(again, log)
        if options.name and (log.folder / "report.json").exists():
            return reports.read_report(log.folder)  # another process of this session has run it
        run = Run(suite, task, metrics, tools, options, log)
        if options.scatter is not None:
            options.scatter(log.folder, [case.id for case in suite.cases])
        bridge.run(run.all())
        return assemble(run, suite, options)
    finally:
        log.close()


class _Job(NamedTuple):
    """One unit to do: without a trial it is to be asked.

    `held` are the scores it has by metric, `row` says that the ledger has no row of it yet.
    """

    n: int
    case: Case
    unit: str
    trial: Trial | None = None
    held: Mapping[str, Any] = {}
    row: bool = True


class Run:
    """One run under way: its units, its columns, its log."""

    def __init__(
        self, suite: Suite, task: Task, metrics: Sequence[Metric], tools: Tools, options: Options,
        log: RunLog,
    ) -> None:  # fmt: skip
        self.suite, self.options, self.log, self.tools = suite, options, log, tools
        default = log.head.repeats
        repeats = [options.repeats or case.repeats or default for case in suite.cases]
        self.results = Results(suite.cases, repeats, metrics)
        self.said: dict[int, str] = {}
        self.resumed = 0
        self.stopped = ""
        self._why = "the run stopped before this case"
        self.seconds = 0.0
        self._task = task
        self._width = options.concurrency or suite.settings.concurrency or width(task)
        spend = options.spend if options.spend is not None else suite.settings.spend
        self.purse = Purse(None if spend is None else Decimal(spend))
        self._keep = self.results.size <= MANY
        self._held: dict[str, dict[str, Any]] = {}  # scores of units that lack others

    async def all(self) -> None:
        """Ask and score every unit that the log does not hold."""
        start = time.perf_counter()
        units = {f"{case.hash}.{repeat}": (n, case) for n, case, repeat in self.results.units()}
        done = self._read_log(units)
        fresh = (_Job(n, case, unit) for unit, (n, case) in units.items() if n not in done)
        pending = itertools.chain(self._answered(units, done), fresh)  # in this order
        with ExitStack() as around:
            around.enter_context(scope(run=self.log.head.run, feature="eval"))
            bar = around.enter_context(_Bar(self.results.size, len(done), self.options.progress))
            asker = Asker(self._task)
            workers = min(self._width, self.results.size - len(done))
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(workers):
                        group.create_task(self._work(pending, asker, bar))
            except ExceptionGroup as several:  # a full disk, say: each worker met the same
                raise several.exceptions[0] from several
        self.seconds = time.perf_counter() - start

    async def _work(self, pending: Iterator[_Job], asker: Asker, bar: "_Bar") -> None:
        with capped(self.purse.cap.part()) as calls:  # those of one case after another
            for n, case, unit, trial, held, row in pending:
                repeat, before = int(unit.rpartition(".")[2]), calls.spent
                with repeated(repeat):
                    if trial is None:
                        if not await self._admitted(unit):
                            self._missed(n, self.stopped, self._why)
                            continue
                        trial = await asker.ask(case, unit, repeat, self.suite.settings.seconds)
                        self.purse.settle(trial, calls.spent - before)
                        self.log.trial(trial)
                    await self._judge(n, trial, calls, held)
                if self.options.record is not None and row:
                    self.options.record(self._row(n, trial))
                bar.step(self.results.cost + self.results.judging)

    async def _admitted(self, unit: str) -> bool:
        """Say whether a case may still be asked; wait while the cases in flight hold the money."""
        try:
            if not self.stopped:
                await self.purse.admit(unit)
        except BudgetExceeded as error:
            self.stopped, self._why = "budget_stop", str(error)
        return not self.stopped

    async def _judge(self, n: int, trial: Trial, calls: Cap, held: Mapping[str, Any]) -> None:
        """Score a trial; only what could be measured is kept, so that the rest is tried again.

        `calls` counts what the scorers' calls cost; the scores that are `held` cost nothing more.
        """
        self.results.seen(trial)
        if self._keep:
            self.said[n] = trial.words()
        if trial.state == "unmeasured":
            if trial.reason == "budget_stop":
                self.stopped = "budget_stop"
            self._missed(n, trial.reason, trial.note)
            return
        values, before = dict(held), calls.spent
        for column in self.results.columns.values():
            if column.metric.id in held:
                of_log(column, n, held[column.metric.id])
                continue
            kept = await self._score(column, n, trial)
            if n not in column.codes:
                values[column.metric.id] = kept
        paid = calls.spent - before
        self.results.judging += paid
        self.log.scores(trial.unit, values, paid)

    async def _score(self, column: Column, n: int, trial: Trial) -> Any:
        metric = column.metric
        if not metric.wants(trial.case):
            return column.put(n, None)
        try:
            given = metric.scorer.score(trial, self.tools, **metric.params)
            if isinstance(given, Awaitable):
                given = await given
        except CannotMeasure as error:
            column.miss(n, error.code, str(error))
            return None
        except (ModelError, BudgetExceeded, Unmeasured) as error:
            code = CODES.get(getattr(error, "kind", ""), "server_error")
            code = "budget_stop" if isinstance(error, BudgetExceeded) else code
            code = "replay_miss" if isinstance(error, Unmeasured) else code
            column.miss(n, code, str(error))
            self.stopped = code if code == "budget_stop" else self.stopped
            return None
        except Exception as error:  # a scorer may be the user's code: it spoils its own value only
            column.miss(n, "scorer_error", f"{metric.name}: {type(error).__name__}: {error}")
            return None
        return of_score(column, n, given)

    def _missed(self, n: int, code: str, note: str) -> None:
        case = self._case(n)
        for column in self.results.columns.values():
            if self._applies(column.metric, case):
                column.miss(n, code, note)
            else:
                column.put(n, None)

    def _applies(self, metric: Metric, case: Case) -> bool:
        """Say whether a metric judges a case that gave nothing, by what it says of a failed one."""
        if not metric.wants(case):
            return False
        failed = Trial(unit="", case_id=case.id, state="failed", case=case)
        try:
            given = metric.scorer.score(failed, self.tools, **metric.params)
        except Exception:  # it has something to say of the case
            return True
        if isinstance(given, Coroutine):  # a judge's, or of somebody's own
            given.close()
            return True
        return as_score(given).value is not None

    def _case(self, n: int) -> Case:
        return self.results.cases[bisect.bisect_right(self.results.first, n) - 1]

    def _read_log(self, units: Mapping[str, tuple[int, Case]]) -> set[int]:
        """Take over what an earlier start or a worker has measured; the first word counts.

        What was answered and lacks a score is left to `_answered`.
        """
        done: set[int] = set()
        lacking: set[int] = set()
        if self.purse.cap.limit is not None:
            self._book(units)
        for unit, trial, scores in self.log.answers(units):
            n, case = units[unit]
            if scores is not None:
                self.results.judging += scores.paid
            if n in done:
                continue
            values = {**(scores.values if scores else {}), **self._held.get(unit, {})}
            if trial is not None and self._is_whole(values):
                done.add(n)
                lacking.discard(n)
                self._held.pop(unit, None)
                self._take(n, case, trial, values)
                continue
            self._held[unit] = values
            if trial is not None:
                lacking.add(n)
        self.resumed = len(done) + len(lacking)
        return done

    def _answered(self, units: Mapping[str, tuple[int, Case]], done: set[int]) -> Iterator[_Job]:
        """Give the answers of the log that lack a score, each once, with the scores they have.

        The log is read again, so that no more answers are in memory than are being scored.
        """
        for unit, trial, scores in self.log.answers(self._held) if self._held else ():
            n, case = units[unit]
            if trial is not None and n not in done:
                done.add(n)
                trial.case = case
                yield _Job(n, case, unit, trial, self._held.pop(unit), scores is None)

    def _is_whole(self, values: Mapping[str, Any]) -> bool:
        return all(column.metric.id in values for column in self.results.columns.values())

    def _book(self, units: Container[str]) -> None:
        """Book what has been paid before anything is; an answer asked for twice was paid twice."""
        for line in self.log.read():
            if isinstance(line, Trial):
                self.purse.take_over(line)
            if line.unit in units:
                self.purse.cap.spent += line.paid if isinstance(line, Scores) else line.cost or 0

    def _take(self, n: int, case: Case, trial: Trial, values: Mapping[str, Any]) -> None:
        trial.case = case
        self.results.seen(trial)
        if self._keep:
            self.said[n] = trial.words()
        for column in self.results.columns.values():
            of_log(column, n, values[column.metric.id])

    def _row(self, n: int, trial: Trial) -> Call:
        """Give the ledger row of a trial; the task's own rows carry its cost."""
        numbers = {
            name: column.values[n]
            for name, column in self.results.columns.items()
            if column.states[n] == 1
        }
        outcome = {"answered": "ok", "refused": "refusal"}.get(trial.state, "error")
        tags = {"suite": self.suite.name, "dataset": self.log.head.dataset, "case": trial.case_id}
        return Call(
            id=new_id(), kind="eval", started_at=time.time() - trial.seconds,
            seconds=trial.seconds, outcome=outcome, model=self.log.head.task,
            context=Context(parent_id=trial.call_id, run=self.log.head.run, feature="eval"),
            cost=_FREE, reason=trial.reason, tags={**tags, **numbers},
        )  # fmt: skip


_FREE = Cost(Decimal(0), CostStatus.DECLARED_FREE, "the task's own rows carry its cost")


class _Bar:
    """A progress bar with rate, cost and time left; silent where nobody looks."""

    def __init__(self, total: int, done: int, wanted: bool) -> None:
        self._bar: Any = None
        if wanted and sys.stderr.isatty():
            tqdm = extras.load("tqdm", "evals")
            self._bar = tqdm.tqdm(
                total=total, initial=done, unit="case", leave=False, mininterval=0.2
            )

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, cost: Decimal) -> None:
        """Count one more trial."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"${cost:.4f}", refresh=False)
            self._bar.update()
