"""One call and its attempts: which model next, how long to wait, and one true row for each.

A retry or a fallback happens only before the first byte of a reply's body; after it, what was
received is recorded and the error is the caller's. The body of an error status is no reply.
"""

import asyncio
import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai.errors import BudgetExceeded, ModelError
from genai.ledger import merged
from genai.models.base import Pricer, Provider, Recorder, unpriced
from genai.models.breaker import Breaker
from genai.models.fit import Fit
from genai.models.limits import Gate
from genai.models.meter import Attempt
from genai.types import Context, Message, Reply

# worth another try at the same model; the rest would fail again
AGAIN = {"rate_limited", "server", "network", "timeout", "conflict"}
# of no use at another model either
_HOPELESS = {"bad_request", "unprocessable"}
_BASE, _CAP, _PATIENCE = 0.5, 8.0, 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, to the first token, between two tokens, and for the whole reply."""

    connect: float = 10.0
    first: float = 60.0
    between: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What every attempt passes on its way; each may be absent.

    `sent` notes that a request leaves, `record` takes the row; `worst` prices the dearest reply a
    request may get, which `budgets` reserve; `limits` is the folder where processes share limits.
    """

    price: Pricer = unpriced
    record: Recorder | None = None
    sent: Any = None
    worst: Any = None
    budgets: Any = None
    telemetry: Any = None
    replay: Any = None
    limits: Path | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one provider."""

    name: str
    provider: Provider
    params: Mapping[str, Any] = field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    retries: int = 2
    gate: Gate | None = None
    breaker: Breaker = field(default_factory=Breaker)
    fit: Fit = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fit", Fit(self.name))

    @property
    def kind(self) -> str:
        """What the ledger calls the provider."""
        return getattr(self.provider, "name", "") or self.name.partition("/")[0]

    @property
    def place(self) -> str:
        """What tells it from others of its name: address, version, the model behind an object."""
        return getattr(self.provider, "identity", "") or getattr(self.provider, "host", "")


@dataclass(frozen=True, slots=True)
class Route:
    """The models that may answer a call: one, or several by weight, then fallbacks in order."""

    targets: Sequence[tuple[float, Target]]
    fallbacks: Sequence[Target] = ()
    hooks: Hooks = Hooks()
    hedge_after: float = 0.0

    @property
    def label(self) -> str:
        """What a person reads as the model's name; "" for its plain name."""
        return getattr(self.targets[0][1].provider, "label", "")

    @property
    def remote(self) -> bool:
        """Whether a request leaves this process."""
        return any(getattr(t.provider, "remote", False) for _, t in self.targets)

    @property
    def fields(self) -> frozenset[str] | None:
        """What somebody outside may set of a request; None: whatever goes into its body."""
        every = (*(target for _, target in self.targets), *self.fallbacks)
        known = [found for t in every if (found := getattr(t.provider, "fields", None)) is not None]
        return frozenset.intersection(*known) if known else None

    @property
    def identity(self) -> str:
        """What shapes the replies, as text: models, servers, parameters, in order."""
        every = [*(target for _, target in self.targets), *self.fallbacks]
        known = [(t.name, t.place, sorted(t.params.items())) for t in every]
        return repr((known, [weight for weight, _ in self.targets]))

    def plan(
        self,
        messages: Sequence[Message],
        params: Mapping[str, Any],
        context: Context | None,
        *,
        stream: bool,
    ) -> "Plan":
        """Begin a call."""
        return Plan(self, messages, params, merged(context), stream)

    def order(self) -> list[Target]:
        """Draw one target by weight; the other ones and the fallbacks come after it."""
        if len(self.targets) == 1:
            return [self.targets[0][1], *self.fallbacks]
        weights = [weight for weight, _ in self.targets]
        first = random.choices(range(len(weights)), weights)[0]
        rest = [target for n, (_, target) in enumerate(self.targets) if n != first]
        return [self.targets[first][1], *rest, *self.fallbacks]


