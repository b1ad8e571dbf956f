"""The guards for unsafe requests and for toxic or biased wording."""

from collections.abc import Mapping, Sequence

from genai.guards.base import Scope
from genai.text.nearest import Embed
from genai.text.requests import Requests
from genai.text.sentences import sentences
from genai.text.wording import find_wording
from genai.types import Place, Span


class ToxicityGuard:
    """Finds insults, threats, hate and biased wording, each in its context."""

    name = "toxicity"
    scope: Scope = "span"
    quick = True

    def __init__(self, categories: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self._categories = categories

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the spans of such words."""
        return find_wording(text, self._categories)

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the categories."""
        return f"Its wording is toxic: {', '.join(dict.fromkeys(span.kind for span in spans))}."


class RequestGuard:
    """Finds requests for help with harm, by category; a score says how surely it is one."""

    name = "request"
    scope: Scope = "sentence"
    quick = True
    threshold = 0.5

    def __init__(self, categories: Mapping[str, Mapping[str, Sequence[str]]], embed: Embed) -> None:
        self._requests = Requests(categories, embed)

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give each sentence with its category and score."""
        places = sentences(text)
        judged = self._requests.judge([text[start:end] for start, end in places])
        return [
            Span(start, end, kind, score, "[removed]")
            for (start, end), (kind, score) in zip(places, judged, strict=True)
            if score > 0
        ]

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the categories."""
        return f"It asks for help with {', '.join(dict.fromkeys(span.kind for span in spans))}."
