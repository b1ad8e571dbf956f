"""Whether a judge may decide: how it stands to people, and whether it is still the same judge.

`evals/judges/<metric>.json` holds one calibration: who judged by which prompt, whose labels, and
how far the two agreed. It lapses when the judge, its prompt, its version or its rubric changes.
A judge that is not trusted is shown and never gates.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from genai import stats
from genai.config import digest
from genai.errors import CaseError
from genai.evals.judge import judge_version
from genai.evals.metrics import Metric
from genai.evals.scorecard import MetricHead
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.scorers.known import known_scorers
from genai.evals.store import Scores, read_log
from genai.evals.trial import CannotMeasure, Trial, as_score
from genai.ledger.context import repeated
from genai.project import write_whole

if TYPE_CHECKING:
    from genai.evals.labels import Labelling
    from genai.evals.report import Report

Share = tuple[float, float, float]  # with its two-sided 95 % interval
_LABELS, _KAPPA = 50, 0.4  # a judge gates from here on
_FAMILIES = (
    "gpt", "claude", "gemini", "gemma", "llama", "qwen", "mistral", "mixtral", "ministral",
    "deepseek", "phi", "command", "grok", "nova",
)  # fmt: skip


class Flips(msgspec.Struct, frozen=True):
    """How often a judge changed its mind on `n` answers, asked the same `times` times.

    `swap` is the share for two answers in the other order, for a judge that compares.
    """

    n: int
    times: int
    repeat: float
    swap: float | None = None


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A judge held to people on `n` answers.

    `table` counts pass and fail, a row for what people say and a column for what the judge says.
    `tpr` is the share the judge passes of what people pass, `fpr` of what they fail. `kappa` is
    None where one side said the same throughout. A value of `threshold` and more is the judge's
    pass, less being better turned round. `unmeasured` labels had no judgement.
    """

    metric: str
    judge: str
    prompt: str
    version: str
    params: dict[str, Any]
    threshold: float
    suite: str
    run: str
    labels: str
    labellers: tuple[str, ...]
    n: int
    unmeasured: int
    table: tuple[tuple[int, int], tuple[int, int]]
    kappa: float | None
    low: float | None
    high: float | None
    tpr: Share | None
    fpr: Share | None
    flips: Flips | None
    at: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Whether a judge may gate, and the sentence that says why or why not."""

    word: Literal["trusted", "uncalibrated", "stale", "too_few", "low_kappa"]
    sentence: str

    @property
    def may_gate(self) -> bool:
        """Only a trusted judge may."""
        return self.word == "trusted"


def calibration_path(evals: Path, metric: str) -> Path:
    """Say where the calibration of a metric is."""
    return evals / "judges" / f"{re.sub(r'[^A-Za-z0-9._-]', '-', metric).lstrip('.')}.json"


def calibrate(
    labelling: "Labelling", metric: Metric, tools: Tools, *, threshold: float = 0.5,
    flips: Flips | None = None,
) -> Calibration:  # fmt: skip
    """Compare a judge with the settled labels of a run; write the calibration, and give it.

    Raises:
        CaseError: no label is settled, no model judges, or another judge judged the run.
    """
    report = labelling.report
    where = f"run {report.run} of {report.suite}: `{metric.name}`"
    if not metric.judge:
        raise CaseError(f"{where}: no model judges it, so there is nothing to calibrate")
    card = report.scorecard
    head = card.metric(metric.name)
    if head is None or head.id != metric.id:
        raise CaseError(f"{where}: was measured by another judge, prompt or rubric than now; run"
                        f" it again: genai eval {report.suite}")  # fmt: skip
    verdicts = labelling.verdicts()
    judged = _passes(report, metric.name)
    both = sorted(verdicts.keys() & judged.keys())
    if not both:
        raise CaseError(f"{where}: no answer has a settled label and a judgement; label some:"
                        f" genai eval label {report.suite} --metric {metric.name}")  # fmt: skip
    people = [verdicts[case] for case in both]
    judge = [judged[case] >= threshold for case in both]
    pairs = list(zip(people, judge, strict=True))
    found = stats.agreement(people, judge)
    made = Calibration(
        metric=metric.name, **_identity(metric, tools), threshold=threshold, suite=report.suite,
        run=report.run, labels=hashlib.sha256(labelling.path.read_bytes()).hexdigest()[:12],
        labellers=tuple(labelling.people()), n=len(both), unmeasured=len(verdicts) - len(both),
        table=(
            (pairs.count((True, True)), pairs.count((True, False))),
            (pairs.count((False, True)), pairs.count((False, False))),
        ),
        kappa=found.kappa, low=found.low, high=found.high, tpr=found.hit, fpr=found.slip,
        flips=flips, at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )  # fmt: skip
    write_whole(
        calibration_path(labelling.path.parent.parent, metric.name),
        msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n",
        CaseError,
    )
    return made


def trust_of(metric: Metric, tools: Tools, evals: Path) -> Trust:
    """Say whether a metric's judge may gate, by the calibration in `evals/judges/`.

    Raises:
        CaseError: the calibration is damaged.
    """
    if not metric.judge:
        return Trust("trusted", f"`{metric.name}` needs no judge")
    path = calibration_path(evals, metric.name)
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except FileNotFoundError:
        return Trust("uncalibrated", f"the judge of `{metric.name}` was never held to people; label"
                     f" answers: genai eval label SUITE --metric {metric.name}")  # fmt: skip
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CaseError(f"evals/judges/{path.name}: cannot be read ({error}); restore it from git,"
                        " or calibrate again") from error  # fmt: skip
    changed = _changed(kept, _identity(metric, tools))
    if changed:
        return Trust("stale", f"the judge of `{metric.name}` has changed since {kept.at[:10]}:"
                     f" {changed}; calibrate it again")  # fmt: skip
    judge = f"the judge of `{metric.name}`"
    if kept.n < _LABELS:
        more = f"it takes {_LABELS}, label {_LABELS - kept.n} more"
        return Trust("too_few", f"{judge} was held to {kept.n} labels; {more}")
    if kept.kappa is None or kept.low is None or kept.high is None:
        same = f"or the people said the same of all {kept.n} answers, so kappa is undefined"
        return Trust("low_kappa", f"{judge} {same}; label answers of both kinds")
    said = f"kappa {kept.kappa:.2f} (95 % {kept.low:.2f} to {kept.high:.2f}, n {kept.n})"
    if kept.low < _KAPPA:
        floor = f"the lower bound must reach {_KAPPA}; mend its prompt"
        return Trust("low_kappa", f"{judge} agrees too little with people: {said}, {floor}")
    return Trust("trusted", f"{judge} agrees with people: {said}")


def corrected_score(labelling: "Labelling", metric: str) -> stats.Interval:
    """Give the mean that people would have given the whole run, with its 95 % interval (PPI++).

    The labels correct the judge's bias; they are a random sample of the run's own answers. A case
    without an answer has no label, and keeps what it counts as.

    Raises:
        CaseError: fewer than 2 labels, or fewer than 2 judged answers without one.
    """
    judged = _passes(labelling.report, metric)
    lost = [judged.pop(case) for case in labelling.unanswered & judged.keys()]
    verdicts = {case: word for case, word in labelling.verdicts().items() if case in judged}
    others = [value for case, value in judged.items() if case not in verdicts]
    try:
        found = stats.corrected(
            [float(word) for word in verdicts.values()], [judged[case] for case in verdicts], others
        )
    except ValueError as error:
        raise CaseError(
            f"run {labelling.report.run}: `{metric}` cannot be corrected ({error}); label some"
            " answers, and leave others to the judge"
        ) from error
    n = found.n + len(lost)
    mean, low, high = (
        (each * found.n + sum(lost)) / n for each in (found.mean, found.low, found.high)
    )
    return stats.Interval(mean, found.se * found.n / n, low, high, n, found.confidence)


async def flips_of(
    metric: Metric, trials: Iterable[Trial], tools: Tools, *, times: int = 3, threshold: float = 0.5
) -> Flips:
    """Ask the judge the same again, and a judge that compares in the other order; count the flips.

    A trial is left out where the metric does not apply or the judge cannot say. Each time is a
    request of its own, also when replayed.

    Raises:
        CaseError: nothing could be judged, or `times` is below 2.
    """
    if times < 2:
        raise CaseError(f"`times` is {times}; a judge can only change its mind from 2 on")
    swap = known_scorers()["pairwise_flip"] if metric.scorer.name == "pairwise" else None
    flipped, swapped = [], []
    for trial in trials:
        with suppress(CannotMeasure):
            said = []
            for number in range(times):
                with repeated(number):
                    said.append(await _ask(metric.scorer, trial, tools, metric.params))
            if any(value is None for value in said):
                continue
            passed = {_better(metric.scorer, float(value)) >= threshold for value in said}
            changed = None
            if swap is not None:
                with repeated(0):
                    changed = await _ask(swap, trial, tools, metric.params)
            flipped.append(len(passed) > 1)
            swapped += [] if changed is None else [bool(changed)]
    if not flipped:
        raise CaseError(
            f"`{metric.name}`: the judge could judge none of the answers twice; take another judge"
        )
    return Flips(
        len(flipped), times, sum(flipped) / len(flipped),
        sum(swapped) / len(swapped) if swapped else None,
    )  # fmt: skip


def family_warning(judge: str, task: str) -> str:
    """Warn where judge and model under test are of one family, for a judge favours its own kind.

    "" where they are not. A family is known by the model's name, such as gpt or claude.
    """
    one, other = _family(judge), _family(task)
    if not judge or one != other:
        return ""
    return f"judge {judge} and {task} are both of the family {one}; let another family judge"


def _family(name: str) -> str:
    last = name.rpartition("/")[2].partition("@")[0].lower()
    found = next((family for family in _FAMILIES if family in last), "")
    if re.match(r"o\d", last):
        found = "gpt"
    found = found or (re.match(r"[a-z]*", last) or [""])[0]
    return {"mixtral": "mistral", "ministral": "mistral"}.get(found, found) or last


async def _ask(scorer: Scorer, trial: Trial, tools: Tools, params: Mapping[str, Any]) -> Any:
    given: Any = scorer.score(trial, tools, **params)
    return as_score(await given).value


def _identity(metric: Metric, tools: Tools) -> dict[str, Any]:
    """Give what makes a judge the judge it is."""
    return {
        "judge": tools.judge_name,
        "prompt": judge_version(metric.scorer.name, tools.prompts),
        "version": metric.scorer.version,
        "params": msgspec.to_builtins(dict(metric.params)),
    }


def _changed(kept: Calibration, now: Mapping[str, Any]) -> str:
    names = {"judge": "its model", "prompt": "its prompt", "version": "its version"}
    found = [
        f"{word} was {getattr(kept, name) or 'none'} and is {now[name] or 'none'}"
        for name, word in names.items()
        if getattr(kept, name) != now[name]
    ]
    if digest(kept.params) != digest(now["params"]):
        found.append("its rubric or parameters are others")
    return ", ".join(found)


def _passes(report: "Report", metric: str) -> dict[str, float]:
    """Give what the judge said of each case's first answer, turned so that more is better.

    People label that one; a mean of several repeats is of answers that nobody has seen.
    """
    card = report.scorecard
    head = card.known(metric)
    cells = {row.case: card.cell(row, metric) for row in card.rows}
    found = {case: cell.mean for case, cell in cells.items() if cell.mean is not None}
    if any(cell.repeats > 1 for cell in cells.values()):
        found |= {case: value for case, value in _first(report, head.id).items() if case in found}
    return {case: _better(head, value) for case, value in found.items()}


def _first(report: "Report", metric: str) -> dict[str, float]:
    """Give the scores of the first answers, by case."""
    cases: dict[str, str] = {}
    said: dict[str, Any] = {}
    for path in sorted(report.folder.glob("log-*.jsonl")):
        for line in read_log(path):
            if not isinstance(line, Scores):
                cases[line.unit] = line.case_id
            elif line.unit.endswith(".0") and metric in line.values:
                said.setdefault(line.unit, line.values[metric])
    plain = {unit: kept[1] if isinstance(kept, list) else kept for unit, kept in said.items()}
    return {
        cases[unit]: float(kept) for unit, kept in plain.items() if isinstance(kept, int | float)
    }


def _better(of: Scorer | MetricHead, value: float) -> float:
    """Turn a value so that more is better."""
    return of.width - value if of.better == "lower" else value
