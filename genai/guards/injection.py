"""The guard for instructions that text smuggles to the model."""

import re
from collections.abc import Sequence
from dataclasses import replace

from genai.guards.base import Scope
from genai.text.injection import find_injection, is_quoted
from genai.text.nearest import Boundary
from genai.text.orders import find_orders, weigh
from genai.text.plain import View, lowered, respelt, views
from genai.text.rules import ADDRESS, NEEDS, OF_APPEALS, WISH, looked, possible, recut
from genai.text.sentences import sentences
from genai.types import Place, Span

_WORDS = {
    "override": "it tries to override the assistant's instructions",
    "reveal": "it asks for the hidden instructions",
    "role": "it forges a chat role or speaks to the model",
    "exfiltration": "it tries to send data out",
    "tool": "it tries to misuse a tool",
    "hidden": "it holds hidden or encoded text",
    "order": "it tells the assistant what to say or do",
    "nearest": "it reads like known attacks",
}
_SHORT, _LONG = 20, 400  # characters of a sentence that is compared by meaning
# a question's sentence is compared only where it speaks of what holds a model back or was told it
_CONTROL = re.compile(
    r"\b(?:rul(?:e|es|ez)|guidelines?|guidance|polic(?:y|ies)|restrict\w*|filter\w*|limit(?:s|ations?|less)?"
    r"|boundaries|safeguards?|safety|guardrails?|censor\w*|ethic\w*|moral\w*|instruct\w*|directives?"
    r"|prompts?|moderation|disclaimers?|warnings?|refus\w*|decline|apologi[sz]e|forbid\w*|forbidden"
    r"|allowed|permission\w*|authori[sz]e\w*|briefing|configur\w*|setup|operators?|developers?|protections?"
    r"|enforcement|unfiltered|uncensored|unrestricted|unlimited|jail\w*|bypass|ignor\w*|disregard"
    r"|obey\w*|overrid\w*|hidden|confidential|initial|told\s+(?:me|you|before|not)|persona|character"
    r"|pretend|(?:true|real|other)\s+(?:self|name)|free\s+mind|no\s+(?:limits|filters|rules)|mode"
    r"|comply|compliance|oblige\w*|freely|verbatim|word\s+for\s+word|first\s+(?:sentence|message|letters?)"
    r"|precedes|concatenat\w*|execute|cannot|swap\s+roles)\b",
)
_STRICTER = 0.15  # documents are many and say many things
_ORDERLY = 0.8  # signs of a command that such a sentence has besides
# a picture of a document whose address stands for itself; one that is to be filled in does not
_PICTURE = re.compile(r"(?:!\[[^\]]*|<img\b[^<]*)[^{}$<\[]*\?\w{1,20}=\Z", re.IGNORECASE)
# what a sentence quotes it talks about; the values of JSON follow a colon and do count
_QUOTED = re.compile(
    r"(?<=[a-z,] )(?:\"[^\"\n]{1,200}\"|\u201c[^\u201d\n]{1,200}\u201d|`[^`\n]{1,200}`)"
)
_ENDED = re.compile(
    r"[.!?\u2026\u061f\u06d4\u0964\u0965][\"'\u201d\u2019)\]*_`]*(?:\s|$)|[\u3002\uff01\uff1f\uff61]"
)
_INSTALL = re.compile(r"\|\s*(?:ba)?sh\b")
_FILLED_IN = re.compile(
    r"[\w%+-]{0,20}(?:secret|data|history|conversation|context|token|password|user|prompt|question"
    r"|message|answer|summary|name|mail|query|text)|(?-i:[A-Z_]{3,}\b)|[^\s)\"'&>]{0,20}[{<\[$]",
    re.IGNORECASE,
)


