"""The guard for answers that must be JSON of a form; one that was cut off can be closed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from genai.config.schemas import validator
from genai.guards.base import Scope
from genai.text.unclosed import closing
from genai.types import Place, Span


class JsonGuard:
    """Finds text that is not JSON or does not fit a schema.

    A text that was cut off and fits once it is closed is a finding whose replacement closes it:
    with the action `redact` it leaves repaired. Whatever else is wrong is removed whole.
    """

    name = "json"
    scope: Scope = "whole"
    quick = True

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = dict(schema)

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give what must change for the text to fit; all of it where no repair helps."""
        if not text.strip():
            return [Span(0, len(text), "empty", 1.0, "null")]
        try:
            value = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return self._repair(text)
        breach = self._breach(value)
        return [Span(0, len(text), breach, 1.0, "null")] if breach else ()

    def _repair(self, text: str) -> Sequence[Span]:
        found = closing(text)
        if found is not None and found[1]:
            cut, end = found
            try:
                fits = not self._breach(json.loads(text[:cut] + end, parse_constant=_refuse))
            except (ValueError, RecursionError):
                fits = False
            if fits:
                return [Span(cut, len(text), "cut off", 1.0, end)]
        return [Span(0, len(text), "not JSON", 1.0, "null")]

    def _breach(self, value: Any) -> str:
        if not self._schema:
            return ""
        breach = next(iter(validator(json.dumps(self._schema)).iter_errors(value)), None)
        return f"breaks `{breach.validator}`" if breach is not None else ""

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the rule that it breaks."""
        return f"It must be JSON of the agreed form: {spans[0].kind}."


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
