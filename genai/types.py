"""Values that travel between rooms: small, frozen, standard library only.

Offsets are Unicode code points into the text they name; times are seconds; money is `Decimal`.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
Trust = Literal["trusted", "untrusted", "retrieved"]
Place = Literal["question", "passage", "tool_call", "answer", "log"]


class Action(StrEnum):
    """What a guard decided to do about a text, mildest first."""

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

    `name` is the template variable the text came from ("" for the template itself); `data` is an
    image or file as the provider's protocol writes it, such as
    `{"type": "image_url", "image_url": {"url": ...}}`.
    """

    text: str
    trust: Trust = "trusted"
    name: str = ""
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model asks for; `arguments` is the JSON text as it came."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: a role and its parts. `text` joins the parts."""

    role: Role
    parts: tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def text(self) -> str:
        """The whole turn as one string."""
        return "".join(part.text for part in self.parts)

    @classmethod
    def user(cls, text: str) -> Message:
        """Make a user turn from plain text; nobody vouches for it."""
        return cls("user", (Part(text, trust="untrusted", name="question"),))


BUCKETS = (
    "in_text", "in_cache_read", "in_cache_write_5m", "in_cache_write_1h", "in_audio", "in_image",
    "out_text", "out_reasoning", "out_audio", "out_image",
)  # fmt: skip


@dataclass(slots=True, unsafe_hash=True)  # one a call: a frozen one takes thrice as long to make
class Usage:
    """Tokens of one call; `source` says who counted them.

    The two totals include the parts named after them. `fees` are billed units that are not
    tokens, such as `("web_search", 2)`. `flag` names a count that did not add up.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    source: Literal["provider", "counted", "none"] = "none"
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    image_input_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    image_output_tokens: int = 0
    fees: tuple[tuple[str, int], ...] = ()
    flag: str = ""

    def __add__(self, other: Usage) -> Usage:
        source = self.source if self.source == other.source else "counted"
        if "none" in (self.source, other.source):
            source = other.source if self.source == "none" else self.source
        counts = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__slots__
            if name not in ("source", "flag")
        }
        return Usage(**counts, source=source, flag=self.flag or other.flag)

    @property
    def buckets(self) -> tuple[int, ...]:
        """The ten disjoint counts in the order of `BUCKETS`; they sum to the two totals."""
        inward = (
            self.cached_tokens,
            self.cache_write_5m_tokens,
            self.cache_write_1h_tokens,
            self.audio_input_tokens,
            self.image_input_tokens,
        )
        outward = (self.reasoning_tokens, self.audio_output_tokens, self.image_output_tokens)
        text_in = self.input_tokens - sum(inward)
        return (text_in, *inward, self.output_tokens - sum(outward), *outward)

    @classmethod
    def of_buckets(
        cls, buckets: Sequence[int], source: Literal["provider", "counted"], flag: str = ""
    ) -> Usage:
        """Make the totals from ten disjoint counts in the order of `BUCKETS`."""
        _, read, write_5m, write_1h, audio_in, image_in, _, reasoning, audio_out, image_out = (
            buckets
        )
        return cls(
            sum(buckets[:6]), sum(buckets[6:]), read, source, write_5m, write_1h, audio_in,
            image_in, reasoning, audio_out, image_out, flag=flag,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """Money of one call. `amount` is None exactly when nobody knows it.

    `list_amount` is the price by our rates where the provider reported its own; `fee` is the part
    of the amount that is not for tokens. `snapshot` and `key` name the rates.
    """

    amount: Decimal | None
    status: CostStatus
    reason: str = ""
    currency: str = "USD"
    list_amount: Decimal | None = None
    fee: Decimal | None = None
    snapshot: str = ""
    key: str = ""

    def __str__(self) -> str:
        if self.amount is None:
            return "unpriced"
        return f"${self.amount.normalize():f}" if self.amount else "$0"


UNKNOWN_COST = Cost(None, CostStatus.UNPRICED)


@dataclass(slots=True, unsafe_hash=True)  # one a call: a frozen one takes thrice as long to make
class Reply:
    """What a model said, with what it took to say it.

    `call_id` is the ledger row of the attempt that answered, `attempts` counts it and those before
    it, `parsed` is the value of a structured reply, `refusal` what the model said instead of a
    text, and `logprobs` are the tokens' probabilities where they were asked for.
    """

    text: str
    model: str
    usage: Usage
    cost: Cost
    seconds: float
    ttft: float | None = None
    finish_reason: str = "stop"
    call_id: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: Any = None
    response_model: str = ""
    attempts: int = 1
    refusal: str = ""
    logprobs: tuple[Any, ...] = field(default=(), repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guard says of one text. Spans are offsets into the text it was given."""

    guard: str
    place: Place
    decision: Action
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
    """A passage found by a search, with the parts of its score: by words, and by vectors."""

    passage: Passage
    score: float
    bm25: float | None = None
    dense: float | None = None
    z: tuple[float, float] = (0.0, 0.0)  # standardised; a list that lacks it gives its lowest
    ranks: tuple[int | None, int | None] = (None, None)  # from 1


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
    generation: str = ""
    trace: Any = field(default=None, repr=False)  # a `genai.rag.Trace`


