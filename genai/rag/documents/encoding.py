"""Decode a text file: its byte order mark, UTF-8, a declared encoding, or a noted guess."""

import codecs
import re

from genai import extras
from genai.errors import DocumentError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the next one, so it comes first
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF32_BE, "utf-32"),
)
_MIXED_SHARE = 0.02
# what text files and pages are written in; beside them a short text fits one of DOS by accident
_USUAL = [
    *(f"cp125{number}" for number in range(9)), "cp874", "cp932", "cp949", "big5", "gb18030",
    "euc_jp", "koi8_r", "iso8859_2", "iso8859_7", "iso8859_15",
]  # fmt: skip
_WESTERN = "cp1252"
# what no text of Western Europe holds and another one read so does: a sign inside a word or on the
# wrong side of it, three letters beyond ASCII in a row, a letter of another language
_LETTER = r"[^\W\d_]"
_FOREIGN = re.compile(
    rf"{_LETTER}[\u00a1-\u00ac\u00ae-\u00b6\u00b8-\u00bf\u00d7\u00f7]{_LETTER}"
    rf"|{_LETTER}[\u00a3\u00a5\u00af\u00b9\u00bf]|[\u00a3\u00a5\u00af\u00b3\u00b9]{_LETTER}"
    r"|[\u00c0-\u00ff\u0152\u0153\u0178]{3}|[\u0160\u0161\u017d\u017e\u00fe]"
)


def decode(name: str, source: bytes, declared: str = "") -> tuple[str, tuple[str, ...]]:
    """Give the text and notes on it. `declared` is what the document says of itself.

    Raises:
        DocumentError: binary, damaged, of two encodings, or of none that is known.
    """
    for mark, codec in _MARKS:
        if source.startswith(mark):
            try:
                return source.decode(codec), ()
            except UnicodeDecodeError:
                raise DocumentError(
                    f"{name}: begins as {codec.upper()} but does not go on so; save it as UTF-8"
                ) from None
    if b"\x00" in source[:8192]:
        raise DocumentError(f"{name}: is binary, not text; convert it or remove it")
    try:
        return source.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
    if _is_mixed(source):
        raise DocumentError(
            f"{name}: is UTF-8 in some lines and another encoding in others (line {line});"
            " save all of it as UTF-8"
        )
    if declared and (text := _as_declared(source, declared)) is not None:
        return text, ()
    found = _guess(source)
    if found is None:
        raise DocumentError(f"{name}: its encoding is not known; save it as UTF-8")
    return found[0], (f"is not UTF-8; read as {found[1]}, a guess",)


def _guess(source: bytes) -> tuple[str, str] | None:
    """Give the text and its encoding; without a better reason that of Western Europe."""
    matches = extras.load("charset_normalizer", "rag").from_bytes(source, cp_isolation=_USUAL)
    best = matches.best()
    text = _as_declared(source, _WESTERN)
    if text is not None and _is_western(text):
        same = (each for each in matches if _WESTERN in each.could_be_from_charset)
        if best is None or best.coherence <= max((each.coherence for each in same), default=0.0):
            return text, _WESTERN
    return (str(best), best.encoding) if best is not None else None


def _is_western(text: str) -> bool:
    signs = sum(not character.isspace() for character in text)
    beyond = sum(character > "\x7f" for character in text)
    return 3 * beyond <= signs and not _FOREIGN.search(text)


def _is_mixed(source: bytes) -> bool:
    """Say whether some lines beyond ASCII are UTF-8 and others are not.

    In the encodings of East Asia a short line can be UTF-8 by accident, so a few prove nothing.
    """
    utf8 = other = 0
    for line in source.splitlines():
        if line.isascii():
            continue
        try:
            utf8 += sum(character > "\x7f" for character in line.decode("utf-8")) >= 2
        except UnicodeDecodeError:
            other += 1
    return other > 0 and utf8 >= max(1, _MIXED_SHARE * (utf8 + other))


def _as_declared(source: bytes, declared: str) -> str | None:
    try:
        name = codecs.lookup(declared).name
        # browsers read Latin 1 as Windows does, and so pages that say it hold its quotes and euros
        return source.decode(_WESTERN if name in ("iso8859-1", "ascii") else name)
    except (LookupError, UnicodeDecodeError):
        return None
