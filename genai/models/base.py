"""What every model has in common: the seam to providers, and the sync and async faces."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from genai import bridge
from genai.errors import ModelError
from genai.types import Call, Context, Cost, CostStatus, Message, Part, Reply, Trust, Usage

if TYPE_CHECKING:
    from genai.models.attempts import Plan, Route
_MOST_OUTPUT = 16_384
_OVERHEAD = 8  # tokens a message costs beside its text
Recorder = Callable[[Call], None]
Prompted = str | Sequence[Message | Mapping[str, Any]]


class Pricer(Protocol):
    """Prices one call. `tier` is the service tier, `reported` the provider's own figure."""

    def __call__(
        self, model: str, usage: Usage, *, tier: str = "", response_model: str = "",
        reported: str = "",
    ) -> Cost:  # fmt: skip
        """Give the cost, or say that nobody knows it."""
        ...


@dataclass(slots=True, unsafe_hash=True)
class ToolPiece:
    """A piece of the tool call at `index`, as a stream brings it."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True, unsafe_hash=True)
class Delta:
    """A piece of a reply as it arrives, or all of it; the last ones carry usage and the finish.

    `request_id`, `tier` and `status` are what the provider calls this request. `refusal` is what
    the model says instead of a text, `logprobs` the tokens' probabilities in the provider's form.
    """

    text: str = ""
    usage: Usage | None = None
    finish_reason: str = ""
    tools: tuple[ToolPiece, ...] = ()
    model: str = ""
    request_id: str = ""
    tier: str = ""
    status: int | None = None
    reported: str = ""
    refusal: str = ""
    logprobs: tuple[Any, ...] = field(default=(), hash=False)


BEGUN = Delta()  # bytes of a good reply have arrived, and no event of it yet


class Provider(Protocol):
    """The seam: one method that streams one reply.

    A provider may also have `complete(messages, params)` for a whole reply, `name` and `host` for
    the ledger, and `remote = True` when a request leaves this process.
    """

    def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply to `messages` piece by piece. Raises `ModelError`."""
        ...


def unpriced(
    model: str, usage: Usage, *, tier: str = "", response_model: str = "", reported: str = ""
) -> Cost:
    """Price nothing: the cost of every call is unknown."""
    return Cost(None, CostStatus.UNPRICED, "no price table given")


def count_tokens(text: str) -> int:
    """Guess tokens where a provider reports none: four characters each, rounded up."""
    return -(-len(text) // 4)


def worst_case(
    price: Pricer,
    entry: Callable[[str], Mapping[str, Any] | None],
    model: str,
    messages: Sequence[Message],
    params: Mapping[str, Any],
) -> Cost:
    """Price the dearest reply a request may get: all its input fresh, its output at the most.

    The most is the request's own limit, else 16,384 tokens, capped by what the model can give.
    """
    asked = [params.get(name) for name in ("max_completion_tokens", "max_tokens")]
    most = next((limit for limit in asked if isinstance(limit, int)), _MOST_OUTPUT)
    known = (entry(model) or {}).get("max_output_tokens")
    if known:
        most = min(most, int(known))
    sent = sum(count_tokens(message.text) + _OVERHEAD for message in messages)
    sent += count_tokens(str(params.get("tools") or ""))
    return price(model, Usage(sent, most, source="provider"))


def refuse_choices(name: str, params: Mapping[str, Any]) -> None:
    """Refuse `n` above 1 before a request leaves: one reply of a call is kept, all are billed.

    Raises:
        ModelError: names the key and what to do.
    """
    n = params.get("n")
    if isinstance(n, int) and n > 1:
        raise ModelError(
            f"model {name}: `n` asks for {n} replies, and one is kept of each call; leave `n` out"
            f" and call {n} times (`repeats` in a suite); nothing was sent (0 attempts)",
            "bad_request",
            sent=False,
        )


def as_messages(prompt: Prompted) -> tuple[Message, ...]:
    """Take text, Messages, or messages in the protocol's own form.

    Raises:
        ModelError: a mapping is not a message.
    """
    if isinstance(prompt, str):
        return (Message.user(prompt),)
    return tuple(each if isinstance(each, Message) else _message(each) for each in prompt)


def _message(given: Mapping[str, Any]) -> Message:
    from genai.types import ToolCall

    try:
        content, role = given.get("content"), given["role"]
        trust: Trust = "trusted" if role == "system" else "untrusted"
        pieces = [content] if isinstance(content, str) else content or []
        parts = tuple(_part(piece, trust) for piece in pieces)
        calls = tuple(
            ToolCall(each["id"], each["function"]["name"], each["function"]["arguments"])
            for each in given.get("tool_calls") or ()
        )
        return Message(role, parts, calls, given.get("tool_call_id", ""))
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"a message is not in the chat form ({type(error).__name__}: {error}); give text, a"
            ' Message, or {"role": ..., "content": ...}',
            "bad_request",
        ) from error


