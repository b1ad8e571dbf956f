"""Accept a run as the baseline, find runs again, and say what a comparison would need."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from genai import stats
from genai.errors import CaseError
from genai.evals.gate import cases, least_cases, sound_margin
from genai.evals.report import Report, baseline_path, read_report
from genai.evals.scorecard import Scorecard, read_scorecard
from genai.evals.suite import Suite, load_suite

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def accept(report: Report, reason: str, name: str = "") -> Path:
    """Write a run's scorecard as a baseline of its suite, with the reason; give its path.

    Raises:
        CaseError: no reason, a name that is a path, a run that is not wholly measured, or one of
            other cases than the suite has, such as a part of it; such a run may be a baseline under
            a name of its own.
    """
    if not _NAME.fullmatch(name or report.baseline):
        raise CaseError(f"the baseline's name {name!r} must be letters, digits, `.`, `_` and `-`")
    if len(reason.split()) < 2:
        raise CaseError("a baseline needs a reason of a few words: --reason 'new splitter, +3 pt'")
    if report.stopped:
        raise CaseError(f"run {report.run}: stopped early ({report.stopped}); run it to its end")
    if report.crashed:
        raise CaseError(f"run {report.run}: {report.crashed}; mend the task, then run it again")
    weak = [each for each in report.metrics if each.state == "unmeasured"]
    weak = [each for each in weak if each.gate or each.hard]
    if weak:
        raise CaseError(
            f"run {report.run}: {weak[0].name} is unmeasured"
            f" ({weak[0].reason or weak[0].coverage}); a baseline must be measured, run it again"
        )
    if name in ("", report.baseline) and (other := other_cases(report)):
        raise CaseError(f"{other}, or give the baseline of a part a name: --name NAME")
    card = report.scorecard
    card.head.reason = reason
    path = baseline_path(report.evals, report.suite, name or report.baseline)
    card.write(path)
    return path


def other_cases(report: Report) -> str:
    """Say that a run is not of the suite's cases as they are, whole; '' where it is."""
    path = report.evals / f"{report.suite}.yaml"
    now = load_suite(path) if path.is_file() else None
    if now is None or now.hash == report.dataset:
        return ""
    return (
        f"run {report.run}: its {report.cases} cases are not the {len(now.cases)} of"
        f" evals/{path.name}; run the whole suite: genai eval {report.suite}"
    )


def runs_of(runs: Path, suite: str) -> list[Report]:
    """Give the finished runs of a suite, newest first."""
    paths = sorted((runs / suite).glob("*/report.json"), key=_when, reverse=True)
    # the times of files are of their copying where a project was copied; runs of a second keep them
    return sorted((read_report(path.parent) for path in paths), key=_at, reverse=True)


def find_run(runs: Path, suite: str, name: str = "") -> Report:
    """Give a run by its name or a unique beginning; without one the newest.

    Raises:
        CaseError: no such run, or several.
    """
    found = runs_of(runs, suite)
    matching = [each for each in found if each.run.startswith(name)] if name else found[:1]
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(each.run for each in found[:5]) or "none; run it: genai eval " + suite
    what = "is not a run" if not matching else "is more than one run"
    raise CaseError(f"`{name or 'newest'}` {what} of suite {suite}; known: {known}")


def find_any(runs: Path, name: str) -> Report:
    """Give a run of any suite by its name or a unique beginning. Raises `CaseError`."""
    finished = (path.parent for path in runs.glob("*/*/report.json"))
    found = [folder for folder in finished if folder.name.startswith(name)]
    if len(found) != 1:
        what = "is more than one run" if found else "is no finished run"
        raise CaseError(f"{name!r} {what}; list them: genai eval runs SUITE")
    return read_report(found[0])


def card_of(runs: Path, evals: Path, suite: str, name: str) -> Scorecard:
    """Give a scorecard by the name of a baseline or of a run. Raises `CaseError`."""
    path = baseline_path(evals, suite, name)
    return read_scorecard(path) if path.exists() else find_run(runs, suite, name).scorecard


def _at(report: Report) -> str:
    return report.at


def _when(path: Path) -> float:
    return path.stat().st_mtime


