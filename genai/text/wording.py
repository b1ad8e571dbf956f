"""Find words in context: insults that are aimed at somebody, slurs on a group, calls to hurt."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from genai.text.plain import lowered
from genai.types import Span

_AIM = r"(?:you(?:'re| are)?(?: all)?|he(?:'s| is)|she(?:'s| is)|they(?:'re| are)|your|these|those)"
_BETWEEN = (
    r"(?:\s+(?:such|a|an|the|so|really|just|nothing|but|all|fucking|bloody|absolute|complete|total"
)
_BETWEEN += r"|little|are|is|people)){0,4}"
# who is reported, quoted or asked about says no such thing here
_REPORTED = re.compile(
    r"(?:\b(?:the\s+(?:word|term|phrase|insult)|called|calls|calling|says?|said|means?|mean|meaning"
    r"|define|definition|translate|why\s+is|is\s+it|report(?:ed|s)?|example\s+of"
    r"|slur)\b[^.!?\n]{0,40}"
    r"|[\"'`\u201c\u2018])$"
)


@lru_cache(maxsize=32)
def _patterns(alone: str, aimed: str, people: str) -> list[re.Pattern[str]]:
    """Give patterns for text in lower case that begin with their words: so the engine may skip."""
    made = []
    if alone:
        made.append(rf"(?:{alone})\b")
    if aimed:
        made.append(rf"{_AIM}{_BETWEEN}\s+(?:{aimed})\b")
        made.append(rf"(?:{aimed})\s+(?:like\s+)?you\b")
    if people and aimed:
        made.append(rf"(?:{people})\s+(?:are|is|were){_BETWEEN}\s+(?:{aimed})\b")
    return [re.compile(pattern) for pattern in made]


def find_wording(text: str, categories: Mapping[str, Mapping[str, Sequence[str]]]) -> list[Span]:
    """Give the spans of toxic or biased wording; `kind` is the category.

    A category has words that count `alone`, words that count when they are `aimed` at somebody, and
    `people` of whom nobody may say the aimed words. A word only talked about does not count.
    """
    found = []
    lower = lowered(text)
    for category, lists in categories.items():
        joined = ("|".join(lists.get(name, ())) for name in ("alone", "aimed", "people"))
        for pattern in _patterns(*joined):
            for match in pattern.finditer(lower):
                start, end = match.span()
                if start and (lower[start - 1].isalnum() or lower[start - 1] == "_"):
                    continue
                if not _REPORTED.search(lower[max(0, start - 60) : start]):
                    found.append(Span(start, end, category, 1.0, "[removed]"))
    return sorted(set(found), key=lambda span: (span.start, span.end))
