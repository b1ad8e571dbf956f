"""CSV to paragraphs of `column: value`, one a row: each can be read and quoted alone."""

import csv
import re
from collections.abc import Iterator
from typing import Any

from genai.errors import DocumentError
from genai.rag.documents.encoding import decode
from genai.rag.documents.parsed import MAX_TEXT, Parsed

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_ROWS_AT_ONCE = 10_000


def read_csv(name: str, source: bytes) -> Parsed:
    """Read a table row by row.

    Raises:
        DocumentError: a row is damaged, or repeating the column names makes it too large.
    """
    text, notes = decode(name, source)
    rows = csv.reader((found[0] for found in _LINE.finditer(text)), **_form(text[:4096]))
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


def _form(beginning: str) -> dict[str, Any]:
    """Guess what parts the cells. Quotes are as in every table: a guess takes prose for them."""
    try:
        found = csv.Sniffer().sniff(beginning, ",;\t|")
    except csv.Error:
        return {}
    return {"delimiter": found.delimiter, "skipinitialspace": found.skipinitialspace}


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
