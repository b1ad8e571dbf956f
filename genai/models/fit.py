"""What a model takes of the parameters: learnt from what its server refuses, for this process.

A prompt states its wishes for any model. Some take them under another name, in another form, or not
at all: those that reason know no `temperature`, and call `max_tokens` `max_completion_tokens`.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genai.types import Message, Part

_SAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
# how tokens are drawn; a reply without them is still the reply to the same question
_WISHES = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"}
# tokens a model may think beside its reply: its limit counts both, a prompt's `max_tokens` one
THOUGHT = 4_000
_log = logging.getLogger("genai.models")


class Fit:
    """The parameters of one model, in the form that its server takes."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._renamed: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._schema_in_words = False

    def fitted(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give parameters as the model takes them; of a limit under both names the newer wins.

        Where a server wants `max_completion_tokens`, a `max_tokens` goes there with 4,000 more:
        that limit counts what the model thinks before it replies.
        """
        if "max_tokens" in params and "max_completion_tokens" in params:
            params = {name: value for name, value in params.items() if name != "max_tokens"}
        if self._schema_in_words and _schema(params) is not None:
            params = {name: value for name, value in params.items() if name != "response_format"}
        if not (self._renamed or self._left_out):
            return params
        found = {}
        for name, value in params.items():
            if name == "max_tokens" and name in self._renamed and isinstance(value, int):
                value += THOUGHT
            if name not in self._left_out:
                found[self._renamed.get(name, name)] = value
        return found

    def worded(self, messages: Sequence[Message], params: Mapping[str, Any]) -> Sequence[Message]:
        """Give the messages; a schema that the server does not take stands at their end."""
        schema = _schema(params) if self._schema_in_words else None
        if schema is None or not messages:
            return messages
        words = "\n\nReply with JSON only, by this schema: " + json.dumps(schema)
        *before, last = messages
        return (*before, replace(last, parts=(*last.parts, Part(words))))

    def learn(self, name: str, sent: Mapping[str, Any]) -> bool:
        """Note that the server refused a parameter; False where another form is of no use.

        What is left out is said once, in the log `genai.models`.
        """
        if name not in sent:
            return False
        if name in self._renamed or name in self._left_out:
            return True  # it had left before another request taught it
        other = _SAME.get(name)
        if other is not None and other not in self._renamed:
            self._renamed[name] = other
        elif name in _WISHES:
            self._left_out.add(name)
            _log.warning("model %s takes no `%s`; it is asked without", self._model, name)
        elif name == "response_format" and _schema(sent) is not None:
            if not self._schema_in_words:
                _log.warning("model %s takes no JSON schema; it is told in words", self._model)
            self._schema_in_words = True
        else:
            return False
        return True


def _schema(params: Mapping[str, Any]) -> Any:
    """Give the JSON schema that a reply is wanted in, or None."""
    form = params.get("response_format")
    return (form.get("json_schema") or {}).get("schema") if isinstance(form, Mapping) else None
