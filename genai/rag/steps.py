"""What a chain does beside search and answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genai.rag.aide import Aide
from genai.rag.confidence import Weights
from genai.rag.rerank import Reranker
from genai.types import Context


@dataclass(frozen=True, slots=True)
class Steps:
    """What a chain does beside search and answer; each step may be absent.

    `rewrite` makes a follow-up stand alone, `queries` words a question anew, `judge` must confirm
    each sentence; `embed` gives unit rows, for near misses in words.
    """

    weights: Weights
    threshold: float
    rewrite: Aide | None = None
    queries: Aide | None = None
    rerank: Reranker | Aide | None = None
    judge: Aide | None = None
    embed: Callable[[Sequence[str], Context], Any] | None = None

    @property
    def identity(self) -> str:
        """What of the steps shapes the answers, as text; the settings are hashed elsewhere."""
        aides = (self.rewrite, self.queries, self.rerank, self.judge)
        named = [each.identity for each in aides if isinstance(each, Aide)]
        return "\n".join([f"{self.weights} {self.threshold}", *named])
