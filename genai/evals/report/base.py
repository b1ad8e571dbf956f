"""What a run measured: each metric with its limit, interval, n and coverage."""

import importlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from genai.errors import CaseError, shown
from genai.evals.design import designs_of
from genai.evals.gate import Decision, Stage, decide
from genai.evals.scorecard import Scorecard, figure, read_scorecard
from genai.evals.suite import Suite
from genai.project import write_whole

FORMS = ("junit", "markdown", "html")
State = Literal["pass", "fail", "inconclusive", "unmeasured", "shown"]


@dataclass(frozen=True, slots=True)
class Lapse:
    """A case that lowers a metric: which, and what happened."""

    case: str
    question: str
    happened: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of a run. `value` is None when nothing could be measured.

    `low` and `high` are the two-sided 95 % interval; `least` and `most` the value with every
    unmeasured case taken as 0 and as 1. `n` counts the cases measured; those to which the metric
    does not apply are `not_applicable`. With repeats, `every` is the share of cases that pass each
    time and `any` of those that pass at least once. `where` is the tag of the cases it keeps to.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unmeasured: int
    state: State
    min: float | None = None
    max: float | None = None
    kind: Literal["pass", "score", "label"] = "pass"
    statistic: str = "mean"
    gate: bool = False
    hard: bool = False
    not_applicable: int = 0
    least: float | None = None
    most: float | None = None
    every: float | None = None
    any: float | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    note: str = ""
    where: str = ""
    lapses: tuple[Lapse, ...] = field(default=(), repr=False)

    @property
    def limit(self) -> str:
        """The limit in words."""
        parts = [f">= {self.min:g}"] if self.min is not None else []
        parts += [f"<= {self.max:g}"] if self.max is not None else []
        parts += ["no new failure"] if self.hard and self.min is None else []
        return " and ".join(parts)

    @property
    def shown(self) -> str:
        """The value with four digits, or as many as keep it on its side of the limits."""
        value = self.value
        if value is None:
            return "unmeasured"
        for digits in range(4, 17):
            text = f"{value:.{digits}g}"
            if all(_side(float(text), at) == _side(value, at) for at in (self.min, self.max)):
                break
        return text

    @property
    def coverage(self) -> str:
        """How many cases were measured of those to which the metric applies."""
        return f"{self.n} of {self.n + self.unmeasured}"

    def words(self) -> str:
        """Say what was measured, and list the first cases that lower it."""
        between = ""
        if self.low is not None and self.high is not None:
            between = f" (95 % {figure(self.low)} to {figure(self.high)})"
        head = f"{self.name} is {self.shown}{between}, n {self.n}"
        head += f"; the limit is {self.limit}" if self.limit else ""
        if self.unmeasured:
            head += f"; {self.unmeasured} cases unmeasured: {self.reason}"
        head += f"; {self.note}" if self.note else ""
        lines = [f"  {lapse.case}: {lapse.question}\n    {lapse.happened}" for lapse in self.lapses]
        more = [f"  and {len(lines) - 10} more"] if len(lines) > 10 else []
        return "\n".join([head, *lines[:10], *more])


def _side(value: float, limit: float | None) -> int:
    return 0 if limit is None else (value > limit) - (value < limit)