class InjectionGuard:
    """Finds overrides, forged roles, hidden characters, exfiltration, and kin of known attacks.

    What a rule finds has the score 1; a sentence like known attacks the score of the boundary
    between attacks and harmless sentences.
    """

    name = "injection"
    scope: Scope = "span"
    quick = True
    threshold = 0.6

    def __init__(self, boundary: Boundary | None = None) -> None:
        self._boundary = boundary

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the spans of injected instructions; in a question a quoted one counts too."""
        asked = place in ("question", "tool_call")
        behind = tuple(views(text))
        if place == "question" and (right := respelt(text)) is not None:
            behind += (right,)
        lower = lowered(text)
        parts = looked(lower) if place == "passage" else None
        found = find_injection(
            text,
            quoted_counts=asked,
            of_answer=place == "answer",
            behind=behind,
            rules=None if parts is None else possible(lower, parts),
        )
        if parts is not None:  # to give orders is what a question is for, not a document
            found = [span for span in found if not _is_shown(text, span)]
            found += _orders(text, parts, behind)
        if self._boundary is None or found:
            return found
        if place != "question":
            places = _appeals(lower, looked(lower) if parts is None else parts)
            return self._kin(text, places, _STRICTER)
        found = self._kin(text, _of_control(text), 0.0)
        for view in behind:  # what it says behind a disguise is compared too
            for span in self._kin(view.text, _of_control(view.text), 0.0):
                start, end = view.span(span.start, span.end)
                found.append(replace(span, start=start, end=end))
        return found

    def _kin(self, text: str, places: Sequence[tuple[int, int]], less: float) -> list[Span]:
        """Score sentences by their likeness to known attacks."""
        if self._boundary is None or not places:
            return []
        scores = self._boundary.scores([text[start:end] for start, end in places])
        return [
            Span(start, end, "nearest", round(max(0.0, float(score) - less), 6), "[removed]")
            for (start, end), score in zip(places, scores, strict=True)
        ]

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the families found."""
        words = ", ".join(_WORDS[kind] for kind in dict.fromkeys(span.kind for span in spans))
        return f"It looks like a prompt injection: {words}."


def _appeals(lower: str, parts: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Give a document's sentences that speak to somebody, want something, and are like orders."""
    return [
        (start, end)
        for start, end, mask in parts
        if _SHORT <= end - start <= _LONG
        and NEEDS.met(mask, OF_APPEALS)
        and ADDRESS.search(lower, start, end)
        and WISH.search(lower, start, end)
        and weigh(lower[start:end], _ORDERLY, mask) > 0
    ]


def _of_control(text: str) -> list[tuple[int, int]]:
    """Give the sentences that speak of what holds a model back, or of what it was told."""
    lower = lowered(text)
    if not _CONTROL.search(lower):
        return []
    return [
        (start, end)
        for start, end in sentences(text)
        if _SHORT <= end - start <= _LONG and _CONTROL.search(lower, start, end)
    ]


def _is_shown(text: str, span: Span) -> bool:
    """Say whether a document only shows it: a badge, or how something is installed."""
    if _INSTALL.match(text, span.start):
        return True
    picture = _PICTURE.match(text[span.start : span.end])
    return picture is not None and not _FILLED_IN.match(text, span.end)


def _orders(text: str, parts: Sequence[tuple[int, int, int]], behind: Sequence[View]) -> list[Span]:
    """Give the orders of a document, said openly or behind a disguise; quoted ones are talk."""
    lower = lowered(text)
    quotes = _QUOTED.findall(lower) if any(mark in lower for mark in '"`\u201c') else []
    if quotes:
        lower = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), lower)
        if any(map(_ENDED.search, quotes)):  # where a sentence ended within it, none ends now
            parts = recut(lower, parts)
    orders = find_orders(lower, parts)
    found = [s for s in orders if not is_quoted(text, s.start, s.end)]
    for view in behind:
        for span in find_orders(lowered(view.text)):
            start, end = view.span(span.start, span.end)
            found.append(replace(span, start=start, end=end))
    return found
