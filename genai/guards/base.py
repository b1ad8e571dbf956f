"""A guard looks at one text and names what it finds; a guard that fails is a finding too."""

import contextvars
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from genai.errors import MissingExtra
from genai.types import Action, Place, Span, Verdict

STRENGTH = [
    Action.ALLOW,
    Action.FLAG,
    Action.REDACT,
    Action.PSEUDONYMISE,
    Action.QUARANTINE,
    Action.REASK,
    Action.BLOCK,
]
# with one of these nothing more of a text leaves
STOPS = frozenset({Action.QUARANTINE, Action.REASK, Action.BLOCK})
CHANGES = frozenset({Action.REDACT, Action.PSEUDONYMISE})

# `span`: marks anywhere in a window, up to LOOKAHEAD characters beyond it. `sentence`: judges whole
# sentences. `size`: has a `limit` in characters. `whole`: needs the whole text at once. `sent`: the
# same, and tells it to a model: it is given the text as it would leave, and marks all or nothing.
Scope = Literal["span", "sentence", "size", "whole", "sent"]
OnError = Literal["open", "closed"]
_HUNG = 8  # threads: one slow reply of a judge holds nobody else up, a guard that hangs holds few


class Guard(Protocol):
    """Finds what is wrong with a text.

    `quick` says that it runs in this process in time linear in the text; any other guard runs in a
    thread of its own, several texts at once, and is waited for as long as its `timeout` says.
    """

    name: str
    scope: Scope
    quick: bool

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the spans of what was found; none means nothing was."""
        ...

    def explain(self, spans: Sequence[Span]) -> str:
        """Say what was found in words that repeat none of it."""
        ...


@dataclass(slots=True)
class Entry:
    """A guard at a place: what follows from a finding, and from a failure."""

    guard: Guard
    action: Action
    on_error: OnError
    timeout: float = 5.0
    threshold: float = 0.0
    _hung: set[threading.Thread] = field(default_factory=set, repr=False)

    @property
    def failed(self) -> Action:
        """What a failure counts as."""
        return Action.BLOCK if self.on_error == "closed" else Action.FLAG

    def look(self, text: str, place: Place) -> tuple[Sequence[Span], str]:
        """Give the spans found and, where the guard raised, hung or gave rubbish, what it did."""
        try:
            found = self.guard.look(text, place) if self.guard.quick else self._waited(text, place)
            for span in found:
                if not 0 <= span.start <= span.end <= len(text):
                    return (), "gave a span outside the text"
            if self.threshold:
                found = [span for span in found if span.score >= self.threshold]
        except MissingExtra as error:
            return (), f"failed ({error})"
        except Exception as error:  # a guard is a plug-in: whatever it raises becomes a verdict
            return (), f"failed ({type(error).__name__})"
        return found, ""

    def _waited(self, text: str, place: Place) -> Sequence[Span]:
        """Run in a thread and wait; while many hang, no text is given to another beside them."""
        for thread in tuple(self._hung):
            if not thread.is_alive():
                self._hung.discard(thread)
        if len(self._hung) >= _HUNG:
            raise TimeoutError
        box: list[Sequence[Span] | Exception] = []
        context = contextvars.copy_context()

        def run() -> None:
            try:
                box.append(context.run(self.guard.look, text, place))
            except Exception as error:
                box.append(error)

        thread = threading.Thread(target=run, daemon=True, name=f"guard {self.guard.name}")
        thread.start()
        thread.join(self.timeout)
        if not box:
            self._hung.add(thread)
            raise TimeoutError
        if isinstance(box[0], Exception):
            raise box[0]
        return box[0]


class Finding:
    """What one guard found in one text so far; grows window by window."""

    __slots__ = ("entry", "fault", "seconds", "spans")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.spans: list[Span] = []
        self.fault = ""
        self.seconds = 0.0

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Run the guard on a window; the time is counted, a failure is kept."""
        start = time.perf_counter()
        spans, fault = self.entry.look(text, place)
        self.seconds += time.perf_counter() - start
        self.fault = self.fault or fault
        return spans

    def verdict(self, place: Place) -> Verdict:
        """Sum up. A failure and a finding add up to the stronger of the two."""
        guard = self.entry.guard
        decisions, reasons = [Action.ALLOW], []
        if self.spans:
            decisions.append(self.entry.action)
            reasons.append(guard.explain(self.spans))
        if self.fault:
            decisions.append(self.entry.failed)
            reasons.append(f"The guard `{guard.name}` {self.fault}.")
        return Verdict(
            guard=guard.name,
            place=place,
            decision=max(decisions, key=STRENGTH.index),
            spans=tuple(self.spans),
            score=max((span.score for span in self.spans), default=0.0),
            reason=" ".join(reasons),
            seconds=self.seconds,
        )


def combine(verdicts: Iterable[Verdict]) -> Action:
    """Give the strongest decision; no verdict allows."""
    return max((v.decision for v in verdicts), key=STRENGTH.index, default=Action.ALLOW)


def apply(text: str, verdicts: Iterable[Verdict]) -> str:
    """Redact once, on the original, the union of all spans; overlapping ones become one."""
    return redact(text, [s for v in verdicts if v.decision in CHANGES for s in v.spans])


def redact(text: str, spans: Iterable[Span]) -> str:
    """Replace the union of spans; of two that overlap the first one's replacement stands."""
    pieces, position = [], 0
    for span in united(spans):
        pieces += [text[position : span.start], span.replacement or "[removed]"]
        position = span.end
    return "".join([*pieces, text[position:]])


def united(spans: Iterable[Span]) -> list[Span]:
    """Give spans in order and disjoint, overlapping ones joined into one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            if span.end > merged[-1].end:
                merged[-1] = replace(merged[-1], end=span.end)
        else:
            merged.append(span)
    return merged
