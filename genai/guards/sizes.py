"""The guards for texts that are too long or would cost too much."""

from collections.abc import Sequence

from genai.guards.base import Scope
from genai.types import Place, Span

_CHARACTERS_PER_TOKEN = 4  # as the ledger guesses where no provider counted


class LengthGuard:
    """Finds what stands beyond a number of characters."""

    name = "length"
    scope: Scope = "size"
    quick = True

    def __init__(self, max_chars: int) -> None:
        self.limit = max_chars

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the part over the limit as one span."""
        return [Span(self.limit, len(text), self.name, 1.0)] if len(text) > self.limit else ()

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the limit; how long a stopped text would have become is not known."""
        return f"It is longer than the {self.limit} characters allowed."


class CostGuard(LengthGuard):
    """Finds what would cost more than so many dollars, tokens estimated from characters."""

    name = "cost"

    def __init__(self, max_dollars: float, dollars_per_million_tokens: float) -> None:
        tokens = max_dollars / dollars_per_million_tokens * 1_000_000
        super().__init__(max(1, int(tokens * _CHARACTERS_PER_TOKEN)))
        self._dollars = max_dollars

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the limit in dollars."""
        return (
            f"It would cost more than ${self._dollars:g} (estimated, at {self.limit} characters)."
        )
