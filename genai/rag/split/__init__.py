"""Cut a document into passages with exact spans, by the splitter its kind is given.

`document.text[passage.start:passage.end] == passage.text` holds for each, and what no passage holds
is white space or front matter: that is metadata, which no model is shown.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from genai.config import IndexSettings
from genai.errors import ConfigError, DocumentError
from genai.rag.documents import Document, find_documents, parse, read_source
from genai.rag.documents.front import without_front_matter
from genai.rag.split.base import Piece, Splitting, pack, trim
from genai.rag.split.code import code_blocks
from genai.rag.split.foreign import foreign_id, foreign_spans
from genai.rag.split.structure import blocks, headed, page_of, table_rows
from genai.rag.split.tokens import sentence_windows, token_windows, tokenizer_id
from genai.types import Passage

__all__ = ["SPLITTER", "IdMaker", "Splitting", "headed", "passages_of", "split", "splitter_id"]
SPLITTER = "structure-6"  # part of an index's identity: change it when passages change
NAMES = ("structure", "sentences", "tokens", "code", "tables")
_OVERLAPPING = {"sentences", "tokens"}


def split(
    document: Document, settings: Splitting, make_id: "IdMaker | None" = None
) -> list[Passage]:
    """Give the passages in order. `document.text[p.start:p.end] == p.text` for each.

    Raises:
        ConfigError: the settings name no splitter, or one that cannot be opened.
        DocumentError: a splitter of the user's own does not give the document's own texts.
    """
    make_id = make_id or IdMaker(splitter_id(settings))
    body = without_front_matter(document.path, document.kind, document.text)
    return [
        Passage(
            id=make_id(document, start, end),
            document=document.path,
            start=start,
            end=end,
            text=document.text[start:end],
            heading=heading,
            page=page_of(document.pages, start),
        )
        for start, end, heading in _pieces(replace(document, text=body), settings)
    ]


def _pieces(document: Document, settings: Splitting) -> Iterator[Piece]:
    text, limit = document.text, settings.max_chars
    name = settings.of(document.kind)
    if name == "structure":
        return pack(text, blocks(document), limit)
    if name == "tables":
        return pack(text, table_rows(document), limit)
    if name == "code":
        return pack(text, code_blocks(document, limit), limit)
    if name == "sentences":
        return sentence_windows(text, blocks(document), settings)
    if name == "tokens":
        return token_windows(text, blocks(document), settings)
    spans = (trim(text, *span) for span in foreign_spans(document, settings, name))
    return ((*span, "") for span in spans if span)


def splitter_id(settings: Splitting) -> str:
    """Say how documents are cut, in words that change whenever passages may change.

    Raises:
        ConfigError: a splitter or tokenizer cannot be opened, or an overlap has no use.
    """
    names = {settings.splitter, *settings.by_kind.values()}
    foreign = {name for name in names if ":" in name}
    if unknown := sorted(names - {*NAMES} - foreign):
        raise ConfigError(
            f"configs/genai.yaml: `index.splitter`: {unknown[0]!r} is not a splitter; use"
            f" {', '.join(NAMES)} or `package.module:name`"
        )
    if settings.overlap and not names & _OVERLAPPING and not foreign:
        raise ConfigError(
            "configs/genai.yaml: `index.overlap` works with the splitters sentences and tokens;"
            " set one of them or remove it"
        )
    if settings == Splitting(settings.max_chars):
        return f"{SPLITTER}:{settings.max_chars}"
    parts = {**asdict(settings), "foreign": [foreign_id(n, settings) for n in sorted(foreign)]}
    if "tokens" in names:
        parts["tokenizer"] = tokenizer_id(settings.tokenizer)
    return f"{SPLITTER}:{json.dumps(parts, sort_keys=True)}"


def passages_of(folder: Path, settings: IndexSettings) -> list[Passage]:
    """Give the passages of every document in a folder, as an index of these settings holds them."""
    splitting = Splitting.from_settings(settings)
    make_id, limit = IdMaker(splitter_id(splitting)), settings.max_megabytes * 1_000_000
    found: list[Passage] = []
    for path in find_documents(folder):
        name = path.relative_to(folder).as_posix()
        with suppress(DocumentError):  # a sync of the index names those that cannot be read
            found += split(parse(name, read_source(path, folder, limit)), splitting, make_id)
    return found


class IdMaker:
    """Makes passage ids: a hash of document, span, text and splitter."""

    def __init__(self, splitter: str) -> None:
        self._splitter = splitter

    def __call__(self, document: Document, start: int, end: int) -> str:
        """Give 32 hex digits; equal text at two places gets two ids."""
        parts = [document.path, str(start), str(end), document.text[start:end], self._splitter]
        return sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
