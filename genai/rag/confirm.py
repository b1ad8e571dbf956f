"""A model's word on whether passages support a sentence, after the check without a model."""

from collections.abc import Sequence

from genai.errors import ModelError
from genai.rag.aide import Aide, Said
from genai.types import Context, Passage


class Verdict(Said):
    """Whether one numbered claim is supported."""

    number: int
    verdict: bool


class Verdicts(Said):
    """One verdict a claim."""

    verdicts: list[Verdict]


async def confirmed(
    aide: Aide, sentence: str, passages: Sequence[Passage], context: Context
) -> bool:
    """Say whether the passages support the sentence; a reply that says neither does not.

    Raises:
        ModelError: the judge could not be asked.
    """
    claim = Passage("claim", "answer", 0, len(sentence), sentence)
    try:
        said = await aide.fill(Verdicts, context, passages=passages, claims=[claim])
    except ModelError as error:
        if error.kind in ("bad_reply", "refusal"):
            return False
        raise
    return [(each.number, each.verdict) for each in said.verdicts] == [(1, True)]
