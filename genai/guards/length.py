"""The guard for texts that are too long."""

from collections.abc import Sequence

from genai.types import Place, Span


class LengthGuard:
    """Finds what stands beyond a number of characters."""

    name = "length"

    def __init__(self, max_chars: int) -> None:
        self._max = max_chars

    def look(self, text: str, place: Place) -> tuple[Sequence[Span], str]:
        """Give the part over the limit as one span."""
        if len(text) <= self._max:
            return (), ""
        reason = f"It has {len(text)} characters, more than the {self._max} allowed."
        return [Span(self._max, len(text), "length", 1.0, "")], reason
