"""The guard for topics: only these, or all but those, by nearness to example sentences."""

from collections.abc import Sequence

from genai.guards.base import Scope
from genai.text.nearest import Embed, Nearest
from genai.text.sentences import sentences
from genai.types import Place, Span

_WORDS = 3  # a shorter sentence ("Yes, please.") has no topic


class TopicGuard:
    """Finds sentences that are near a denied topic, or near none of the allowed ones.

    A finding's score is its cosine with the nearest denied example; without an allowed example
    nearby it is one less the cosine with the nearest allowed one. Choose the threshold on your own
    sentences: embedders differ.
    """

    name = "topic"
    scope: Scope = "sentence"
    quick = True
    threshold = 0.6

    def __init__(self, allow: Sequence[str], deny: Sequence[str], embed: Embed) -> None:
        self._allow = Nearest(allow, embed)
        self._deny = Nearest(deny, embed)

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the sentences off topic, with their scores."""
        spans = [s for s in sentences(text) if len(text[s[0] : s[1]].split()) >= _WORDS]
        if not spans:
            return ()
        texts = [text[start:end] for start, end in spans]
        found = []
        if len(self._deny):
            for (start, end), row in zip(spans, self._deny.scores(texts), strict=True):
                found.append(Span(start, end, "denied", _unit(row.max())))
        if len(self._allow):
            for (start, end), row in zip(spans, self._allow.scores(texts), strict=True):
                found.append(Span(start, end, "other", _unit(1 - row.max())))
        return found

    def explain(self, spans: Sequence[Span]) -> str:
        """Say whether it is a denied topic or none of the allowed ones."""
        denied = any(span.kind == "denied" for span in spans)
        return f"It is about {'a topic that is not' if denied else 'none of the topics'} allowed."


def _unit(score: float) -> float:
    return round(min(1.0, max(0.0, float(score))), 6)
