"""The guard for instructions that text smuggles to the model."""

import re
from collections.abc import Sequence

from genai.guards.base import Scope
from genai.text.injection import find_injection
from genai.text.nearest import Boundary
from genai.text.sentences import sentences
from genai.types import Place, Span

_WORDS = {
    "override": "it tries to override the assistant's instructions",
    "reveal": "it asks for the hidden instructions",
    "role": "it forges a chat role or speaks to the model",
    "exfiltration": "it tries to send data out",
    "tool": "it tries to misuse a tool",
    "hidden": "it holds hidden or encoded text",
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
_STRICTER = 0.13  # documents are many and say many things


class InjectionGuard:
    """Finds overrides, forged roles, hidden characters, exfiltration, and kin of known attacks.

    What a rule finds has the score 1; a sentence like known attacks the score of the boundary
    between attacks and harmless sentences.
    """

    name = "injection"
    scope: Scope = "span"
    quick = True
    threshold = 0.69

    def __init__(self, boundary: Boundary | None = None) -> None:
        self._boundary = boundary

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the spans of injected instructions; in a question a quoted one counts too."""
        found = find_injection(text, quoted_counts=place in ("question", "tool_call"))
        if self._boundary is not None and not found:
            found += self._kin(text, place, self._boundary)
        return found

    def _kin(self, text: str, place: Place, boundary: Boundary) -> list[Span]:
        places = [
            (start, end)
            for start, end in sentences(text)
            if _SHORT <= end - start <= _LONG
            and (
                place == "question"
                or (_ADDRESS.search(text, start, end) and _WISH.search(text, start, end))
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
