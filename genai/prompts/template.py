r"""Cut a prompt's body into turns and segments; partials are put in here, at load, never later.

`{{name}}` stands for a variable, `{{> name}}` for the text of `prompts/partials/name.md`, and
`\{{` for two braces. There is nothing else between braces: no attribute, no index, no condition.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from genai.errors import PromptError
from genai.prompts.render import Segment
from genai.types import Role

Turn = tuple[Role, tuple[Segment, ...]]
Partial = Callable[[str], str]  # a name to its text; raises PromptError where there is none
DEPTH = 8  # partials inside partials
MOST_CHARS = 200_000
_MOST_PIECES = 2_000  # partials put in, so that small ones cannot multiply without end
_ROLE = re.compile(r"^@(system|user|assistant)[ \t]*$", re.MULTILINE)
_MARK = re.compile(
    r"(?P<braces>\\\{\{)|\{\{> *(?P<partial>[a-z0-9_][a-z0-9_/-]*) *\}\}"
    r"|\{\{ *(?P<slot>[a-z_][a-z0-9_]*) *\}\}|(?P<stray>\{\{[^\n]{0,40})"
)


def cut(body: str, shown: str, partial: Partial) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Give the turns of a body, and the names of the partials that are in them.

    Raises:
        PromptError: no turn, braces that are no placeholder, a partial that is missing, makes a
            role, holds itself, or lies too deep; or too much text.
    """
    marks = list(_ROLE.finditer(body))
    if not marks or body[: marks[0].start()].strip():
        raise PromptError(f"{shown}: the body must begin with a line `@system` or `@user`")
    cutter = _Cutter(shown, partial)
    turns = []
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        content = body[mark.end() : following.start() if following else len(body)].strip("\n")
        turns.append((cast(Role, mark[1]), _merged(cutter.segments(content, ()))))
    return tuple(turns), tuple(cutter.texts)


@dataclass(slots=True)
class _Cutter:
    """One body on its way into segments; counts what partials bring."""

    shown: str
    partial: Partial
    texts: dict[str, str] = field(default_factory=dict)
    chars: int = 0
    pieces: int = 0

    def segments(self, content: str, inside: tuple[str, ...]) -> Iterator[Segment]:
        self.chars += len(content)
        self.pieces += 1
        if self.chars > MOST_CHARS or self.pieces > _MOST_PIECES:
            raise PromptError(
                f"{self.shown}: with its partials more than {MOST_CHARS} characters or"
                f" {_MOST_PIECES} pieces; take partials out"
            )
        position = 0
        for mark in _MARK.finditer(content):
            yield Segment(content[position : mark.start()])
            position = mark.end()
            if mark["slot"]:
                yield Segment("", mark["slot"])
            elif mark["partial"]:
                yield from self.segments(*self._inside(mark["partial"], inside))
            elif mark["braces"]:
                yield Segment("{{")
            else:
                raise PromptError(
                    f"{self.shown}: `{mark['stray']}` is no placeholder; there are"
                    " {{name}} and {{> partial}} only, and \\{{ for two braces"
                )
        yield Segment(content[position:])

    def _inside(self, name: str, inside: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """Give a partial's text and the way that led to it."""
        if name in inside:
            way = " > ".join((*inside, name))
            raise PromptError(
                f"{self.shown}: partial `{name}` holds itself ({way}); break the ring"
            )
        if len(inside) >= DEPTH:
            raise PromptError(
                f"{self.shown}: partial `{name}` lies more than {DEPTH} deep"
                f" ({' > '.join(inside)}); put its text in directly"
            )
        if name not in self.texts:
            text = self.partial(name).strip("\n")
            if _ROLE.search(text):
                raise PromptError(
                    f"{self.shown}: partial `{name}` has a role line; only the prompt makes roles"
                )
            self.texts[name] = text
        return self.texts[name], (*inside, name)


def _merged(segments: Iterator[Segment]) -> tuple[Segment, ...]:
    """Join neighbouring texts, so that the same words are the same whatever partial they are in."""
    found: list[Segment] = []
    for segment in segments:
        if not segment.slot and found and not found[-1].slot:
            found[-1] = Segment(found[-1].text + segment.text)
        elif segment.slot or segment.text:
            found.append(segment)
    return tuple(found)
