"""Find orders in a document: sentences that tell its reader's assistant what to say, do or hide.

A document informs; one that was planted commands. No single word tells them apart, so the signs of
a command are added up, sentence by sentence: whose answer it speaks of, when it wants to be obeyed,
what is to be said, done or kept quiet, and what it claims to outrank. The weights were chosen on
attacks and on documentation written apart from those that the figures are of. A planted sentence
without any of these signs is not found.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from genai.text.commands import ELSEWHERE
from genai.text.rules import NEEDS, OF_ELSEWHERE, OF_SIGNS, PATTERNS, WEIGHTS, looked
from genai.types import Span

_LONGEST = 500
_ENOUGH = 2.2  # of one sentence, or with half of the one before
_SOME = 1.2
_SLACK = 1e-9  # sums of tenths in another order may differ in the last digit


def find_orders(lower: str, parts: Sequence[tuple[int, int, int]] | None = None) -> list[Span]:
    """Give the sentences of a lower-case text that give orders, with scores from .5 to 1.

    `parts` are its sentences with their masks, where they are known.
    """
    found = []
    parts = looked(lower) if parts is None else parts
    if NEEDS.met(reduce(or_, (mask for *_, mask in parts), 0), OF_ELSEWHERE):
        found = [Span(*m.span(), "order", 1.0, "[removed]") for m in ELSEWHERE.finditer(lower)]
    before = 0.0
    for start, end, mask in parts:
        if end - start > _LONGEST:
            before = 0.0
            continue
        weight = weigh(lower[start:end], _SOME, mask)
        pair = weight + before / 2 if min(weight, before) >= _SOME else 0.0
        if max(weight, pair) >= _ENOUGH:
            score = min(1.0, 0.6 + (max(weight, pair) - _ENOUGH) / 4)
            found.append(Span(start, end, "order", round(score, 3), "[removed]"))
        before = weight
    return found


def weigh(sentence: str, least: float, mask: int) -> float:
    """Add up the signs of a command in a lower-case sentence; a sum below `least` counts as 0.

    `mask` is the sentence's own, as `NEEDS.mask` gives it.
    """
    signs = NEEDS.met(mask, OF_SIGNS)
    left = sum(max(WEIGHTS[sign], 0.0) for sign in signs) + _SLACK
    if left < least:
        return 0.0
    held = []
    for sign in sorted(signs, key=WEIGHTS.__getitem__, reverse=True):
        if PATTERNS[sign].search(sentence):
            held.append(sign)
        else:
            left -= max(WEIGHTS[sign], 0.0)
            if left < least:
                return 0.0
    total = sum(WEIGHTS[sign] for sign in sorted(held))
    return total if total >= least else 0.0
