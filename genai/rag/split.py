"""Cut a document into passages by its structure, with exact spans.

A passage never crosses a section or a page; blocks (paragraph, list, table, code) stay whole until
they are longer than the limit, then they are cut between sentences or lines.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from genai import extras
from genai.errors import DocumentError
from genai.rag.documents import Document, find_documents, parse, read_source
from genai.text.sentences import sentences
from genai.types import Passage

_PARAGRAPH = re.compile(r"[^\n](?:.|\n(?!\s*\n))*")
_NEWLINE = re.compile(r"\r\n?|\n")  # what markdown-it counts as one line end
SPLITTER = "structure-1"  # part of an index's identity: change it when passages change


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    heading: str = ""
    opens: bool = False  # a new section or page begins here


def split(document: Document, max_chars: int, make_id: "IdMaker") -> list[Passage]:
    """Give the passages in order. `document.text[p.start:p.end] == p.text` for each."""
    if document.kind in {"markdown", "html", "docx"}:
        blocks = list(_markdown(document.text))
    elif document.kind == "csv":
        blocks = list(_lines(document.text))
    else:
        blocks = list(_paragraphs(document.text, document.pages))
    return [
        Passage(
            id=make_id(document, start, end),
            document=document.path,
            start=start,
            end=end,
            text=document.text[start:end],
            heading=heading,
            page=_page(document.pages, start),
        )
        for start, end, heading in _pack(document.text, blocks, max_chars)
    ]


def passages_of(folder: Path, max_chars: int, max_bytes: int = 50_000_000) -> list[Passage]:
    """Give the passages of every document in a folder, as an index would hold them."""
    make_id = IdMaker(f"{SPLITTER}:{max_chars}")
    found: list[Passage] = []
    for path in find_documents(folder):
        name = path.relative_to(folder).as_posix()
        with suppress(DocumentError):  # a sync of the index names those that cannot be read
            found += split(parse(name, read_source(path, folder, max_bytes)), max_chars, make_id)
    return found


class IdMaker:
    """Makes passage ids: a hash of document, span, text and splitter."""

    def __init__(self, splitter: str) -> None:
        self._splitter = splitter

    def __call__(self, document: Document, start: int, end: int) -> str:
        """Give 32 hex digits; equal text at two places gets two ids."""
        parts = [document.path, str(start), str(end), document.text[start:end], self._splitter]
        return sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _pack(text: str, blocks: list[_Block], limit: int) -> Iterator[tuple[int, int, str]]:
    """Join neighbouring blocks of one section up to the limit; cut a block over it."""
    start = end = -1
    heading = ""
    for block in blocks:
        if start >= 0 and (block.opens or block.end - start > limit):
            yield start, end, heading
            start = -1
        if block.end - block.start > limit:
            if start >= 0:
                yield start, end, heading
                start = -1
            for piece_start, piece_end in _cut(text, block, limit):
                yield piece_start, piece_end, block.heading
            continue
        if start < 0:
            start, heading = block.start, block.heading
        end = block.end
    if start >= 0:
        yield start, end, heading


def _cut(text: str, block: _Block, limit: int) -> Iterator[tuple[int, int]]:
    """Cut one long block between sentences; a sentence over the limit between words."""
    pieces: list[tuple[int, int]] = []
    for start, end in sentences(text[block.start : block.end]):
        start, end = start + block.start, end + block.start
        while end - start > limit:
            space = text.rfind(" ", start + limit // 2, start + limit)
            middle = space if space > 0 else start + limit
            pieces.append((start, middle))
            start = middle + (1 if space > 0 else 0)
        pieces.append((start, end))
    current: tuple[int, int] | None = None
    for start, end in pieces:
        if current and end - current[0] > limit:
            yield current
            current = None
        current = (current[0] if current else start, end)
    if current:
        yield current


def _markdown(text: str) -> Iterator[_Block]:
    parser = extras.load("markdown_it", "rag").MarkdownIt("commonmark").enable("table")
    offsets = [0, *(found.end() for found in _NEWLINE.finditer(text)), len(text)]
    trail: list[tuple[int, str]] = []
    tokens = parser.parse(text)
    for position, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, end = offsets[token.map[0]], min(offsets[token.map[1]], len(text))
        opens = token.type == "heading_open"
        if opens:
            depth = int(token.tag[1])
            title = tokens[position + 1].content.strip()
            trail = [*[t for t in trail if t[0] < depth], (depth, title)]
        trimmed = _trim(text, start, end)
        if trimmed:
            yield _Block(*trimmed, " > ".join(title for _, title in trail), opens)


def _paragraphs(text: str, pages: tuple[int, ...]) -> Iterator[_Block]:
    bounds = [*pages, len(text)] if pages else [0, len(text)]
    for page_start, page_end in zip(bounds, bounds[1:], strict=False):
        first = True
        for found in _PARAGRAPH.finditer(text, page_start, page_end):
            trimmed = _trim(text, *found.span())
            if trimmed:
                yield _Block(*trimmed, opens=first)
                first = False


def _lines(text: str) -> Iterator[_Block]:
    for found in re.finditer(r"[^\n]+", text):
        trimmed = _trim(text, *found.span())
        if trimmed:
            yield _Block(*trimmed)


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _page(pages: tuple[int, ...], start: int) -> int | None:
    return sum(1 for offset in pages if offset <= start) if pages else None