@dataclass(frozen=True, slots=True)
class Slice:
    """One metric over the cases with one tag; `n` were measured, `unmeasured` were not."""

    metric: str
    tag: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unmeasured: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """A suite run on a task. `dataset` hashes the cases, `variant` what shapes the answers.

    `folder` holds the run: its log (a line a trial), `report.json` and `scorecard.jsonl`.
    `cost` is what is known of the money, `unknown_cost` the number of trials whose cost nobody
    knows, `judging` what the scorers' own calls cost on top of it. `stopped` says why the run ended
    early, `since` when the run that this one went on with was begun.
    """

    suite: str
    dataset: str
    task: str
    variant: str
    run: str
    cases: int
    trials: int
    repeats: int
    seconds: float
    metrics: tuple[Measured, ...]
    slices: tuple[Slice, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    cost: Decimal = Decimal(0)
    unknown_cost: int = 0
    judging: Decimal = Decimal(0)
    tokens: int = 0
    resumed: int = 0
    since: str = ""
    stage: Stage = "pull_request"
    baseline: str = "main"
    margins: Mapping[str, float] = field(default_factory=dict)
    stopped: str = ""
    at: str = ""
    folder: Path = Path()
    evals: Path = Path()

    @property
    def ok(self) -> bool:
        """Whether every metric was measured and keeps its limit."""
        return self.exit_code == 0

    @property
    def crashed(self) -> str:
        """Say so where every case failed: seconds, tokens and money of nothing prove nothing."""
        if not self.trials or self.states.get("failed") != self.trials:
            return ""
        reasons = sorted(self.reasons.items(), key=lambda each: -each[1])
        return f"every case failed ({', '.join(f'{name} {count}' for name, count in reasons[:3])})"

    @property
    def exit_code(self) -> int:
        """By the limits alone: 0 kept, 1 broken, 2 undecided at release, 3 money, 4 unmeasured.

        Money is a broken limit of cost or latency, or a spend cap that stopped the run. A run of
        which every case failed measured nothing.
        """
        broken = {metric.statistic != "mean" or metric.name.startswith("cost")
                  for metric in self.metrics if metric.state == "fail"}  # fmt: skip
        if False in broken:
            return 1
        if broken or self.stopped == "budget_stop":
            return 3
        states = {metric.state for metric in self.metrics}
        if "unmeasured" in states or self.stopped or self.crashed:
            return 4
        return 2 if "inconclusive" in states and self.stage == "release" else 0

    @property
    def scorecard(self) -> Scorecard:
        """The value of every case, for comparing."""
        return read_scorecard(self.folder / "scorecard.jsonl")

    def metric(self, name: str) -> Measured:
        """Give one metric. Raises KeyError for a metric the suite does not have."""
        return {metric.name: metric for metric in self.metrics}[name]

    def against(
        self, baseline: str = "", *, stage: Stage | None = None, margin: float | None = None
    ) -> Decision:
        """Compare with an accepted baseline by name (default: the suite's), or a scorecard's path.

        Raises:
            CaseError: there is no such baseline.
        """
        name = baseline or self.baseline
        path = _baseline(self.evals, self.suite, name)
        stage = stage or self.stage
        margin = self.margins.get(stage) if margin is None else margin
        return decide(read_scorecard(path), self.scorecard, stage=stage, margin=margin, name=name)

    def judged(self, baseline: str | None = None) -> Decision | None:
        """Compare with a baseline; None where none is named and the suite has none yet."""
        if baseline is None and not baseline_path(self.evals, self.suite, self.baseline).exists():
            return None
        return self.against(baseline or "")

    def exit_with(self, decision: Decision | None) -> int:
        """Give the exit code of the run and its comparison: 1 before 3 before 4 before 2."""
        codes = {self.exit_code, 0 if decision is None else decision.exit_code}
        return next((code for code in (1, 3, 4, 2) if code in codes), 0)

    def text(self) -> str:
        """Give the table for a terminal, and the lapses of what failed."""
        from genai.evals.report.text import table

        return table(self)

    def save(self, path: Path, form: str, decision: Decision | None = None) -> None:
        """Write the run, and what the gate says of it: as `junit`, `markdown` or `html`.

        Raises:
            CaseError: there is no such form, or the file cannot be written.
        """
        if form not in FORMS:
            raise CaseError(f"{form!r} is not a form of a report; known: {', '.join(FORMS)}")
        writer = importlib.import_module(f"genai.evals.report.{form}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(writer.render(self, decision), encoding="utf-8", newline="\n")
        except OSError as error:
            raise CaseError(f"{path}: cannot be written ({error}); free space or mend its rights"
                            ) from error  # fmt: skip

    def save_all(self, files: Mapping[str, Path], decision: Decision | None = None) -> None:
        """Write several forms, a file each; one that cannot be written keeps no other back.

        Raises:
            CaseError: some could not be written; says how to write them from the run.
        """
        failed = {}
        for form, path in files.items():
            try:
                self.save(path, form, decision)
            except CaseError as error:
                failed[form] = error
        if failed:
            raise CaseError(
                f"{next(iter(failed.values()))}. The run is kept in {self.folder}; to write its"
                " reports from there, add to the words it was run with: genai eval"
                f" {self.suite} --rescore {self.run}{''.join(f' --{each} FILE' for each in failed)}"
            )

    def write(self) -> None:
        """Write `report.json` into the run's folder, which is then finished. Raises `CaseError`."""
        content = msgspec.json.encode(self, enc_hook=str, order="sorted")
        write_whole(self.folder / "report.json", content, CaseError)


def baseline_path(evals: Path, suite: str, name: str) -> Path:
    """Say where the baseline of a suite is: `evals/baselines/<suite>/<name>.jsonl`."""
    return evals / "baselines" / suite / f"{name}.jsonl"


def check_before(suite: Suite, name: str | None = None, files: Iterable[Path] = ()) -> None:
    """Try what the end of a run will need, before anything is paid for the run.

    That is its baseline, which it may not have yet where none is named, the designs, and the
    files to which its reports will go.

    Raises:
        CaseError: there is no such baseline, it or a design is damaged, or a file is not writable.
    """
    path = _baseline(suite.path.parent, suite.name, name or suite.settings.gate.baseline)
    if name is not None or path.exists():
        read_scorecard(path)
    designs_of(suite.path.parent)
    for file in files:
        try:
            _try_to_write(file)
        except OSError as error:
            raise CaseError(f"{file}: cannot be written ({error}), so nothing was run; free space,"
                            " mend its rights, or name another") from error  # fmt: skip


def _try_to_write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_fifo():  # who reads it would take the end of this try for the end of the report
        return
    absent = not path.exists()
    path.open("ab").close()
    if absent:
        path.unlink(missing_ok=True)


def _baseline(evals: Path, suite: str, name: str) -> Path:
    path = Path(name)
    return path if path.suffix == ".jsonl" else baseline_path(evals, suite, name)


def read_report(folder: Path) -> Report:
    """Read a finished run where it stands now, which may be a copy. Raises `CaseError`."""
    path = folder / "report.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Report, dec_hook=_path)
        return replace(found, folder=folder, evals=_evals_beside(folder, found))
    except OSError as error:
        raise CaseError(
            f"{folder.parent.name}/{folder.name}: is no finished run"
            f" ({type(error).__name__}); list them: genai eval runs {folder.parent.name}"
        ) from error
    except msgspec.DecodeError as error:
        raise CaseError(
            f"{shown(path, 3)}: cannot be read ({type(error).__name__}); delete its folder, and"
            f" run the suite again: genai eval {folder.parent.name}"
        ) from error


def _evals_beside(folder: Path, written: Report) -> Path:
    """Give the `evals` that lies from a run as it lay when the run was written."""
    try:
        way = os.path.relpath(written.evals, written.folder)
    except ValueError:  # on another drive
        return written.evals
    found = Path(os.path.normpath(folder.absolute() / way))
    return found if found.is_dir() else written.evals


def _path(kind: type, value: Any) -> Any:
    return kind(value)
