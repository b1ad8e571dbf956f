"""Cut a text into sentences with exact spans.

Prose is cut after a full stop, question or exclamation mark; a list item, table row, heading or
code line is a unit of its own, as is a paragraph that ends without a mark. Linear in the text. What
was cut stays cut, however the text goes on.
"""

import re

_STARTS_UNIT = re.compile(r"[ \t]*(?:[-*+] |\d{1,3}[.)] |#{1,6} |\||>|```|~~~)")
# Arabic, Urdu and Indic marks end a sentence as a full stop does; in Chinese and Japanese no space
# has to follow, only no sign that is drawn on the mark
_MARK = r".!?\u2026\u061f\u06d4\u0964\u0965"
_WIDE = r"\u3002\uff01\uff1f\uff61"
# the marks come first, so that the engine skips from one to the next
_END = re.compile(
    rf"[{_MARK}{_WIDE}](?:(?<=[{_MARK}])(?<![{_MARK}].)[{_MARK}]*[\"'\u201d\u2019)\]*_`]*(?=\s|$)"
    rf"|(?<=[{_WIDE}])[{_WIDE}]*[\u300d\u300f\u201d\uff09]*(?![\u0300-\u036f\u200d\ufe00-\ufe0f]))",
    re.DOTALL,
)
_SHORT = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|fig|figs|eq|no|nos|art|arts|sec|approx|dr|mr|mrs|ms|prof|st|vol"
    r"|pp|al|inc|ltd|dept|est|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec"
    # German
    r"|abb|abs|bd|bspw|bzw|ca|evtl|gem|ggf|inkl|mio|mrd|nr|sog|str|tel|usw|vgl|ziff|zzgl|okt|dez"
    # French, Spanish and Italian
    r"|p\.ex|p\.ej|mme|mlle|sra|srta|dra|n\u00fam|p\u00e1g|sig|dott|ecc)|\b[^\W\d_])\.$",
    re.IGNORECASE,
)
# in German a number with a full stop is an ordinal, most often a day
_ORDINAL = re.compile(r"(?<!\d)\d{1,2}\.$")
_NEXT = re.compile(r"\s+([^\W\d_]{1,12})")
MONTHS = (
    "Januar", "J\u00e4nner", "Februar", "Feber", "M\u00e4rz", "April", "Mai", "Juni", "Juli",
    "August", "September", "Oktober", "November", "Dezember", "Jan", "Feb", "M\u00e4r", "Apr",
    "Jun", "Jul", "Aug", "Sep", "Sept", "Okt", "Nov", "Dez",
)  # fmt: skip


def sentences(text: str) -> list[tuple[int, int]]:
    """Give the spans of the sentences: in order, disjoint, covering all but white space."""
    spans: list[tuple[int, int]] = []
    for start, end, whole in _units(text):
        start, end = _trim(text, start, end)
        spans += [(start, end)] if whole else _cut(text, start, end)
    return spans


def _units(text: str) -> list[tuple[int, int, bool]]:
    """Join the lines of a paragraph; a structured line is a unit to keep whole."""
    units: list[tuple[int, int, bool]] = []
    start: int | None = None
    position, code = 0, False
    for line in text.splitlines(keepends=True):
        said = line.strip()
        fence = said.startswith(("```", "~~~"))
        alone = fence or code or _STARTS_UNIT.match(line) is not None
        if start is not None and (alone or not said):
            units.append((start, position, False))
            start = None
        code ^= fence
        end = position + len(line)
        if alone and said and (code or fence or "|" in line[:4] or "#" in line[:4]):
            units.append((position, end, True))
        elif said and start is None:
            start = position  # prose, or a list item that may run over several lines
        position = end
    if start is not None:
        units.append((start, position, False))
    return units


def _cut(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans, begin = [], start
    for mark in _END.finditer(text, start, end):
        dot = mark.start() + 1
        if mark.end() < end and mark[0][0] == "." and _goes_on(text, start, begin, dot, end):
            continue
        spans.append((begin, mark.end()))
        begin = mark.end()
    spans.append((begin, end))
    trimmed = [_trim(text, *span) for span in spans]
    return [span for span in trimmed if span[0] < span[1]]


def _goes_on(text: str, unit: int, begin: int, dot: int, end: int) -> bool:
    """Say whether the full stop before `dot` is that of an abbreviation or an ordinal."""
    if _SHORT.search(text, max(begin, dot - 9), dot):
        return True
    ordinal, following = (
        _ORDINAL.search(text, max(begin, dot - 3), dot),
        _NEXT.match(text, dot, end),
    )
    if ordinal is None or following is None or ordinal.start() == unit:  # or an item's number
        return False
    word = following[1]
    if following.end() == end:  # in a stream it may still become a month
        return word[0].islower() or any(month.startswith(word) for month in MONTHS)
    return word[0].islower() or word in MONTHS


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    left = part.lstrip()
    start = end - len(left)
    return start, start + len(left.rstrip())
