"""Cut along a document's own structure: sections, pages, paragraphs, lists, tables, code.

A passage never crosses a section or a page; blocks stay whole until they are longer than the
limit. `tables` does the same, but makes each row of a table a passage under its column names.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from genai import extras
from genai.rag.documents import Document
from genai.rag.split.base import Block, trim, under
from genai.types import Passage

_PARAGRAPH = re.compile(r"[^\n]+(?:\n(?![^\S\n]*\n)[^\n]*)*")
_NEWLINE = re.compile(r"\r\n?|\n")  # what markdown-it counts as one line end
_LINE = re.compile(r"[^\r\n]+")
_HEAD = re.compile(r"\|.*\n[ \t]*\|?[-:| \t]*-")
MARKED_UP = {"markdown", "html", "docx"}


def blocks(document: Document) -> Iterator[Block]:
    """Give the blocks of a document in order."""
    if document.kind in MARKED_UP:
        return _markdown(document.text)
    if document.kind == "csv":
        return _lines(document.text)
    return _paragraphs(document.text, document.pages)


def table_rows(document: Document) -> Iterator[Block]:
    """Give the blocks of a document, a table's rows one by one."""
    if document.kind == "csv":
        yield from (Block(each.start, each.end, opens=True) for each in _lines(document.text))
        return
    after_table = False
    for block in blocks(document):
        if block.header:
            yield from _rows(document.text, block)
        elif after_table:
            yield Block(block.start, block.end, block.heading, opens=True)
        else:
            yield block
        after_table = bool(block.header)


def _rows(text: str, table: Block) -> Iterator[Block]:
    """Give a table's rows; the first one carries the header's own lines."""
    lines = [(found.start(), found.end()) for found in _LINE.finditer(text, table.start, table.end)]
    yield Block(table.start, lines[min(2, len(lines) - 1)][1], table.heading, table.opens)
    for start, end in lines[3:]:
        trimmed = trim(text, start, end)
        if trimmed:
            yield Block(*trimmed, under(table.heading, table.header), opens=True)


def headed(passage: Passage) -> str:
    """Give a passage's text under its headings, a later piece of a table under its columns."""
    text, trail = passage.text, passage.heading.split(" > ")
    names = trail[-1]
    if " | " in names and text.startswith("|") and not _HEAD.match(text):
        text = f"| {names} |\n{'|---' * len(names.split(' | '))}|\n{text}"
        trail.pop()
    if trail and trail[-1].strip("# ") == passage.text.partition("\n")[0].strip("# \t\r"):
        trail.pop()  # it opens the text
    return f"# {' > '.join(trail)}\n\n{text}" if any(trail) else text


def page_of(pages: tuple[int, ...], start: int) -> int | None:
    """Give the page, from 1, on which an offset lies; None without pages."""
    return bisect_right(pages, start) if pages else None


def _markdown(text: str) -> Iterator[Block]:
    parser = extras.load("markdown_it", "rag").MarkdownIt("commonmark").enable("table")
    # blocks are all we need: a line of megabytes takes minutes to read for emphasis and links
    parser.disable(["inline", "text_join"])
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
        trimmed = trim(text, start, end)
        if trimmed:
            heading = " > ".join(title for _, title in trail)
            header = _header(text, *trimmed) if token.type == "table_open" else ""
            yield Block(*trimmed, heading, opens, header)


def _header(text: str, start: int, end: int) -> str:
    found = _LINE.search(text, start, end)
    cells = (found[0] if found else "").strip().strip("|").split("|")
    return " | ".join(cell.strip() for cell in cells) or "table"


def _paragraphs(text: str, pages: tuple[int, ...]) -> Iterator[Block]:
    bounds = [*pages, len(text)] if pages else [0, len(text)]
    for page_start, page_end in zip(bounds, bounds[1:], strict=False):
        first = True
        for found in _PARAGRAPH.finditer(text, page_start, page_end):
            trimmed = trim(text, *found.span())
            if trimmed:
                yield Block(*trimmed, opens=first)
                first = False


def _lines(text: str) -> Iterator[Block]:
    for found in re.finditer(r"[^\n]+", text):
        trimmed = trim(text, *found.span())
        if trimmed:
            yield Block(*trimmed)
