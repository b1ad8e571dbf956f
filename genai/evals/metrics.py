"""The metrics of a suite, ready to judge: each with its scorer and an identity.

Two runs may be compared on a metric only where its identity is the same: scorer, version,
parameters, and the embedder or the judge and its prompt where it needs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from genai.config import digest
from genai.evals.scorers import Scorer, Tools, own_scorer
from genai.evals.scorers.known import known_scorers
from genai.evals.suite import AGGREGATES, MetricSettings, Suite

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

    @property
    def judge(self) -> bool:
        """Whether a model judges."""
        return "judge" in self.scorer.needs


def bind(suite: Suite, tools: Tools, root: Path) -> list[Metric]:
    """Give the metrics of a suite with their scorers. Raises `CaseError`."""
    found = []
    for name, settings in suite.metrics.items():
        scorer_name, statistic = AGGREGATES.get(name, (settings.scorer or name, "mean"))
        if ":" in scorer_name:
            scorer = own_scorer(name, scorer_name, root)
        else:
            scorer = known_scorers()[scorer_name]
        if settings.max is not None and settings.min is None and "judge" not in scorer.needs:
            scorer = replace(scorer, better="lower")  # people label what a judge says yes to
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
