"""All experiments of a project in one list, and two runs held against each other in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from genai import tracking
from genai.errors import CaseError
from genai.evals import Decision, Report, decide, read_report
from genai.evals.baseline import find_any
from genai.evals.report.text import decision_text, headline
from genai.project import Project, find_project
from genai.tracking import Store, Waiting
from genai.wiring import tracked
from genai.wiring.parts import settings

# what a run is, rather than what it depends on
_OWN = {"task", "variant", "git"}


@dataclass(frozen=True, slots=True)
class Experiment:
    """One line of the list: a run of a suite, a grid or a training."""

    kind: str
    at: float
    name: str
    of: str
    words: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs of one suite: what they depend on that differs, and the gate's comparison.

    `changed` names a setting or hash with its two values; a run made before these were kept has
    none, and `note` says so.
    """

    before: Report
    after: Report
    changed: tuple[tuple[str, str, str], ...]
    decision: Decision
    note: str = ""

    def text(self) -> str:
        """Say what changed and what came of it."""
        lines = [f"{self.before.suite}: {self.before.run} -> {self.after.run}"]
        lines += [f"  {name}: {old or '-'} -> {new or '-'}" for name, old, new in self.changed]
        if not self.changed and not self.note:
            lines.append("  nothing that is kept differs")
        lines += [f"  {self.note}"] if self.note else []
        return "\n".join([*lines, decision_text(self.decision)])


def experiments(limit: int = 20) -> list[Experiment]:
    """Give the newest runs, grids and trainings of the project."""
    found = find_project()
    paths = [
        *(("eval", path) for path in (found.state / "runs").glob("*/*/report.json")),
        *(("grid", path) for path in (found.state / "runs").glob("*/grid-*/grid.txt")),
        *(("finetune", path) for path in (found.state / "finetune" / "runs").glob("*/*.lock.json")),
    ]
    newest = sorted(paths, key=lambda each: -each[1].stat().st_mtime)[:limit]
    return [_experiment(kind, path) for kind, path in newest]


def _experiment(kind: str, path: Path) -> Experiment:
    at, folder = path.stat().st_mtime, path.parent
    if kind == "eval":
        facts = tracked.read_facts(folder)
        report = read_report(folder)
        said = " ".join(facts[name] for name in ("model", "prompt", "prompt_hash") if name in facts)
        return Experiment(kind, at, report.run, report.suite, f"{headline(report)}  {said}")
    if kind == "grid":
        rows = path.read_text(encoding="utf-8").splitlines()
        best = " ".join(rows[2].split()) if len(rows) > 2 else ""
        return Experiment(kind, at, folder.name, folder.parent.name, f"best: {best}")
    from genai.finetune.lock import read_lock

    held = read_lock(folder)
    score = "-" if held["score"] is None else f"{held['score']:.3f}"
    return Experiment(kind, at, folder.name, held["base"]["name"],
                      f"score {score}, weights {held['weights'][:12]}")  # fmt: skip


def listing(found: Sequence[Experiment]) -> str:
    """Give the list as text, newest first."""
    if not found:
        return "no experiment yet; make one: genai eval handbook"
    return "\n".join(
        f"{datetime.fromtimestamp(e.at, UTC):%Y-%m-%d %H:%M}  {e.kind:8}  {e.of}  {e.name}"
        f"  {e.words}"
        for e in found
    )


def difference(before: str, after: str) -> Difference:
    """Hold one run against another on the cases they share.

    Raises:
        InputError: no such run, or several; or they are of two suites.
    """
    runs = find_project().state / "runs"
    old, new = find_any(runs, before), find_any(runs, after)
    if old.suite != new.suite:
        raise CaseError(f"{old.run} is of suite {old.suite}, {new.run} of {new.suite}; compare runs"
                        " of one suite")  # fmt: skip
    facts = tracked.read_facts(old.folder), tracked.read_facts(new.folder)
    names = [name for name in {**facts[0], **facts[1]} if name not in _OWN]
    changed = tuple(
        (name, facts[0].get(name, ""), facts[1].get(name, ""))
        for name in names
        if facts[0].get(name, "") != facts[1].get(name, "")
    )
    note = "" if all(facts) else "what one of them depended on was not kept; run it again to know"
    decision = decide(old.scorecard, new.scorecard, name=old.run)
    return Difference(old, new, changed if all(facts) else (), decision, note)


def push() -> Waiting:
    """Mirror every prompt with its labels, and deliver all that waits for MLflow, now.

    Raises:
        InputError: tracking is off, or MLflow is not installed.
    """
    found = find_project()
    where = _store(found, "exp push")
    tracked.mirror_prompts(found, where)
    return tracking.deliver(where)


def _store(project: Project, word: str) -> Store:
    where = tracked.store(project, settings(project))
    if where is None:
        raise CaseError(f"{word}: tracking is off; set `tracking.enabled` in configs/genai.yaml")
    return where


def view(port: int) -> int:
    """Serve MLflow's pages over the project's own store until they are ended.

    Raises:
        InputError: tracking is off, goes to a server that has pages, or MLflow is not installed.
    """
    where = _store(find_project(), "exp ui")
    if where.url:
        raise CaseError(f"exp ui: runs go to a server, which has these pages: {where.url}")
    return tracking.view(where, port)


def outstanding() -> Waiting | None:
    """Say what waits for MLflow; None where nothing does."""
    waits = tracking.waiting(Store(find_project().state / "mlflow"))
    return waits if waits.queued or waits.refused else None
