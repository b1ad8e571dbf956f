"""Reply schemas: does a value fit one, and what does a change of one break for its readers?"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from genai.config.schemas import breach

_LISTED = ("type", "enum", "const", "$ref", "format", "anyOf", "oneOf", "allOf", "not", "pattern")
_BOUNDS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
    "minItems", "maxItems", "uniqueItems", "additionalProperties",
)  # fmt: skip


class Moved(NamedTuple):
    """One place of a schema that changed; `why` says what it breaks, '' where nothing."""

    path: str
    before: str
    after: str
    why: str


def misfit(schema: Mapping[str, Any], value: Any) -> str:
    """Say where a value breaks a schema, or what is wrong with the schema itself; '' if it fits.

    A reference is never fetched from anywhere.

    Raises:
        MissingExtra: the package `jsonschema` is absent.
    """
    try:
        return breach(schema, value)
    except ValueError as error:
        return str(error)


def moved(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[Moved]:
    """Give what changed between two schemas, as somebody sees it who reads the replies."""
    yield from _fields(before, after, path)
    for key in _LISTED:
        old, new = before.get(key), after.get(key)
        if old != new:
            yield Moved(_at(path, key), _short(old), _short(new), _breaks(key, old, new))
    for key in _BOUNDS:
        old, new = before.get(key), after.get(key)
        if old != new:
            yield Moved(_at(path, key), _short(old), _short(new), "")
    for key in ("items", "$defs", "definitions"):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            pairs = [("", old, new)] if key == "items" else _both(old, new)
            for name, was, now in pairs:
                yield from moved(was, now, _at(path, f"{key}.{name}" if name else key))
        elif old != new:
            yield Moved(_at(path, key), _short(old), _short(new), "what it holds has another form")


def _fields(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Moved]:
    old, new = before.get("properties") or {}, after.get("properties") or {}
    for name in old.keys() - new.keys():
        yield Moved(_at(path, name), _short(old[name]), "", "readers miss the field")
    for name in new.keys() - old.keys():
        yield Moved(_at(path, name), "", _short(new[name]), "")
    had, has = set(before.get("required") or ()), set(after.get("required") or ())
    for name in sorted((had - has) & new.keys()):
        yield Moved(_at(path, name), "required", "optional", "readers may miss the field")
    for name in sorted((has - had) & old.keys()):
        yield Moved(_at(path, name), "optional", "required", "")
    for name, was, now in _both(old, new):
        yield from moved(was, now, _at(path, name))


def _both(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    return [(name, old[name], new[name]) for name in old if name in new]


def _breaks(key: str, old: Any, new: Any) -> str:
    if key == "enum" and isinstance(old, list) and isinstance(new, list):
        fresh = [each for each in new if each not in old]
        return f"readers meet the new value {_short(fresh[0])}" if fresh else ""
    return "replies have another form" if key not in ("format", "pattern") else ""


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _short(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
