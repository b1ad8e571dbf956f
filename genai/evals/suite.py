"""A suite: cases, the metrics that judge them, and what decides."""

import difflib
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from genai.config import Settings, parse_yaml, validate
from genai.errors import CaseError, ConfigError
from genai.errors import shown as settings_name
from genai.evals import read
from genai.evals.case import Case, dataset_hash, document_text, squeeze

# measured over the whole run: name -> (scorer, statistic)
AGGREGATES: Mapping[str, tuple[str, str]] = {
    "cost_per_case": ("cost", "mean"),
    "latency_p50": ("seconds", "p50"),
    "latency_p95": ("seconds", "p95"),
    "tokens_per_case": ("tokens", "mean"),
}
# scorers of ours that give amounts; the others give shares
_AMOUNTS = {*(scorer for scorer, _ in AGGREGATES.values()), "output_tokens", "ttft"}


class MetricSettings(Settings):
    """One metric: which scorer, with which parameters, and what it must reach.

    `min` and `max` are limits that stand alone; `gate: true` compares with the baseline. `hard`
    forgives nothing: a case that passed before may not fail. `where` keeps to cases with a tag.
    """

    scorer: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    min: float | None = None
    max: float | None = None
    gate: bool = False
    hard: bool = False
    margin: float | None = Field(default=None, gt=0)
    show: bool = False
    where: str = ""

    @model_validator(mode="after")
    def _some(self) -> "MetricSettings":
        if self.min is None and self.max is None and not (self.gate or self.hard or self.show):
            raise ValueError("needs `min` or `max`, `gate: true`, or `show: true`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min:g} is above `max` {self.max:g}")
        return self


class GateSettings(Settings):
    """What the comparison with a baseline allows: margins by stage, 0.05 for 5 points of 100."""

    baseline: str = "main"
    margin: float = Field(default=0.05, gt=0, lt=1)
    release_margin: float = Field(default=0.02, gt=0, lt=1)


class CaseFile(Settings):
    """A file of cases beside the suite; `format` names the tool whose columns it has."""

    path: str
    format: str = ""


class SuiteSettings(Settings):
    """The whole of `evals/<suite>.yaml`.

    `task`: `chain` (the configured one), `model`, or `module:function`. `source` is the folder
    of the documents that gold quotes stand in. `spend` is the most dollars one run may cost.
    """

    suite: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: int = 1
    description: str = ""
    licence: str = ""
    task: str = "chain"
    source: str = "docs"
    judge: str = ""
    metrics: dict[str, MetricSettings] = Field(min_length=1)
    gate: GateSettings = GateSettings()
    repeats: int = Field(default=1, ge=1, le=100)
    seconds: float = Field(default=120.0, gt=0, description="the longest one case may take")
    concurrency: int | None = Field(default=None, ge=1)
    spend: str | None = Field(default=None, pattern=r"^\d{1,9}(\.\d{1,9})?$")
    files: list[CaseFile] = Field(default_factory=list)
    cases: list[Any] = Field(default_factory=list)

    @field_validator("files", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        given = [given] if isinstance(given, str) else given
        if not isinstance(given, list):
            return given
        return [{"path": each} if isinstance(each, str) else each for each in given]

    @model_validator(mode="after")
    def _gate_is_small(self) -> "SuiteSettings":
        gating = [name for name, each in self.metrics.items() if each.gate]
        if len(gating) > 5:
            raise ValueError(f"{len(gating)} metrics gate; choose 5 at the most, show the others")
        return self


@dataclass(frozen=True)
class Suite:
    """A suite as read: its settings and its checked cases."""

    name: str
    settings: SuiteSettings
    cases: Sequence[Case]
    path: Path

    @functools.cached_property
    def hash(self) -> str:
        """12 hex digits over the cases; neither order nor file form nor limits matter."""
        return dataset_hash(self.cases)

    @property
    def metrics(self) -> Mapping[str, MetricSettings]:
        """The metrics by name."""
        return self.settings.metrics

    @property
    def root(self) -> Path:
        """The project's folder; of a suite that stands in no `evals`, its own."""
        folder = self.path.parent
        return folder.parent if folder.name == "evals" else folder

    @property
    def source(self) -> Path:
        """The folder that holds the documents of gold quotes."""
        return self.path.parent.parent / self.settings.source

    @property
    def gating(self) -> list[str]:
        """The metrics that decide against a baseline."""
        return [name for name, each in self.metrics.items() if each.gate or each.hard]

    def only(self, limit: int | None = None, tag: str = "") -> "Suite":
        """Keep the cases with a tag, and the first so many of them. `CaseError` where none has."""
        cases = [case for case in self.cases if not tag or tag in (*case.tags, *case.risks)]
        if not cases:
            known = sorted({each for case in self.cases for each in (*case.tags, *case.risks)})
            close = difflib.get_close_matches(tag, known, n=1)
            hint = (
                f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known) or 'none'}"
            )
            raise CaseError(f"suite {self.name}: no case has the tag `{tag}`; {hint}")
        return replace(self, cases=cases[:limit])


