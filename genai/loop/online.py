"""Judge what really happened: scorers on a sample of recorded answers, canaries on a schedule.

A sample is a suite whose task repeats what was said, so the runner, its cap and its log are those
of every other eval; the row of each verdict points at the row of the call.
"""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from genai.errors import InputError
from genai.evals import Case, Report, Suite
from genai.evals.baseline import runs_of
from genai.evals.suite import SuiteSettings
from genai.ledger import Ledger, tables
from genai.ledger.row import from_pico, unflatten
from genai.loop.seen import ONLINE, key_of, online_scores
from genai.loop.settings import CanarySettings, OnlineSettings
from genai.loop.status import passes
from genai.types import Answer, Call, Cost, CostStatus, Hit, Usage

CANARY = "canary"
Evaluate = Callable[..., Report]
_CASE = re.compile(r'"case(?:_id)?":"([^"]+)"')  # a case of a run is the id of its call
_DAY = 86_400
_FREE = Cost(Decimal(0), CostStatus.DECLARED_FREE, "recorded earlier, and booked then")


@dataclass(frozen=True, slots=True)
class Scored:
    """What a look at the sample gave. `left_out` counts calls by why they could not be judged."""

    report: Report | None
    sampled: int
    spent: Decimal
    limit: Decimal
    left_out: dict[str, int]

    @property
    def exit_code(self) -> int:
        """0 where all was judged, 3 where the budget ended it, 4 where nothing was measured."""
        if self.spent >= self.limit or self._over_budget():
            return 3
        if self.report is not None and any(
            each.n == 0 and each.unmeasured for each in self.report.metrics
        ):
            return 4
        return 0

    def _over_budget(self) -> bool:
        """Whether a verdict is missing because its judge might have passed the budget."""
        if self.report is None:
            return False
        card = self.report.scorecard
        return any(
            card.cell(row, each.name).missing == "budget_stop"
            for row in card.rows
            for each in card.head.metrics
        )

    def text(self) -> str:
        """Give the figures and what they leave out."""
        lines = [] if self.report is None else [self.report.text()]
        cost = f"${self.spent:.4f} of today's ${self.limit}"
        lines.append(f"{self.sampled} answers in the sample; judges cost {cost}")
        lines += [f"  {count} left out: {why}" for why, count in sorted(self.left_out.items())]
        if self.exit_code == 3:
            lines.append("the day's budget for judges is spent, so judging stopped; it goes on"
                         " tomorrow, or raise `online.spend` in configs/loop.yaml")  # fmt: skip
        return "\n".join(lines)


class Recorded:
    """A task that gives what was said when the question was really asked."""

    name = "recorded"
    identity = "recorded"
    concurrency = 4

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers

    def __call__(self, question: str) -> Answer:
        """Give the recorded answer."""
        return self._answers[question]


def score(
    ledger: Ledger, root: Path, runs: Path, settings: OnlineSettings, evaluate: Evaluate,
    passages: Callable[[Call, str], Sequence[Hit] | None], since: float,
) -> Scored:  # fmt: skip
    """Judge a sample of the answers since a time that nobody has judged yet.

    `passages` searches again for what an answer was made from; None where that is not possible.

    Raises:
        InputError: the settings name no metric.
    """
    if not settings.metrics:
        raise InputError("configs/loop.yaml: `online.metrics` is empty; name what is to be judged")
    limit, spent = Decimal(settings.spend), _spent(ledger, runs)
    found, left_out = _sample(ledger, settings, since)
    answers: dict[str, Answer] = {}
    cases = []
    for call, question, text in found if spent < limit else ():
        hits = passages(call, question)
        if hits is None:
            why = (
                "the index or its settings have changed since, or a model chose among the passages,"
                " so they are unknown"
            )
            left_out[why] = left_out.get(why, 0) + 1
            continue
        cases.append(Case(id=call.id, input=question, tags=(call.model,)))
        answers[question] = Answer(
            text, (), (), Usage(), _FREE, 0.0, call.id, call.model, hits=tuple(hits)
        )
    if not cases:
        return Scored(None, 0, spent, limit, left_out)
    given = SuiteSettings(suite=ONLINE, judge=settings.judge, metrics=settings.metrics)
    suite = Suite(ONLINE, given, cases, root / "evals" / f"{ONLINE}.yaml")
    report = evaluate(suite, Recorded(answers), spend=limit - spent, resume=False)
    return Scored(report, len(cases), _spent(ledger, runs), limit, left_out)


