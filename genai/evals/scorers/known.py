"""Every scorer that a suite may name."""

import functools
from collections.abc import Mapping

from genai.evals.scorers import SCORERS, Scorer


@functools.cache
def known_scorers() -> Mapping[str, Scorer]:
    """Give every scorer that has a name: the deterministic ones, the judges, those of ragas."""
    from genai.evals.judge import ALL as JUDGES
    from genai.evals.ragas import ALL as RAGAS

    return {**SCORERS, **{each.name: each for each in (*JUDGES, *RAGAS)}}
