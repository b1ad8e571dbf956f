"""One way through the guards for a text in pieces and for a text that is whole.

A text is cut at the ends of lines and sentences. Where it is cut depends on the characters up to
there and `LOOKAHEAD` beyond, never on the pieces it came in, and no cut goes through something that
a guard marks. Each part is judged before any of it leaves. A whole text goes through the same
gate in one piece, so streamed and unstreamed output and verdicts are equal by construction, for
any guard whatever, and the time is linear in the text.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from genai.guards.base import CHANGES, STOPS, Entry, Finding, combine, redact
from genai.types import Action, Place, Span, Verdict

LOOKAHEAD = 64  # what a guard sees of the text after a part
LONGEST = 4096  # a part without an end is cut here
WHOLE = 100_000  # the longest text a guard of the scope `whole` is given
_FIRST, _LEAST = 48, 256  # a part is this long at least, at the start and later on
_MARK = r"[.!?\u2026\u061f\u06d4\u0964\u0965]"  # the last four are Arabic, Urdu and Indic ones
_CUT = re.compile(
    rf"(?<=\n)|(?<={_MARK}[ \t])|(?<={_MARK}[\"')\]\u201d\u2019\u00bb][ \t])"
    r"|(?<=[\u3002\uff01\uff1f])"
)
Replace = Callable[[Span, str], Span]


class StreamGate:
    """Takes pieces of one text and gives back what may leave; then the verdicts.

    A block stops the stream: nothing of the part it was found in leaves. Make a gate for each
    text; gates share nothing.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        place: Place,
        *,
        replacement: Replace | None = None,
        done: Callable[[tuple[Verdict, ...]], None] | None = None,
    ) -> None:
        """Make a gate. `replacement` gives a span its pseudonym; `done` gets the verdicts once."""
        self.place = place
        self.stopped = False
        self.most_held = 0
        self._findings = [Finding(entry) for entry in entries]
        of = {scope: [f for f in self._findings if f.entry.guard.scope == scope] for scope in
              ("span", "sentence", "size", "whole", "sent")}  # fmt: skip
        self._marking, self._judging = of["span"], of["sentence"]
        self._sizing, self._whole = of["size"], of["whole"] + of["sent"]
        self._holds = any(f.entry.action is not Action.FLAG for f in self._whole)
        self._replacement = replacement
        self._done = done
        self._kept: list[str] = []  # the text so far, where a guard needs the whole
        self._passed: list[str] = []  # what may leave once the whole is judged
        self._buffer = ""
        self._base = 0  # where the buffer begins in the text
        self._start = 0  # where the part begins in the buffer
        self._from = 0  # where to look for the next cut in the buffer
        self._ended = False
        # nobody waits for the first words of a passage, and what is cut less is looked at faster
        self._first, self._least = (LONGEST, LONGEST) if place == "passage" else (_FIRST, _LEAST)

    @property
    def bound(self) -> int:
        """The most characters that can ever be held back."""
        return WHOLE + LONGEST if self._holds else LONGEST + 2 * LOOKAHEAD

    @property
    def held(self) -> int:
        """The characters that are held back now."""
        waiting = len(self._buffer) - self._start
        return waiting + sum(map(len, self._kept)) if self._holds else waiting

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict a guard, in the order of the policy: what is known so far."""
        return tuple(finding.verdict(self.place) for finding in self._findings)

    @property
    def decision(self) -> Action:
        """The strongest decision so far."""
        return combine(self.verdicts)

    def feed(self, piece: str) -> str:
        """Take a piece; give what was judged and may leave, often nothing yet."""
        if self.stopped or self._ended:
            return ""
        if not self._findings:
            return piece
        if self._start:
            self._buffer = self._buffer[self._start :]
            self._base += self._start
            self._from -= self._start
            self._start = 0
        self._buffer += piece
        out = self._advance(final=False)
        self.most_held = max(self.most_held, self.held)
        return out

    def finish(self) -> str:
        """Say that the text has ended; give the rest that may leave."""
        if self._ended:
            return ""
        out = "" if self.stopped else self._advance(final=True)
        if self._whole and not self.stopped:
            out = self._judge_whole(out)
        self._ended = True
        if self._done is not None:
            self._done(self.verdicts)
        return out

    # -- where to cut ----------------------------------------------------------------------------

    def _advance(self, final: bool) -> str:
        out: list[str] = []
        while not self.stopped and (end := self._cut(final)) is not None:
            out.append(self._part(end))
        self._passed += out
        if self._holds:
            return ""
        left = "".join(self._passed)
        self._passed.clear()
        return left

    def _cut(self, final: bool) -> int | None:
        """Find where the next part may end; None where that needs more text."""
        start, known = self._start, len(self._buffer)
        if start >= known:
            return None
        limit = start + LONGEST
        low = max(self._from, start + min(self._least, max(self._first, self._base + start)))
        found = _CUT.search(self._buffer, low, min(known, limit)) if low <= known else None
        if found is not None:
            end = found.start()
        elif known >= limit:
            end = max(self._buffer.rfind(each, start + LONGEST // 2, limit) for each in " \n") + 1
            end = end or limit
        elif final:
            return known
        else:
            self._from = max(self._from, known)
            return None
        if end + LOOKAHEAD <= known or final:
            return end
        self._from = max(self._from, end)
        return None

    # -- what to do with a part ------------------------------------------------------------------

    def _part(self, end: int) -> str:
        """Judge the part that ends at `end`, or find that the cut goes through a mark."""
        start = self._start
        window = self._buffer[start : end + LOOKAHEAD]
        found = [(f, f.look(window, self.place)) for f in self._marking]
        size = end - start
        reach = self._reach(self._led_to(window, size, found), found)
        if reach > size and size < LONGEST // 2:
            # the next try is twice as long, so that a hostile text costs a few tries, not many
            self._from = start + max(reach, 2 * size)
            return ""
        end, size = start + reach, reach
        spans: list[tuple[Finding, Span]] = []
        for finding, marks in found:
            spans += [(finding, span) for span in marks if span.start < size]
        core = self._buffer[start:end]
        for finding in self._judging:
            spans += [(finding, span) for span in finding.look(core, self.place)]
        return self._release(core, self._base + start, spans)

    def _led_to(
        self, window: str, size: int, found: Iterable[tuple[Finding, Sequence[Span]]]
    ) -> int:
        """Give the size of the part with what only its end shows to be a mark, as `Tel.` does."""
        led = size
        for finding, spans in found:
            behind = [span for span in spans if span.start >= size]
            if behind:
                alone = {size + span.start for span in finding.look(window[size:], self.place)}
                led = max([led, *(span.end for span in behind if span.start not in alone)])
        return led

    @staticmethod
    def _reach(size: int, found: Iterable[tuple[Finding, Sequence[Span]]]) -> int:
        """Give the size of the part once it ends in no mark."""
        marks = sorted((s.start, s.end) for _, spans in found for s in spans)
        for begin, end in marks:
            if begin < size < end:
                size = end
        return size

    def _release(self, core: str, offset: int, found: list[tuple[Finding, Span]]) -> str:
        end = offset + len(core)
        for finding in self._sizing:
            limit: int = finding.entry.guard.limit  # type: ignore[attr-defined]  # the scope says so
            if end > limit:
                begin = max(limit, offset) - offset
                found.append((finding, Span(begin, len(core), finding.entry.guard.name, 1.0, "")))
        kept = [(finding, self._keep(finding, span, core, offset)) for finding, span in found]
        self._start = self._from = end - self._base
        faults = any(f.fault and f.entry.on_error == "closed" for f in self._findings)
        self.stopped = faults or any(f.entry.action in STOPS for f, _ in found)
        if self._whole and not self.stopped:
            self._kept.append(core)
            if end > WHOLE:
                self._too_long()
        changes = (span for finding, span in kept if finding.entry.action in CHANGES)
        return "" if self.stopped else redact(core, changes)

    def _keep(self, finding: Finding, span: Span, text: str, offset: int) -> Span:
        """Note what was found, and give it with its stand-in where it is to have one."""
        if finding.entry.action is Action.PSEUDONYMISE and self._replacement is not None:
            span = self._replacement(span, text[span.start : span.end])
        finding.spans.append(moved(span, offset))
        return span

    # -- guards that need the whole --------------------------------------------------------------

    def _too_long(self) -> None:
        for finding in self._whole:
            finding.fault = f"judges texts of {WHOLE} characters at the most"
            self.stopped |= finding.entry.on_error == "closed"
        self._whole, self._holds = [], False
        self._kept.clear()
        if self.stopped:
            self._passed.clear()  # nobody has judged it

    def _judge_whole(self, out: str) -> str:
        text = "".join(self._kept)
        leaves = redact(text, self._changes())
        for finding in self._whole:
            sent = finding.entry.guard.scope == "sent"
            for span in finding.look(leaves if sent else text, self.place):
                whole = replace(span, start=0, end=len(text)) if sent else span
                self._keep(finding, whole, text, 0)
        decisions = self.verdicts
        self.stopped = combine(decisions) in STOPS
        if not self._holds:
            return out
        return "" if self.stopped else redact(text, self._changes())

    def _changes(self) -> list[Span]:
        return [s for f in self._findings if f.entry.action in CHANGES for s in f.spans]


def moved(span: Span, offset: int) -> Span:
    """Give a span of a part as a span of the text."""
    return replace(span, start=span.start + offset, end=span.end + offset) if offset else span
