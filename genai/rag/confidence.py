"""How likely the passages hold an answer, said before any model is called.

Four signals of the best passages, each from 0 to 1 and each to be explained in a sentence, are
added with weights and squeezed into 0..1. The weights are settings (`chain.confidence`), fitted on
half of a public reading set; `genai index calibrate` fits them to your own questions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from genai.text.sentences import sentences
from genai.text.support import Weight
from genai.text.terms import content_stems
from genai.types import Hit

SIGNALS = "signals-1"  # part of a calibration's identity: change it when a signal changes
SEEN = 6  # passages that count: the weights were fitted on six


@dataclass(frozen=True, slots=True)
class Signals:
    """What is seen of a question's passages.

    `sentence`: how well the best passage says it: the largest share of the question's words (by
    idf) that one of its sentences holds, and the embedding's similarity, half each.
    `lead`: how much better a passage of the first document fits than any passage of another one,
    by the words it holds and its similarity, half each; below 0 where another fits better.
    `together`: the share of the passages that stand in the first one's document.
    `drop`: how far the full-text score falls after the best passage.
    """

    sentence: float = 0.0
    lead: float = 0.0
    together: float = 0.0
    drop: float = 0.0


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight of each signal, and the sum to start from."""

    start: float
    sentence: float
    lead: float
    together: float
    drop: float

    def confidence(self, seen: Signals | None) -> float:
        """Give 0..1; 0 where nothing was found."""
        if seen is None:
            return 0.0
        sums = self.start + sum(share for share in self.shares(seen).values())
        return 1 / (1 + math.exp(-min(max(sums, -700.0), 700.0)))

    def shares(self, seen: Signals) -> Mapping[str, float]:
        """Give what each signal adds to the sum, to explain a confidence."""
        return {name: getattr(self, name) * value for name, value in asdict(seen).items()}


def look(question: str, hits: Sequence[Hit], weight: Weight) -> Signals | None:
    """Give the signals of the best passages; None where nothing was found.

    `weight` is the idf of a stem.
    """
    hits = hits[:SEEN]
    if not hits:
        return None
    passages = [hit.passage for hit in hits]
    cut = [[p.text[a:b] for a, b in sentences(p.text)] or [p.text] for p in passages]
    whole = [f"{p.heading}\n{p.text}" for p in passages]
    wanted, *held = content_stems([question, *whole, *(text for texts in cut for text in texts)])
    weights = {stem: weight(stem) for stem in wanted}
    total = sum(weights.values()) or 1.0
    shares = [sum(w for stem, w in weights.items() if stem in each) / total for each in held]
    by_sentence = iter(shares[len(hits) :])
    said = [max(next(by_sentence) for _ in texts) for texts in cut]
    first = passages[0].document
    fits = [_with_similarity(share, hit) for share, hit in zip(shares, hits, strict=False)]
    by_passage = list(zip(passages, fits, strict=True))
    inside = [each for passage, each in by_passage if passage.document == first]
    outside = [each for passage, each in by_passage if passage.document != first]
    return Signals(
        sentence=max(_with_similarity(share, hit) for share, hit in zip(said, hits, strict=True)),
        lead=max(inside) - max(outside, default=0.0),
        together=len(inside) / len(hits),
        drop=_drop(hits),
    )


def _with_similarity(share: float, hit: Hit) -> float:
    """Join words and embedding; without embeddings the words count alone."""
    return share if hit.dense is None else (share + min(max(hit.dense, 0.0), 1.0)) / 2


def _drop(hits: Sequence[Hit]) -> float:
    scores = sorted((hit.bm25 or 0.0 for hit in hits), reverse=True)
    if len(scores) == 1 or scores[0] <= 0:
        return 0.0
    return 1 - fmean(scores[1:]) / scores[0]
