"""Cut a program between its functions and classes, by braces or by indentation.

A function or class that fits is one passage; a longer one is cut between its members, and each
piece is headed by the lines that open it (`class Index: > def sync(`). No parser is needed, so a
broken program is cut too.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from genai.rag.documents import Document
from genai.rag.split.base import Block, under

_LINE = re.compile(r"[^\r\n]+")
_BRACKET = re.compile(r"[][(){}]")
_DOUBLE, _SINGLE = r'"(?:[^"\\\n]|\\.)*+"', r"'(?:[^'\\\n]|\\.)*+'"
_COMMENT = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
# what to step over when brackets are counted: comments and texts
_BRACES = re.compile(rf"{_COMMENT}|{_DOUBLE}|" + r"'(?:\\[^\n]{1,8}?|[^'\\\n])'", re.DOTALL)
_SCRIPT = re.compile(rf"{_COMMENT}|{_DOUBLE}|{_SINGLE}|`(?:[^`\\]|\\.)*+`", re.DOTALL)
_LONG = "|".join(rf"{three}(?:[^\\]|\\.)*?(?:{three}|\Z)" for three in ('"""', "'''"))
_HASH = re.compile(rf"{_LONG}|#[^\n]*|{_DOUBLE}|{_SINGLE}", re.DOTALL)
_SCRIPTS = {".js", ".jsx", ".ts", ".tsx", ".php"}
_HASHED = {".py", ".rb", ".sh", ".r"}
# a line that belongs to what follows it, and one that belongs to what stands before it
_LEADS = re.compile(r"\s*(?:@|#[\s\[!]|//|/\*|\*|--|\[\w+.*\]\s*$|template\s*<.*>\s*$)")
_CONTINUES = re.compile(
    r"\s*(?:[{}\])]|(?:else|elif|elsif|except|rescue|ensure|catch|finally|end|fi|done|while"
    r"\s*\(.*\)\s*;)\b)"
)
# inside something else: a word that defines, or a name with its parameters and a body
_DEFINES = re.compile(
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|override|async"
    r"|virtual|inline|unsafe|pub(?:\([^)]*\))?)\s+)*(?:(?:def|class|fn|func|function|fun|interface"
    r"|trait|impl|struct|enum|union|module|namespace|object|record|protocol|extension)\b"
    r"|(?!(?:if|for|foreach|while|switch|catch|with|return|synchronized|lock|using|match|unless)\b)"
    r"[\w~][\w<>,*&:~ ]*\([^=;]*\)[^=;]*$)"
)
_DEEPEST = 10**6
_NESTED = 8  # what is nested deeper is cut between lines


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    depth: int
    leads: bool
    continues: bool


def code_blocks(document: Document, limit: int) -> Iterator[Block]:
    """Give the functions, classes and loose lines of a program in order."""
    ending = PurePath(document.path).suffix.lower()
    yield from _units(document.text, _lines(document.text, ending), limit, "", 0)


def _lines(text: str, ending: str) -> list[_Line]:
    step_over = _HASH if ending in _HASHED else _SCRIPT if ending in _SCRIPTS else _BRACES
    places, depths, skipped = _brackets(text, step_over)
    if depths and (depths[-1] != 0 or min(depths) < 0):
        places = depths = []  # they do not match: the indentation has to do
    braces = bool(depths) and ending not in _HASHED
    begins = [start for start, _ in skipped]
    lines = []
    for found in _LINE.finditer(text):
        start, line = found.start(), found[0]
        if not line.strip():
            continue
        before, passed = bisect_left(places, start), bisect_left(begins, start)
        opened = depths[before - 1] if before else 0
        inside = passed > 0 and skipped[passed - 1][1] > start
        if braces:
            depth = opened + inside
        else:
            depth = _DEEPEST if opened or inside else len(line) - len(line.lstrip())
        leads, continues = bool(_LEADS.match(line)), bool(_CONTINUES.match(line))
        lines.append(_Line(start, start + len(line.rstrip()), depth, leads, continues))
    return lines


def _brackets(
    text: str, step_over: re.Pattern[str]
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Give where brackets stand, how many are open after each, and the texts of many lines."""
    places, depths, skipped = [], [], []
    depth = position = 0
    for found in [*step_over.finditer(text), None]:
        end = found.start() if found else len(text)
        for bracket in _BRACKET.finditer(text, position, end):
            depth += 1 if bracket[0] in "[({" else -1
            places.append(bracket.start())
            depths.append(depth)
        if found:
            position = found.end()
            if "\n" in found[0]:
                skipped.append(found.span())
    return places, depths, skipped


def _units(text: str, lines: list[_Line], limit: int, heading: str, nested: int) -> Iterator[Block]:
    """Give blocks: a definition opens a passage, what stands in a long one is packed."""
    opens = False
    for unit in _grouped(lines):
        first = next((line for line in unit if not line.leads), unit[-1])
        body = next((n for n, line in enumerate(unit) if line.depth > unit[0].depth), 0)
        title = text[first.start : first.end].strip()
        defines = body > 0 and (nested == 0 or bool(_DEFINES.match(title)))
        opens = opens or defines
        if body and unit[-1].end - unit[0].start <= limit:
            yield Block(unit[0].start, unit[-1].end, heading, opens)
        elif body and nested < _NESTED:
            yield Block(unit[0].start, unit[body - 1].end, heading, opens)
            below = under(heading, title.rstrip("{").rstrip()[:80]) if defines else heading
            yield from _units(text, unit[body:], limit, below, nested + 1)
        else:
            for line in unit:
                yield Block(line.start, line.end, heading, opens)
                opens = False
        opens = defines


def _grouped(lines: list[_Line]) -> Iterator[list[_Line]]:
    """Group lines into units: one that opens something, and all that is deeper."""
    unit: list[_Line] = []
    only_leads = True
    base = lines[0].depth if lines else 0
    for line in lines:
        begins = line.depth <= base and not line.continues and not only_leads
        if unit and begins:
            yield unit
            unit, only_leads = [], True
        unit.append(line)
        only_leads = only_leads and line.leads
    if unit:
        yield unit
