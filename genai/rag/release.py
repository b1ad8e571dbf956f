"""A model's reply on its way out: guarded as a stream, then judged sentence by sentence."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from genai import bridge
from genai.config import ChainSettings
from genai.guards import Policy, combine
from genai.guards.base import CHANGES
from genai.guards.pseudonyms import FORM
from genai.ledger import scope
from genai.rag.blocks import claim_of, is_head, marked, whole_units
from genai.rag.cite import Citer, Judged
from genai.rag.confirm import confirmed
from genai.rag.steps import Steps
from genai.rag.trace import Sentence
from genai.rag.turn import Turn
from genai.text.marks import strip_marks
from genai.text.thoughts import Thoughts
from genai.types import Action, Citation, Message, Part, Reply

# the word of the prompt, as models write it: bold, quoted, after a label, with a reason behind it
_NO_ANSWER = re.compile(r"[\W_]*(?:[^\W_]+[:\uff1a][\W_]*)?NO\\?_ANSWER(?!_?[0-9A-Za-z])")


class Release:
    """Gives the sentences of one reply that may leave, each with the white space before it.

    The whole reply goes through one gate, so that what guards find does not hang on where a
    sentence or a piece ends; nothing is judged, kept or shown before the gate let it through.
    """

    def __init__(
        self, turn: Turn, guards: Policy, index: Any, steps: Steps, settings: ChainSettings
    ) -> None:
        passages = [hit.passage for hit in turn.hits]
        self._turn, self._index, self._steps = turn, index, steps
        self._gate = guards.gate("answer", evidence=[p.text for p in turn.shown()], call=turn.id)
        self._waits = guards.waits("answer")
        self._citer = Citer(
            [turn.originals.get(each.id, each) for each in passages],  # a quote is the document's
            self._document_hash,
            index.idf,
            settings.min_support,
            similar=_similar(turn, steps),
            min_similarity=settings.min_similarity,
        )
        self._lead = ""
        self.started_at = time.time()

    async def sentences(self, pieces: AsyncIterator[str | Reply]) -> AsyncGenerator[str, None]:
        """Take the reply in pieces; give what may leave. A guard that stops it ends it."""
        turn, buffer, thoughts = self._turn, "", Thoughts()
        async for piece in pieces:
            ended = isinstance(piece, Reply)
            if isinstance(piece, Reply):
                turn.reply = piece
            said = thoughts.finish() if isinstance(piece, Reply) else thoughts.feed(piece)
            buffer += await self._guarded(said, ended)
            done = 0
            for start, end in whole_units(buffer, ended):
                out = await self._judge(buffer[done:start], buffer[start:end])
                done = end
                if out:
                    yield out
            buffer = buffer[done:]
            if self._gate.stopped:
                turn.stopped = True
                turn.sentences.append(Sentence("stopped", 0.0))
                return

    @property
    def verdicts(self) -> Sequence[Any]:
        """What the guards found so far, one verdict each."""
        return self._gate.verdicts

    def again(self) -> Message | None:
        """Give what to ask the model for once more; None where nothing or a block stopped it."""
        verdicts = self._gate.verdicts
        if self._turn.text or combine(verdicts) is not Action.REASK:
            return None
        reasons = " ".join(v.reason for v in verdicts if v.decision is Action.REASK)
        asked = f"That reply cannot be used. {reasons} Write another one that avoids this."
        return Message("user", (Part(asked),))

    async def _guarded(self, piece: str, ended: bool) -> str:
        def through() -> str:
            with scope(parent_id=self._turn.id):  # a judge's call is part of the turn
                out = self._gate.feed(piece)
                return out + self._gate.finish() if ended or self._gate.stopped else out

        return await bridge.aside(through) if self._waits else through()

    async def _judge(self, gap: str, sentence: str) -> str:
        """Judge one sentence; give what may leave, or ''."""
        turn = self._turn
        turn.raw += sentence
        turn.no_answer = turn.no_answer or _NO_ANSWER.match(sentence) is not None
        if turn.no_answer:
            return ""  # not judged: "no" and "answer" stand in many a passage
        if is_head(sentence):
            between = gap if turn.text or self._lead else ""
            self._lead = f"{self._lead}{between}{sentence}"
            return ""
        hidden = self._hidden(sentence)
        judged = await asyncio.to_thread(self._citer.judge, claim_of(sentence), hidden)
        marks = [citation.number for citation in judged.citations]
        judged = replace(judged, text=marked(sentence, judged.text, marks))
        good = tuple(c for c in judged.citations if self._index.check(c))
        if self._lead and good and not self._citer.introduces(self._lead, good, turn.asked):
            turn.withheld += 1
            turn.sentences.append(Sentence("withheld", 0.0))
            self._lead = ""
        said = await self._confirmed(judged, good)
        if said is False:
            good = ()
        turn.dropped += judged.dropped + len(judged.citations) - len(good)
        if not good:
            if strip_marks(sentence).rstrip().endswith(":"):
                # an introduction goes out with what it introduces
                self._lead = f"{gap if turn.text else ''}{strip_marks(sentence)}"
            else:
                turn.withheld += 1
                turn.sentences.append(Sentence("withheld", judged.support, (), said))
            return ""
        numbers = tuple(citation.number for citation in good)
        turn.sentences.append(Sentence("released", judged.support, numbers, said))
        turn.citations += [c for c in good if c not in turn.citations]
        out = f"{self._lead}{gap if turn.text or self._lead else ''}{judged.text}"
        self._lead = ""
        turn.text += out
        return out

    def _hidden(self, sentence: str) -> frozenset[str]:
        """Give what stands in a sentence for something taken out: it claims nothing."""
        return frozenset(FORM.findall(sentence)) | frozenset(
            span.replacement or "[removed]"
            for verdict in self._gate.verdicts
            if verdict.decision in CHANGES
            for span in verdict.spans
        )

    async def _confirmed(self, judged: Judged, good: Sequence[Citation]) -> bool | None:
        """Ask the judge, where one is set and there is something to ask about."""
        if self._steps.judge is None or not good:
            return None
        cited = {citation.passage_id for citation in good}
        passages = [passage for passage in self._turn.shown() if passage.id in cited]
        claim = strip_marks(f"{self._lead} {judged.text}").strip()
        return await confirmed(self._steps.judge, claim, passages, self._turn.context)

    def _document_hash(self, path: str) -> str:
        found = self._index.document(path)
        return found[1] if found else ""


def _similar(turn: Turn, steps: Steps) -> Callable[[str, Sequence[str]], list[float]] | None:
    embed, context = steps.embed, turn.context
    if embed is None:
        return None

    def similar(text: str, others: Sequence[str]) -> list[float]:
        vectors = embed([text, *others], context)
        return [float(each) for each in vectors[1:] @ vectors[0]]

    return similar
