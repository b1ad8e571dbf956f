"""Read a prompt: front matter, then a body of `@system`, `@user` and `@assistant` turns.

Only the template makes roles: a line that is exactly `@system`, `@user` or `@assistant` opens a
turn, and values are put in after the turns are cut.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai.config import parse_yaml, text_hash, validate
from genai.errors import PromptError
from genai.prompts.front import Example, FrontMatter
from genai.prompts.render import Segment, nonces, render
from genai.prompts.template import Partial, Turn, cut
from genai.prompts.values import written
from genai.types import Message, Passage, Trust

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
# what shapes a call; the rest of the front matter is for people and changes no hash
_HASHED = {"inputs", "params", "examples", "output", "max_chars"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file, read. `id` is `name@hash`, and stands on every ledger row it caused.

    `body` are the turns as written, partials put in; `turns` have the examples among them.
    """

    name: str
    sha256: str
    front: FrontMatter
    body: tuple[Turn, ...]
    turns: tuple[Turn, ...]
    partials: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """The first 12 digits of `sha256`."""
        return self.sha256[:12]

    @property
    def id(self) -> str:
        """Name and hash, as the ledger stores it."""
        return f"{self.name}@{self.hash}"

    @property
    def params(self) -> dict[str, Any]:
        """Sampling parameters to call the model with."""
        return dict(self.front.params)

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema of the reply, to call the model with; None where any text will do."""
        return self.front.output

    @property
    def content(self) -> dict[str, Any]:
        """All that the hash covers: turns with their partials, inputs, schema, examples, params."""
        return _content(self.front, self.body)

    def render(self, **values: Any) -> tuple[Message, ...]:
        """Put values into the template as text, never read again.

        Raises:
            PromptError: a missing, extra, too long or wrongly typed value, or too much text.
        """
        filled = self._filled(values)
        trust: dict[str, Trust] = {name: spec.trust for name, spec in self.front.inputs.items()}
        marks = nonces(filled, self.hash)
        messages = tuple(
            Message(role, render(segments, filled, trust, marks)) for role, segments in self.turns
        )
        size = sum(len(part.text) for message in messages for part in message.parts)
        if size > self.front.max_chars:
            raise PromptError(
                f"prompt {self.name}: the turns have {size} characters, more than its `max_chars`"
                f" {self.front.max_chars}; shorten a value or raise the limit"
            )
        return messages

    def _filled(self, values: dict[str, Any]) -> dict[str, str | Sequence[Passage]]:
        """Check and write every value, given or default."""
        known = self.front.inputs
        for name in values.keys() - known.keys():
            raise PromptError(
                f"prompt {self.name}: `{name}` is not one of its inputs {[*known]}; leave it out"
            )
        filled: dict[str, str | Sequence[Passage]] = {}
        for name, spec in known.items():
            given = values.get(name, spec.default)
            if name not in values:
                if spec.required:
                    raise PromptError(f"prompt {self.name}: input `{name}` is missing; pass it")
                if given is None or spec.kind == "passages":
                    filled[name] = given or ""
                    continue
            try:
                filled[name] = written(spec.kind, given, spec.enum)
            except ValueError as error:
                raise PromptError(f"prompt {self.name}: input `{name}` {error}") from error
            _check_length(self.name, name, filled[name], spec.max_length)
        return filled


def _check_length(prompt: str, name: str, value: str | Sequence[Passage], max_length: int) -> None:
    size = len(value) if isinstance(value, str) else sum(len(p.text) for p in value)
    if size > max_length:
        raise PromptError(
            f"prompt {prompt}: input `{name}` has {size} characters, more than its"
            f" max_length {max_length}; shorten it or raise the limit"
        )


def parse_prompt(text: str, shown: str, partial: Partial) -> Prompt:
    """Read a prompt from its file's text; `shown` names the file in messages.

    Raises:
        PromptError: no front matter, no turn, an unknown or misused variable, a bad partial.
        ConfigError: a wrong key in the front matter.
    """
    text = text.replace("\r\n", "\n")
    front_text = _FRONT.match(text)
    if not front_text:
        raise PromptError(f"{shown}: must begin with front matter between two `---` lines")
    front = validate(FrontMatter, parse_yaml(front_text[1], shown), shown)
    body, partials = cut(text[front_text.end() :], shown, partial)
    return assemble(front, body, shown, partials)


def assemble(
    front: FrontMatter, body: tuple[Turn, ...], shown: str, partials: tuple[str, ...] = ()
) -> Prompt:
    """Make a prompt of its parts: check the variables, put the examples in, take the hash."""
    _check_variables(front, body, shown)
    try:
        canonical = json.dumps(
            _content(front, body), sort_keys=True, separators=(",", ":"), ensure_ascii=False,
            allow_nan=False,
        )  # fmt: skip
    except ValueError as error:
        raise PromptError(f"{shown}: a number in the front matter is not finite; mend it"
                          ) from error  # fmt: skip
    sha256 = text_hash(canonical)
    return Prompt(front.id, sha256, front, body, _with_examples(front, body, shown), partials)


def _content(front: FrontMatter, body: tuple[Turn, ...]) -> dict[str, Any]:
    turns = [[role, [[s.text, s.slot] for s in segments]] for role, segments in body]
    given = front.model_dump(mode="python", include=_HASHED)
    plain: dict[str, Any] = _plain({"v": 2, "turns": turns, **given})
    return plain


def _plain(value: Any) -> Any:
    """Write equal numbers equally: 1.0 is 1."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_variables(front: FrontMatter, body: tuple[Turn, ...], shown: str) -> None:
    used: set[str] = set()
    for role, segments in body:
        for slot in (s.slot for s in segments if s.slot):
            spec = front.inputs.get(slot)
            if spec is None:
                raise PromptError(f"{shown}: `{{{{{slot}}}}}` is not declared; add it to `inputs`")
            if role != "user" and spec.trust != "trusted":
                raise PromptError(
                    f"{shown}: `{slot}` is {spec.trust} and stands in the {role} turn;"
                    " move it to a user turn"
                )
            used.add(slot)
    for unused in sorted(front.inputs.keys() - used):
        raise PromptError(f"{shown}: input `{unused}` is never used; remove it or use it")


