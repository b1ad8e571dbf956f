"""Experiments planned before they are run, and whether a run kept to its plan.

A design is one file, `evals/designs/<name>.yaml`, written once: hypothesis, the one metric that
decides, margin, sample, stage, stopping rule, and the hash of the cases. Commit it before the run,
so that anybody can see which came first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from pydantic import Field

from genai.config import Settings, parse_yaml, validate
from genai.errors import CaseError, ConfigError
from genai.evals.gate import MARGINS, Decision, Stage
from genai.evals.suite import Suite
from genai.project import git

if TYPE_CHECKING:
    from genai.evals.report import Report

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Design(Settings):
    """What was decided before anything was seen.

    `margin` is on the scale of the metric, `cases` the sample, `dataset` its hash. `stopping:
    one_look` means that the first run over the whole sample decides, however it comes out.
    """

    design: str = Field(pattern=_NAME)
    suite: str = Field(pattern=_NAME)
    hypothesis: str
    metric: str
    margin: float = Field(gt=0)
    cases: int = Field(ge=1)
    baseline: str = "main"
    stage: Stage = "pull_request"
    stopping: Literal["one_look"] = "one_look"
    dataset: str
    at: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """One part of a design, whether a run kept it, and the sentence that says so."""

    part: str
    kept: bool
    sentence: str


def design_path(evals: Path, name: str) -> Path:
    """Say where a design is: `evals/designs/<name>.yaml`."""
    return evals / "designs" / f"{name}.yaml"


def write_design(
    suite: Suite, name: str, *, hypothesis: str, metric: str, margin: float, cases: int | None,
    stage: Stage = "pull_request",
) -> Design:  # fmt: skip
    """Write the design of an experiment on a suite; one that is there is never changed.

    `cases` are the first so many of the suite; None is all of them.

    Raises:
        CaseError: no hypothesis, a metric that decides nothing, more cases than there are, or the
            name is taken.
    """
    shown = f"evals/{suite.path.name}"
    path = design_path(suite.path.parent, name)
    if len(hypothesis.split()) < 3:
        raise CaseError("a design needs a hypothesis: --hypothesis 'smaller passages raise recall'")
    if metric not in suite.metrics:
        known = ", ".join(suite.metrics)
        raise CaseError(f"{shown}: `{metric}` is not one of its metrics; known: {known}")
    if not (suite.metrics[metric].gate or suite.metrics[metric].hard):
        raise CaseError(f"{shown}: `{metric}` decides nothing; set `metrics.{metric}.gate: true`")
    size = len(suite.cases)
    if cases is not None and not 1 <= cases <= size:
        raise CaseError(f"{shown}: has {size} cases, not {cases}; add cases or plan for fewer")
    if path.exists():
        raise CaseError(f"evals/designs/{path.name}: is there; a design is not changed, name"
                        " another one")  # fmt: skip
    sample = suite.only(cases)
    given = {
        "design": name, "suite": suite.name, "hypothesis": " ".join(hypothesis.split()),
        "metric": metric, "margin": margin, "cases": len(sample.cases),
        "baseline": suite.settings.gate.baseline, "stage": stage, "dataset": sample.hash,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": git(suite.path.parent, "rev-parse", "HEAD"),
    }  # fmt: skip
    try:
        design = validate(Design, given, f"evals/designs/{path.name}")
    except ConfigError as error:
        raise CaseError(str(error)) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        yaml.safe_dump(design.model_dump(), file, sort_keys=False, allow_unicode=True, width=96)
    return design


def read_design(evals: Path, name: str) -> Design:
    """Read a design. Raises `CaseError` where it is absent or wrong."""
    path = design_path(evals, name)
    shown = f"evals/designs/{path.name}"
    try:
        return validate(Design, parse_yaml(path.read_text(encoding="utf-8"), shown), shown)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(each.stem for each in path.parent.glob("*.yaml"))) or "none"
        raise CaseError(f"{shown}: cannot be read; known designs: {known}") from error
    except ConfigError as error:
        raise CaseError(str(error)) from error


def designs_of(evals: Path) -> list[Design]:
    """Read every design. Raises `CaseError` where one is wrong."""
    return [read_design(evals, path.stem) for path in sorted((evals / "designs").glob("*.yaml"))]


def designs_for(evals: Path, report: "Report") -> list[Design]:
    """Give the designs that a run can be held to: of its suite, and written before it ended."""
    found = designs_of(evals)
    return [each for each in found if each.suite == report.suite and each.at <= report.at]


def margin_of(suite: Suite, metric: str, stage: Stage) -> float:
    """Give the margin that the suite's gate will use for a metric, on the metric's scale."""
    from genai.evals.scorers.known import known_scorers

    settings, gate = suite.metrics[metric], suite.settings.gate
    if settings.margin:
        return settings.margin
    scorer = known_scorers().get(settings.scorer or metric)
    margin = gate.margin if stage == "pull_request" else gate.release_margin
    return (margin or MARGINS[stage]) * (scorer.width if scorer else 1.0)


def kept(
    design: Design, report: "Report", decision: Decision | None, others: "Sequence[Report]" = ()
) -> tuple[Promise, ...]:
    """Say part by part whether a run kept its design, each in one sentence.

    `decision` is what the gate said of the run, None where it said nothing. `others` are further
    runs of the suite: one of the same task between the design and this run was a look too many.
    """
    return (
        _dataset(design, report),
        _sample(design, report),
        _metric(design, decision),
        _margin(design, decision),
        _stage(design, decision),
        _time(design, report),
        _stopping(design, report, others),
    )


def kept_text(design: Design, promises: Sequence[Promise]) -> str:
    """Give the promises as lines for a terminal, the verdict first."""
    broken = [each for each in promises if not each.kept]
    head = f"design {design.design} was {'NOT kept' if broken else 'kept'}: {design.hypothesis}"
    lines = [f"  {'kept  ' if each.kept else 'BROKEN'}  {each.sentence}" for each in promises]
    return "\n".join([head, *lines])


def _dataset(design: Design, report: "Report") -> Promise:
    same = design.suite == report.suite and design.dataset == report.dataset
    said = f"the cases are those of the design ({design.suite}, {design.dataset})"
    if not same:
        said = (
            f"the run is on {report.suite} {report.dataset}, the design on {design.suite}"
            f" {design.dataset}"
        )
    return Promise("dataset", same, said)


def _sample(design: Design, report: "Report") -> Promise:
    if report.cases != design.cases:
        said = f"the run has {report.cases} cases, the design {design.cases}"
        return Promise("sample", False, said)
    return Promise("sample", True, f"the sample is {design.cases} cases")


def _metric(design: Design, decision: Decision | None) -> Promise:
    gating = [each.metric for each in decision.gating] if decision else []
    if design.metric in gating:
        others = f", beside {len(gating) - 1} others" if len(gating) > 1 else ""
        return Promise("metric", True, f"`{design.metric}` decides{others}")
    what = f"{', '.join(gating) or 'nothing'} decides" if decision else "the gate said nothing"
    return Promise("metric", False, f"{what}, the design says `{design.metric}`")


def _margin(design: Design, decision: Decision | None) -> Promise:
    found = [each.margin for each in decision.gating if each.metric == design.metric
             ] if decision else []  # fmt: skip
    if not found:
        return Promise("margin", False, f"no comparison used the margin {design.margin:g}")
    same = abs(found[0] - design.margin) < 1e-9
    said = f"the margin is {found[0]:g}"
    return Promise("margin", same, said if same else f"{said}, the design says {design.margin:g}")


def _stage(design: Design, decision: Decision | None) -> Promise:
    stage = decision.stage if decision else "none"
    words = design.stage.replace("_", " ")
    if stage == design.stage:
        return Promise("stage", True, f"it was judged as for a {words}")
    found = stage.replace("_", " ")
    return Promise("stage", False, f"it was judged for stage {found}, the design says {words}")


def _time(design: Design, report: "Report") -> Promise:
    # the name of a run begins with its start; one named by hand has the time of its end only
    begun = _started(report)
    if begun >= design.at:
        return Promise("order", True, f"the run began {begun}, after the design ({design.at})")
    return Promise("order", False, f"the run began {begun}, before the design ({design.at})")


def _stopping(design: Design, report: "Report", others: "Sequence[Report]") -> Promise:
    if report.stopped:
        return Promise("stopping", False, f"the run stopped early ({report.stopped})")
    looks = [
        each.run
        for each in others
        if each.run != report.run
        and (each.variant, each.dataset) == (report.variant, report.dataset)
        and design.at <= _started(each)
        and each.at <= report.at
    ]
    if looks:
        said = f"it is look {len(looks) + 1} at this task; the first was run {min(looks)}"
        return Promise("stopping", False, said)
    return Promise("stopping", True, "it is the first run of this task over the whole sample")


def _started(report: "Report") -> str:
    try:
        begun = datetime.strptime(report.run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return report.at
    return begun.strftime("%Y-%m-%dT%H:%M:%SZ")
