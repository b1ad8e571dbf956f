"""Put found passages into a better order: by an LLM, by a cross-encoder, or by your own function.

A reranker is any callable that takes a question and texts and gives a number a text, the higher
the better. It reorders and cuts; it never adds a passage.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from genai import extras
from genai.errors import ConfigError, ModelError
from genai.project import import_named
from genai.rag.aide import Aide, Said
from genai.types import Context, Hit

Reranker = Callable[[str, Sequence[str]], Any]
CANDIDATES = 20  # passages that are looked at again


class Rating(Said):
    """How useful one passage is, 0 to 10."""

    number: int
    score: float


class Ratings(Said):
    """One rating a passage."""

    ratings: list[Rating]


async def rerank(
    by: Reranker | Aide, question: str, hits: Sequence[Hit], context: Context
) -> list[float]:
    """Give a number a hit. Raises `ModelError`: it failed, or gave no number for one."""
    if isinstance(by, Aide):
        return await _rated(by, question, hits, context)
    texts = [f"{hit.passage.heading}\n{hit.passage.text}".strip() for hit in hits]
    found = await asyncio.to_thread(by, question, texts)
    given = [float(each) for each in (await found if inspect.isawaitable(found) else found)]
    if len(given) != len(hits) or any(each != each for each in given):
        raise ModelError(
            f"reranker: gave {len(given)} numbers for {len(hits)} texts, or one that is no number;"
            " it must give one a text",
            "bad_reply",
        )
    return given


async def _rated(aide: Aide, question: str, hits: Sequence[Hit], context: Context) -> list[float]:
    said = await aide.fill(
        Ratings, context, question=question, passages=[hit.passage for hit in hits]
    )
    found = {each.number: each.score for each in said.ratings}
    if set(found) != set(range(1, len(hits) + 1)) or len(said.ratings) != len(hits):
        raise ModelError(
            f"reranker {aide.model.name}: {len(hits)} ratings wanted, numbered from 1; got"
            f" {len(said.ratings)}; use a stronger model",
            "bad_reply",
        )
    return [found[number] for number in range(1, len(hits) + 1)]


def open_reranker(name: str) -> Reranker:
    """Open `cross-encoder/NAME` (sentence-transformers) or `package.module:function`.

    Raises:
        ConfigError: the name has neither form, or cannot be imported.
    """
    if name.startswith("cross-encoder/"):
        return _cross_encoder(name)
    if ":" not in name:
        raise ConfigError(
            f"configs/genai.yaml: `chain.rerank` is {name!r}; use off, judge, cross-encoder/NAME"
            " or package.module:function"
        )
    try:
        found: Reranker = import_named(name)
    except Exception as error:  # whatever a module of theirs raises when it is imported
        raise ConfigError(
            f"configs/genai.yaml: `chain.rerank`: {name!r} cannot be imported ({error}); mend the"
            " path"
        ) from error
    return found


def _cross_encoder(name: str) -> Reranker:
    loaded: list[Any] = []

    def score(question: str, texts: Sequence[str]) -> Sequence[float]:
        if not loaded:
            package = extras.load("sentence_transformers", "finetune")
            loaded.append(package.CrossEncoder(name))
        pairs = [(question, text) for text in texts]
        return [float(each) for each in loaded[0].predict(pairs, show_progress_bar=False)]

    return score
