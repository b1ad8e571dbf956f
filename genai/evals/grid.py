"""Which model, prompt and retriever? Every combination on the same cases, judged in pairs.

Cells are tested against the best of them; those not shown to be worse are tied with it. The best
was picked by looking, so its lead over the others is flattered a little: run a winner again on
fresh cases before its figure is quoted.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from genai import stats
from genai.config import digest
from genai.errors import BudgetExceeded, CaseError
from genai.evals.gate import decide
from genai.evals.plot import scatter
from genai.evals.report import Report, read_report
from genai.evals.report.text import align
from genai.evals.scorecard import Scorecard
from genai.evals.store import read_log
from genai.evals.suite import AGGREGATES, Suite
from genai.evals.task import describe
from genai.evals.trial import Trial
from genai.project import write_whole

Settings = Mapping[str, str]
_OWN = "grid-"  # how indexes of a grid are named
_LEVEL = 0.05  # of a test that a cell is worse, adjusted after Holm


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell of a grid: its settings and what came of them.

    `cost` is dollars a case, None where a part of it is unknown. `q` is the adjusted p that it is
    worse than the best cell. Cells of one `group` are not told apart, 1 being the best; 0 is not
    measured well enough to be compared. `frontier`: none is both as good and cheaper.
    """

    label: str
    settings: Settings
    run: str
    quality: float | None
    low: float | None
    high: float | None
    n: int
    unmeasured: int
    cost: Decimal | None
    p95: float | None
    q: float | None = None
    group: int = 0
    frontier: bool = False
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class GridReport:
    """The cells of a grid, best first. `folder` holds it as `grid.json`, `.txt` and `.svg`."""

    suite: str
    dataset: str
    metric: str
    entries: tuple[Entry, ...]
    not_run: tuple[str, ...] = ()
    folder: Path = Path()

    @property
    def best(self) -> tuple[Entry, ...]:
        """The cells that are tied at the top."""
        return tuple(each for each in self.entries if each.group == 1)

    @property
    def exit_code(self) -> int:
        """0 measured, 3 stopped by the spend cap, 4 a cell could not be compared."""
        if self.not_run or any(each.stopped == "budget_stop" for each in self.entries):
            return 3
        return 4 if any(not each.group for each in self.entries) else 0

    def text(self) -> str:
        """Give the table, best first, and what its marks mean."""
        heads = ("tie", "cell", self.metric, "95 %", "n", "$ a case", "p95 s", "q", "frontier")
        lines = [
            f"grid of suite {self.suite}, dataset {self.dataset}, by {self.metric}",
            *align([heads, *(_row(each) for each in self.entries)]),
            "cells with one number under `tie` are not told apart (paired tests, Holm, .05); q is"
            " that a cell is worse than the best",
            "* on the frontier: no cell is as good and cheaper",
        ]
        lines += [
            f"{each.label}: stopped ({each.stopped})" for each in self.entries if each.stopped
        ]
        lines += [f"{label}: not run, the money was spent" for label in self.not_run]
        return "\n".join(lines)

    def svg(self) -> str:
        """Draw quality over cost, one file that needs no other."""
        points = [
            (each.label, float(each.cost), each.quality, each.low, each.high, each.group == 1,
             each.frontier)
            for each in self.entries
            if each.cost is not None and each.quality is not None
        ]  # fmt: skip
        absent = [e.label for e in self.entries if e.cost is None or e.quality is None]
        return scatter(points, self.metric, absent)


