"""What every model has in common: time, price, one ledger row a call, sync and async faces."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from genai import bridge
from genai.errors import ModelError
from genai.types import Call, Context, Cost, CostStatus, Message, Reply, Usage, new_id

Recorder = Callable[[Call], None]
Pricer = Callable[[str, Usage], Cost]
Prompted = str | Sequence[Message]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply as it arrives; the last ones carry usage and the finish reason."""

    text: str = ""
    usage: Usage | None = None
    finish_reason: str = ""


class Provider(Protocol):
    """The seam: one method that streams one reply."""

    def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply to `messages` piece by piece. Raises `ModelError`."""
        ...


def unpriced(model: str, usage: Usage) -> Cost:
    """Price nothing: the cost of every call is unknown."""
    return Cost(None, CostStatus.UNPRICED, "no price table given")


def count_tokens(text: str) -> int:
    """Guess tokens where a provider reports none: four characters each, rounded up."""
    return -(-len(text) // 4)


class Model:
    """One model behind the one door. Call it, stream it, await it; each call is a ledger row."""

    def __init__(
        self,
        name: str,
        provider: Provider,
        *,
        params: Mapping[str, Any] | None = None,
        timeout: float = 60.0,
        price: Pricer = unpriced,
        record: Recorder | None = None,
    ) -> None:
        self.name = name
        self.label = getattr(provider, "label", name)
        self._provider = provider
        self._params = dict(params or {})
        self._timeout = timeout
        self._price = price
        self._record = record

    def __call__(self, prompt: Prompted, **params: Any) -> Reply:
        """Give the whole reply. Raises `ModelError`."""
        return bridge.run(self.acall(prompt, **params))

    def stream(self, prompt: Prompted, **params: Any) -> bridge.Stream[str | Reply]:
        """Give text pieces as they arrive, then the Reply; closing the iterator ends the call."""
        return bridge.Stream(self.astream(prompt, **params))

    async def acall(
        self, prompt: Prompted, *, context: Context | None = None, **params: Any
    ) -> Reply:
        """Give the whole reply, in async code."""
        async for piece in self.astream(prompt, context=context, **params):
            if isinstance(piece, Reply):
                return piece
        raise ModelError(f"model {self.name}: the stream ended without a reply", "bad_reply")

    async def astream(
        self, prompt: Prompted, *, context: Context | None = None, **params: Any
    ) -> AsyncGenerator[str | Reply, None]:
        """Give text pieces as they arrive, then the Reply, in async code."""
        messages = (Message.user(prompt),) if isinstance(prompt, str) else tuple(prompt)
        meter = _Meter(self, messages, context or Context())
        source = self._provider.stream(messages, {**self._params, **params})
        try:
            async for delta in _within(source, self._timeout, self.name):
                meter.add(delta)
                if delta.text:
                    yield delta.text
            reply = meter.close("ok")
        except (GeneratorExit, asyncio.CancelledError):
            meter.close("cancelled")
            raise
        except Exception as error:
            kind = error.kind if isinstance(error, ModelError) else type(error).__name__
            meter.close("error", kind)
            raise
        finally:
            aclose = getattr(source, "aclose", None)
            if aclose is not None:
                await aclose()
        yield reply


class _Meter:
    """Follows one call and writes its row, once."""

    def __init__(self, model: Model, messages: Sequence[Message], context: Context) -> None:
        self._model = model
        self._messages = messages
        self._context = context
        self._started_at = time.time()
        self._start = time.perf_counter()
        self._ttft: float | None = None
        self._text: list[str] = []
        self._usage: Usage | None = None
        self._finish = ""

    def add(self, delta: Delta) -> None:
        if delta.text:
            if self._ttft is None:
                self._ttft = time.perf_counter() - self._start
            self._text.append(delta.text)
        self._usage = delta.usage or self._usage
        self._finish = delta.finish_reason or self._finish

    def close(self, outcome: str, reason: str = "") -> Reply:
        model, text = self._model, "".join(self._text)
        usage = self._usage or self._counted(text, outcome)
        cost = model._price(model.name, usage)
        reply = Reply(
            text=text,
            model=model.name,
            usage=usage,
            cost=cost,
            seconds=time.perf_counter() - self._start,
            ttft=self._ttft,
            finish_reason=self._finish or ("stop" if outcome == "ok" else outcome),
            call_id=new_id(),
        )
        if model._record is not None:
            call = row(reply, "model", outcome, self._started_at, self._context)
            model._record(replace(call, reason=reason))
        return reply

    def _counted(self, text: str, outcome: str) -> Usage:
        if outcome == "error" and not text:
            return Usage()  # nobody knows whether the provider counted anything
        sent = sum(count_tokens(message.text) for message in self._messages)
        return Usage(sent, count_tokens(text), source="counted")


def row(reply: Reply, kind: str, outcome: str, started_at: float, context: Context) -> Call:
    """Make the ledger row of a call from its reply."""
    known = reply.usage.source != "none"
    return Call(
        id=reply.call_id,
        kind=kind,
        started_at=started_at,
        seconds=reply.seconds,
        outcome=outcome,
        parent_id=context.parent_id,
        model=reply.model,
        prompt_id=context.prompt_id,
        config_hash=context.config_hash,
        index_revision=context.index_revision,
        feature=context.feature,
        ttft=reply.ttft,
        input_tokens=reply.usage.input_tokens if known else None,
        output_tokens=reply.usage.output_tokens if known else None,
        cached_tokens=reply.usage.cached_tokens if known else None,
        usage_source=reply.usage.source,
        cost=reply.cost.amount,
        cost_status=reply.cost.status,
        cost_reason=reply.cost.reason,
        currency=reply.cost.currency,
        finish_reason=reply.finish_reason,
    )


async def _within(source: AsyncIterator[Delta], seconds: float, name: str) -> AsyncIterator[Delta]:
    """Pass a stream on, but wait at most `seconds` for each piece."""
    iterator = aiter(source)
    while True:
        try:
            delta = await asyncio.wait_for(anext(iterator), seconds)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise ModelError(
                f"model {name}: no reply within {seconds:g} s; raise `models.{name}.timeout`"
                " or check the server",
                "timeout",
            ) from error
        yield delta