@dataclass(frozen=True, slots=True)
class Refusal:
    """No answer, and why: `no_evidence low_support policy`. `evidence` is the nearest passages."""

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
    generation: str = ""
    trace: Any = field(default=None, repr=False)  # a `genai.rag.Trace`

    @property
    def text(self) -> str:
        """The message, so that an outcome always has a text."""
        return self.message


def new_id() -> str:
    """Give a row its id: 28 hex digits that sort by time, with a part random for each process."""
    return f"{time.time_ns():016x}{_process[0]}{next(_count) & 0xFFFF:04x}"


_count = itertools.count()
_process = [secrets.token_hex(4)]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _process.__setitem__(0, secrets.token_hex(4)))


@dataclass(frozen=True, slots=True)
class Context:
    """What a call is part of; copied onto its ledger row.

    `user` is the name your program knows; the ledger stores a keyed hash of it, never the name.
    `run` is an eval or CI run; `release` is what was deployed.
    """

    parent_id: str = ""
    prompt_id: str = ""
    config_hash: str = ""
    index_revision: str = ""
    feature: str = ""
    user: str = ""
    session: str = ""
    tenant: str = ""
    environment: str = ""
    release: str = ""
    run: str = ""
    trace_id: str = ""
    span_id: str = ""


NOBODY = Context()


@dataclass(slots=True, unsafe_hash=True)  # one a call: a frozen one takes thrice as long to make
class Call:
    """One row of the ledger. Content is never in it; `None` means unknown, never 0.

    `kind`: `chain` (the whole answer; its tokens and cost sum its children), `model`, `embedding`,
    `guard`, `eval`. `outcome`: `ok refusal error cancelled lost`; a `lost` call was sent, and its
    process died before the reply. Each attempt is a row: `retry_of` is the first attempt at the
    same model, `fallback_of` at the one asked for; `cache_source` is `replay` if none was asked.
    """

    id: str
    kind: str
    started_at: float
    seconds: float
    outcome: str
    model: str = ""
    context: Context = NOBODY
    usage: Usage = Usage()
    cost: Cost = UNKNOWN_COST
    operation: str = ""
    provider: str = ""
    response_model: str = ""
    host: str = ""
    attempt: int = 1
    retry_of: str = ""
    fallback_of: str = ""
    stream: bool = False
    ttft: float | None = None
    itl_mean: float | None = None
    itl_p95: float | None = None
    chunks: int | None = None
    http_status: int | None = None
    request_id: str = ""
    finish_reason: str = ""
    reason: str = ""
    cache_source: str = ""
    requested_tier: str = ""
    served_tier: str = ""
    region: str = ""
    tags: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def input_tokens(self) -> int | None:
        """Tokens sent; None where nobody counted."""
        return None if self.usage.source == "none" else self.usage.input_tokens

    @property
    def output_tokens(self) -> int | None:
        """Tokens received; None where nobody counted."""
        return None if self.usage.source == "none" else self.usage.output_tokens
