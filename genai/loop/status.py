"""Where everything is in the loop: counts and ages of each stage, and what a fix is owed to.

Nothing here is stored: whether a promoted case passes is read from the runs of its suite, and
whether a pair was trained from the locks of training runs.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from genai import stats
from genai.evals import Report, Scorecard
from genai.evals.baseline import runs_of
from genai.finetune.gate import adapters, read_gate
from genai.finetune.lock import LOCK, read_lock
from genai.ledger import Ledger, tables
from genai.loop.queue import Item, Queue
from genai.loop.seen import failed, online_scores
from genai.project import Project

_DAY = 86_400
_RUNS = 50  # newest runs of a suite that are looked at
_STAGES = (
    "open", "accepted", "edited", "rejected", "case, no run yet", "case, fails", "case, passes",
    "pair, not trained", "pair, trained", "pair, served",
)  # fmt: skip
# what a run may have changed, as it stands on the rows of its calls
_CAUSES = {"prompt_id": "prompt", "model": "model", "index_revision": "index",
           "config_hash": "settings"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """How many items are at a stage, and for how many days; None where there is none."""

    name: str
    count: int
    oldest: float | None
    middle: float | None

    @property
    def ages(self) -> tuple[str, str]:
        """Say how old the oldest and the one in the middle are; a dash where there is none."""
        return _age(self.oldest), _age(self.middle)

    def text(self) -> str:
        """Say it in one line."""
        oldest, middle = self.ages
        said = "-" if self.oldest is None else f"oldest {oldest}, median {middle}"
        return f"{self.name:18} {self.count:5}  {said}"


def _age(days: float | None) -> str:
    if days is None:
        return "-"
    if days < 1:
        return f"{24 * days:.0f} h" if 24 * days >= 1 else "under 1 h"
    return f"{days:.1f} d"


@dataclass(frozen=True, slots=True)
class Status:
    """The stages in order, and a line for the changelog for each item that is fixed."""

    stages: tuple[Stage, ...]
    changelog: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def stage(self, name: str) -> Stage:
        """Give one stage by its name."""
        return next(each for each in self.stages if each.name == name)

    def text(self) -> str:
        """Give the whole as lines."""
        lines = [each.text() for each in self.stages]
        lines += [f"  {each}" for each in self.notes]
        if self.changelog:
            lines += ["For the changelog:", *self.changelog]
        return "\n".join(lines)


def status(queue: Queue, project: Project, now: float | None = None) -> Status:
    """Say where each item stands. Raises `LedgerUnusable`, `CaseError` and `InputError`."""
    now = time.time() if now is None else now
    items = queue.items("open", "accepted", "edited", "rejected", "promoted")
    runs, training = _Runs(project.state / "runs"), _Training(project)
    ages: dict[str, list[float]] = defaultdict(list)
    lines = []
    for item in items:
        place, line = item.state, ""
        if item.target == "case":
            place, line = _case(item, runs, queue.ledger)
        elif item.target == "pair":
            place, line = training.of(item)
        ages[place].append((now - item.changed_at) / _DAY)
        lines += [line] if line else []
    stages = tuple(
        Stage(name, len(ages[name]), max(ages[name], default=None),
              median(ages[name]) if ages[name] else None)
        for name in _STAGES
    )  # fmt: skip
    return Status(stages, tuple(lines), tuple(_agreement(queue, items)))


# -- cases ----------------------------------------------------------------------------------------


class _Runs:
    """The runs of suites, newest first, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, list[tuple[Report, Scorecard]]] = {}

    def of(self, suite: str) -> list[tuple[Report, Scorecard]]:
        """Give the newest runs of a suite with their scorecards."""
        if suite not in self._held:
            found = runs_of(self._folder, suite)[:_RUNS]
            self._held[suite] = [(each, each.scorecard) for each in found]
        return self._held[suite]


def _case(item: Item, runs: _Runs, ledger: Ledger) -> tuple[str, str]:
    """Give a case's stage, and a line where a run passes it after one that did not."""
    suite, _, case = item.name.rpartition("/")
    passed: list[Report] = []  # the newest runs, back to the one that failed
    before = None
    for report, card in runs.of(suite):
        word = passes(report, card, case)
        if word is False:
            before = report
            break
        passed += [report] if word else []
    if not passed:
        return ("case, fails" if before else "case, no run yet"), ""
    if before is None:
        return "case, passes", ""
    after = passed[-1]
    cause = _cause(ledger, case, before, after)
    return "case, passes", (
        f"- The case `{case}` of {suite} (a question of {item.day}, {' and '.join(item.why)},"
        f" asked {item.calls} times, reviewed by {item.reviewer}) is answered as it should be:"
        f" {cause}; it failed in run {before.run} and passes in run {after.run}."
    )


