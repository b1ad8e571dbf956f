"""The changes that variants are made by: a case and a seeded generator give a changed case.

Each gives None where it does not apply.
"""

from genai.evals.edits.base import TEMPLATES, Words
from genai.evals.edits.content import (
    check_groups,
    date,
    distractor,
    fact_removed,
    names,
    negation,
    number,
    order,
)
from genai.evals.edits.surface import letter_case, markup, paraphrase, typo, whitespace

__all__ = [
    "TEMPLATES", "Words", "check_groups", "date", "distractor", "fact_removed", "letter_case",
    "markup", "names", "negation", "number", "order", "paraphrase", "typo", "whitespace",
]  # fmt: skip
