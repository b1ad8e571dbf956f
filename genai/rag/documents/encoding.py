"""Decode a text file: its byte order mark, UTF-8, a declared encoding, or a noted guess."""

import codecs

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
    guess = extras.load("charset_normalizer", "rag").from_bytes(source).best()
    if guess is None:
        raise DocumentError(f"{name}: its encoding is not known; save it as UTF-8")
    return str(guess), (f"is not UTF-8; read as {guess.encoding}, a guess",)


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
        return source.decode(declared)
    except (LookupError, UnicodeDecodeError):
        return None
