"""How far one text is supported by another, without a model.

Support is the share of a sentence's idf-weighted content words that the evidence holds, and zero
when the evidence lacks a number the sentence states.
"""

import re
from collections.abc import Callable, Sequence

from genai.text.terms import content_stems

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
Weight = Callable[[str], float]


def coverage(claim: str, evidence: Sequence[str], weight: Weight | None = None) -> list[float]:
    """Give, per evidence text, the weighted share (0..1) of the claim's words that it holds.

    A claim made of stop words alone is measured by these; one without a word is covered by
    nothing: 0. `weight` is the idf of a stem; without it all words count alike.
    """
    wanted, *held = content_stems([claim, *evidence])
    weights = {stem: weight(stem) if weight else 1.0 for stem in wanted}
    total = sum(weights.values())
    if not total:
        return [0.0] * len(evidence)
    return [sum(w for stem, w in weights.items() if stem in each) / total for each in held]


def support(claim: str, evidence: Sequence[str], weight: Weight | None = None) -> list[float]:
    """Give `coverage`, but 0 for an evidence text that lacks a number stated in the claim."""
    numbers = set(_NUMBER.findall(claim))
    return [
        share if numbers <= set(_NUMBER.findall(text)) else 0.0
        for share, text in zip(coverage(claim, evidence, weight), evidence, strict=True)
    ]
