"""Splitters of others, LangChain's above all, held to exact spans.

Such a splitter gives texts without places. The places are found again: every text has to stand in
the document as it is, in order, with nothing but white space left out between; of several such
readings the one with the least overlap is taken. A splitter that changes or drops text is refused.
"""

import hashlib
import inspect
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from genai.errors import ConfigError, DocumentError
from genai.project import import_named
from genai.rag.documents import Document
from genai.rag.split.base import Span, Splitting

_Candidates = list[tuple[int, int]]  # where a text may start, and the candidate before it


def foreign_spans(document: Document, settings: Splitting, name: str) -> Iterator[Span]:
    """Give the spans of another's passages.

    Raises:
        ConfigError: the splitter cannot be imported or built.
        DocumentError: what it gives are not the document's own texts, whole and in order.
    """
    cut = _open(name, settings.max_chars, settings.overlap)[0]
    try:
        given = cut(document.text)
        texts = [each if isinstance(each, str) else each.page_content for each in given]
    except Exception as error:  # whatever a function of the user's raises
        raise DocumentError(
            f"{document.path}: splitter {name} failed ({type(error).__name__}: {error}); mend it"
        ) from error
    yield from locate(document, [each for each in texts if each.strip()], name)


def locate(document: Document, texts: Sequence[str], name: str) -> list[Span]:
    """Find where texts stand: each ends after the one before, with no gap but white space.

    Raises:
        DocumentError: there is no such place for one of them.
    """
    text, steps = document.text, list[_Candidates]()
    starts, length = [-1], 0
    for number, wanted in enumerate(texts, start=1):
        found = _places(text, wanted, starts, length) if number > 1 else _first(text, wanted)
        if not found:
            raise DocumentError(
                f"{document.path}: splitter {name} gave text {number}, {wanted[:40]!r}, that does"
                " not follow in the document as it is; use one that keeps every character"
                " (`keep_separator=True`) or one of ours"
            )
        steps.append(found)
        starts, length = [start for start, _ in found], len(wanted)
    if text[(starts[-1] + length) if steps else 0 :].strip():
        raise DocumentError(
            f"{document.path}: splitter {name} leaves out the end of the document; use one that"
            " keeps every character or one of ours"
        )
    spans: list[Span] = []
    chosen = -1
    for found, wanted in zip(reversed(steps), reversed(texts), strict=True):
        start, chosen = found[chosen]
        spans.append((start, start + len(wanted)))
    for (start, end), wanted in zip(reversed(spans), texts, strict=True):
        if text[start:end] != wanted:
            raise AssertionError(f"{document.path}: a span of {name} is not its text")
    return spans[::-1]


def _first(text: str, wanted: str) -> _Candidates:
    start = text.find(wanted)
    return [(start, -1)] if start >= 0 and not text[:start].strip() else []


def _places(text: str, wanted: str, starts: list[int], length: int) -> _Candidates:
    """Give each place of a text that continues one of the places of the text before it."""
    found: _Candidates = []
    last = starts[-1] + length
    while last < len(text) and text[last].isspace():
        last += 1
    start = text.find(wanted, starts[0], last + len(wanted))
    while start >= 0:
        # the one before starts no later and ends earlier; the nearest leaves the smallest gap
        before = bisect_right(starts, min(start, start + len(wanted) - length - 1)) - 1
        if before >= 0 and not text[starts[before] + length : start].strip():
            found.append((start, before))
        start = text.find(wanted, start + 1, last + len(wanted))
    return found


def foreign_id(name: str, settings: Splitting) -> str:
    """Name a splitter by its code and its plain parameters. Raises `ConfigError`."""
    return _open(name, settings.max_chars, settings.overlap)[1]


@lru_cache(maxsize=8)
def _open(path: str, max_chars: int, overlap: int) -> tuple[Callable[[str], Sequence[Any]], str]:
    try:
        found = import_named(path)
        if isinstance(found, type):
            found = found(chunk_size=max_chars, chunk_overlap=overlap)
    except Exception as error:  # whatever a package or a constructor of the user's raises
        raise ConfigError(
            f"configs/genai.yaml: `index.splitter`: {path!r} cannot be opened ({error}); give"
            " `package.module:name` of a LangChain splitter or of a function from text to texts"
        ) from error
    cut = getattr(found, "split_text", found)
    plain = {
        key: value
        for key, value in getattr(found, "__dict__", {}).items()
        if isinstance(value, str | int | float | bool)
        or (isinstance(value, list) and all(isinstance(each, str) for each in value))
    }
    source = getattr(inspect.getmodule(cut), "__file__", None)
    code = hashlib.sha256(Path(source).read_bytes() if source else b"").hexdigest()[:12]
    return cut, f"{path} {code} {json.dumps(plain, sort_keys=True)}"