def _with_examples(front: FrontMatter, body: tuple[Turn, ...], shown: str) -> tuple[Turn, ...]:
    """Put each example before the last user turn, as that turn filled and the reply to it."""
    if not front.examples:
        return body
    last = max((at for at, (role, _) in enumerate(body) if role == "user"), default=None)
    if last is None:
        raise PromptError(f"{shown}: examples need a `@user` turn to fill; add one")
    turns: list[Turn] = []
    for number, example in enumerate(front.examples, start=1):
        where = f"{shown}: example {number}"
        turns += [
            ("user", (Segment(_asked(front, body[last], example, where)),)),
            ("assistant", (Segment(reply_text(example)),)),
        ]
    return (*body[:last], *turns, *body[last:])


def reply_text(example: Example) -> str:
    """Give the reply of an example as the model would write it."""
    output = example.output
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def _asked(front: FrontMatter, turn: Turn, example: Example, where: str) -> str:
    """Fill the last user turn with an example's inputs; its words are the author's own."""
    slots = {segment.slot for segment in turn[1] if segment.slot}
    for name in example.inputs.keys() - slots:
        raise PromptError(f"{where}: `{name}` does not stand in the last user turn; leave it out")
    inputs = {name: front.inputs[name] for name in sorted(slots)}
    given = {
        name: _example_passages(value) if inputs[name].kind == "passages" else value
        for name, value in example.inputs.items()
    }
    only = front.model_copy(update={"inputs": inputs, "examples": []})
    try:
        return Prompt(front.id, "", only, (turn,), (turn,)).render(**given)[0].text
    except PromptError as error:
        raise PromptError(f"{where}: {str(error).partition(': ')[2]}") from error


def _example_passages(value: Any) -> Any:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return value
    return [
        Passage(f"example-{number}", "example", 0, len(text), text)
        for number, text in enumerate(value, start=1)
    ]
