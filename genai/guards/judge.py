"""Guards that ask a model, by a prompt file; what the model judges cannot speak to it.

The text goes into a user turn only, in a fence that it cannot close, and only a number is taken
from the reply: a text that asks for a verdict is still nothing but text to judge.
"""

import re
from collections.abc import Callable, Sequence

from genai.guards.base import Scope
from genai.types import Place, Span

# the prompt's name and the text to judge -> the model's reply
Ask = Callable[[str, str], str]
_REPLY = re.compile(
    r'\A\s*(?:```(?:json)?\s*)?\{\s*"score"\s*:\s*(0|1|0?\.\d+|1\.0+)\s*\}\s*(?:```)?\s*\Z'
)


class JudgeGuard:
    """Asks a model to what degree a text breaks the rule that a prompt file states."""

    scope: Scope = "sent"
    quick = False
    threshold = 0.5

    def __init__(self, prompt: str, ask: Ask) -> None:
        self.name = prompt
        self._ask = ask

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the whole text with the model's score.

        Raises:
            ValueError: the reply is not exactly `{"score": 0.0 to 1.0}`.
        """
        reply = _REPLY.match(self._ask(self.name, text))
        if reply is None:
            raise ValueError("the judge's reply is no score")
        return [Span(0, len(text), "judged", float(reply[1]))] if text else ()

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the prompt; the model's words are not repeated."""
        return f"The judge `{self.name}` gave it {max(span.score for span in spans):.2f}."
