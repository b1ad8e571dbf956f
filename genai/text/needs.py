"""Tell quickly which of many patterns a text can match at all: those whose words it holds.

A pattern's needs are groups of words between `&`; whatever the pattern matches holds a word of each
group. `word` stands alone, `word*` begins a longer one, and what is not of plain letters may stand
anywhere; `~` is a text that is not ASCII.
"""

import re
from collections.abc import Sequence
from functools import reduce
from operator import or_

_RUN = re.compile(r"\w+")
_PLAIN = re.compile(r"\w+\*?", re.ASCII)
_HEAD = 3  # letters that the words in `word*` have at least
_KEPT, _MOST = 16, 30_000  # letters of a word that is remembered, and words
_GAPS = bytes(n if chr(n).isalnum() or chr(n) == "_" else ord(" ") for n in range(256))


class Needs:
    """The needs of some lists of patterns, in their order."""

    def __init__(self, *lists: Sequence[str]) -> None:
        """Take one text of groups a pattern."""
        groups: dict[frozenset[str], int] = {}
        # for each list, by the bit of a pattern's first group: its place, and the bits of all
        self._first: list[dict[int, list[tuple[int, int]]]] = []
        for needs in lists:
            first: dict[int, list[tuple[int, int]]] = {}
            for place, text in enumerate(needs):
                parts = [frozenset(part.split()) for part in text.split("&")]
                bits = [groups.setdefault(part, 1 << len(groups)) for part in parts]
                first.setdefault(bits[0], []).append((place, reduce(or_, bits)))
            self._first.append(first)
        self._heads = [reduce(or_, first, 0) for first in self._first]
        words: dict[str, int] = {}
        for group, bit in groups.items():
            for word in group:
                words[word] = words.get(word, 0) | bit
        self._foreign = words.pop("~", 0)
        self._alone: dict[str, int] = {}
        self._begun: dict[str, list[tuple[str, int]]] = {}
        self._signs: dict[str, list[tuple[str, int]]] = {}  # by a character that is no letter
        self._letters: list[tuple[str, int]] = []
        self._known: dict[str, int] = {}
        self._plain: set[str] = set()  # known, too, and of no need
        for word, mask in words.items():
            if not word.isascii():
                self._letters.append((word, mask))
            elif not _PLAIN.fullmatch(word):
                rare = next(char for char in word if not char.isalnum())
                self._signs.setdefault(rare, []).append((word, mask))
            elif word.endswith("*"):
                self._begun.setdefault(word[:_HEAD], []).append((word[:-1], mask))
            else:
                self._alone[word] = mask
        # most texts that are not ASCII hold a dash or a degree and none of these letters
        foreign = {char for word, _ in self._letters for char in word if not char.isascii()}
        self._script = re.compile(f"[{''.join(sorted(foreign))}]" if foreign else "(?!)")

    def met(self, mask: int, which: int) -> list[int]:
        """Give the places in a list of the patterns that a text of this mask can match."""
        first, places = self._first[which], []
        left = mask & self._heads[which]
        while left:
            bit = left & -left
            left ^= bit
            for place, needed in first[bit]:
                if mask & needed == needed:
                    places.append(place)
        return places

    def mask(self, lower: str) -> int:
        """Give the groups that a lower-case text holds a word of, one bit each."""
        mask = 0
        for rare, signs in self._signs.items():
            if rare in lower:
                mask |= _held(signs, lower)
        if lower.isascii():
            words = set(lower.encode().translate(_GAPS).decode().split())
        else:
            words = set(_RUN.findall(lower))
            mask |= self._foreign
            if self._script.search(lower):
                mask |= _held(self._letters, lower)
        for word in words - self._plain:
            known = self._known.get(word)
            mask |= self._look(word) if known is None else known
        return mask

    def _look(self, word: str) -> int:
        """Look at a word, and remember short ones: texts share them."""
        mask = self._alone.get(word, 0)
        for begun, bits in self._begun.get(word[:_HEAD], ()):
            if word.startswith(begun):
                mask |= bits
        if len(word) <= _KEPT and word.isalpha():
            if len(self._known) + len(self._plain) >= _MOST:
                self._known, self._plain = {}, set()
            if mask:
                self._known[word] = mask
            else:
                self._plain.add(word)
        return mask


def _held(words: Sequence[tuple[str, int]], text: str) -> int:
    mask = 0
    for word, bits in words:
        if word in text:
            mask |= bits
    return mask
