"""Front matter of Markdown: what a document says of itself before its text begins."""

import re
from typing import Any

from genai.config import parse_yaml
from genai.errors import ConfigError

_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def front_matter(name: str, kind: str, text: str) -> tuple[dict[Any, Any], int]:
    """Give a document's front matter and where its text begins; nothing and 0 without any.

    Prose between two rules, or a template that is no YAML, is text.
    """
    found = _FRONT.match(text) if kind == "markdown" else None
    if not found:
        return {}, 0
    try:
        said = parse_yaml(found[1], name)
    except ConfigError:
        said = None
    return (said, found.end()) if isinstance(said, dict) else ({}, 0)


def without_front_matter(name: str, kind: str, text: str) -> str:
    """Give the text with blanks for its front matter, so that every offset stays as it is."""
    begins = front_matter(name, kind, text)[1]
    return re.sub(r"[^\r\n]", " ", text[:begins]) + text[begins:]
