"""The seam to providers: what goes in, what comes back piece by piece, and what a call may cost."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from genai.errors import ModelError
from genai.types import Call, Cost, CostStatus, Message, Part, Trust, Usage

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

    A provider may also have `complete(messages, params)` for a whole reply, `load()` for what takes
    long before its first request, `name` and `host` for the ledger, and `remote = True` when a
    request leaves this process.
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
    """Guess tokens where a provider reports none: four bytes each, rounded up.

    Of English these are four letters; of Chinese, Japanese or Korean a letter is nearly a token.
    """
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


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
    sent += sum(count_tokens(str(params.get(name) or "")) for name in ("tools", "response_format"))
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
