"""Ways to judge a trial without a model, by name; judges are in `genai.evals.judge`."""

from genai.evals.scorers import (
    agent,
    grounding,
    overlap,
    rag,
    similarity,
    structure,
    text,
    values,
)
from genai.evals.scorers.base import Scorer, Tools, function_scorer, own_scorer

SCORERS: dict[str, Scorer] = {
    each.name: each
    for file in (text, values, overlap, similarity, structure, rag, grounding, agent)
    for each in file.ALL
}

__all__ = ["SCORERS", "Scorer", "Tools", "function_scorer", "own_scorer"]
