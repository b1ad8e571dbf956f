"""One question on its way through a chain, and the ledger rows it leaves."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from statistics import fmean
from typing import TYPE_CHECKING, Any

from genai.guards import combine
from genai.ledger.sums import total_cost
from genai.rag.confidence import Signals, Weights
from genai.rag.split import headed
from genai.rag.trace import Found, Sentence, Trace
from genai.text.language import guess_language
from genai.types import (
    Action,
    Call,
    Citation,
    Context,
    Cost,
    CostStatus,
    Hit,
    Message,
    Part,
    Passage,
    Place,
    Reply,
    Usage,
    Verdict,
    new_id,
)

if TYPE_CHECKING:
    from genai.ledger.otel import Telemetry
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
    standalone: str = ""  # the question that was asked, where a model made one of a follow-up
    queries: tuple[str, ...] = ()
    found: list[Hit] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    ratings: dict[str, float] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    originals: dict[str, Passage] = field(default_factory=dict)  # of what models see changed
    signals: Signals | None = None
    sentences: list[Sentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    children: list[Call] = field(default_factory=list)
    reply: Reply | None = None
    span: Any = None
    confidence: float = 0.0
    text: str = ""
    raw: str = ""
    sent: bool = False
    stopped: bool = False
    no_answer: bool = False  # the model said so: nothing from there on is a claim
    dropped: int = 0
    withheld: int = 0

    def shown(self) -> list[Passage]:
        """Give the passages as models see them: as guards let them through, tables with heads."""
        found = [hit.passage for hit in self.hits]
        return [p if p.id in self.originals else replace(p, text=headed(p)) for p in found]

    def trace(self, weights: Weights, threshold: float) -> Trace:
        """Give what happened, for a person to look at."""
        used = {hit.passage.id for hit in self.hits}
        cited: dict[str, list[int]] = {}
        for citation in self.citations:
            cited.setdefault(citation.passage_id, []).append(citation.number)
        return Trace(
            question=self.asked,
            queries=self.queries,
            found=tuple(
                Found(
                    hit,
                    self.ratings.get(hit.passage.id),
                    self.quarantined.get(hit.passage.id, ""),
                    hit.passage.id in used and self.sent,
                    tuple(cited.get(hit.passage.id, ())),
                )
                for hit in self.found
            ),
            signals=self.signals,
            shares=weights.shares(self.signals) if self.signals else {},
            confidence=self.confidence,
            threshold=threshold,
            sentences=tuple(self.sentences),
            notes=tuple(self.notes),
            finish_reason=self.finish_reason,
        )

    @property
    def finish_reason(self) -> str:
        """Why the answer ended, in a word of the protocol."""
        cut = self.reply is not None and self.reply.finish_reason == "length"
        return "content_filter" if self.stopped else "length" if cut else "stop"

    @property
    def tags(self) -> dict[str, str | float]:
        """Give the row's own facts, none of them content; what is unknown is left out.

        `topic` is the first passage's document, or its top folder where there is one.
        """
        tags: dict[str, str | float] = {
            "question_length": len(self.question),  # characters
            "confidence": round(self.confidence, 4),
            "citations": len(self.citations),
            "citations_dropped": self.dropped,
            "sentences_withheld": self.withheld,
            "passages": len(self.hits),
            "quarantined": len(self.quarantined),
        }
        spoken, _ = guess_language(self.question[:2000])
        if spoken:
            tags["language"] = spoken
        if self.hits:
            tags["topic"] = self.hits[0].passage.document.partition("/")[0]
            tags["retrieval_score"] = round(self.hits[0].score, 4)
        if self.sentences:
            tags["support"] = round(fmean(each.support for each in self.sentences), 4)
        counts = Counter(verdict.decision.value for verdict in self.verdicts)
        return tags | {f"verdicts_{decision}": n for decision, n in sorted(counts.items())}

    @property
    def usage(self) -> Usage:
        """Tokens of the model's calls; what the embedder read is on its own rows."""
        return sum((c.usage for c in self.children if c.kind == "model"), Usage())

    @property
    def cost(self) -> Cost:
        """Money of all calls made for this question; unknown if any of them is."""
        return total_cost([call.cost for call in self.children])