def load_suite(path: Path) -> Suite:
    """Read a suite and check every case.

    Raises:
        CaseError: broken YAML, a wrong key, a duplicate id, an unknown metric, or a gold quote
            that its document does not hold; names file and case, and in the suite the line.
    """
    shown = settings_name(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise CaseError(f"{shown}: no such suite; known: {known}") from error
    except UnicodeDecodeError as error:
        raise CaseError(f"{shown}: is not UTF-8 ({error.reason}); save it as UTF-8") from error
    try:
        settings = validate(SuiteSettings, parse_yaml(text, shown), shown)
    except ConfigError as error:
        raise CaseError(str(error)) from error
    cases = read.inline(settings.cases, text, shown) if settings.cases else []
    lines = zip((case.id for case in cases), read.lines_of(text), strict=False)
    places = {name: f"{shown}: line {line}" for name, line in lines}
    parts = [(shown, cases)] if cases else []
    for file in settings.files:
        name = f"{path.parent.name}/{file.path}"
        found = read.from_file(path.parent / file.path, name, file.format)
        places |= dict.fromkeys((case.id for case in found), name)
        parts.append((name, found))
    cases = read.joined(parts)
    if not cases:
        raise CaseError(f"{shown}: has no case; give `cases` or `files`")
    settings = settings.model_copy(update={"cases": []})
    suite = Suite(settings.suite, settings, cases, path)
    _check_metrics(suite, shown)
    _check_gold(suite, shown, places)
    return suite


def _check_metrics(suite: Suite, shown: str) -> None:
    from genai.evals.scorers.known import known_scorers

    known = known_scorers()
    for name, metric in suite.metrics.items():
        scorer = metric.scorer or name
        if name not in AGGREGATES and ":" not in scorer and scorer not in known:
            close = difflib.get_close_matches(scorer, [*known, *AGGREGATES], n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"
            raise CaseError(f"{shown}: `{scorer}` is not a metric; {hint}")
        statistic = AGGREGATES[name][1] if name in AGGREGATES else "mean"
        if statistic != "mean" and (metric.gate or metric.hard or metric.min is not None):
            raise CaseError(
                f"{shown}: `metrics.{name}`: is one number of the whole run, which has no pairs to"
                " compare; give `max`, or `show: true`"
            )
        if problem := out_of_range(name, metric):
            raise CaseError(f"{shown}: `metrics.{name}.{problem}")
        if metric.where and not any(metric.where in (*c.tags, *c.risks) for c in suite.cases):
            raise CaseError(
                f"{shown}: `metrics.{name}.where`: no case has the tag {metric.where!r}"
            )


def out_of_range(name: str, metric: MetricSettings) -> str:
    """Say which limit of a metric of ours no value of it can be near; '' where none is so."""
    scorer = AGGREGATES[name][0] if name in AGGREGATES else metric.scorer or name
    most, what = math.inf, "0 or more, the amount"
    if scorer not in _AMOUNTS:
        most, what = 1.0, "0 to 1, the share"
    for key in ("min", "max", "margin"):
        value = getattr(metric, key)
        if ":" not in scorer and value is not None and not 0 <= value <= most:
            return f"{key}`: must be {what} that `{scorer}` gives (got {value:g})"
    return ""


def _check_gold(suite: Suite, shown: str, places: Mapping[str, str]) -> None:
    texts: dict[str, str | None] = {}
    grounded = any("gold" in needs for needs in _needs(suite))
    for case in suite.cases:
        where = places.get(case.id, shown)
        if grounded and case.kind and case.expect == "answer" and not case.gold:
            raise CaseError(f"{where}: case `{case.id}` expects an answer; give `gold`")
        for gold in case.gold:
            path = suite.source / gold.document
            if gold.document not in texts:
                if not path.is_file():
                    raise CaseError(
                        f"{where}: case `{case.id}`: {suite.settings.source}/{gold.document}"
                        " does not exist"
                    )
                texts[gold.document] = document_text(path)
            text, quote = texts[gold.document], squeeze(gold.quote)
            if len(gold.quote) < 3 or (text is not None and quote not in text):
                raise CaseError(
                    f"{where}: case `{case.id}`: {gold.document} does not hold"
                    f" {gold.quote!r}; mend the quote"
                )


def _needs(suite: Suite) -> list[tuple[str, ...]]:
    from genai.evals.scorers.known import known_scorers

    known = known_scorers()
    chosen = [metric.scorer or name for name, metric in suite.metrics.items()]
    return [known[name].needs for name in chosen if name in known]