def passes(report: Report, card: Scorecard, case: str) -> bool | None:
    """Say whether a case passed every metric that decides on it; None where none was measured."""
    row = card.row(case)
    if row is None:
        return None
    words = []
    for metric in report.metrics:
        head = card.metric(metric.name)
        if head is None or head.kind in ("percentile", "label") or metric.statistic != "mean":
            continue
        mean = card.cell(row, metric.name).mean
        low, high = metric.min, metric.max
        if head.kind == "pass":
            low, high = (1.0, None) if head.better == "higher" else (None, 0.0)
        if mean is not None and (low is not None or high is not None):
            words.append((low is None or mean >= low) and (high is None or mean <= high))
    return all(words) if words else None


def _cause(ledger: Ledger, case: str, before: Report, after: Report) -> str:
    """Name what differs between the calls of a case in two runs."""
    old, new = (_made_with(ledger, case, each.run) for each in (before, after))
    found = [
        f"{words} {old.get(name) or 'none'} to {new.get(name) or 'none'}"
        for name, words in _CAUSES.items()
        if old.get(name) != new.get(name)
    ]
    if not found and before.variant != after.variant:
        found = [f"{after.task} was changed ({before.variant} to {after.variant})"]
    return ", ".join(found) or "nothing that is recorded has changed"


def _made_with(ledger: Ledger, case: str, run: str) -> dict[str, Any]:
    """Give what the call that answered a case in a run was made with."""
    call = tables.calls
    query = sa.select(call.c.parent_id, call.c.tags).where(call.c.kind == "eval", call.c.run == run)
    ledger.drain()
    with ledger.database.begin(write=False) as db:
        calls = [row.parent_id for row in db.execute(query) if row.tags.get("case") == case]
        wanted = sa.select(*(call.c[name] for name in _CAUSES)).where(call.c.id.in_(calls))
        row = db.execute(wanted).first() if calls else None
    return {} if row is None else dict(row._mapping)


# -- pairs ----------------------------------------------------------------------------------------


class _Training:
    """Which training runs and served models have seen a file of pairs, and when they began."""

    def __init__(self, project: Project) -> None:
        self._runs = _locks(sorted((project.state / "finetune" / "runs").glob(f"*/{LOCK}")))
        self._served = _locks(sorted(adapters(project).glob(f"*/{LOCK}")))

    def of(self, item: Item) -> tuple[str, str]:
        """Give a pair's stage, and the line for the changelog where a model with it is served."""
        data, _, row = item.name.rpartition("/")
        for folder in _after(self._served, data, item.changed_at):
            words = ", ".join(f"{each.word} against {each.baseline}" for each in read_gate(folder))
            return "pair, served", (
                f"- The model `local/.genai/adapters/{folder.name}` was trained on the pair `{row}`"
                f" (a question of {item.day}, {' and '.join(item.why)}, reviewed by"
                f" {item.reviewer}); the evals say {words}."
            )
        if _after(self._runs, data, item.changed_at):
            return "pair, trained", ""
        return "pair, not trained", ""


def _locks(paths: Iterable[Path]) -> list[tuple[Path, float, list[str]]]:
    """Give folder, begin and data files of each lock. Raises `InputError` where one is damaged."""
    found = []
    for path in paths:
        held = read_lock(path.parent)
        found.append(
            (path.parent, float(held["started"]), [Path(each).name for each in held["data"]])
        )
    return found


def _after(locks: Sequence[tuple[Path, float, list[str]]], data: str, at: float) -> list[Path]:
    return [folder for folder, began, names in locks if began > at and f"{data}.jsonl" in names]


# -- judges and reviewers -------------------------------------------------------------------------


def _agreement(queue: Queue, items: Sequence[Item]) -> list[str]:
    """Hold each online metric to the reviewers' word: accepted is good, edited is bad."""
    words = {each.call_id: not (each.text or each.expect) for each in items
             if each.state in ("accepted", "edited", "promoted")}  # fmt: skip
    metrics = queue.settings.online.metrics
    if not words or not metrics:
        return []
    scores = online_scores(queue.ledger, min(each.at for each in items) - _DAY)
    lines = []
    for name, limits in metrics.items():
        both = [
            (words[call], not failed(given, {name: limits}))
            for call, given in scores.items()
            if call in words and isinstance(given.get(name), int | float)
        ]
        if not both:
            continue
        found = stats.agreement([a for a, _ in both], [b for _, b in both])
        same = sum(a == b for a, b in both)
        kappa = "undefined" if found.kappa is None else f"{found.kappa:.2f}"
        lines.append(
            f"{name} and the reviewers agree on {same} of {len(both)} calls, kappa {kappa}"
        )
    return lines