def _part(piece: Any, trust: Trust) -> Part:
    if isinstance(piece, Part):  # an uploaded file
        return piece
    if isinstance(piece, str):
        return Part(piece, trust)
    if piece["type"] == "text":
        return Part(piece["text"], trust)
    return Part("", trust, data=piece)


class Model:
    """One model behind the one door. Call it, stream it, await it; each attempt is a ledger row.

    `params` of a call go to the provider as they are: `temperature`, `tools`, `max_tokens`.
    `schema` (a pydantic class or a JSON schema) makes the reply's `parsed`.
    """

    def __init__(self, name: str, route: "Route") -> None:
        self.name = name
        self.label = route.label or name
        self.route = route

    @property
    def identity(self) -> str:
        """What shapes the replies, as text: models, servers, parameters."""
        return self.route.identity

    @property
    def remote(self) -> bool:
        """Whether a request leaves this process."""
        return self.route.remote

    @property
    def concurrency(self) -> int:
        """How many calls to have in flight at the most; the door limits them further."""
        return 105 if self.remote else 8

    def __call__(self, prompt: Prompted, *, schema: Any = None, **params: Any) -> Reply:
        """Give the whole reply. Raises `ModelError`."""
        return bridge.run(self.acall(prompt, schema=schema, **params))

    def stream(self, prompt: Prompted, **params: Any) -> bridge.Stream[str | Reply]:
        """Give text pieces as they arrive, then the Reply; closing the iterator ends the call."""
        return bridge.Stream(self.astream(prompt, **params))

    async def acall(
        self,
        prompt: Prompted,
        *,
        schema: Any = None,
        context: Context | None = None,
        **params: Any,
    ) -> Reply:
        """Give the whole reply, in async code."""
        messages = as_messages(prompt)
        if schema is not None:
            from genai.models.structured import structured

            return await structured(self._whole, messages, schema, context, params)
        return await self._whole(messages, context, params)

    async def _whole(
        self, messages: Sequence[Message], context: Context | None, params: Mapping[str, Any]
    ) -> Reply:
        plan = self.route.plan(messages, params, context, stream=False)
        if plan.hedge_after:
            from genai.models.hedge import hedged

            return await hedged(plan)
        reply: Reply = await plan.whole(await plan.begin())
        return reply

    async def astream(
        self, prompt: Prompted, *, context: Context | None = None, **params: Any
    ) -> AsyncGenerator[str | Reply, None]:
        """Give text pieces as they arrive, then the Reply, in async code."""
        plan: Plan = self.route.plan(as_messages(prompt), params, context, stream=True)
        while True:
            attempt = await plan.begin()
            try:
                async with aclosing(attempt.pieces()) as pieces:
                    async for text in pieces:
                        yield text
                reply = attempt.close("ok")
            except (GeneratorExit, asyncio.CancelledError):
                attempt.close("cancelled")
                raise
            except Exception as error:
                await plan.failed(attempt, error)
            else:
                yield reply
                return
