"""What happened to one question, so that a person can look: found, left out, used, cited."""

from collections.abc import Mapping
from dataclasses import dataclass

from genai.rag.confidence import Signals
from genai.types import Hit

_ENDS = {
    "length": "The answer is cut: the model reached its limit of tokens.",
    "content_filter": "The answer ends early: a guard stopped what came next.",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One passage and its way: `quarantined` says why a guard left it out.

    `rerank` is the reranker's number; `used` passages were shown to the model; `cited` are the
    numbers of the citations that quote it.
    """

    hit: Hit
    rerank: float | None = None
    quarantined: str = ""
    used: bool = False
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the model's reply: what supports it, and what became of it.

    `state`: `released`, `withheld` (not supported) or `stopped` (by a guard). The text of a
    sentence that was not released is nowhere kept.
    """

    state: str
    support: float
    citations: tuple[int, ...] = ()
    judged: bool | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """The way from a question to its outcome.

    `question` is what was searched, after guards and rewriting, and `queries` all its wordings.
    `shares` is what each signal adds to the confidence; `threshold` is what it had to reach.
    `finish_reason` is `stop`, `length` (the model's limit of tokens) or `content_filter` (a guard).
    """

    question: str
    queries: tuple[str, ...]
    found: tuple[Found, ...]
    signals: Signals | None
    shares: Mapping[str, float]
    confidence: float
    threshold: float
    sentences: tuple[Sentence, ...] = ()
    notes: tuple[str, ...] = ()
    finish_reason: str = "stop"

    @property
    def ended(self) -> str:
        """Why an answer has no end of its own, in a sentence; else ''."""
        return _ENDS.get(self.finish_reason, "")

    @property
    def quarantined(self) -> tuple[Found, ...]:
        """The passages that a guard left out."""
        return tuple(each for each in self.found if each.quarantined)
