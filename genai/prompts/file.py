"""Read `prompts/<topic>/<name>.md`: front matter, then a body of `@system`/`@user` turns.

Only the template makes roles: a line that is exactly `@system`, `@user` or `@assistant` opens a
turn, and values are put in after the turns are cut. `{{name}}` is the only placeholder.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field

from genai.config import Settings, digest, parse_yaml, validate
from genai.errors import PromptError
from genai.prompts.render import Segment, render
from genai.types import Message, Passage, Role, Trust

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_ROLE = re.compile(r"^@(system|user|assistant)[ \t]*$", re.MULTILINE)
_SLOT = re.compile(r"\{\{ *([a-z_][a-z0-9_]*) *\}\}")


class Input(Settings):
    """One variable of a prompt and how far its text may be trusted."""

    trust: Literal["trusted", "untrusted", "retrieved"] = "untrusted"
    required: bool = True
    default: str = ""
    max_length: int = Field(default=200_000, ge=1)


class FrontMatter(Settings):
    """The settings above a prompt's body."""

    id: str
    description: str = ""
    inputs: dict[str, Input] = Field(default_factory=dict)
    params: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file, read. `id` is `name@hash`, and stands on every ledger row it caused."""

    name: str
    hash: str
    front: FrontMatter
    turns: tuple[tuple[Role, tuple[Segment, ...]], ...]

    @property
    def id(self) -> str:
        """Name and hash, as the ledger stores it."""
        return f"{self.name}@{self.hash}"

    @property
    def params(self) -> dict[str, Any]:
        """Sampling parameters to call the model with."""
        return dict(self.front.params)

    def render(self, **values: str | Sequence[Passage]) -> tuple[Message, ...]:
        """Put values into the template; each appears once, as text, never read again.

        Raises:
            PromptError: a missing, extra or too long value.
        """
        known = self.front.inputs
        for name in values.keys() - known.keys():
            raise PromptError(f"prompt {self.name}: `{name}` is not one of its inputs {[*known]}")
        filled = dict(values)
        for name, spec in known.items():
            if name not in filled:
                if spec.required:
                    raise PromptError(f"prompt {self.name}: input `{name}` is missing; pass it")
                filled[name] = spec.default
            _check_length(self.name, name, filled[name], spec.max_length)
        trust: dict[str, Trust] = {name: spec.trust for name, spec in known.items()}
        return tuple(
            Message(role, render(segments, filled, trust, self.hash))
            for role, segments in self.turns
        )


def _check_length(prompt: str, name: str, value: str | Sequence[Passage], max_length: int) -> None:
    size = len(value) if isinstance(value, str) else sum(len(p.text) for p in value)
    if size > max_length:
        raise PromptError(
            f"prompt {prompt}: input `{name}` has {size} characters, more than its"
            f" max_length {max_length}; shorten it or raise the limit"
        )


def load_prompt(name: str, folder: Path) -> Prompt:
    """Read `folder/<name>.md`.

    Raises:
        PromptError: no such file, no front matter, no turn, an unknown or misused variable.
        ConfigError: a wrong key in the front matter.
    """
    path = (folder / f"{name}.md").resolve()
    shown = f"prompts/{name}.md"
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        known = sorted(str(p.relative_to(folder).with_suffix("")) for p in folder.rglob("*.md"))
        raise PromptError(f"{shown}: no such prompt; known: {', '.join(known) or 'none'}")
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    front_text = _FRONT.match(text)
    if not front_text:
        raise PromptError(f"{shown}: must begin with front matter between two `---` lines")
    front = validate(FrontMatter, parse_yaml(front_text[1], shown), shown)
    turns = tuple(_turns(text[front_text.end() :], front, shown))
    content = {
        "v": 1,
        "turns": [[role, [[s.text, s.slot] for s in segments]] for role, segments in turns],
        "inputs": {k: v.model_dump(mode="json") for k, v in front.inputs.items()},
        "params": front.params,
    }
    return Prompt(front.id, digest(content), front, turns)


def _turns(body: str, front: FrontMatter, shown: str) -> list[tuple[Role, tuple[Segment, ...]]]:
    marks = list(_ROLE.finditer(body))
    if not marks or body[: marks[0].start()].strip():
        raise PromptError(f"{shown}: the body must begin with a line `@system` or `@user`")
    turns = []
    used: set[str] = set()
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        content = body[mark.end() : following.start() if following else len(body)].strip("\n")
        segments = tuple(_segments(content))
        for slot in (s.slot for s in segments if s.slot):
            spec = front.inputs.get(slot)
            if spec is None:
                raise PromptError(f"{shown}: `{{{{{slot}}}}}` is not declared; add it to `inputs`")
            if mark[1] == "system" and spec.trust != "trusted":
                raise PromptError(
                    f"{shown}: `{slot}` is {spec.trust} and stands in the system turn;"
                    " move it to a user turn"
                )
            used.add(slot)
        turns.append((cast(Role, mark[1]), segments))
    for unused in front.inputs.keys() - used:
        raise PromptError(f"{shown}: input `{unused}` is never used; remove it or use it")
    return turns


def _segments(content: str) -> list[Segment]:
    segments, position = [], 0
    for slot in _SLOT.finditer(content):
        segments += [Segment(content[position : slot.start()]), Segment("", slot[1])]
        position = slot.end()
    return [s for s in (*segments, Segment(content[position:])) if s.text or s.slot]