def _sample(
    ledger: Ledger, settings: OnlineSettings, since: float
) -> tuple[list[tuple[Call, str, str]], dict[str, int]]:
    """Give the calls whose hash is in the sample, newest first, one a question."""
    call, text = tables.calls, tables.content
    query = (
        sa.select(call, text.c.question, text.c.answer)
        .select_from(call.outerjoin(text, text.c.call_id == call.c.id))
        .where(
            call.c.started_at >= since, call.c.kind == "chain", call.c.outcome == "ok",
            call.c.run == "", call.c.parent_id == "",
        )
        .order_by(call.c.started_at.desc(), call.c.id.desc())
    )  # fmt: skip
    found, seen, left_out = [], set(), dict[str, int]()
    done = online_scores(ledger, since)
    with ledger.database.begin(write=False) as db:
        for row in db.execute(query):
            judged = settings.metrics.keys() & done.get(row.id, {}).keys()
            if judged or not _chosen(row.id, settings.share):
                continue
            if not row.question or not row.answer:
                why = "the ledger holds no text of it (`ledger.content`)"
                left_out[why] = left_out.get(why, 0) + 1
            elif key_of(row.question) not in seen:  # the others come with the next looks
                seen.add(key_of(row.question))
                found.append((unflatten(row._asdict()), row.question, row.answer))
    return found, left_out


def _chosen(call_id: str, share: float) -> bool:
    digest = hashlib.sha256(f"online\n{call_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < share


def _spent(ledger: Ledger, runs: Path) -> Decimal:
    """Add up what judging has cost since midnight UTC; every call of an online run is a judge's."""
    names = [path.name for path in (runs / ONLINE).glob("*") if path.is_dir()]
    call, midnight = tables.calls, time.time() // _DAY * _DAY
    query = sa.select(call.c.cost).where(
        call.c.started_at >= midnight,
        call.c.run.in_(names),
        call.c.kind.in_(("model", "embedding")),
    )
    costs = [from_pico(row.cost) for row in ledger.read(query) if row.cost is not None]
    return sum(filter(None, costs), Decimal(0))


def forget(ledger: Ledger, runs: Path) -> int:
    """Empty the runs that hold a text which the ledger holds no more; give how many.

    Their folders stay, for they say which of a day's costs are those of judges.
    """
    count = 0
    for folder in (runs / ONLINE).glob("*"):
        texts = [path for path in folder.glob("*") if path.name != "lock"]
        logs = [path.read_text("utf-8") for path in texts if path.suffix == ".jsonl"]
        judged = sorted({name for log in logs for name in _CASE.findall(log)})
        if not _all_held(ledger, judged):
            count += 1
            for path in texts:
                path.unlink()
    return count


def _all_held(ledger: Ledger, names: list[str]) -> bool:
    call_id = tables.content.c.call_id
    parts = [names[start : start + 500] for start in range(0, len(names), 500)]
    return all(
        len(ledger.read(sa.select(call_id).where(call_id.in_(part)))) == len(part) for part in parts
    )


@dataclass(frozen=True, slots=True)
class Canaries:
    """What the canaries said. `worse` passed the time before and fail now; None: not asked yet."""

    report: Report | None
    due: datetime
    worse: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where a canary fails that passed before, 4 where nothing was measured, else 0."""
        if self.worse:
            return 1
        return (
            4
            if self.report and any(each.n == 0 and each.unmeasured for each in self.report.metrics)
            else 0
        )

    def text(self) -> str:
        """Say what fails and what is new."""
        if self.report is None:
            return f"not due before {self.due:%Y-%m-%d %H:%M} UTC; ask now: --now"
        lines = [f"{self.report.cases} canaries in run {self.report.run}: {len(self.failing)} fail"]
        lines += [f"  {each}{' (passed the time before)' if each in self.worse else ''}"
                  for each in self.failing]  # fmt: skip
        return "\n".join(lines)


def canary(
    suite: Suite, runs: Path, settings: CanarySettings, evaluate: Evaluate, *, now: bool = False
) -> Canaries:
    """Ask the canaries of a suite, where they are due; compare with the time before."""
    earlier = next(iter(runs_of(runs, CANARY)), None)
    at = datetime.now(UTC)
    if earlier is not None and not now:
        due = _due(datetime.strptime(earlier.at, "%Y-%m-%dT%H:%M:%S%z"), settings)
        if at < due:
            return Canaries(None, due)
    tagged = [each for each in suite.cases if CANARY in each.tags]
    step = max(len(suite.cases) // settings.cases, 1)
    chosen = tagged or list(suite.cases)[::step][: settings.cases]
    report = evaluate(replace(suite, name=CANARY, cases=chosen), resume=False)
    words = _words(report)
    before = {} if earlier is None else _words(earlier)
    failing = tuple(name for name, word in words.items() if word is False)
    return Canaries(
        report, _due(at, settings), tuple(name for name in failing if before.get(name)), failing
    )


def _due(ended: datetime, settings: CanarySettings) -> datetime:
    """Say when to ask again: a little early, for a timer counts from the begin of a run."""
    hours = settings.every_hours
    return ended + timedelta(hours=hours - min(1.0, hours / 10))


def _words(report: Report) -> dict[str, Any]:
    card = report.scorecard
    return {row.case: passes(report, card, row.case) for row in card.rows}
