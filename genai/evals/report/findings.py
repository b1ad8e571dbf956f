"""What is wrong with a run, a metric at a time, and the one word over all of it."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from genai.evals.gate import Decision, Word
from genai.evals.report.base import Measured, Report
from genai.evals.report.text import comparison_text

Kind = Literal["worse", "money", "unmeasured", "undecided"]
RUN = "run"  # what belongs to no metric
_ORDER: Sequence[Kind] = ("worse", "money", "unmeasured", "undecided")
_CODES: dict[int, tuple[Kind, str]] = {
    1: ("worse", "REGRESSION"), 2: ("undecided", "INCONCLUSIVE"), 3: ("money", "BUDGET"),
    4: ("unmeasured", "UNMEASURED"),
}  # fmt: skip
# what XML forbids, and marks that turn the direction of the text around them
_HIDDEN = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u007f-\u009f\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `word` names it, `reason` says it in a line, `detail` shows cases.

    `fails` is False for what is undecided on a pull request.
    """

    kind: Kind
    word: str
    reason: str
    detail: str = ""
    fails: bool = True

    def text(self, decision: Decision | None) -> str:
        """Say it with the cases behind it; a comparison names its baseline."""
        if self.word in set(Word) and decision is not None:
            against = f" against {decision.baseline}" if self.word == "REGRESSION" else ""
            return f"{self.word}{against}: {self.detail or self.reason}"
        return f"{self.reason}\n{self.detail}".rstrip()


def findings(report: Report, decision: Decision | None) -> dict[str, list[Finding]]:
    """Give what is wrong by metric, the worst first; what belongs to no metric is under `run`.

    Something fails exactly where the exit code is not 0.
    """
    found = {each.name: _of(each, report, decision) for each in report.metrics}
    found = {name: each for name, each in found.items() if each}
    code = report.exit_with(decision)
    if code and not any(each.fails for every in found.values() for each in every):
        kind, word = _CODES[code]
        reason = f"the run stopped: {report.stopped}" if report.stopped else report.crashed
        if decision is not None and decision.exit_code == code:
            word, reason = str(decision.word), decision.reason
        found[RUN] = [Finding(kind, word, reason or "see the metrics")]
    return found


def _of(metric: Measured, report: Report, decision: Decision | None) -> list[Finding]:
    money = metric.statistic != "mean" or metric.name.startswith("cost")
    head, _, detail = metric.words().partition("\n")
    found = []
    if metric.state == "fail":
        kind: Kind = "money" if money else "worse"
        found.append(Finding(kind, "BUDGET" if money else "LIMIT_BROKEN", head, detail))
    elif report.stopped == "budget_stop" and metric.unmeasured:
        found.append(Finding("money", "BUDGET", head, detail))
    elif metric.state == "unmeasured":
        found.append(Finding("unmeasured", "UNMEASURED", head, detail))
    elif metric.state == "inconclusive":
        fails = report.stage == "release"
        found.append(Finding("undecided", "INCONCLUSIVE", head, detail, fails))
    if decision is not None:
        found += _compared(metric, decision)
    return sorted(found, key=_rank)


def _compared(metric: Measured, decision: Decision) -> list[Finding]:
    if not decision.comparisons and (metric.gate or metric.hard):
        return [Finding("unmeasured", str(Word.CANNOT_COMPARE), decision.reason)]
    each = next((each for each in decision.gating if each.metric == metric.name), None)
    if each is None:
        return []
    if each.word is Word.REGRESSION:
        return [Finding("worse", str(each.word), each.note, comparison_text(each))]
    if each.word is Word.CANNOT_COMPARE:
        return [Finding("unmeasured", str(each.word), each.note)]
    if each.word is Word.INCONCLUSIVE:
        fails = decision.stage == "release"
        return [Finding("undecided", str(each.word), each.note, fails=fails)]
    return []


def _rank(finding: Finding) -> tuple[bool, int, bool]:
    return not finding.fails, _ORDER.index(finding.kind), finding.word != "REGRESSION"


def verdict(report: Report, decision: Decision | None) -> tuple[str, str]:
    """Give the one word for the run and its comparison, and the reason in a line."""
    every = [each for found in findings(report, decision).values() for each in found]
    if every:
        worst = min(every, key=_rank)
        return worst.word, worst.reason
    if decision is None:
        return str(Word.PASS), "every limit is kept; there is no baseline to compare with"
    return str(decision.word), decision.reason


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of a case that changed between two runs."""

    metric: str
    before: float
    after: float
    worse: bool


@dataclass(slots=True)
class Changed:
    """A case that changed: what was said before and now, and each metric that moved with it."""

    case: str
    before: str
    after: str
    changes: list[Change] = field(default_factory=list)

    @property
    def worse(self) -> bool:
        """Whether any metric of the case fell."""
        return any(change.worse for change in self.changes)


def changed(decision: Decision | None) -> list[Changed]:
    """Give the cases that moved in a metric that gates or is suspect, those that fell first."""
    found: dict[str, Changed] = {}
    chosen = (
        [each for each in decision.comparisons if each.gate or each.suspect] if decision else []
    )
    for worse in (True, False):
        for each in chosen:
            for flip in each.flips[: each.losses] if worse else each.flips[each.losses :]:
                case = found.setdefault(
                    flip.case, Changed(flip.case, flip.said_before, flip.said_after)
                )
                case.changes.append(Change(each.metric, flip.before, flip.after, worse))
    return list(found.values())


def probability(value: float | None) -> str:
    """Give p or q for a table; what rounds to nothing is not shown as 0."""
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.0005 else "< 0.001"


def command(report: Report, decision: Decision | None) -> str:
    """Say how to run this again."""
    words = ["genai", "eval", report.suite, "--stage", report.stage]
    words += ["--baseline", decision.baseline] if decision else []
    words += ["--repeats", str(report.repeats)] if report.repeats > 1 else []
    return shlex.join(words)


def visible(text: str) -> str:
    """Take out characters that cannot be seen, that XML forbids or that turn text around."""
    return _HIDDEN.sub("", text)
