"""Question in, cited Answer or typed Refusal out: guards, search, model, judgement, one row each.

There is one way through: the stream. The whole answer is the stream joined, so both are guarded by
the same code. A sentence is released only after its guards and its support have been judged; the
whole can be refused only before the first sentence is out.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from genai import bridge
from genai.config import Config
from genai.errors import InputError, ModelError
from genai.guards import Policy, combine
from genai.guards.base import STOPS
from genai.ledger import merged
from genai.models import Model
from genai.prompts import Prompt
from genai.rag.aide import Aide
from genai.rag.confidence import look
from genai.rag.index import Index
from genai.rag.release import Release
from genai.rag.rerank import CANDIDATES, rerank
from genai.rag.rewrite import TURNS, Talk, Turns, read_talk, standalone, wordings
from genai.rag.split import headed
from genai.rag.steps import Steps
from genai.rag.turn import Tally, Turn
from genai.text.marks import strip_marks
from genai.types import Action, Answer, Context, Hit, Message, Place, Refusal, Verdict

Outcome = Answer | Refusal


class Chain:
    """Model + prompt + index + guards. Call it, stream it, await it.

    It takes a question, or a conversation: messages with `role` and `content`, the question last.
    """

    def __init__(
        self,
        *,
        model: Model,
        prompt: Prompt,
        index: Index,
        guards: Policy,
        config: Config,
        steps: Steps,
        tally: Tally,
    ) -> None:
        self.model = model
        self.prompt = prompt
        self.index = index
        self.guards = guards
        self.config = config
        self.steps = steps
        self._tally = tally

    @property
    def identity(self) -> str:
        """What shapes the answers, as text: model, prompt, settings, guards, index."""
        parts = (self.model.identity, self.prompt.id, self.config.hash, self.guards.hash)
        return "\n".join((*parts, self.index.revision, self.steps.identity))

    @property
    def concurrency(self) -> int:
        """How many questions to have in flight; what runs in this process has two hands only."""
        return self.model.concurrency if self.model.remote else 4

    @property
    def reads_turns(self) -> bool:
        """Whether the turns before a question are read; without `chain.rewrite` they are not."""
        return self.steps.rewrite is not None

    def __call__(self, question: Talk, *, feature: str = "") -> Outcome:
        """Give an Answer or a Refusal. Raises `ModelError` and `IndexUnusable`."""
        return bridge.run(self.acall(question, feature=feature))

    def stream(self, question: Talk, *, feature: str = "") -> bridge.Stream[str | Outcome]:
        """Give judged sentences as they come, then the Answer or Refusal.

        Closing the iterator ends the model call and leaves a `cancelled` row.
        """
        return bridge.Stream(self.astream(question, feature=feature))

    async def acall(self, question: Talk, *, feature: str = "") -> Outcome:
        """Give an Answer or a Refusal, in async code."""
        outcome: Outcome | None = None
        async for piece in self.astream(question, feature=feature):
            if not isinstance(piece, str):
                outcome = piece
        if outcome is None:
            said = f"model {self.model.name}: the stream ended early; ask again"
            raise ModelError(said, "bad_reply")
        return outcome

    async def astream(
        self, question: Talk, *, feature: str = ""
    ) -> AsyncGenerator[str | Outcome, None]:
        """Give judged sentences as they come, then the Answer or Refusal, in async code."""
        asked, earlier = read_talk(question)
        turn = self._tally.open(asked)
        turn.context = merged(
            Context(
                parent_id=turn.id,
                prompt_id=self.prompt.id,
                config_hash=self.config.hash,
                index_revision=self.index.revision,
                feature=feature,
            )
        )
        self._tally.begin(turn, self.model.name)
        back = self.guards.pseudonyms.restoring(turn.context.user, turn.context.tenant)
        try:
            reason = await self._prepare(turn, earlier)
            if not reason:
                async with aclosing(self._released(turn)) as pieces:
                    async for piece in pieces:
                        if shown := back.feed(piece):
                            yield shown
                if shown := back.finish():
                    yield shown
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

    def rendered(
        self, question: str, context: Context
    ) -> tuple[tuple[Message, ...], tuple[Hit, ...], Mapping[str, str | float]]:
        """Give what the model would be sent for a question, its passages and the row's facts.

        Nothing is sent.

        Raises:
            InputError: it would be refused before the model is asked.
        """
        turn = Turn(question, context=context)
        if reason := bridge.run(self._prepare(turn, ())):
            raise InputError(f"the question would be refused before the model ({reason})")
        return self._messages(turn), tuple(turn.hits), turn.tags

    def _messages(self, turn: Turn) -> tuple[Message, ...]:
        return self.prompt.render(question=turn.asked, passages=turn.shown())

    # -- before the model ------------------------------------------------------------------------

    async def _prepare(self, turn: Turn, earlier: Turns) -> str:
        """Guard the question, search, guard the passages; give a refusal's reason or ''."""
        turn.asked = await self._guarded(turn, turn.question)
        if earlier and self.steps.rewrite and not turn.stopped:
            await self._rewrite(turn, self.steps.rewrite, earlier)
        if turn.stopped:
            turn.asked = ""  # nobody was asked it, and no trace or span may hold it
            return "policy"
        turn.queries = (turn.asked, *await self._wordings(turn))
        turn.found = await asyncio.to_thread(self._search, turn)
        safe = await self._seen(turn, turn.found)
        turn.found += await self._held_back(turn)
        turn.hits = (await self._reranked(turn, safe))[: self.config.chain.top_k]
        turn.signals = await asyncio.to_thread(look, turn.asked, turn.hits, self.index.idf)
        turn.confidence = self.steps.weights.confidence(turn.signals)
        return "" if turn.hits and turn.confidence >= self.steps.threshold else "no_evidence"

    async def _guarded(self, turn: Turn, text: str, *, ours: bool = False) -> str:
        """Give a question as it may be used; a guard that stops it stops the turn."""
        started_at = time.time()
        verdicts = await self.guards.acheck(text, "question", call=turn.id, ours=ours)
        self._note(turn, "question", verdicts, started_at)
        turn.stopped = turn.stopped or combine(verdicts) in STOPS
        return self.guards.apply(text, verdicts)

    async def _rewrite(self, turn: Turn, aide: Aide, earlier: Turns) -> None:
        """Make a follow-up stand alone; what was stopped when it was said is not read again."""
        read = earlier[-TURNS:]  # a judge among the guards is paid for each
        looks = (self.guards.acheck(text, "question", call=turn.id) for _, text in read)
        allowed = tuple(
            (role, self.guards.apply(text, verdicts))
            for (role, text), verdicts in zip(read, await asyncio.gather(*looks), strict=True)
            if combine(verdicts) not in STOPS
        )
        if allowed:
            written = await standalone(aide, allowed, turn.asked, turn.context)
            if written != turn.asked:
                turn.asked = await self._guarded(turn, written, ours=True)
                turn.standalone = "" if turn.stopped else turn.asked

    async def _wordings(self, turn: Turn) -> list[str]:
        if self.steps.queries is None:
            return []
        count = self.config.chain.queries
        found = await wordings(self.steps.queries, turn.asked, count, turn.context)
        verdicts = [await self.guards.acheck(text, "question", call=turn.id) for text in found]
        return [t for t, v in zip(found, verdicts, strict=True) if combine(v) not in STOPS]

    def _search(self, turn: Turn) -> list[Hit]:
        """Search every wording; a passage counts with its best score."""
        wanted = self.config.chain.top_k
        if self.steps.rerank is not None:
            wanted = max(wanted, CANDIDATES)
        best: dict[str, Hit] = {}
        for query in turn.queries:
            with self._tally.searching(turn, self.config.chain.index, wanted, query) as found:
                found += self.index.search(query, wanted, context=turn.context)
            for hit in found:
                held = best.get(hit.passage.id)
                if held is None or hit.score > held.score:
                    best[hit.passage.id] = hit
        return sorted(best.values(), key=lambda hit: (-hit.score, hit.passage.id))[:wanted]

    async def _held_back(self, turn: Turn) -> list[Hit]:
        """Give what the index holds back and would else have been among the passages found."""
        least = min((hit.bm25 or 0.0 for hit in turn.found), default=0.0)
        wanted, context = self.config.chain.top_k, turn.context
        held = await asyncio.to_thread(self.index.held_back, turn.asked, wanted, context=context)
        held = [hit for hit in held if (hit.bm25 or 0.0) >= least]
        for hit in await self._seen(turn, held):
            turn.quarantined[hit.passage.id] = "Held back when it was read."
        return held

    async def _reranked(self, turn: Turn, hits: list[Hit]) -> list[Hit]:
        """Put the safe passages in the reranker's order, or leave them where it gives none."""
        if self.steps.rerank is None or not hits:
            return hits
        try:
            scores = await rerank(self.steps.rerank, turn.asked, hits, turn.context)
        except ModelError as error:
            if error.kind not in ("bad_reply", "refusal"):
                raise
            turn.notes.append(f"not reranked: {error}")
            return hits
        turn.ratings = {hit.passage.id: s for hit, s in zip(hits, scores, strict=True)}
        return sorted(hits, key=lambda hit: -turn.ratings[hit.passage.id])

    async def _seen(self, turn: Turn, hits: Sequence[Hit]) -> list[Hit]:
        """Give passages as models may see them, without those that are quarantined."""
        started_at = time.time()
        texts = [headed(hit.passage) for hit in hits]
        looks = (self.guards.acheck(text, "passage", call=turn.id) for text in texts)
        found = zip(hits, await asyncio.gather(*looks), strict=True)
        return [seen for hit, said in found if (seen := self._shown(turn, hit, said, started_at))]

    def _shown(
        self, turn: Turn, hit: Hit, verdicts: Sequence[Verdict], started_at: float
    ) -> Hit | None:
        text = headed(hit.passage)
        self._note(turn, "passage", verdicts, started_at)
        if combine(verdicts) not in STOPS:
            shown = self.guards.apply(text, verdicts)
            if shown == text:
                return hit
            turn.originals[hit.passage.id] = hit.passage
            return replace(hit, passage=replace(hit.passage, text=shown))
        reasons = [v.reason or v.guard for v in verdicts if v.decision in STOPS]
        turn.quarantined[hit.passage.id] = " ".join(dict.fromkeys(reasons))
        return None

    def _note(
        self, turn: Turn, place: Place, verdicts: Sequence[Verdict], started_at: float
    ) -> None:
        turn.verdicts += [v for v in verdicts if v.decision is not Action.ALLOW]
        self._tally.guarded(turn, place, verdicts, started_at, self.model.name)

    # -- the model, sentence by sentence ---------------------------------------------------------

    async def _released(self, turn: Turn) -> AsyncGenerator[str, None]:
        """Give the sentences that may leave; a reply that guards want anew is asked for once."""
        messages = self._messages(turn)
        for last in (False, True):
            turn.stopped, turn.no_answer, turn.sent = False, False, True
            release = Release(turn, self.guards, self.index, self.steps, self.config.chain)
            source = self.model.astream(messages, context=turn.context, **self.prompt.params)
            try:
                async with aclosing(source) as pieces, aclosing(release.sentences(pieces)) as out:
                    async for sentence in out:
                        yield sentence
            finally:
                self._note(turn, "answer", release.verdicts, release.started_at)
            again = release.again()
            if last or again is None:
                return
            messages = (*messages, again)
            turn.notes.append("asked again: a guard did not let the first reply out")

    # -- the outcome -----------------------------------------------------------------------------

    def _why_empty(self, turn: Turn) -> str:
        if turn.stopped:
            return "policy"
        if turn.reply and turn.reply.finish_reason == "length" and not turn.raw.strip():
            raise ModelError(
                f"model {self.model.name}: spent its tokens before the first word of an answer;"
                f" raise `max_tokens` of the prompt {self.prompt.name}, or set a lower"
                f" `reasoning_effort` in `models.{self.model.name}.params`",
                "bad_reply",
            )
        # many a model says in its own words that the passages hold nothing, and then cites none
        cited = strip_marks(turn.raw) != turn.raw
        return "low_support" if cited and not turn.no_answer else "no_evidence"

    def _answer(self, turn: Turn) -> Answer:
        call = self._tally.close(turn, self.model.name, "ok")
        return Answer(
            text=self._restored(turn),
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
            generation=self.index.generation,
            trace=turn.trace(self.steps.weights, self.steps.threshold),
        )

    def _restored(self, turn: Turn) -> str:
        """Give the answer with what was hidden, for the person who may see it."""
        who = turn.context
        return self.guards.pseudonyms.restore(turn.text, who.user, who.tenant)

    def _refuse(self, turn: Turn, reason: str) -> Refusal:
        call = self._tally.close(turn, self.model.name, "refusal", reason)
        words = getattr(self.config.refusals, reason)
        stopped = [v.reason for v in turn.verdicts if v.decision in STOPS and v.reason]
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
            generation=self.index.generation,
            trace=turn.trace(self.steps.weights, self.steps.threshold),
        )
