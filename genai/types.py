"""Values that travel between rooms: small, frozen, standard library only.

Offsets are Unicode code points into the text they name; times are seconds; money is `Decimal`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
Trust = Literal["trusted", "untrusted", "retrieved"]
Place = Literal["question", "passage", "tool_call", "answer", "log"]


class Decision(StrEnum):
    """What a guard decided about a text, mildest first."""

    ALLOW = "allow"
    FLAG = "flag"
    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"
    QUARANTINE = "quarantine"
    BLOCK = "block"
    REASK = "reask"


class CostStatus(StrEnum):
    """How a cost came to be known; an `unpriced` call has no amount, never 0."""

    PRICED = "priced"
    PROVIDER_REPORTED = "provider_reported"
    ESTIMATED = "estimated"
    DECLARED_FREE = "declared_free"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Span:
    """Where something stands in a text: `text[start:end]`, and what kind of thing it is."""

    start: int
    end: int
    kind: str
    score: float = 1.0
    replacement: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message that remembers who wrote it.

    `name` is the template variable the text came from ("" for the template itself);
    `ref` is the passage id of retrieved text.
    """

    text: str
    trust: Trust = "trusted"
    name: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: a role and its parts. `text` joins the parts."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole turn as one string."""
        return "".join(part.text for part in self.parts)

    @classmethod
    def user(cls, text: str) -> Message:
        """Make a user turn from plain text; nobody vouches for it."""
        return cls("user", (Part(text, trust="untrusted", name="question"),))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; `source` says who counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    source: Literal["provider", "counted", "none"] = "none"

    def __add__(self, other: Usage) -> Usage:
        source = self.source if self.source == other.source else "counted"
        if "none" in (self.source, other.source):
            source = other.source if self.source == "none" else self.source
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            source,
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """Money of one call. `amount` is None exactly when nobody knows it."""

    amount: Decimal | None
    status: CostStatus
    reason: str = ""
    currency: str = "USD"

    def __str__(self) -> str:
        if self.amount is None:
            return "unpriced"
        return f"${self.amount.normalize():f}" if self.amount else "$0"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, with what it took to say it."""

    text: str
    model: str
    usage: Usage
    cost: Cost
    seconds: float
    ttft: float | None = None
    finish_reason: str = "stop"
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guard says of one text. Spans are offsets into the text it was given."""

    guard: str
    place: Place
    decision: Decision
    spans: tuple[Span, ...] = ()
    score: float = 0.0
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: `document_text[start:end] == text`, always."""

    id: str
    document: str
    start: int
    end: int
    text: str
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found by a search, with the parts of its score."""

    passage: Passage
    score: float
    bm25: float | None = None
    dense: float | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote that re-checks: `document_text[start:end] == quote`, document by content hash."""

    number: int
    document: str
    document_hash: str
    passage_id: str
    start: int
    end: int
    quote: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A supported answer. `usage`, `cost` and `seconds` equal its ledger row `call_id`."""

    text: str
    citations: tuple[Citation, ...]
    verdicts: tuple[Verdict, ...]
    usage: Usage
    cost: Cost
    seconds: float
    call_id: str
    model: str = ""
    confidence: float = 0.0
    hits: tuple[Hit, ...] = field(default=(), repr=False)
    citations_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """No answer, and why. `evidence` holds the nearest passages, so a person can judge.

    Reasons: `no_evidence low_support policy`.
    """

    reason: str
    message: str
    next_step: str
    evidence: tuple[Hit, ...] = field(default=(), repr=False)
    verdicts: tuple[Verdict, ...] = ()
    usage: Usage = Usage()
    cost: Cost = Cost(Decimal(0), CostStatus.DECLARED_FREE, "nothing was called")
    seconds: float = 0.0
    call_id: str = ""
    model: str = ""
    confidence: float = 0.0

    @property
    def text(self) -> str:
        """The message, so that an outcome always has a text."""
        return self.message


def new_id() -> str:
    """Give a ledger row its id: 28 hex digits that sort by time of creation."""
    return f"{time.time_ns():016x}{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Context:
    """What a call is part of; copied onto its ledger row."""

    parent_id: str = ""
    prompt_id: str = ""
    config_hash: str = ""
    index_revision: str = ""
    feature: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the ledger. Content is never in it; `None` means unknown, never 0.

    `kind`: `chain` (the whole answer; its tokens and cost sum its children), `model`, `embedding`,
    `guard`, `eval`. `outcome`: `ok refusal error cancelled`.
    """

    id: str
    kind: str
    started_at: float
    seconds: float
    outcome: str
    parent_id: str = ""
    model: str = ""
    prompt_id: str = ""
    config_hash: str = ""
    index_revision: str = ""
    feature: str = ""
    ttft: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    usage_source: str = "none"
    cost: Decimal | None = None
    cost_status: str = CostStatus.UNPRICED
    cost_reason: str = ""
    currency: str = "USD"
    reason: str = ""
    finish_reason: str = ""
    tags: Mapping[str, str | float] = field(default_factory=dict)