@dataclass(frozen=True, slots=True)
class Plan:
    """What a question needs: cases to prove a margin and to see a drop, money and minutes.

    `cases` are those of the suite that the metric applies to, `asked` the cases of a run that has
    enough of them. `dollars` and `minutes` are what it takes; None where there is no run, or its
    cost is unknown.
    """

    metric: str
    margin: float
    cases: int
    to_prove: int
    to_see: int
    least: int
    basis: str
    dollars: Decimal | None
    minutes: float | None
    asked: int

    @property
    def enough(self) -> bool:
        """Whether an unchanged task would pass with the cases there are, four times in five."""
        return self.cases >= self.to_prove

    def text(self) -> str:
        """Say it in a few lines."""
        money = "unknown" if self.dollars is None else f"${self.dollars:.4f}"
        time = "unknown" if self.minutes is None else f"{self.minutes:.1f} minutes"
        more = self.to_prove - self.cases
        verdict = "enough" if self.enough else f"{more} fewer than needed"
        return "\n".join(
            [
                f"{self.metric}: has {cases(self.cases)} in the suite, {verdict} for a margin of"
                f" {self.margin:g} ({self.basis})",
                f"  to pass four times in five when nothing changed: {cases(self.to_prove)}",
                f"  to see a drop of {self.margin:g} four times in five: {cases(self.to_see)}",
                f"  to pass at all, even with no change in any case: {cases(self.least)}",
                f"  one run of {cases(self.asked)}: {money}, {time}",
            ]
        )


def plan(suite: Suite, margin: float, last: Sequence[Report]) -> list[Plan]:
    """Say for each metric that gates how many cases a margin needs, and what they cost.

    The discordant share, or the spread of the differences, comes from the last two runs where
    there are two of this dataset; else a share of .10 is taken. The cases that a metric applies to
    are those of the last run.

    Raises:
        CaseError: the margin is not above 0.
    """
    sound_margin(margin, math.inf)  # on the scale of the metric
    same = [each for each in last if each.dataset == suite.hash]
    found = []
    for name in suite.gating or list(suite.metrics):
        discordant, spread, basis = _spread(same, name)
        if spread:
            to_see = stats.cases_for_drop(margin, sd=spread)
            to_prove = max(to_see, least_cases(margin))
        else:
            to_prove = stats.cases_to_prove(margin, discordant)
            seen = max(discordant, margin * margin * 1.01, margin)
            to_see = stats.cases_for_drop(margin, discordant=seen)
        held = _applies(suite, name, same)
        basis += "" if same else "; no run says yet to which cases it applies"
        asked = len(suite.cases) + max(to_prove - held, 0)
        dollars, minutes = _price(same or last, asked)
        found.append(
            Plan(name, margin, held, to_prove, to_see, _least(same, name, margin), basis, dollars,
                 minutes, asked)
        )  # fmt: skip
    return found


def _least(runs: Sequence[Report], name: str, margin: float) -> int:
    """Give the cases with which a metric that moved in none passes; a score asks for more."""
    kinds = {each.kind for run in runs[:1] for each in run.metrics if each.name == name}
    return stats.cases_unmoved(margin) if "score" in kinds else least_cases(margin)


def _applies(suite: Suite, name: str, runs: Sequence[Report]) -> int:
    """Count the cases whose pairs will decide a metric; before any run, those that it may."""
    for run in runs[:1]:
        for metric in run.metrics:
            if metric.name == name:
                return metric.n + metric.unmeasured
    where = suite.metrics[name].where
    return sum(
        case.variant is None and (not where or where in (*case.tags, *case.risks))
        for case in suite.cases
    )


def _spread(runs: Sequence[Report], name: str) -> tuple[float, float, str]:
    if len(runs) > 1:
        cards = runs[0].scorecard, runs[1].scorecard
        heads = [card.metric(name) for card in cards]
        if all(heads) and heads[0].id == heads[1].id:  # type: ignore[union-attr]
            pairs = [
                (cards[0].cell(row, name).mean, cards[1].cell(other, name).mean)
                for row in cards[0].rows
                if (other := cards[1].row(row.case)) is not None
            ]
            d = [a - b for a, b in pairs if a is not None and b is not None]
            if len(d) > 1 and heads[0].kind == "pass":  # type: ignore[union-attr]
                changed = sum(each != 0 for each in d)
                share = (changed + 2) / (len(d) + 2)
                return share, 0.0, f"{changed} of {len(d)} cases differed between the last two runs"
            if len(d) > 1:
                mean = math.fsum(d) / len(d)
                sd = math.sqrt(math.fsum((x - mean) ** 2 for x in d) / (len(d) - 1))
                if sd:
                    return 0.0, sd, f"spread {sd:.3f} between the last two runs"
                # two equal runs do not say that no other will differ: a bound, as for a pass
                share = 2 / (len(d) + 2)
                return share, 0.0, f"none of {len(d)} cases differed between the last two runs"
    return 0.10, 0.0, "taking a discordant share of .10, for want of two runs"


def _price(runs: Sequence[Report], count: int) -> tuple[Decimal | None, float | None]:
    if not runs or not runs[0].trials:
        return None, None
    last = runs[0]
    spent = last.cost + last.judging
    dollars = None if last.unknown_cost else spent / last.trials * count * last.repeats
    done = last.trials - last.resumed
    minutes = last.seconds / done * count * last.repeats / 60 if done else None
    return dollars, minutes
