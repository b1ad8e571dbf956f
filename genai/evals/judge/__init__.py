"""Scorers that ask a model, by prompts of `prompts/judge/`; whoever changes one changes the metric.

Every judge answers yes or no about single things, never 1 to 10. What it cannot say is unmeasured
with its reason, never 0. The rules for empty texts stand in each judge's own words.
"""

from pathlib import Path

from genai.config import digest
from genai.evals.judge import answers, claims
from genai.evals.judge.ask import failure_code, read_prompt
from genai.evals.scorers.base import Scorer

ALL: tuple[Scorer, ...] = (*claims.ALL, *answers.ALL)
PROMPTS: dict[str, tuple[str, ...]] = {**claims.PROMPTS, **answers.PROMPTS}


def judge_version(name: str, prompts: Path) -> str:
    """Give the hash of the prompt files that judge `name` asks with; "" where it has none of ours.

    Raises:
        PromptError: such a file is wrong.
    """
    if name not in PROMPTS:
        return ""
    return digest([read_prompt(each, prompts).hash for each in PROMPTS[name]])


__all__ = ["ALL", "PROMPTS", "failure_code", "judge_version"]
