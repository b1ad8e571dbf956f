"""Marks of citations in a model's text: `[1]`, and the other forms in which models write them.

`[1, 2]`, `[1; 2]`, `[1-3]`, `[^1]`, `[Passage 1]` and the wide brackets of some models say the same
as `[1][2]`. Several numbers of which one is 0, as in an interval, are no mark.
"""

import re

_SEVERAL = r"[1-9]\d{0,2}(?:\s*[,;\u2013-]\s*[1-9]\d{0,2})+"
_ONE = rf"[\[\u3010]\^?(?:[Pp]assages? )?(?:{_SEVERAL}|\d{{1,3}})[\]\u3011]"
MARK = re.compile(rf"(?<!\s)\s*+{_ONE}")
LEADING = re.compile(rf"((?:{_ONE}\s*)*{_ONE})\s*")
OPENERS = "[\u3010"
# marks behind a full stop, as in a reference work: they end its sentence
CLOSING = re.compile(rf"[.!?\u2026][\"'\u201d\u2019)*_`]*(?:{_ONE})+(?=\s)")
_RANGE = re.compile(r"(\d+)(?:\s*[\u2013-]\s*(\d+))?")


def numbered(text: str) -> list[int]:
    """Give the numbers of all marks in a text, in order."""
    return [
        number
        for mark in MARK.findall(text)
        for first, last in _RANGE.findall(mark)
        for number in range(int(first), int(last or first) + 1)
    ]
