"""A LangChain runnable as a task: what it says, what it retrieved, and what that took."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.runnables import Runnable

from genai import bridge
from genai.ledger import merged, scope
from genai.ledger.sums import total_cost
from genai.ledger.usage import langchain_usage
from genai.models.attempts import Hooks
from genai.models.base import count_tokens
from genai.models.langchain.inward import finish_of, kind_of, whole
from genai.types import Call, Context, Cost, CostStatus, Usage, new_id


class RunnableTask:
    """A chain, agent or retriever of theirs as a task; callbacks see what it does inside.

    A turn is a ledger row of kind `chain`; under it each call of a chat model of theirs is a
    `model` row, priced as `provider/model`, and models of ours leave the rows they always do. The
    outcome is a mapping: the runnable's own, else its `output`, with `contexts` (what retrievers
    gave, unless it names its own), `usage`, `cost`, `seconds`, `model` and `call_id`.
    """

    of_code = True  # what it is stands in files too, which `identity` does not hold

    def __init__(
        self, runnable: Runnable[Any, Any], name: str, *, identity: str, hooks: Hooks
    ) -> None:
        self.name, self.identity = name, identity
        self._runnable, self._hooks = runnable, hooks

    def __call__(self, given: Any) -> Mapping[str, Any]:
        """Ask it. Raises what the runnable raises."""
        return bridge.run(self.acall(given))

    async def acall(self, given: Any) -> Mapping[str, Any]:
        """Ask it, in async code. Raises what the runnable raises."""
        turn = _Turn(self._hooks)
        try:
            with scope(parent_id=turn.id):
                output = await whole(self._runnable.ainvoke(given, {"callbacks": [turn]}))
        except BaseException as error:
            turn.close(self.name, *_ended(error))
            raise
        outcome = _outcome(output, turn.documents)
        refused = bool(outcome.get("refused"))
        call = turn.close(
            self.name, "refusal" if refused else "ok",
            str(outcome.get("reason", "")) if refused else "",
        )  # fmt: skip
        return {
            "usage": call.usage, "cost": call.cost, "seconds": call.seconds, "model": self.name,
            "call_id": call.id, **outcome,
        }  # fmt: skip


def _outcome(output: Any, documents: Sequence[Document]) -> dict[str, Any]:
    if isinstance(output, Mapping):
        found = {str(key): value for key, value in output.items()}
        messages = found.get("messages")
        if isinstance(messages, list) and messages and isinstance(messages[-1], BaseMessage):
            found["output"] = messages[-1]  # an agent's last word
    elif isinstance(output, list) and all(isinstance(each, Document) for each in output):
        return {"text": "\n\n".join(each.page_content for each in output), "contexts": output}
    else:
        found = {"output": output}
    return {"contexts": list(documents), **found} if documents else found


@dataclass(slots=True)
class _Asked:
    """A call of a model under way."""

    name: str
    ours: bool
    sent: str
    started_at: float = field(default_factory=time.time)
    start: float = field(default_factory=time.perf_counter)
    ttft: float | None = None


class _Turn(BaseCallbackHandler):
    """Sees the models and retrievers of one turn, and writes its rows."""

    run_inline = True  # its order is that of the calls

    def __init__(self, hooks: Hooks) -> None:
        self.id = new_id()
        self.documents: list[Document] = []
        self._hooks = hooks
        self._context = merged(Context(parent_id=self.id))
        self._started_at, self._start = time.time(), time.perf_counter()
        self._asked: dict[UUID, _Asked] = {}
        self._usage = Usage()
        self._costs: list[Cost] = []

    # -- what LangChain says ---------------------------------------------------------------------

    def on_retriever_end(self, documents: Sequence[Document], **kwargs: Any) -> None:
        """Keep what was retrieved, once each, in order."""
        self.documents += [each for each in documents if each not in self.documents]

    def on_chat_model_start(
        self, serialized: Any, messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Note that a chat model is asked."""
        self._begin(run_id, "\n".join(str(each.text) for each in messages[0]), kwargs)

    def on_llm_start(
        self, serialized: Any, prompts: list[str], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Note that a model of plain text is asked."""
        self._begin(run_id, prompts[0], kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note when the first piece came."""
        asked = self._asked.get(run_id)
        if asked is not None and asked.ttft is None:
            asked.ttft = time.perf_counter() - asked.start

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Book a call that ended well."""
        self._end(run_id, "ok", "", response.generations[0][0])

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Book a call that failed."""
        self._end(run_id, *_ended(error), None)

    # -- rows ------------------------------------------------------------------------------------

    def _begin(self, run_id: UUID, sent: str, said: Mapping[str, Any]) -> None:
        facts = said.get("metadata") or {}
        provider = str(facts.get("ls_provider") or "langchain")
        name = f"{provider}/{facts.get('ls_model_name') or 'unnamed'}"
        self._asked[run_id] = _Asked(name, provider == "genai", sent)

    def _end(self, run_id: UUID, outcome: str, reason: str, found: Generation | None) -> None:
        asked = self._asked.pop(run_id, None)
        if asked is None:
            return
        message = found.message if isinstance(found, ChatGeneration) else None
        facts = {} if message is None else message.response_metadata
        said = getattr(message, "usage_metadata", None)
        if said:
            usage = langchain_usage(said)
        else:
            text = "" if found is None else found.text
            usage = Usage(count_tokens(asked.sent), count_tokens(text), source="counted")
        answered = str(facts.get("model_name") or "")
        tier = str(facts.get("service_tier") or "")
        if asked.ours:
            cost = _cost_of(facts)
        else:
            cost = self._hooks.price(asked.name, usage, tier=tier, response_model=answered)
        self._usage += usage
        self._costs.append(cost)
        if asked.ours or self._hooks.record is None:
            return
        call = Call(
            new_id(), "model", asked.started_at, time.perf_counter() - asked.start, outcome,
            asked.name, self._context, usage, cost, "chat", asked.name.partition("/")[0], answered,
            stream=asked.ttft is not None, ttft=asked.ttft, reason=reason, served_tier=tier,
            request_id=(message.id or "") if message is not None else "",
            finish_reason=finish_of(facts) or outcome,
        )  # fmt: skip
        self._hooks.record(call)

    def close(self, name: str, outcome: str, reason: str) -> Call:
        """Write the turn's own row: its tokens and money are the sum of its models' calls."""
        tags = {"passages": len(self.documents)} if self.documents else {}
        call = Call(
            self.id, "chain", self._started_at, time.perf_counter() - self._start, outcome, name,
            merged(None), self._usage if self._costs else Usage(source="counted"),
            total_cost(self._costs), reason=reason, tags=tags,
        )  # fmt: skip
        if self._hooks.record is not None:
            self._hooks.record(call)
        return call


def _ended(error: BaseException) -> tuple[str, str]:
    """Say how it ended, and why in our words where there are some; a stop is no error."""
    if not isinstance(error, Exception):
        return "cancelled", ""
    return "error", kind_of(error)[0] or type(error).__name__


def _cost_of(facts: Mapping[str, Any]) -> Cost:
    """Read what a model of ours said of its own call."""
    status = CostStatus(facts.get("cost_status") or CostStatus.UNPRICED)
    amount = facts.get("cost")
    return Cost(None if amount is None else Decimal(amount), status)
