"""Check a value against its kind, and write it as text once."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from genai.types import Passage

Kind = Literal["text", "int", "float", "bool", "enum", "list", "passages", "json"]
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "text": (str,), "int": (int,), "float": (int, float), "bool": (bool,),
}  # fmt: skip


def written(kind: Kind, value: Any, enum: Sequence[str] = ()) -> str | Sequence[Passage]:
    """Give the text of a value; passages stay what they are, for each is fenced by itself.

    Raises:
        ValueError: the value is not of the kind; says what was wanted and what came.
    """
    if kind == "passages":
        return _passages(value)
    if kind == "list":
        return _lines(value)
    if kind == "json":
        return _json(value)
    if kind == "enum":
        if not isinstance(value, str) or value not in enum:
            raise ValueError(f"must be one of {', '.join(enum)}; got {_shown(value)}")
        return value
    if not isinstance(value, _SCALARS[kind]) or (isinstance(value, bool) and kind != "bool"):
        hint = "; declare `kind: passages`" if _are_passages(value) else ""
        raise ValueError(f"must be {kind}, not {_shown(value)}{hint}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a number, not {value}")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _are_passages(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(each, Passage) for each in value)
    )


def _passages(value: Any) -> Sequence[Passage]:
    if not _are_passages(value):
        raise ValueError(f"must be passages, not {_shown(value)}")
    found: Sequence[Passage] = value
    return found


def _lines(value: Any) -> str:
    """A line an item; an item with a line break could pass for two."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"must be a list of texts, not {_shown(value)}")
    for item in value:
        if not isinstance(item, str):
            raise ValueError(f"must be a list of texts; one item is {_shown(item)}")
        if item and item.splitlines() != [item]:
            raise ValueError("has an item with a line break; use `kind: json` for such lists")
    return "\n".join(f"- {item}" for item in value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot be written as JSON ({error})") from error


def _shown(value: Any) -> str:
    """Name a value's type; its content stays out of messages and logs."""
    return f"a {type(value).__name__}"
