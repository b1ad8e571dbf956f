"""One question on its way through a chain, and the ledger rows it leaves."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from genai.types import (
    Call,
    Citation,
    Context,
    Cost,
    CostStatus,
    Hit,
    Place,
    Reply,
    Usage,
    Verdict,
    new_id,
)

_FREE = Cost(Decimal(0), CostStatus.DECLARED_FREE, "guards run in this process")


@dataclass(slots=True)
class Turn:
    """What is known so far of one question."""

    question: str
    id: str = field(default_factory=new_id)
    started_at: float = field(default_factory=time.time)
    start: float = field(default_factory=time.perf_counter)
    context: Context = Context()
    asked: str = ""
    hits: list[Hit] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    children: list[Call] = field(default_factory=list)
    reply: Reply | None = None
    confidence: float = 0.0
    text: str = ""
    raw: str = ""
    lead: str = ""
    stopped: bool = False
    dropped: int = 0
    withheld: int = 0

    @property
    def usage(self) -> Usage:
        """Tokens of the model's calls; what the embedder read is on its own rows."""
        total = Usage()
        for call in self.children:
            if (
                call.kind == "model"
                and call.input_tokens is not None
                and call.usage_source != "none"
            ):
                total += Usage(
                    call.input_tokens,
                    call.output_tokens or 0,
                    call.cached_tokens or 0,
                    "provider" if call.usage_source == "provider" else "counted",
                )
        return total

    @property
    def cost(self) -> Cost:
        """Money of all calls made for this question; unknown if any of them is."""
        paid = [call for call in self.children if call.cost_status != CostStatus.DECLARED_FREE]
        if not paid:
            return Cost(Decimal(0), CostStatus.DECLARED_FREE, "every call was declared free")
        unknown = [call for call in paid if call.cost is None]
        if unknown:
            return Cost(None, CostStatus.UNPRICED, unknown[0].cost_reason)
        amount = sum((call.cost for call in paid if call.cost is not None), Decimal(0))
        statuses = {call.cost_status for call in paid}
        status = CostStatus(statuses.pop()) if len(statuses) == 1 else CostStatus.ESTIMATED
        return Cost(amount, status, paid[0].cost_reason)


class Tally:
    """Passes every row to the ledger, and gives a turn the rows of its own calls."""

    def __init__(self, record: Callable[..., None]) -> None:
        self._record = record
        self._open: dict[str, Turn] = {}

    def __call__(self, call: Call) -> None:
        """Record a model's or an embedder's call."""
        turn = self._open.get(call.parent_id)
        if turn is not None:
            turn.children.append(call)
        self._record(call)

    def open(self, question: str) -> Turn:
        """Begin a turn."""
        turn = Turn(question)
        self._open[turn.id] = turn
        return turn

    def guarded(
        self, turn: Turn, place: Place, verdicts: Sequence[Verdict], started_at: float
    ) -> None:
        """Record one run of a place's guards: who decided what, never on which text."""
        self._record(
            Call(
                id=new_id(),
                kind="guard",
                started_at=started_at,
                seconds=sum(verdict.seconds for verdict in verdicts),
                outcome="ok",
                parent_id=turn.id,
                model=f"guards/{place}",
                config_hash=turn.context.config_hash,
                feature=turn.context.feature,
                cost=_FREE.amount,
                cost_status=_FREE.status,
                cost_reason=_FREE.reason,
                tags={"place": place, **{v.guard: v.decision.value for v in verdicts}},
            )
        )

    def close(self, turn: Turn, model: str, outcome: str, reason: str = "") -> Call:
        """Record the turn itself; its tokens and money are the sum of its calls."""
        self._open.pop(turn.id, None)
        usage, cost = turn.usage, turn.cost
        known = usage.source != "none" or all(c.kind != "model" for c in turn.children)
        call = Call(
            id=turn.id,
            kind="chain",
            started_at=turn.started_at,
            seconds=time.perf_counter() - turn.start,
            outcome=outcome,
            model=model,
            prompt_id=turn.context.prompt_id,
            config_hash=turn.context.config_hash,
            index_revision=turn.context.index_revision,
            feature=turn.context.feature,
            ttft=next((c.ttft for c in turn.children if c.kind == "model"), None),
            input_tokens=usage.input_tokens if known else None,
            output_tokens=usage.output_tokens if known else None,
            cached_tokens=usage.cached_tokens if known else None,
            usage_source=usage.source,
            cost=cost.amount,
            cost_status=cost.status,
            cost_reason=cost.reason,
            reason=reason,
            tags={
                "confidence": round(turn.confidence, 4),
                "citations": len(turn.citations),
                "citations_dropped": turn.dropped,
                "sentences_withheld": turn.withheld,
            },
        )
        self._record(call, question=turn.question, answer=turn.text)
        return call
