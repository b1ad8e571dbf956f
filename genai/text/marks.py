"""Marks of citations in a model's text: `[1]`, and the other forms in which models write them.

`[1, 2]`, `[1; 2]`, `[1-3]`, `[^1]`, `[Passage 1]` and the wide brackets of some models say the same
as `[1][2]`. Several numbers of which one is 0, as in an interval, are no mark, and neither is a
number in code, as in `argv[1]` between backticks.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

_SEVERAL = r"[1-9]\d{0,2}(?:\s*[,;\u2013-]\s*[1-9]\d{0,2})+"
_ONE = rf"[\[\u3010]\^?(?:[Pp]assages? )?(?:{_SEVERAL}|\d{{1,3}})[\]\u3011]"
_CODE = (  # between backticks or fences
    r"(?<!`)(?:(?P<tick>`{1,2}+)(?!`)(?:[^`\n]|\n(?![ \t]*\n))++(?P=tick)"
    r"|(?P<fence>`{3,}+)[^`]++(?P=fence))(?!`)"
)
# some models write a mark as code
_MARK = re.compile(rf"(?P<mark>(?<!\s)\s*+(?:{_ONE}|`(?:{_ONE})+`))|{_CODE}")
LEADING = re.compile(rf"((?:{_ONE}\s*)*{_ONE})\s*")
OPENERS = "[\u3010"
# marks behind a full stop, as in a reference work: they end its sentence
CLOSING = re.compile(rf"[.!?\u2026][\"'\u201d\u2019)*_`]*(?:{_ONE})+(?=\s)")
_RANGE = re.compile(r"(\d+)(?:\s*[\u2013-]\s*(\d+))?")


def numbered(text: str) -> list[int]:
    """Give the numbers of all marks in a text, in order, each once."""
    found: list[int] = []
    left = list(range(1000))  # a mark's numbers have three digits at most
    for mark in _marks(text):
        for first, last in _RANGE.findall(mark):
            start, end = bisect_left(left, int(first)), bisect_right(left, int(last or first))
            found += left[start:end]
            del left[start:end]
    return found


def strip_marks(text: str, place: str = "", keep: Callable[[str], bool] | None = None) -> str:
    """Give a text with `place` for each of its marks, except those that `keep` keeps."""

    def put(found: re.Match[str]) -> str:
        mark = found["mark"]
        return found[0] if mark is None or (keep and keep(mark)) else place

    return _MARK.sub(put, text)


def _marks(text: str) -> Iterator[str]:
    return (found["mark"] for found in _MARK.finditer(text) if found["mark"])
