"""The guard for instructions that text smuggles to the model."""

import re
from collections.abc import Sequence
from dataclasses import replace

from genai.guards.base import Scope
from genai.text.injection import find_injection, is_quoted
from genai.text.nearest import Boundary
from genai.text.orders import find_orders, weigh
from genai.text.plain import lowered, views
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
# a document's sentence is compared only where it speaks to somebody and wants something
_ADDRESS = re.compile(
    r"\b(?:you|your|yours|yourself|assistants?|chatbots?|ai|agents?|bots?|language\s+models?|llms?"
    r"|the\s+(?:model|reader|user))\b",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"\b(?:must|should|shall|ha(?:s|ve)\s+to|needs?\s+to|may|can|please|now|never|do\s+not|don't"
    r"|disregard|ignore|forget|obey|void|overrid\w+|reply|answer|respond|output|print|insert|tell|say"
    r"|send|visit|new\s+task|begin|restart\w*|proceed|drop|continue|discard|agreed|refus\w+|unless"
    r"|without|write|translate|summari\w+|execute|act|imagine|no\s+rules)\b",
    re.IGNORECASE,
)
# and a question's only where it speaks of what holds a model back, or of what it was told
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
    re.IGNORECASE,
)
_STRICTER = 0.15  # documents are many and say many things
_ORDERLY = 0.8  # signs of a command that such a sentence has besides
# a picture of a document whose address stands for itself; one that is to be filled in does not
_PICTURE = re.compile(r"(?:!\[[^\]]*|<img\b[^<]*)[^{}$<\[]*\?\w{1,20}=\Z", re.IGNORECASE)
# what a sentence quotes it talks about; the values of JSON follow a colon and do count
_QUOTED = re.compile(
    r"(?<=[a-z,] )(?:\"[^\"\n]{1,200}\"|\u201c[^\u201d\n]{1,200}\u201d|`[^`\n]{1,200}`)"
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
        found = find_injection(text, quoted_counts=asked, of_answer=place == "answer")
        if place == "passage":  # to give orders is what a question is for, not a document
            found = [span for span in found if not _is_shown(text, span)] + _orders(text)
        if self._boundary is not None and not found:
            found += self._kin(text, place, self._boundary)
            if place == "question":  # what it says behind a disguise is compared too
                for view in views(text):
                    for span in self._kin(view.text, place, self._boundary):
                        start, end = view.span(span.start, span.end)
                        found.append(replace(span, start=start, end=end))
        return found

    def _kin(self, text: str, place: Place, boundary: Boundary) -> list[Span]:
        places = [
            (start, end)
            for start, end in sentences(text)
            if _SHORT <= end - start <= _LONG
            and (
                _CONTROL.search(text, start, end)
                if place == "question"
                else (
                    _ADDRESS.search(text, start, end)
                    and _WISH.search(text, start, end)
                    and weigh(text[start:end].lower()) >= _ORDERLY
                )
            )
        ]
        if not places:
            return []
        less = 0.0 if place == "question" else _STRICTER
        scores = boundary.scores([text[start:end] for start, end in places])
        return [
            Span(start, end, "nearest", round(max(0.0, float(score) - less), 6), "[removed]")
            for (start, end), score in zip(places, scores, strict=True)
        ]

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the families found."""
        words = ", ".join(_WORDS[kind] for kind in dict.fromkeys(span.kind for span in spans))
        return f"It looks like a prompt injection: {words}."


def _is_shown(text: str, span: Span) -> bool:
    """Say whether a document only shows it: a badge, or how something is installed."""
    if _INSTALL.match(text, span.start):
        return True
    picture = _PICTURE.match(text[span.start : span.end])
    return picture is not None and not _FILLED_IN.match(text, span.end)


def _orders(text: str) -> list[Span]:
    """Give the orders of a document, said openly or behind a disguise; quoted ones are talk."""
    plain = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), lowered(text))
    found = [s for s in find_orders(plain) if not is_quoted(text, s.start, s.end)]
    for view in views(text):
        for span in find_orders(lowered(view.text)):
            start, end = view.span(span.start, span.end)
            found.append(replace(span, start=start, end=end))
    return found
