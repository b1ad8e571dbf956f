"""One attempt: its times, tokens and money, and the one row it leaves."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from genai.errors import ModelError, Unmeasured
from genai.ledger.cap import Cap, current_cap
from genai.models.base import BEGUN, Delta, ToolPiece, count_tokens, refuse_choices
from genai.types import UNKNOWN_COST, Call, Cost, CostStatus, Reply, ToolCall, Usage, new_id

if TYPE_CHECKING:
    from genai.models.attempts import Plan, Target
# ended before the provider worked on it, by its own word or because nothing was sent
_REJECTED = {
    "key", "permission", "unknown_model", "bad_request", "conflict", "unprocessable",
    "rate_limited",
}  # fmt: skip

_CAP_POLL = 0.01  # seconds between looks at what calls in flight have given back


class Attempt:
    """Follows one request to one model and writes its row, once."""

    def __init__(self, plan: "Plan", target: "Target") -> None:
        self.id = new_id()
        self.number = 1
        self.retry_of = self.fallback_of = ""
        self.touched = False
        self.retry_after: float | None = None
        self._plan = plan
        self.target = target
        self._context = plan.context
        self._asked = {**target.params, **plan.given} if target.params else plan.given
        self.params = target.fit.fitted(self._asked)
        self.messages = target.fit.worded(plan.messages, self._asked)
        refuse_choices(target.name, self.params)
        self.started_at = time.time()
        self._start = time.perf_counter()
        self._text: list[str] = []
        self._refusal = ""
        self._logprobs: list[Any] = []
        self._tools: list[ToolPiece] = []
        self._times: list[float] = []
        self._last = Delta()
        self._usage: Usage | None = None
        self._ttft: float | None = None
        self._closed = self._held = self._reserved = False
        self._cap: Cap | None = None
        self._sent = True
        self._replayed: list[Delta] | None = None
        self._key = ""
        self._span: Any = None
        self._error: Exception | None = None
        self._remote = getattr(target.provider, "remote", False)

    # -- on the way out --------------------------------------------------------------------------

    async def begin(self) -> None:
        """Pass replay, budget and gate, and note that the request leaves."""
        hooks = self._plan.hooks
        try:
            if hooks.replay is not None and self._remote:
                self._key, self._replayed = hooks.replay.find(self._plan, self.target, self._asked)
                if self._replayed is not None:
                    return
            if load := getattr(self.target.provider, "load", None):
                await load()
            reserved = await self._reserve() if hooks.budgets is not None else None
            await self._keep_cap()
            if self.target.gate is not None:
                await self.target.gate.acquire()
                self._held = True
            self.started_at, self._start = time.time(), time.perf_counter()
            if hooks.telemetry is not None:
                if not self._context.trace_id:  # the span around the call, for sending it again
                    self._context = replace(self._context, **hooks.telemetry.active())
                self._span = hooks.telemetry.begin(self._opening(), self.params)
            if hooks.sent is not None and self._remote:
                hooks.sent(self.id, self.started_at, self.target.name, self._context, reserved)
        except (asyncio.CancelledError, Unmeasured):
            self.close("cancelled", quiet=True)
            raise
        except Exception:
            self.close("error", quiet=True)
            raise

    async def _reserve(self) -> Any:
        hooks = self._plan.hooks
        worst = hooks.worst(self.target.name, self.messages, self.params)
        name, context = self.target.name, self._context

        def reserve() -> None:
            self._reserved = hooks.budgets.reserve(self.id, context, name, worst)
            if self._reserved and self._closed:  # cancelled meanwhile, and nobody waits for this
                hooks.budgets.settle_later(self.id, Decimal(0))

        await asyncio.to_thread(reserve)
        return worst.amount if self._reserved else None

    async def _keep_cap(self) -> None:
        """Reserve the worst case under the run's cap; wait while calls in flight hold it."""
        cap = current_cap()
        if cap is None or not self._remote:
            return
        hooks, name = self._plan.hooks, self.target.name
        worst = UNKNOWN_COST
        if hooks.worst is not None and cap.limit is not None:
            worst = hooks.worst(name, self.messages, self.params)
        while not cap.reserve(self.id, name, worst):
            await asyncio.sleep(_CAP_POLL)
        self._cap = cap

    # -- the reply -------------------------------------------------------------------------------

    async def complete(self) -> Delta:
        """Give the whole reply; fall back to the stream where a provider has nothing else."""
        whole = getattr(self.target.provider, "complete", None)
        if whole is None or self._replayed is not None:
            async with aclosing(self.pieces()) as pieces:
                async for _ in pieces:
                    pass
            return Delta()
        total = self.target.timeouts.total
        own = hasattr(self.target.provider, "within")  # it keeps to its own time
        try:
            async with asyncio.timeout(None if own else total):
                delta: Delta = await whole(self.messages, self.params)
        except TimeoutError as error:
            raise self._late("no whole reply", total, "total_timeout") from error
        self.add(delta)
        return delta

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Give text as it arrives."""
        if self._replayed is not None:
            for text in self._again(self._replayed):
                yield text
            return
        source = aiter(self.target.provider.stream(self.messages, self.params))
        limits, now = self.target.timeouts, asyncio.get_running_loop().time
        streamed = self._plan.stream  # of a whole reply nobody awaits the pieces
        end = now() + limits.total
        wait, word, key = limits.first, "no reply", "timeout"
        due = now() + wait
        try:
            while True:
                try:
                    async with asyncio.timeout_at(min(due, end) if streamed else end):
                        delta = await anext(source)
                except StopAsyncIteration:
                    break
                except TimeoutError as error:
                    if due > end or not streamed:
                        word = "no end of the reply" if streamed else "no whole reply"
                        wait, key = limits.total, "total_timeout"
                    raise self._late(word, wait, key) from error
                self.add(delta)
                if delta.text:
                    yield delta.text
                if delta is not BEGUN:  # else the first token is still awaited
                    wait, word = limits.between, "no further text"
                    due = now() + wait
        finally:
            aclose = getattr(source, "aclose", None)
            if aclose is not None:
                await aclose()

    def _again(self, kept: list[Delta]) -> Iterator[str]:
        # nothing is waited for: time limits would take more time and memory than the replay
        for delta in kept:
            self.add(delta)
            if delta.text:
                yield delta.text

    def _late(self, word: str, seconds: float, key: str) -> ModelError:
        name = self.target.name
        return ModelError(
            f"model {name}: {word} within {seconds:g} s; raise `models.{name}.{key}`"
            " or check the server",
            "timeout",
        )

    def add(self, delta: Delta) -> None:
        """Take what arrived."""
        self.touched = True
        if delta.text or delta.tools:
            now = time.perf_counter()
            if self._span is not None and self._times:
                self._span.chunk(now - self._times[-1])
            self._times.append(now)
            if self._ttft is None:
                self._ttft = now - self._start
            if delta.text:
                self._text.append(delta.text)
            if delta.tools:
                self._tools.extend(delta.tools)
        if delta.usage is not None:
            self._usage = delta.usage
        if delta.refusal or delta.logprobs:
            self._refusal += delta.refusal
            self._logprobs.extend(delta.logprobs)
        last = self._last
        if delta.finish_reason or delta.model or delta.request_id or delta.tier or delta.reported:
            self._last = Delta(
                finish_reason=delta.finish_reason or last.finish_reason,
                model=delta.model or last.model,
                request_id=delta.request_id or last.request_id,
                tier=delta.tier or last.tier,
                status=delta.status or last.status,
                reported=delta.reported or last.reported,
            )

    # -- the end ---------------------------------------------------------------------------------

    def close(
        self, outcome: str, whole: Delta | None = None, *, error: Exception | None = None,
        quiet: bool = False,
    ) -> Reply:  # fmt: skip
        """Write the row and let go of what was held; the first close is the one that counts."""
        if isinstance(error, ModelError):
            self.retry_after, self._sent = error.retry_after, error.sent
            if isinstance(error.received, Delta):
                self.add(error.received)
                error.received = BEGUN  # the content stays here
        self._error = error
        call = self._row(outcome, error)
        if not self._closed:
            self._closed = True
            self._let_go(call, quiet)
        tools: tuple[ToolCall, ...] = ()
        if self._tools:
            from genai.models.wire import join

            tools = join(self._tools)
        return Reply(
            text="".join(self._text),
            model=self.target.name,
            usage=call.usage,
            cost=call.cost,
            seconds=call.seconds,
            ttft=self._ttft,
            finish_reason=call.finish_reason,
            call_id=self.id,
            tool_calls=tools,
            response_model=call.response_model,
            attempts=self.number,
            refusal=self._refusal,
            logprobs=tuple(self._logprobs),
        )

    def _let_go(self, call: Call, quiet: bool) -> None:
        hooks, kind = self._plan.hooks, call.reason if call.outcome == "error" else ""
        if self._held and self.target.gate is not None:
            self.target.gate.release(kind, self.number > 1, self.retry_after)
        if self._replayed is None and not quiet and call.outcome != "cancelled":
            self.target.breaker.saw(kind)
        if self._reserved:
            # what never left costs nothing, whatever its row would say
            hooks.budgets.settle_later(self.id, Decimal(0) if quiet else call.cost.amount)
        if self._cap is not None:
            self._cap.settle(self.id, Decimal(0) if quiet else call.cost.amount)
        if self._span is not None:
            said = "".join(self._text)
            hooks.telemetry.end(
                self._span, call, messages=self.messages, reply=said, error=self._error
            )
        if hooks.record is not None and not quiet:
            hooks.record(call)
        if hooks.replay is not None and self._key and self._replayed is None:
            if call.outcome == "ok":
                said = "".join(self._text)
                tools, logprobs = tuple(self._tools), tuple(self._logprobs)
                whole = Delta(said, self._usage, tools=tools, refusal=self._refusal,
                              logprobs=logprobs)  # fmt: skip
                hooks.replay.keep(self._key, whole, call)

    def _row(self, outcome: str, error: Exception | None = None) -> Call:
        kind = ""
        if error is not None:
            kind = error.kind if isinstance(error, ModelError) else type(error).__name__
        last, target, times = self._last, self.target, self._times
        itl_mean = itl_p95 = None
        if len(times) > 1:
            gaps = sorted(b - a for a, b in zip(times, times[1:], strict=False))
            itl_mean = (times[-1] - times[0]) / len(gaps)
            itl_p95 = gaps[-(-len(gaps) * 95 // 100) - 1]
        usage = self._counted(outcome, kind) if self._usage is None else self._usage
        status = last.status or getattr(error, "status", None)
        return Call(
            self.id, "model", self.started_at, time.perf_counter() - self._start, outcome,
            target.name, self._context, usage, self._cost(outcome, kind, usage), "chat",
            target.kind, last.model, getattr(target.provider, "host", ""), self.number,
            self.retry_of, self.fallback_of, self._plan.stream, self._ttft, itl_mean, itl_p95,
            len(times) or None, status, last.request_id,
            last.finish_reason or ("stop" if outcome == "ok" else outcome), kind,
            "" if self._replayed is None else "replay",
            str(self.params.get("service_tier") or ""), last.tier,
        )  # fmt: skip

    def _opening(self) -> Call:
        """Say what is known of the request before it leaves."""
        target = self.target
        return Call(
            self.id, "model", self.started_at, 0.0, "sent", target.name, self._context,
            operation="chat", provider=target.kind, host=getattr(target.provider, "host", ""),
            attempt=self.number, stream=self._plan.stream,
        )  # fmt: skip

    def _counted(self, outcome: str, kind: str) -> Usage:
        if (
            kind in _REJECTED
            or not self._sent
            or (outcome == "error" and not self._remote and not self._text)
        ):
            return Usage()  # nothing was counted, here or there
        sent = sum(count_tokens(message.text) for message in self.messages)
        return Usage(sent, count_tokens("".join(self._text)), source="counted")

    def _cost(self, outcome: str, kind: str, usage: Usage) -> Cost:
        hooks = self._plan.hooks
        if self._replayed is not None:
            return Cost(Decimal(0), CostStatus.DECLARED_FREE, "replayed, no provider was asked")
        rejected = kind in _REJECTED or not self._sent
        if rejected and self._remote and self._usage is None:
            return Cost(Decimal(0), CostStatus.DECLARED_FREE, "rejected before processing")
        tier = self._last.tier or str(self.params.get("service_tier") or "")
        cost = hooks.price(
            self.target.name, usage, tier=tier, response_model=self._last.model,
            reported=self._last.reported,
        )  # fmt: skip
        if outcome != "ok" and cost.status == CostStatus.PRICED:
            return replace(cost, status=CostStatus.ESTIMATED, reason=f"the reply ended: {outcome}")
        return cost
