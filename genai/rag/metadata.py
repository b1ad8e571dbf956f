"""What a document says of itself: front matter of Markdown, and a file `NAME.meta.yaml` beside it.

Values have types, as YAML reads them: text, number, truth or date, or a list of them. They filter
a search and are never shown to a model. Whom a document belongs to is not among them: its folder
says so, for an author could write anything here.
"""

import os
import re
import sys
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from genai.config import parse_yaml
from genai.errors import ConfigError, DocumentError
from genai.rag.documents import SIDECAR, read_source
from genai.rag.documents.front import front_matter

Value = str | bool | int | float | date
Kept = tuple[str, float | None, str | None]  # kind, and the number or the text
KEY = re.compile(r"[A-Za-z_][\w.-]{0,63}\Z")
_LARGEST = 1_000_000  # bytes
_MOST = 64  # keys a document, and values a key


def sidecar(path: Path, folder: Path) -> bytes:
    """Read the bytes of the file beside a document; none if there is no such file.

    Raises:
        DocumentError: it is there and cannot be read, is too large, or a link leaves the folder.
    """
    beside = path.with_name(path.name + SIDECAR)
    return read_source(beside, folder, _LARGEST) if os.path.lexists(beside) else b""


def metadata(name: str, kind: str, text: str, beside: bytes) -> dict[str, list[Kept]]:
    """Give a document's metadata; what the file beside it says wins over its front matter.

    Raises:
        DocumentError: the file beside it is no mapping of keys to values.
    """
    found: dict[str, list[Kept]] = {}
    front, _ = front_matter(name, kind, text)
    found.update(_kept(name, {k: v for k, v in front.items() if _fits(k, v)}))
    if beside:
        try:
            said = parse_yaml(beside.decode("utf-8"), name + SIDECAR) or {}
        except (ConfigError, UnicodeDecodeError) as error:
            raise DocumentError(f"{name}{SIDECAR}: is not valid YAML ({error}); mend it") from error
        if not isinstance(said, dict):
            raise DocumentError(f"{name}{SIDECAR}: must be a mapping of keys to values")
        for key, value in said.items():
            if not _fits(key, value):
                raise DocumentError(
                    f"{name}{SIDECAR}: `{key}` must be text, a number, true, false, a date, or a"
                    f" list of them, got {_short(value)}"
                )
        found.update(_kept(name, said))
    return found


def _short(value: Any) -> str:
    try:
        return repr(value)[:80]
    except ValueError:  # Python writes no number of so many digits
        return "a number too large to write"


def column(value: Value) -> Kept:
    """Give the kind of a value, and the number or the text that is stored of it."""
    if isinstance(value, bool):
        return "truth", float(value), None
    if isinstance(value, (int, float)):
        return "number", float(value), None
    if isinstance(value, datetime):
        return "date", None, value.date().isoformat()
    if isinstance(value, date):
        return "date", None, value.isoformat()
    # as in a document's text, a lone surrogate becomes another character: the store holds UTF-8
    return "text", None, value.encode("utf-8", "replace").decode()


def _kept(name: str, said: Mapping[Any, Any]) -> dict[str, list[Kept]]:
    if len(said) > _MOST:
        raise DocumentError(f"{name}: has {len(said)} metadata keys, at most {_MOST} are kept")
    return {
        key: [column(each) for each in (value if isinstance(value, list) else [value])]
        for key, value in said.items()
    }


def _fits(key: Any, value: Any) -> bool:
    if isinstance(value, list):
        return 0 < len(value) <= _MOST and all(_fits(key, v) and not isinstance(v, list)
                                               for v in value)  # fmt: skip
    fits = isinstance(value, (str, date)) or (
        isinstance(value, (int, float)) and abs(value) <= sys.float_info.max
    )
    return fits and isinstance(key, str) and bool(KEY.match(key))
