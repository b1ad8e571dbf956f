"""Question in, cited Answer or typed Refusal out: guards, search, model, judgement, one row each.

There is one way through: the stream. The whole answer is the stream joined, so both are guarded by
the same code. A sentence is released only after its guards and its support have been judged; the
whole can be refused only before the first sentence is out.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from genai import bridge
from genai.config import Config
from genai.errors import ModelError
from genai.guards import Policy, combine
from genai.ledger import merged
from genai.models import Model
from genai.prompts import Prompt
from genai.rag.cite import Citer, strip_marks, whole_sentences
from genai.rag.index import Index
from genai.rag.search import confidence
from genai.rag.turn import Tally, Turn
from genai.types import Action, Answer, Context, Hit, Place, Refusal, Reply, Verdict

NO_ANSWER = "NO_ANSWER"
_STOPS = {Action.BLOCK, Action.REASK}
_SAFE_PASSAGE = {Action.ALLOW, Action.FLAG}
Outcome = Answer | Refusal


class Chain:
    """Model + prompt + index + guards. Call it, stream it, await it."""

    def __init__(
        self,
        *,
        model: Model,
        prompt: Prompt,
        index: Index,
        guards: Policy,
        config: Config,
        tally: Tally,
    ) -> None:
        self.model = model
        self.prompt = prompt
        self.index = index
        self.guards = guards
        self.config = config
        self._tally = tally

    @property
    def identity(self) -> str:
        """What shapes the answers, as text: model, prompt, settings, guards, index."""
        parts = (self.model.identity, self.prompt.id, self.config.hash, self.guards.hash)
        return "\n".join((*parts, self.index.revision))

    @property
    def concurrency(self) -> int:
        """How many questions to have in flight; what runs in this process has two hands only."""
        return self.model.concurrency if self.model.remote else 4

    def __call__(self, question: str, *, feature: str = "") -> Outcome:
        """Give an Answer or a Refusal. Raises `ModelError` and `IndexUnusable`."""
        return bridge.run(self.acall(question, feature=feature))

    def stream(self, question: str, *, feature: str = "") -> bridge.Stream[str | Outcome]:
        """Give judged sentences as they come, then the Answer or Refusal.

        Closing the iterator ends the model call and leaves a `cancelled` row.
        """
        return bridge.Stream(self.astream(question, feature=feature))

    async def acall(self, question: str, *, feature: str = "") -> Outcome:
        """Give an Answer or a Refusal, in async code."""
        outcome: Outcome | None = None
        async for piece in self.astream(question, feature=feature):
            if not isinstance(piece, str):
                outcome = piece
        if outcome is None:
            raise ModelError(f"model {self.model.name}: the stream ended early", "bad_reply")
        return outcome

    async def astream(
        self, question: str, *, feature: str = ""
    ) -> AsyncGenerator[str | Outcome, None]:
        """Give judged sentences as they come, then the Answer or Refusal, in async code."""
        turn = self._tally.open(question)
        turn.context = merged(
            Context(
                parent_id=turn.id,
                prompt_id=self.prompt.id,
                config_hash=self.config.hash,
                index_revision=self.index.revision,
                feature=feature,
            )
        )
        try:
            reason = await self._prepare(turn)
            if not reason:
                async with aclosing(self._released(turn)) as pieces:
                    async for piece in pieces:
                        yield piece
                reason = "" if turn.text else self._why_empty(turn)
            outcome = self._refuse(turn, reason) if reason else self._answer(turn)
        except (GeneratorExit, asyncio.CancelledError):
            self._tally.close(turn, self.model.name, "cancelled")
            raise
        except Exception as error:
            kind = error.kind if isinstance(error, ModelError) else type(error).__name__
            self._tally.close(turn, self.model.name, "error", kind)
            raise
        yield outcome

    # -- before the model ------------------------------------------------------------------------

    async def _prepare(self, turn: Turn) -> str:
        """Guard the question, search, guard the passages; give a refusal's reason or ''."""
        verdicts = self._check(turn, turn.question, "question")
        if combine(verdicts) in _STOPS:
            return "policy"
        turn.asked = self.guards.apply(turn.question, verdicts)
        hits = await asyncio.to_thread(
            self.index.search, turn.asked, self.config.chain.top_k, context=turn.context
        )
        turn.hits = [hit for hit in hits if self._safe(turn, hit)]
        turn.confidence = await asyncio.to_thread(confidence, turn.asked, turn.hits, self.index.idf)
        return "" if turn.confidence >= self.config.chain.min_confidence else "no_evidence"

    def _safe(self, turn: Turn, hit: Hit) -> bool:
        verdicts = self._check(turn, hit.passage.text, "passage")
        return combine(verdicts) in _SAFE_PASSAGE

    def _check(self, turn: Turn, text: str, place: Place) -> tuple[Verdict, ...]:
        started_at = time.time()
        verdicts = tuple(self.guards.check(text, place))
        turn.verdicts += [v for v in verdicts if v.decision is not Action.ALLOW]
        self._tally.guarded(turn, place, verdicts, started_at)
        return verdicts

    # -- the model, sentence by sentence ---------------------------------------------------------

    async def _released(self, turn: Turn) -> AsyncGenerator[str, None]:
        """Give the sentences that passed judgement, each with the white space before it."""
        messages = self.prompt.render(
            question=turn.asked, passages=[hit.passage for hit in turn.hits]
        )
        citer = Citer(
            [hit.passage for hit in turn.hits],
            self._document_hash,
            self.index.idf,
            self.config.chain.min_support,
        )
        buffer, source = (
            "",
            self.model.astream(messages, context=turn.context, **self.prompt.params),
        )
        async with aclosing(source) as pieces:
            async for piece in pieces:
                ended = isinstance(piece, Reply)
                if isinstance(piece, Reply):
                    turn.reply = piece
                else:
                    buffer += piece
                done = 0
                for start, end in whole_sentences(buffer, ended):
                    gap = buffer[done:start] if turn.text else ""
                    done = end
                    out = self._judge(turn, citer, gap, buffer[start:end])
                    if turn.stopped:
                        return
                    if out:
                        yield out
                buffer = buffer[done:]

    def _judge(self, turn: Turn, citer: Citer, gap: str, sentence: str) -> str:
        """Judge one sentence; give what may leave, or ''."""
        turn.raw += sentence
        verdicts = self._check(turn, sentence, "answer")
        if combine(verdicts) in _STOPS:
            turn.stopped = True
            return ""
        judged = citer.judge(sentence)
        good = tuple(c for c in judged.citations if self.index.check(c))
        turn.dropped += judged.dropped + len(judged.citations) - len(good)
        if not good:
            if strip_marks(sentence).rstrip().endswith(":"):
                turn.lead = gap + sentence  # an introduction goes out with what it introduces
            else:
                turn.withheld += 1
            return ""
        turn.citations += [c for c in good if c not in turn.citations]
        text = judged.text
        if verdicts:
            text = self.guards.apply(text, self.guards.check(text, "answer"))
        out = f"{turn.lead}{gap if not turn.lead else ' '}{text}"
        turn.lead = ""
        turn.text += out
        return out

    def _document_hash(self, path: str) -> str:
        found = self.index.document(path)
        return found[1] if found else ""

    # -- the outcome -----------------------------------------------------------------------------

    def _why_empty(self, turn: Turn) -> str:
        if turn.stopped:
            return "policy"
        return "no_evidence" if turn.raw.strip().startswith(NO_ANSWER) else "low_support"

    def _answer(self, turn: Turn) -> Answer:
        call = self._tally.close(turn, self.model.name, "ok")
        return Answer(
            text=turn.text,
            citations=tuple(turn.citations),
            verdicts=tuple(turn.verdicts),
            usage=turn.usage,
            cost=turn.cost,
            seconds=call.seconds,
            call_id=turn.id,
            model=self.model.name,
            confidence=turn.confidence,
            hits=tuple(turn.hits),
            citations_dropped=turn.dropped,
        )

    def _refuse(self, turn: Turn, reason: str) -> Refusal:
        call = self._tally.close(turn, self.model.name, "refusal", reason)
        words = getattr(self.config.refusals, reason)
        stopped = [v.reason for v in turn.verdicts if v.decision in _STOPS and v.reason]
        return Refusal(
            reason=reason,
            message=" ".join([words.message, *dict.fromkeys(stopped)]),
            next_step=words.next_step,
            evidence=tuple(turn.hits),
            verdicts=tuple(turn.verdicts),
            usage=turn.usage,
            cost=turn.cost,
            seconds=call.seconds,
            call_id=turn.id,
            model=self.model.name,
            confidence=turn.confidence,
        )
