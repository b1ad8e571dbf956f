"""What a model takes of the parameters: learnt from what its server refuses, for this process.

A prompt states its wishes for any model. Some take them under another name, or not at all: those
that reason know no `temperature`, and call `max_tokens` `max_completion_tokens`.
"""

import logging
from collections.abc import Mapping
from typing import Any

_SAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
# how tokens are drawn; a reply without them is still the reply to the same question
_WISHES = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"}
_log = logging.getLogger("genai.models")


class Fit:
    """The parameters of one model, in the form that its server takes."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._renamed: dict[str, str] = {}
        self._left_out: set[str] = set()

    def fitted(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give parameters as the model takes them; of a limit under both names the newer wins."""
        if "max_tokens" in params and "max_completion_tokens" in params:
            params = {name: value for name, value in params.items() if name != "max_tokens"}
        if not (self._renamed or self._left_out):
            return params
        return {
            self._renamed.get(name, name): value
            for name, value in params.items()
            if name not in self._left_out
        }

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
        else:
            return False
        return True