def cells(models: Sequence[str], vary: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Give every combination. Raises `CaseError` where there is nothing to compare.

    An index that is built otherwise (settings of `index` and `embedder`) has a name of its own, so
    that the cells do not build one index over and over, nor touch the configured one.
    """
    axes: dict[str, Sequence[str]] = {"chain__model": models} if models else {}
    axes |= {name.replace(".", "__"): values for name, values in vary.items()}
    empty = next((name for name, values in axes.items() if not values or not all(values)), "")
    if empty:
        raise CaseError(f"grid: `{empty}` has an empty value; write it as chain__top_k=3,6")
    found = [
        dict(zip(axes, values, strict=True))
        for values in itertools.product(*(dict.fromkeys(each) for each in axes.values()))
    ]
    if len(found) < 2:
        raise CaseError(
            "grid: one cell is nothing to compare; give --model twice, or --set chain__top_k=3,6"
        )
    for cell in found:
        built = {key: cell[key] for key in cell if key.split("__")[0] in ("index", "embedder")}
        if built:
            cell.setdefault("chain__index", f"{_OWN}{digest(built)}")
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What a grid runs: the suite on its cells, sorted by a metric, kept under `runs`.

    Without a `metric` it is the first that gates, else the first. `options` are those of a run;
    `spend` among them is for all cells together.
    """

    suite: Suite
    cells: Sequence[Settings]
    metric: str
    runs: Path
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Keep to the cases that are asked for, and settle the metric. Raises `CaseError`."""
        suite = self.suite.only(self.options.get("limit"), self.options.get("tag") or "")
        object.__setattr__(self, "suite", suite)
        known = [each for each in suite.metrics if each not in AGGREGATES]
        if not known or (self.metric and self.metric not in known):
            said = ", ".join(known) or "none"
            raise CaseError(f"grid: no metric `{self.metric}` to sort by; known: {said}")
        gating = [each for each in suite.gating if each in known]
        object.__setattr__(self, "metric", self.metric or (gating or known)[0])

    @property
    def folder(self) -> Path:
        """Where the grid is kept; the same plan goes on there if it was interrupted."""
        what = [self.suite.hash, list(self.cells), self.metric, self.options.get("repeats")]
        return self.runs / self.suite.name / f"grid-{digest(what)}"


def run_grid(
    plan: Plan, opener: Callable[[Settings], Any], evaluate: Callable[..., Report]
) -> GridReport:
    """Run every cell and judge them; cells that an interrupted grid had finished are not asked.

    `opener` makes the task of a cell; `evaluate(suite, task, **options)` runs the suite on it.
    """
    labels, folder = labels_of(plan.cells), plan.folder
    rest = {name: each for name, each in plan.options.items() if name not in ("limit", "tag")}
    spend: Decimal | None = rest.pop("spend", None)
    done = _done(folder, rest.get("resume", True))
    found: list[tuple[str, Settings, Report]] = []
    spent = Decimal(0)
    for label, settings in zip(labels, plan.cells, strict=True):
        if spend is not None and spent >= spend:
            break
        task = opener(settings)
        report = done.get(label)
        same = describe(task)[1], plan.suite.hash
        if report is None or (report.variant, report.dataset) != same:
            left = None if spend is None else spend - spent
            report = evaluate(plan.suite, task, spend=left, **rest)
            _note(folder, label, report)
        spent += report.cost + report.judging
        found.append((label, settings, report))
    if not found:
        raise BudgetExceeded(
            f"grid: {spend} dollars leave nothing for the first cell; raise --spend"
        )
    result = judge(found, plan.metric, not_run=tuple(labels[len(found) :]), folder=folder)
    _write(result)
    return result


def labels_of(wanted: Sequence[Settings]) -> list[str]:
    """Name each cell by the settings that vary."""
    vary = [key for key in wanted[0] if len({each[key] for each in wanted}) > 1]
    own = wanted[0].get("chain__index", "").startswith(_OWN)  # follows from settings that are named
    named = [key for key in vary if not (own and key == "chain__index")]
    return [", ".join(_said(key, each[key]) for key in named) for each in wanted]


def _said(key: str, value: str) -> str:
    return value if key == "chain__model" else f"{key.replace('__', '.')}={value}"


def _done(folder: Path, resume: bool) -> dict[str, Report]:
    """Give the finished cells of an interrupted grid; a finished grid has none to go on with."""
    log = folder / "cells.jsonl"
    if not resume or (folder / "grid.json").exists() or not log.exists():
        (folder / "grid.json").unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        return {}
    found = {}
    for line in log.read_bytes().splitlines():
        try:
            label, run = msgspec.json.decode(line, type=tuple[str, str])
            report = read_report(folder.parent / run)
        except (msgspec.DecodeError, CaseError):
            continue  # a torn line, or a run that somebody deleted: it is done again
        if not report.stopped and not any(each.unmeasured for each in report.metrics):
            found[label] = report
    return found


def _note(folder: Path, label: str, report: Report) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cells.jsonl").open("ab") as file:
        file.write(msgspec.json.encode((label, report.run)) + b"\n")


def _write(report: GridReport) -> None:
    write_whole(report.folder / "grid.txt", report.text() + "\n", CaseError)
    write_whole(report.folder / "grid.svg", report.svg(), CaseError)
    # a grid that could not be measured whole goes on the next time
    name = "grid.json" if report.exit_code == 0 else "grid.part.json"
    (report.folder / "grid.part.json").unlink(missing_ok=True)
    content = msgspec.json.encode(report, enc_hook=str, order="sorted")
    write_whole(report.folder / name, content, CaseError)


def judge(
    runs: Sequence[tuple[str, Settings, Report]],
    metric: str,
    *,
    not_run: tuple[str, ...] = (),
    folder: Path = Path(),
) -> GridReport:
    """Sort runs of one suite by a metric, and say which are tied and which are worth their money.

    Raises:
        CaseError: the metric is a label or a percentile, which no pair of cases can compare.
    """
    cards = {label: report.scorecard for label, _, report in runs}
    entries = [_entry(label, settings, report, metric) for label, settings, report in runs]
    heads = [card.metric(metric) for card in cards.values()]
    if any(head is not None and head.kind not in ("pass", "score") for head in heads):
        raise CaseError(f"grid: `{metric}` is no number a case; choose another: --metric NAME")
    sign = -1 if any(head is not None and head.better == "lower" for head in heads) else 1
    entries.sort(key=lambda e: (e.quality is None, -sign * (e.quality or 0.0), e.cost or 0))
    entries = _frontier(_grouped(entries, cards, metric), sign)
    first = runs[0][2]
    return GridReport(first.suite, first.dataset, metric, tuple(entries), not_run, folder)


def _entry(label: str, settings: Settings, report: Report, metric: str) -> Entry:
    found = report.metric(metric)
    asked = report.trials - report.states.get("unmeasured", 0)
    cost = None if report.unknown_cost or not asked else report.cost / asked
    return Entry(
        label, dict(settings), report.run, found.value, found.low, found.high, found.n,
        found.unmeasured, cost, _p95(report), stopped=report.stopped,
    )  # fmt: skip


def _p95(report: Report) -> float | None:
    """Give the seconds below which 95 % of the answers came."""
    seconds: dict[str, float] = {}
    for path in report.folder.glob("log-*.jsonl"):
        for line in read_log(path):
            if isinstance(line, Trial) and line.state != "unmeasured":
                seconds[line.unit] = line.seconds
    times = sorted(seconds.values())
    return times[math.ceil(0.95 * len(times)) - 1] if times else None


def _grouped(entries: list[Entry], cards: Mapping[str, Scorecard], metric: str) -> list[Entry]:
    """Put into one group the best cell and all not shown to be worse; then the same with the rest.

    Cells are tested against the best of those that are left, on the cases they share.
    """
    left = [each for each in entries if each.quality is not None]
    done: dict[str, Entry] = {}
    group = 0
    while left:
        group += 1
        leader, *others = left
        values = {e.label: _worse(cards[leader.label], cards[e.label], metric) for e in others}
        tested = [label for label, p in values.items() if p is not None]
        adjusted = stats.holm([values[label] or 0.0 for label in tested])
        qs = dict(zip(tested, adjusted, strict=True))
        done[leader.label] = replace(leader, group=group)
        left = []
        for each in others:
            if group == 1:
                each = replace(each, q=qs.get(each.label))
            if each.label not in qs:
                done[each.label] = each
            elif qs[each.label] > _LEVEL:
                done[each.label] = replace(each, group=group)
            else:
                left.append(each)
    return [done.get(each.label, each) for each in entries]


def _worse(leader: Scorecard, other: Scorecard, metric: str) -> float | None:
    """Give the p that a cell is worse than another; None where too little is measured."""
    found = decide(leader, other).comparisons
    return next((each.p for each in found if each.metric == metric), None)


def _frontier(entries: Sequence[Entry], sign: int) -> list[Entry]:
    placed = [
        (sign * each.quality, each.cost)
        for each in entries
        if each.quality is not None and each.cost is not None
    ]

    def beaten(quality: float, cost: Decimal) -> bool:
        return any(q >= quality and c <= cost and (q, c) != (quality, cost) for q, c in placed)

    return [
        each
        if each.quality is None or each.cost is None
        else replace(each, frontier=not beaten(sign * each.quality, each.cost))
        for each in entries
    ]


def _row(each: Entry) -> tuple[str, ...]:
    between = "" if each.low is None else f"{each.low:.3f} to {each.high:.3f}"
    return (
        str(each.group) if each.group else "-", each.label,
        "unmeasured" if each.quality is None else f"{each.quality:.4f}", between,
        f"{each.n} of {each.n + each.unmeasured}",
        "unknown" if each.cost is None else f"{each.cost:.6f}",
        "-" if each.p95 is None else f"{each.p95:.3f}",
        "" if each.q is None else f"{each.q:.3f}", "*" if each.frontier else "",
    )  # fmt: skip
