"""The guard for answers that their passages do not support; the measure is that of citations."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from genai.guards.base import Scope
from genai.text.marks import strip_marks
from genai.text.sentences import sentences
from genai.text.support import support
from genai.types import Place, Span


@runtime_checkable
class NeedsEvidence(Protocol):
    """A guard that judges a text by other texts."""

    def against(self, evidence: Sequence[str]) -> "GroundedGuard":
        """Give the guard that judges by these texts."""
        ...


class GroundedGuard:
    """Finds sentences that no passage supports; a finding's score is 1 less the best support."""

    name = "grounded"
    scope: Scope = "sentence"
    quick = True
    threshold = 0.5

    def __init__(self, evidence: Sequence[str] | None = None) -> None:
        self._evidence = evidence

    def against(self, evidence: Sequence[str]) -> "GroundedGuard":
        """Give the guard that judges by these passages."""
        return GroundedGuard(evidence or None)

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give each sentence with the score of its lack of support.

        Raises:
            ValueError: no passages were given, so nothing can be said.
        """
        if self._evidence is None:
            raise ValueError("no evidence to judge by")
        found = []
        for start, end in sentences(text):
            # a mark says where it was read; it is no number of the claim
            claim = strip_marks(text[start:end])
            best = max(support(claim, self._evidence), default=0.0)
            found.append(Span(start, end, "unsupported", round(1 - best, 6), "[unsupported]"))
        return found

    def explain(self, spans: Sequence[Span]) -> str:
        """Say how many sentences lack support."""
        return f"{len(spans)} sentence(s) are not supported by the passages."
