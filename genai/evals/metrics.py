"""The metrics of a suite, ready to judge: each with its scorer and an identity.

Two runs may be compared on a metric only where its identity is the same: scorer, version,
parameters, and the embedder or the judge and its prompt where it needs them.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from genai.config import digest
from genai.errors import GenaiError
from genai.evals.case import Case
from genai.evals.scorers import Scorer, Tools, own_scorer
from genai.evals.scorers.base import Result
from genai.evals.scorers.known import known_scorers
from genai.evals.suite import AGGREGATES, MetricSettings, Suite
from genai.evals.trial import CannotMeasure, Trial, as_score

Statistic = Literal["mean", "p50", "p95"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a suite. `id` changes when its meaning does."""

    name: str
    scorer: Scorer
    params: Mapping[str, Any]
    settings: MetricSettings
    statistic: Statistic
    id: str

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return -1 if self.scorer.better == "lower" else 1

    def wants(self, case: Case) -> bool:
        """Say whether the case has the tag that the metric keeps to."""
        tag = self.settings.where
        return not tag or tag in (*case.tags, *case.risks)

    @property
    def judge(self) -> bool:
        """Whether a model judges."""
        return "judge" in self.scorer.needs


def bind(suite: Suite, tools: Tools, root: Path) -> list[Metric]:
    """Give the metrics of a suite with their scorers. Raises `CaseError`."""
    found = []
    for name, settings in suite.metrics.items():
        scorer_name, statistic = AGGREGATES.get(name, (settings.scorer or name, "mean"))
        own = ":" in scorer_name
        scorer = own_scorer(name, scorer_name, root) if own else known_scorers()[scorer_name]
        turned = scorer.better == "higher" and "judge" not in scorer.needs
        turned &= settings.max is not None and settings.min is None
        if turned:  # a judge is not: people label what it says yes to
            scorer = replace(scorer, better="lower")
        if own or turned:
            scorer = replace(scorer, score=_wrong_where_failed(scorer))
        params = {**scorer.params, **settings.params}
        identity = [scorer_name, scorer.version, params, statistic, settings.where]
        if "embed" in scorer.needs:
            identity.append(tools.embed_name)
        if "judge" in scorer.needs:
            from genai.evals.judge import judge_version

            identity += [tools.judge_name, judge_version(scorer_name, tools.prompts)]
        bound = Metric(name, scorer, params, settings, statistic, digest(identity))  # type: ignore[arg-type]
        found.append(bound)
    return found


def _wrong_where_failed(scorer: Scorer) -> Callable[..., Awaitable[Result]]:
    """Have a failed trial count as wrong where a scorer that was not told of it applies.

    It sees an empty answer, which holds no rude word, is short and leaks nothing.
    """

    async def score(trial: Trial, tools: Tools, **params: Any) -> Result:
        failed = trial.state == "failed"
        try:
            given = scorer.score(trial, tools, **params)
            given = await given if isinstance(given, Awaitable) else given
        except Exception as error:
            if not failed or isinstance(error, CannotMeasure | GenaiError):
                raise
            given = 0.0  # it cannot read an empty answer
        value = as_score(given).value if failed else None
        if value is None or isinstance(value, str):
            return given
        if scorer.better == "higher":
            return False if isinstance(value, bool) else min(value, 0.0)
        if isinstance(value, bool):
            return True
        raise CannotMeasure("missing_field", "the task failed, so there is nothing to count")

    return score