class Plan:
    """What remains to be tried for one call."""

    def __init__(
        self,
        route: Route,
        messages: Sequence[Message],
        params: Mapping[str, Any],
        context: Context,
        stream: bool,
    ) -> None:
        self.hooks = route.hooks
        self.messages = messages
        self.given = params
        self.context = context
        self.stream = stream
        self.hedge_after = route.hedge_after
        self.attempts = 0
        self.repeat = ""  # which one of its like it is, for the store of replies
        self.first_id = ""
        self._route = route
        self._left = route.order()
        self._tries = 0
        self._first_here = ""

    @property
    def target(self) -> Target:
        """The model tried now."""
        return self._left[0]

    @property
    def identity(self) -> str:
        """What shapes the replies, as text."""
        return self._route.identity

    async def begin(self) -> Attempt:
        """Start the next attempt: past the breaker, the budget and the gate."""
        if self.hooks.replay is not None and len(self._left) > 1:
            self._skip_unrecorded()
        self._skip_broken()
        attempt = Attempt(self, self.target)
        self.attempts += 1
        self._tries += 1
        attempt.number = self.attempts
        attempt.retry_of = self._first_here
        if self.first_id and self._first_here == "":
            attempt.fallback_of = self.first_id
        self.first_id = self.first_id or attempt.id
        self._first_here = self._first_here or attempt.id
        await attempt.begin()
        return attempt

    def _skip_broken(self) -> None:
        while not self.target.breaker.lets_through():
            if len(self._left) == 1:
                wait = self.target.breaker.seconds_left()
                error = ModelError(
                    f"model {self.target.name}: failed {self.target.breaker.failures} times in a"
                    f" row and is left alone for {wait:.0f} s; check the provider, or add a"
                    " fallback",
                    "network",
                )
                raise counted(error, self.attempts)
            self._next_target()

    def _skip_unrecorded(self) -> None:
        """In a replay, go to who answered when it was recorded: another draw, or a fallback."""
        for n, target in enumerate(self._left):
            if self.hooks.replay.has(self, target, {**target.params, **self.given}):
                del self._left[:n]
                return

    def _next_target(self) -> None:
        self._left.pop(0)
        self._tries, self._first_here = 0, ""

    async def whole(self, attempt: Attempt) -> Reply:
        """Give the whole reply, of this attempt or of one after it."""
        while True:
            try:
                return attempt.close("ok", await attempt.complete())
            except asyncio.CancelledError:
                attempt.close("cancelled")
                raise
            except Exception as error:
                await self.failed(attempt, error)
            attempt = await self.begin()

    async def failed(self, attempt: Attempt, error: Exception) -> None:
        """Record a failed attempt; return when another may begin, else raise the error."""
        attempt.close("error", error=error)
        kind = getattr(error, "kind", "")
        if isinstance(error, BudgetExceeded) or not isinstance(error, ModelError):
            raise error
        fit = self.target.fit
        if error.param and not attempt.touched and fit.learn(error.param, attempt.params):
            self._tries -= 1  # what was refused is not sent again
            return
        if attempt.touched or kind in _HOPELESS:
            raise counted(error, self.attempts)
        if kind in AGAIN and self._tries <= self.target.retries:
            wait = pause(self._tries, attempt.retry_after)
            if wait is not None:
                await asyncio.sleep(wait)
                return
        if len(self._left) == 1:
            raise counted(error, self.attempts)
        self._next_target()


def pause(tries: int, asked: float | None) -> float | None:
    """Give the seconds to wait after so many tries; None where the server asks for too many.

    They are drawn from a range that doubles, or are what the server asks for.
    """
    jitter = random.uniform(0, min(_CAP, _BASE * 2 ** (tries - 1)))
    if asked is None:
        return jitter
    return asked + jitter / 10 if asked <= _PATIENCE else None


def counted(error: ModelError, attempts: int) -> ModelError:
    """Give the error with the number of attempts in its message, all else as it was."""
    found = copy.copy(error)
    found.args = (f"{error} ({attempts} attempt{'' if attempts == 1 else 's'})",)
    found.__cause__ = error
    return found
