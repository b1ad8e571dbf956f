"""A judge model with a script, behind the real door, and trials for it to judge."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genai.evals import Case, Tools, Trial
from genai.models import Delta, open_model
from genai.types import Hit, Message, Passage

PROMPT_FILES = Path(__file__).parents[1] / "prompts"
Line = str | Exception | Mapping[str, Any]


class Scripted:
    """A judge model with a script, which remembers what it was asked."""

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)
        self.asked: list[tuple[Message, ...]] = []

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        self.asked.append(tuple(messages))
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        yield Delta(line if isinstance(line, str) else json.dumps(line))
        yield Delta(finish_reason="stop")

    def tools(self, embed: Any = None) -> Tools:
        judge = open_model("fake/judge", provider=self).acall
        return Tools(judge=judge, judge_name="fake/judge", prompts=PROMPT_FILES, embed=embed)


def trial(text: str = "Storks nest on chimneys. They eat frogs.", **fields: Any) -> Trial:
    case = {"id": "storks", "input": "Where do storks nest?", **fields.pop("case", {})}
    contexts = fields.pop("contexts", ("Storks nest on chimneys.", "Herons fish at dawn."))
    hits = tuple(
        Hit(Passage(f"p{n}", "birds.md", 0, len(each), each), 1.0)
        for n, each in enumerate(contexts)
    )
    return Trial(unit="u.0", case_id="storks", text=text, hits=hits, case=Case(**case), **fields)


EXPECTED: dict[str, Any] = {"case": {"expected": "On chimneys."}}
REFUSED: dict[str, Any] = {"state": "refused", "text": "I do not know."}


def vectors(texts: Sequence[str]) -> list[list[float]]:
    known = {"Where do storks nest?": [1.0, 0.0], "same": [1.0, 0.0], "half": [0.6, 0.8]}
    return [known.get(each, [-1.0, 0.0]) for each in texts]
