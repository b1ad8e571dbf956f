"""How far one text is supported by another, without a model.

Support is the share of a sentence's idf-weighted content words that the evidence holds, and zero
when the evidence lacks a number the sentence states; `30,000`, `30.000` and `30 000` are the same,
and evidence that says `five` holds a 5.
"""

import re
from collections.abc import Callable, Sequence

from genai.text.numerals import with_digits
from genai.text.terms import content_stems

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SPACED = re.compile(r"(?<![\d.,:])\d{1,3}(?:[ \u00a0\u2009\u202f'\u2019]\d{3})+(?!\d)")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+|[1-9]\d{0,2}(?:,\d{3})+")
_FRACTION = re.compile(rf"({_THOUSANDS.pattern})([.,]\d+)")
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
    evidence = [with_digits(text) for text in evidence]
    wanted = [_numbers(each) for each in (claim, _joined(claim))]
    held = [_numbers(text) | _numbers(_joined(text)) for text in evidence]
    return [
        share if any(each <= stated for each in wanted) else 0.0
        for share, stated in zip(coverage(claim, evidence, weight), held, strict=True)
    ]


def _numbers(text: str) -> set[str]:
    return {_plain(each) for each in _NUMBER.findall(text)}


def _plain(number: str) -> str:
    """Write a number in the one way: a point before the fraction, and nothing between thousands."""
    whole = _THOUSANDS.fullmatch(number)
    parted = _FRACTION.fullmatch(number)
    if whole:
        return re.sub("[.,]", "", number)
    if parted and parted[2][0] not in parted[1]:
        return f"{re.sub('[.,]', '', parted[1])}.{parted[2][1:]}"
    return number.replace(",", ".")


def _joined(text: str) -> str:
    """Give a text whose thousands stand together; between them may be a space."""
    return _SPACED.sub(lambda found: re.sub(r"\D", "", found[0]), text)
