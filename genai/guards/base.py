"""A guard looks at one text and gives one Verdict; a guard that fails gives one too."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, Protocol

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


class Guard(Protocol):
    """Finds what is wrong with a text: spans, and a reason in words that repeat none of it."""

    name: str

    def look(self, text: str, place: Place) -> tuple[Sequence[Span], str]:
        """Give the spans found and the reason; no span means nothing was found."""
        ...


def judge(
    guard: Guard, text: str, place: Place, action: Action, on_error: Literal["open", "closed"]
) -> Verdict:
    """Run one guard; one that raises blocks (`closed`) or flags (`open`), it never ends a call."""
    start = time.perf_counter()
    try:
        spans, reason = guard.look(text, place)
        decision = action if spans else Action.ALLOW
    except Exception as error:  # a guard is a plug-in: whatever it raises becomes a verdict
        decision = Action.BLOCK if on_error == "closed" else Action.FLAG
        spans, reason = (), f"The guard `{guard.name}` failed ({type(error).__name__})."
    return Verdict(
        guard=guard.name,
        place=place,
        decision=decision,
        spans=tuple(spans),
        score=max((span.score for span in spans), default=0.0),
        reason=reason if decision is not Action.ALLOW else "",
        seconds=time.perf_counter() - start,
    )


def combine(verdicts: Iterable[Verdict]) -> Action:
    """Give the strongest decision; no verdict allows."""
    return max((v.decision for v in verdicts), key=STRENGTH.index, default=Action.ALLOW)


def apply(text: str, verdicts: Iterable[Verdict]) -> str:
    """Redact once, on the original, the union of all spans; overlapping ones become one."""
    spans = sorted(
        (span for v in verdicts if v.decision is Action.REDACT for span in v.spans),
        key=lambda span: (span.start, -span.end),
    )
    merged: list[Span] = []
    for span in spans:
        if merged and span.start < merged[-1].end:
            merged[-1] = replace(merged[-1], end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    pieces, position = [], 0
    for span in merged:
        pieces += [text[position : span.start], span.replacement or "[removed]"]
        position = span.end
    return "".join([*pieces, text[position:]])
