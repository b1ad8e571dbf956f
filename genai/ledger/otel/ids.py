"""Ids of spans that follow from the ledger's: sent now or sent again, a row is the same span.

The `trace_id` and `span_id` of a row's Context name the span around the call. Its own span id
comes from its call id, and its trace, where none is named, from the call at its root.
"""

import hashlib
import threading
from typing import Any

from genai.types import Call


def span_id(call_id: str) -> int:
    """Give the span of a ledger row."""
    return _number(f"span {call_id}", 8)


def trace_id(call: Call) -> int:
    """Give the trace of a ledger row."""
    named = hexadecimal(call.context.trace_id, 32)
    return named or _number(f"trace {call.context.parent_id or call.id}", 16)


def hexadecimal(text: str, digits: int) -> int:
    """Read an id; 0 where it is none."""
    try:
        return int(text, 16) if len(text) == digits else 0
    except ValueError:
        return 0


def _number(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1


class Ids:
    """Gives the next span of this thread the ids it was told; every other span its own kind."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._told = threading.local()

    def tell(self, trace: int, span: int) -> None:
        """Say the ids of the span started next; 0 takes them back."""
        self._told.trace, self._told.span = trace, span

    def generate_trace_id(self) -> int:
        """Give the id of a new trace."""
        told: int = getattr(self._told, "trace", 0)
        self._told.trace = 0
        return told or int(self._inner.generate_trace_id())

    def generate_span_id(self) -> int:
        """Give the id of a new span."""
        told: int = getattr(self._told, "span", 0)
        self._told.span = 0
        return told or int(self._inner.generate_span_id())

    def is_trace_id_random(self) -> bool:
        """Say whether a sampler may rely on the ids' bits; those of a hash will do."""
        return bool(getattr(self._inner, "is_trace_id_random", bool)())
