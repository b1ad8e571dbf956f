"""Windows of whole sentences, or of a number of tokens, with overlap.

A window never leaves its section or page. Tokens are counted by a tokenizer file, or taken as 4
characters each; nothing is downloaded.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from genai import extras
from genai.errors import ConfigError
from genai.models.embedders import STATIC
from genai.rag.split.base import (
    Block,
    Piece,
    Span,
    Splitting,
    boundary,
    fit,
    joined,
    sections,
    windows,
)
from genai.text.sentences import sentences

# Chinese and Japanese are written without spaces: there each character is a word
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_CHARS_A_TOKEN = 4
_CHARS_A_TOKEN_AT_MOST = 16  # a word unknown to a tokenizer is one token, however long
_COUNTED_AT_ONCE = 1000


def sentence_windows(text: str, blocks: Iterator[Block], settings: Splitting) -> Iterator[Piece]:
    """Fill each passage with whole sentences."""
    for start, end, heading in sections(blocks):
        found = fit(text, sentences(text[start:end]), start, settings.max_chars)
        for window in windows(list(found), settings.max_chars, settings.overlap):
            yield *window, heading


def token_windows(text: str, blocks: Iterator[Block], settings: Splitting) -> Iterator[Piece]:
    """Fill each passage with words up to `max_tokens`."""
    tokenizer = open_tokenizer(settings.tokenizer) if settings.tokenizer else None
    for start, end, heading in sections(blocks):
        words = _words(text, start, end)
        if tokenizer is None:
            limit, overlap = (n * _CHARS_A_TOKEN for n in (settings.max_tokens, settings.overlap))
            found = windows(list(fit(text, words, 0, limit)), limit, overlap)
        else:
            found = _counted_windows(text, words, settings, tokenizer)
        for window in found:
            yield *window, heading


def _words(text: str, start: int, end: int) -> list[Span]:
    words: list[Span] = []
    for found in _WORD.finditer(text, start, end):
        if words and words[-1][1] == found.start() and joined(text, found.start()):
            words[-1] = (words[-1][0], found.end())  # an accent or the like on a character
        else:
            words.append(found.span())
    return words


def _counted_windows(
    text: str, words: list[Span], settings: Splitting, tokenizer: Any
) -> Iterator[Span]:
    limit = settings.max_tokens
    atoms, counts = [], []
    for word, count in zip(words, _count(tokenizer, text, words), strict=True):
        for piece, size in _halve(tokenizer, text, word, count, limit):
            atoms.append(piece)
            counts.append(size)
    before = [0, *accumulate(counts)]
    for start, end in windows(
        atoms, limit, settings.overlap, lambda first, last: before[last + 1] - before[first]
    ):
        # words counted one by one may come to less than the words together
        yield from (
            piece
            for piece, _ in _halve(
                tokenizer, text, (start, end), _count(tokenizer, text, [(start, end)])[0], limit
            )
        )


def _halve(
    tokenizer: Any, text: str, span: Span, count: int, limit: int
) -> Iterator[tuple[Span, int]]:
    """Cut a span in two until each part keeps to the limit, or is one character as read."""
    start, end = span
    middle = boundary(text, (start + end) // 2, start)
    if count <= limit or not start < middle < end:
        yield span, count
        return
    for part in ((start, middle), (middle, end)):
        yield from _halve(tokenizer, text, part, _count(tokenizer, text, [part])[0], limit)


def _count(tokenizer: Any, text: str, spans: list[Span]) -> list[int]:
    counts: list[int] = []
    for first in range(0, len(spans), _COUNTED_AT_ONCE):
        texts = [text[start:end] for start, end in spans[first : first + _COUNTED_AT_ONCE]]
        for each, found in zip(
            texts, tokenizer.encode_batch(texts, add_special_tokens=False), strict=True
        ):
            counts.append(max(len(found.ids), -(-len(each) // _CHARS_A_TOKEN_AT_MOST)))
    return counts


@lru_cache(maxsize=8)
def open_tokenizer(name: str) -> Any:
    """Open `static`, the shipped embedder's, or a `tokenizer.json` by its path.

    Raises:
        ConfigError: there is no such file, or it is not a tokenizer.
    """
    path = _path(name)
    try:
        tokenizer = extras.load("tokenizers", "rag").Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises its base class alone
        raise ConfigError(
            f"configs/genai.yaml: `index.tokenizer`: {name!r} cannot be read ({error}); give"
            " `static` or the path of a tokenizer.json"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokenizer_id(name: str) -> str:
    """Name a tokenizer by what is in its file. Raises `ConfigError`."""
    if not name:
        return f"{_CHARS_A_TOKEN} characters"
    open_tokenizer(name)
    return hashlib.sha256(_path(name).read_bytes()).hexdigest()[:12]


def _path(name: str) -> Path:
    return STATIC / "tokenizer.json" if name == "static" else Path(name)
