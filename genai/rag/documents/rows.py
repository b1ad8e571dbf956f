"""CSV to paragraphs of `column: value`, one a row: each can be read and quoted alone."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from genai.errors import DocumentError
from genai.rag.documents.encoding import decode
from genai.rag.documents.parsed import MAX_TEXT, Parsed

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SEP = re.compile(r"sep=([^\w\s\"']|\t)[^\S\r\n]*(?:\r\n|\r|\n)", re.IGNORECASE)  # Excel's own line
_SIGNS = "\t|;,"  # of two that part alike the one that prose has less often
_SEEN = 4096  # characters
_ROWS_AT_ONCE = 10_000


def read_csv(name: str, source: bytes) -> Parsed:
    """Read a table row by row.

    Raises:
        DocumentError: a row is damaged, or repeating the column names makes it too large.
    """
    text, notes = decode(name, source)
    said = _SEP.match(text)
    text = text[said.end() :] if said else text
    form = {"delimiter": said[1]} if said else _form(text[:_SEEN], whole=len(text) <= _SEEN)
    rows = csv.reader((found[0] for found in _LINE.finditer(text)), **form)
    pieces: list[str] = []
    batch: list[str] = []
    length = 0
    try:
        for line in _lines(rows):
            length += len(line)
            if length > MAX_TEXT:
                raise DocumentError(
                    f"{name}: makes over {MAX_TEXT:,} characters, as each row repeats the column"
                    " names; shorten them or split the file"
                )
            batch.append(line)
            if len(batch) == _ROWS_AT_ONCE:
                pieces.append("".join(batch))
                batch = []
    except csv.Error as error:
        raise DocumentError(f"{name}: line {rows.line_num}: {error}; mend that row") from error
    return Parsed("".join([*pieces, *batch]), notes=notes)


def _form(beginning: str, *, whole: bool) -> dict[str, Any]:
    """Choose what parts the cells: what parts most rows into equally many, and those into most."""
    lines = _LINE.findall(beginning)
    even: dict[str, tuple[float, int]] = {}
    for sign in _SIGNS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=sign) if row]
        except csv.Error:
            continue
        widths = widths if whole else widths[:-1]  # the last is cut
        wide = Counter(width for width in widths if width > 1)
        even[sign] = max(((n / len(widths), width) for width, n in wide.items()), default=(0.0, 0))
    best = max(even, key=lambda sign: even[sign], default=",")
    if not even.get(best, (0.0, 0))[1]:
        return {}
    first = lines[0]
    return {"delimiter": best, "skipinitialspace": 0 < first.count(best) == first.count(best + " ")}


def _lines(rows: Iterator[list[str]]) -> Iterator[str]:
    header = [cell.strip() for cell in next(rows, [])]
    empty = True
    for cells in rows:
        named = zip([*header, *[""] * (len(cells) - len(header))], cells, strict=False)
        fields = [f"{key}: {value.strip()}" if key else value.strip() for key, value in named]
        line = "; ".join(" ".join(field.split()) for field in fields if field.strip())
        if line:
            empty = False
            yield line + "\n\n"  # a blank line, or rows without a full stop are one sentence
    if empty:
        yield "; ".join(header) + "\n"
