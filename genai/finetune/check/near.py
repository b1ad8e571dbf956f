"""Find texts that are nearly the same, among many, without comparing each with each.

MinHash with 128 permutations in 32 bands of 4 (Broder 1997; Leskovec, Rajaraman, Ullman, ch. 3):
texts that share a band are compared by the Jaccard index of their real sets. The sets are 5-grams
of characters below 30 words, else 8-grams of words, and 13-grams above 500 words.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from genai import extras
from genai.evals.leaks import tokens

_PERMUTATIONS, _BANDS = 128, 32
_TRIED = 8  # candidates whose real sets are compared, the likeliest first


def normalised(text: str) -> str:
    """Give a text as its words alone: compatibility forms folded, lower case, no punctuation."""
    return " ".join(tokens(text))


def grams(text: str) -> frozenset[str]:
    """Give the set that stands for a normalised text."""
    words = text.split()
    if len(words) < 30:
        return frozenset(text[at : at + 5] for at in range(max(1, len(text) - 4)))
    size = 8 if len(words) <= 500 else 13
    return frozenset(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Give the share of what both sets hold in what either holds."""
    both = len(one & other)
    return both / (len(one) + len(other) - both) if both else 0.0


class Signatures:
    """MinHash signatures of normalised texts, and the pairs that they make likely."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._numpy: Any = extras.load("numpy", "finetune")
        self.texts = texts
        generator = self._numpy.random.default_rng(20_240_601)
        prime = (1 << 31) - 1
        self._a = generator.integers(1, prime, _PERMUTATIONS, dtype=self._numpy.uint64)
        self._b = generator.integers(0, prime, _PERMUTATIONS, dtype=self._numpy.uint64)
        self.matrix: Any = self._numpy.empty((len(texts), _PERMUTATIONS), self._numpy.uint32)
        for place, text in enumerate(texts):
            self.matrix[place] = self._signature(text)

    def _signature(self, text: str) -> Any:
        numpy = self._numpy
        hashes = numpy.fromiter(
            (zlib.crc32(each.encode()) >> 1 for each in grams(text)), numpy.uint64
        )
        mixed = (hashes[:, None] * self._a + self._b) % ((1 << 31) - 1)
        return mixed.min(axis=0).astype(numpy.uint32)

    def band_keys(self) -> Iterator[Any]:
        """Give the key of every text in each band, a band at a time."""
        rows = _PERMUTATIONS // _BANDS
        for band in range(_BANDS):
            part = self.matrix[:, band * rows : (band + 1) * rows].astype(self._numpy.uint64)
            key = part[:, 0]
            for column in range(1, rows):
                key = key * self._numpy.uint64(0x9E3779B97F4A7C15) + part[:, column]
            yield key


def near_pairs(seen: Signatures, sought: Signatures, least: float) -> dict[int, tuple[int, float]]:
    """Give for each sought text the nearest seen one at `least`, with its Jaccard index."""
    numpy: Any = extras.load("numpy", "finetune")
    likely: dict[int, list[Any]] = {}
    for keys, wanted in zip(seen.band_keys(), sought.band_keys(), strict=True):
        order = numpy.argsort(keys, kind="stable")
        ranked = keys[order]
        first = numpy.searchsorted(ranked, wanted, "left")
        last = numpy.searchsorted(ranked, wanted, "right")
        for place in numpy.nonzero(last > first)[0]:
            likely.setdefault(int(place), []).append(order[first[place] : last[place]])
    found = {}
    for place, parts in likely.items():
        candidates = numpy.unique(numpy.concatenate(parts))
        alike = (seen.matrix[candidates] == sought.matrix[place]).sum(axis=1)
        wanted_set = grams(sought.texts[place])
        best = (-1, 0.0)
        for candidate in candidates[numpy.argsort(-alike, kind="stable")[:_TRIED]]:
            share = jaccard(wanted_set, grams(seen.texts[int(candidate)]))
            best = max(best, (int(candidate), share), key=lambda each: each[1])
        if best[1] >= least:
            found[place] = best
    return found


def near_within(seen: Signatures, least: float) -> dict[int, tuple[int, float]]:
    """Give for each text an earlier one that is nearly the same, where there is one."""
    numpy: Any = extras.load("numpy", "finetune")
    found: dict[int, tuple[int, float]] = {}
    for keys in seen.band_keys():
        order = numpy.argsort(keys, kind="stable")
        same = numpy.nonzero(keys[order][1:] == keys[order][:-1])[0]
        for at in same:
            one, other = int(order[at]), int(order[at + 1])
            if other in found:
                continue
            share = jaccard(grams(seen.texts[one]), grams(seen.texts[other]))
            if share >= least:
                found[other] = (one, share)
    return found