class Tally:
    """Passes every row to the ledger, and gives a turn the rows of its own calls.

    With `telemetry` a turn is a span too, over its searches and its model's calls.
    """

    def __init__(self, record: Callable[..., None], telemetry: "Telemetry | None" = None) -> None:
        self._record = record
        self._telemetry = telemetry
        self._open: dict[str, Turn] = {}

    def __call__(self, call: Call) -> None:
        """Record a model's or an embedder's call."""
        turn = self._open.get(call.context.parent_id)
        if turn is not None:
            turn.children.append(call)
        self._record(call)

    def open(self, question: str) -> Turn:
        """Begin a turn."""
        turn = Turn(question)
        self._open[turn.id] = turn
        return turn

    def begin(self, turn: Turn, model: str) -> None:
        """Open the span of a turn whose context is known."""
        if self._telemetry is None:
            return
        if not turn.context.trace_id:
            turn.context = replace(turn.context, **self._telemetry.active())
        context = replace(turn.context, parent_id="")
        call = Call(turn.id, "chain", turn.started_at, 0.0, "sent", model, context)
        turn.span = self._telemetry.begin(call, {})

    @contextmanager
    def searching(self, turn: Turn, source: str, top_k: int, query: str) -> Iterator[list[Hit]]:
        """Hold the span of one search open; what is put into the list is what it found."""
        found: list[Hit] = []
        if self._telemetry is None:
            yield found
            return
        opened = self._telemetry.retrieval(source, top_k=top_k, query=query, parent=turn.id)
        with opened as step:
            yield found
            step.result = [(hit.passage.id, hit.score) for hit in found]

    def guarded(
        self, turn: Turn, place: Place, verdicts: Sequence[Verdict], started_at: float, model: str
    ) -> None:
        """Record one run of a place's guards: who decided what, never on which text.

        The row's reason is the strongest decision, '' where everything was allowed; its
        `response_model` is the model that is to answer.
        """
        decision = combine(verdicts)
        self._record(
            Call(
                id=new_id(),
                kind="guard",
                started_at=started_at,
                seconds=sum(verdict.seconds for verdict in verdicts),
                outcome="ok",
                model=f"guards/{place}",
                response_model=model,
                context=replace(turn.context, parent_id=turn.id),
                cost=_FREE,
                reason="" if decision is Action.ALLOW else decision.value,
                tags={"place": place, **{v.guard: v.decision.value for v in verdicts}},
            )
        )

    def close(self, turn: Turn, model: str, outcome: str, reason: str = "") -> Call:
        """Record the turn itself; its tokens and money are the sum of its calls."""
        self._open.pop(turn.id, None)
        usage = turn.usage
        if usage.source == "none" and all(c.kind != "model" for c in turn.children):
            usage = Usage(source="counted")  # no model was called, so it is known to be 0
        prompt = turn.context.prompt_id  # a rewriter, a reranker or a judge has its own
        own = [c for c in turn.children if c.kind == "model" and c.context.prompt_id == prompt]
        last = own[-1] if own else None  # those before it failed and were tried again
        call = Call(
            id=turn.id,
            kind="chain",
            started_at=turn.started_at,
            seconds=time.perf_counter() - turn.start,
            outcome=outcome,
            model=model,
            context=replace(turn.context, parent_id=""),
            ttft=last.ttft if last else None,
            itl_mean=last.itl_mean if last else None,
            usage=usage,
            cost=turn.cost,
            reason=reason,
            tags=turn.tags,
        )
        # a follow-up alone says nothing to who reads, tests or searches it again
        self._record(call, question=turn.standalone or turn.question, answer=turn.text)
        if self._telemetry is not None and turn.span is not None:
            asked = Message("user", (Part(turn.asked, "untrusted", "question"),))  # as guarded
            self._telemetry.end(turn.span, call, messages=(asked,), reply=turn.text)
        return call
