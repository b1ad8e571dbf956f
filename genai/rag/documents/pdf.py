"""PDF to the text of its pages, with the offset at which each begins. Scripts are never run."""

import io
import logging
from collections.abc import Iterator
from typing import Any

from genai import extras
from genai.errors import DocumentError
from genai.rag.documents.parsed import MAX_TEXT, Parsed
from genai.text.terms import unprinted


def read_pdf(name: str, source: bytes) -> Parsed:
    """Read a PDF's text page by page.

    Raises:
        DocumentError: it is encrypted, or grows too large.
    """
    pypdf = extras.load("pypdf", "rag")
    logger = logging.getLogger("pypdf")
    if not logger.handlers:  # else its warnings, with pieces of the file, go to the terminal
        logger.addHandler(logging.NullHandler())
    locked = DocumentError(f"{name}: is encrypted; save a copy without a password")
    try:
        reader = pypdf.PdfReader(io.BytesIO(source))
        if reader.is_encrypted and not reader.decrypt(""):
            raise locked
    except pypdf.errors.DependencyError:  # the package for this kind of lock is not there
        raise locked from None
    pieces: list[str] = []
    starts, empty, length = [], 0, 0
    for page in reader.pages:
        starts.append(length)
        # a word that is parted at the end of a line stands whole
        said = unprinted((page.extract_text() or "").replace("\u00ad\n", "")).strip()
        empty += not said
        pieces.append(said + "\n\n")
        length += len(pieces[-1])
        if length > MAX_TEXT:
            raise DocumentError(f"{name}: holds over {MAX_TEXT:,} characters; split it")
    text = "".join(pieces)
    notes = ("holds JavaScript, which was left out",) if _has_script(reader) else ()
    if empty:
        cure = "if they are scans, run OCR on it first (for example ocrmypdf)"
        notes = (*notes, f"{empty} of {len(starts)} pages hold no text; {cure}")
    return Parsed(text if text.strip() else "", tuple(starts), notes)


def _has_script(reader: Any) -> bool:
    root = _entries(reader.trailer.get("/Root"))
    if "/JavaScript" in _entries(root.get("/Names")):
        return True
    return any(
        action.get("/S") == "/JavaScript" or "/JS" in action
        for holder in _holders(root, reader)
        for key in ("/OpenAction", "/A", "/AA")
        for action in _actions(holder.get(key))
    )


def _holders(root: dict[str, Any], reader: Any) -> Iterator[dict[str, Any]]:
    """Give all that may start a script: the document, its form fields, pages and annotations."""
    yield root
    for field in _items(_entries(root.get("/AcroForm")).get("/Fields")):
        yield _entries(field)
    for page in reader.pages:
        yield page
        for annotation in _items(page.get("/Annots")):
            yield _entries(annotation)


def _actions(value: Any) -> Iterator[dict[str, Any]]:
    """Give an action, or those of a dictionary from event to action."""
    entries = _entries(value)
    yield entries
    yield from map(_entries, entries.values())


def _entries(value: Any) -> dict[str, Any]:
    found = value.get_object() if hasattr(value, "get_object") else value
    return found if isinstance(found, dict) else {}


def _items(value: Any) -> list[Any]:
    found = value.get_object() if hasattr(value, "get_object") else value
    return found if isinstance(found, list) else []
