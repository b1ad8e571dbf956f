"""What is open: the span of a call, and a retrieval or a tool at work."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genai.ledger.otel.telemetry import Telemetry


class Handle:
    """One span that is open: `chunk` tells it the seconds between two pieces of a stream."""

    __slots__ = ("__weakref__", "done", "gaps", "in_turn", "later", "shape", "span", "values")

    def __init__(self, span: Any, shape: str, values: dict[str, Any]) -> None:
        self.span = span
        self.shape = shape
        self.values = values  # all that is known by now
        self.later: dict[str, Any] = {}  # of that, what the span does not carry yet
        self.gaps: list[float] = []
        self.done = False
        self.in_turn = False  # the guards of the turn have not seen its reply

    def learn(self, values: dict[str, Any]) -> None:
        """Take what became known after the span was opened."""
        self.values |= values
        self.later |= values

    def chunk(self, seconds: float) -> None:
        """Note that a further piece came, `seconds` after the one before it."""
        self.gaps.append(seconds)


class Step:
    """A retrieval or a tool at work: use it in `with`, and set `result` to what it gave."""

    def __init__(self, telemetry: "Telemetry", handle: Handle) -> None:
        self.handle = handle
        self.result: Any = None
        self._telemetry = telemetry
        self._start = time.perf_counter()

    def __enter__(self) -> "Step":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._telemetry._step_done(self, error, time.perf_counter() - self._start)
