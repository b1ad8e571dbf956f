"""Find instructions that text smuggles to a model: overrides, forged roles, hidden characters.

Rules catch the known shapes, in plain text and behind disguises (`genai.text.plain`). They are one
layer: the prompt's fence and the citation check are the others. A phrase that stands in quotes or
backticks is talked about, not said, and does not count.
"""

import re
from collections.abc import Iterable, Sequence

from genai.text.plain import View, lowered, views
from genai.text.rules import NEEDS, OF_QUESTIONS, OF_RULES, RULES
from genai.types import Span

# with the spaces gone only the core of the wish is looked for
_SQUEEZED = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)(?:all|any|the|your|my|previous|prior|earlier"
    r"|above"
    r"|system|of|safety){0,6}(?:instructions?|prompts?|rules|guidelines|directives)"
    r"|(?:reveal|print|show|repeat)(?:me)?(?:your|the)(?:system|hidden|secret)(?:prompt"
    r"|instructions)",
)
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"


def find_injection(
    text: str,
    *,
    quoted_counts: bool = False,
    of_answer: bool = False,
    behind: Sequence[View] | None = None,
    rules: Iterable[int] | None = None,
) -> list[Span]:
    """Give the spans of smuggled instructions. `kind` is the rule family; scores are 1.

    In a question a quoted phrase counts too (`quoted_counts`); in a document it does not. An
    answer is not looked at for the ways of asking (`of_answer`). `behind` are the text's views
    and `rules` those that it can match, where they are known.
    """
    found = _scan(text, quoted_counts, of_answer, rules)
    for view in views(text) if behind is None else behind:
        lower = lowered(view.text)
        squeezed = _SQUEEZED.finditer(lower) if view.kind == "spaced" else ()
        places = [match.span() for match in squeezed]
        disguised = view.kind == "disguised"  # still a text that may quote
        marks = _scan(view.text, quoted_counts or not disguised, of_answer)
        for place in places:
            found.add(_mark(view.span(*place), "hidden"))
        for mark in marks:
            if view.kind in ("leet", "respelt") and _is_plain(text, view, mark):
                continue
            kind = mark.kind if disguised else "hidden"
            found.add(_mark(view.span(mark.start, mark.end), kind))
    return sorted(found, key=lambda span: (span.start, span.end))


def _is_plain(text: str, view: View, mark: Span) -> bool:
    """Say whether nothing is disguised there: then the plain text was judged, quotes and all."""
    start, end = view.span(mark.start, mark.end)
    return text[start:end] == view.text[mark.start : mark.end]


def _mark(where: tuple[int, int], kind: str) -> Span:
    return Span(*where, kind, 1.0, "[removed]")


def _scan(
    text: str, quoted_counts: bool, of_answer: bool, rules: Iterable[int] | None = None
) -> set[Span]:
    lower = lowered(text)
    found = set()
    for place in NEEDS.met(NEEDS.mask(lower), OF_RULES) if rules is None else rules:
        if of_answer and place >= OF_QUESTIONS:
            continue
        kind, pattern, bounded = RULES[place]
        for match in pattern.finditer(lower):
            start, end = match.span()
            if bounded and start and (lower[start - 1].isalnum() or lower[start - 1] == "_"):
                continue
            if quoted_counts or kind == "hidden" or not is_quoted(text, start, end):
                found.add(_mark((start, end), kind))
    return found


def is_quoted(text: str, start: int, end: int) -> bool:
    """Say whether an opening quote stands shortly before and a closing one shortly after."""
    before = text[max(0, start - 80) : start].rsplit("\n", 1)[-1]
    after = text[end : end + 120].split("\n", 1)[0]
    opened = any(before.count(q) % 2 == 1 for q in '"`') or any(q in before for q in "\u201c\u00ab")
    return (opened or before.rstrip()[-1:] in tuple(_QUOTES)) and any(q in after for q in _QUOTES)
