"""Compare two prompts by what they mean: roles, variables, schema, parameters, tokens, money."""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from genai.prompts.file import Prompt
from genai.prompts.front import Input
from genai.prompts.sarif import Result, sarif
from genai.prompts.schema import moved
from genai.prompts.template import Turn

RULES = {
    "name": "another prompt",
    "role": "turns came, went or changed places",
    "text": "the words of a turn changed",
    "variable": "what the program passes in changed",
    "schema": "the form of the reply changed",
    "parameter": "how the model is called changed",
    "example": "few-shot replies changed",
    "bound": "the most characters of all turns changed",
    "partial": "shared texts came or went",
    "model": "the models it is meant for changed",
    "cost": "every call takes more or fewer tokens",
}
CALLS = 1000  # that the money is for
_TRUST = ("trusted", "retrieved", "untrusted")  # from most to least


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `why` says what it breaks for the program around the prompt, '' if nothing.

    `lines` are the words of a turn, each line with `+`, `-` or a blank before it.
    """

    rule: str
    what: str
    before: str = ""
    after: str = ""
    why: str = ""
    lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def breaking(self) -> bool:
        """Whether the program around the prompt must change with it."""
        return bool(self.why)

    def text(self) -> str:
        """Say it in one line."""
        sign = (
            "!" if self.why else "~" if self.before and self.after else "-" if self.before else "+"
        )
        values = [self.before, f"-> {self.after or 'nothing'}"] if self.before else [self.after]
        head = f"{sign} {self.rule} {self.what}: {' '.join(values)}"
        return f"{head} ({self.why})" if self.why else head


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two prompts side by side.

    `tokens` are those of the two templates, variables left out; `cost` is the price of sending
    them 1,000 times to `model`, None where nobody knows it.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    tokens: tuple[int, int]
    model: str
    cost: tuple[Decimal | None, Decimal | None]
    file: str

    @property
    def breaking(self) -> bool:
        """Whether any change breaks the program around the prompt."""
        return any(change.breaking for change in self.changes)

    @property
    def exit_code(self) -> int:
        """1 for a breaking change, else 0."""
        return int(self.breaking)

    @property
    def spend(self) -> Decimal | None:
        """The difference in dollars for 1,000 calls; None where a price is not known."""
        before, after = self.cost
        return None if before is None or after is None else after - before

    def money(self) -> str:
        """Say the difference in dollars."""
        return signed(self.spend)

    def figures(self) -> tuple[str, str]:
        """Say in a line each what became of the tokens and of the money."""
        old, new = self.tokens
        share = f", {new / old - 1:+.1%}" if old else ""
        return (
            f"tokens of the template: {old} -> {new} ({new - old:+d}{share})",
            f"input cost of {CALLS:,} calls of {self.model}: {self.money()}",
        )

    def text(self) -> str:
        """Say it for a terminal."""
        breaks = sum(change.breaking for change in self.changes)
        count = f"{len(self.changes) or 'no'} change{'' if len(self.changes) == 1 else 's'}"
        lines = [f"{self.before} -> {self.after}: {count}, {breaks or 'none'} breaking"]
        for change in self.changes:
            lines += [change.text(), *(f"    {line}" for line in change.lines)]
        return "\n".join([*lines, *self.figures()])

    def json(self) -> str:
        """Give it as JSON; money as text, so that no digit is lost."""
        found = {**asdict(self), "breaking": self.breaking, "spend": self.spend}
        for each, change in zip(found["changes"], self.changes, strict=True):
            each["breaking"] = change.breaking
        return json.dumps(found, indent=2, ensure_ascii=False, default=str)

    def sarif(self, version: str) -> str:
        """Give it as SARIF: a breaking change is an error, any other a note, and so is its cost.

        The figures stand in the run's properties too; money is text, so that no digit is lost.
        """
        results = [
            Result(
                change.rule, "error" if change.breaking else "note", self.file, change.text()[2:]
            )
            for change in self.changes
        ]
        if self.tokens[0] != self.tokens[1]:
            results.append(Result("cost", "note", self.file, "; ".join(self.figures())))
        facts = {
            "before": self.before, "after": self.after, "tokens": self.tokens, "calls": CALLS,
            "model": self.model, "cost": self.cost, "spend": self.spend,
        }  # fmt: skip
        return sarif(results, RULES, version, facts)


def signed(spend: Decimal | None) -> str:
    """Say a difference in dollars."""
    if spend is None:
        return "unpriced"
    sign = "-" if spend < 0 else "+" if spend else ""
    return f"{sign}${abs(spend).normalize():f}"


def compare(
    before: Prompt,
    after: Prompt,
    *,
    count: Callable[[str], int],
    model: str,
    price: Callable[[int], Decimal | None],
    file: str = "",
) -> Comparison:
    """Compare two prompts.

    `count` counts tokens, `price` gives the dollars of so many input tokens of `model`; `file` is
    where the newer one stands.
    """
    changes = [
        *([] if before.name == after.name else [Change("name", "id", before.name, after.name)]),
        *_turns(before.body, after.body), *_variables(before, after),
        *_schema(before.schema, after.schema), *_params(before.params, after.params),
        *_examples(before, after), *_rest(before, after),
    ]  # fmt: skip
    tokens = _tokens(before, count), _tokens(after, count)
    often = Decimal(CALLS).normalize()  # as a power of ten it adds no digits
    old, new = (None if (each := price(n)) is None else often * each for n in tokens)
    return Comparison(
        before.id, after.id, tuple(changes), tokens, model, (old, new),
        file or f"prompts/{after.name}.md",
    )  # fmt: skip


def _tokens(prompt: Prompt, count: Callable[[str], int]) -> int:
    return sum(count("".join(s.text for s in segments)) for _, segments in prompt.turns)


def _turns(before: tuple[Turn, ...], after: tuple[Turn, ...]) -> Iterator[Change]:
    """Pair turns by role, in order; what has no pair came or went."""
    old, new = ([str(role) for role, _ in turns] for turns in (before, after))
    if old != new:
        # another sequence of roles does not concern the program, which passes the same values
        yield Change("role", "turns", " ".join(old), " ".join(new))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for word, i1, i2, j1, j2 in matcher.get_opcodes():
        pairs = zip(range(i1, i2), range(j1, j2), strict=True) if word == "equal" else ()
        for i, j in pairs:
            yield from _words(f"{after[j][0]} turn {j + 1}", _shown(before[i]), _shown(after[j]))
        if word != "equal":
            for i in range(i1, i2):
                yield from _words(f"{before[i][0]} turn {i + 1}", _shown(before[i]), "")
            for j in range(j1, j2):
                yield from _words(f"{after[j][0]} turn {j + 1}", "", _shown(after[j]))


def _shown(turn: Turn) -> str:
    return "".join(s.text or f"{{{{{s.slot}}}}}" for s in turn[1])


def _words(what: str, old: str, new: str) -> Iterator[Change]:
    if old == new:
        return
    hunks = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=2, lineterm=""))[3:]
    lines = [" ..." if line.startswith("@@ ") else line for line in hunks]
    counts = [sum(line.startswith(sign) for line in lines) for sign in "-+"]
    yield Change(
        "text", what, _lines(counts[0]) if old else "", _lines(counts[1]) if new else "",
        lines=tuple(lines),
    )  # fmt: skip


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def _variables(before: Prompt, after: Prompt) -> Iterator[Change]:
    old, new = before.front.inputs, after.front.inputs
    for name in old.keys() - new.keys():
        yield Change("variable", name, _input(old[name]), "", "callers pass it, and are refused")
    for name in new.keys() - old.keys():
        why = "callers do not pass it yet" if new[name].required else ""
        yield Change("variable", name, "", _input(new[name]), why)
    for name in old:
        if name in new and old[name] != new[name]:
            yield from _variable(name, old[name], new[name])


def _input(spec: Input) -> str:
    return f"{spec.kind}, {spec.trust}, {'required' if spec.required else 'optional'}"


def _variable(name: str, old: Input, new: Input) -> Iterator[Change]:
    given, now = old.model_dump(), new.model_dump()
    for key in given:
        if given[key] != now[key]:
            was, is_ = (json.dumps(each[key], ensure_ascii=False) for each in (given, now))
            yield Change("variable", f"{name}.{key}", was, is_, _why(key, given[key], now[key]))


def _why(key: str, old: Any, new: Any) -> str:
    if key == "kind":
        return "callers pass another kind"
    if key == "required":
        return "callers may not pass it yet" if new else ""
    if key == "max_length":
        return "values that fitted are refused" if new < old else ""
    if key == "enum":
        gone = [each for each in old if each not in new]
        return f"{gone[0]!r} is refused now" if gone else ""
    if key == "trust" and _TRUST.index(new) < _TRUST.index(old):
        return "text that was not trusted is trusted now"
    return ""


def _schema(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[Change]:
    if old is None or new is None:
        if old != new:
            why = "" if old is None else "readers have no form to rely on"
            was, now = ("any text" if each is None else "JSON" for each in (old, new))
            yield Change("schema", "output", was, now, why)
        return
    for each in moved(old, new):
        yield Change("schema", each.path, each.before, each.after, each.why)


def _params(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            was, now = (
                json.dumps(each[key], ensure_ascii=False) if key in each else ""
                for each in (old, new)
            )
            yield Change("parameter", key, was, now)


def _examples(before: Prompt, after: Prompt) -> Iterator[Change]:
    old, new = before.front.examples, after.front.examples
    if old == new:
        return
    fresh = sum(each not in old for each in new)
    gone = sum(each not in new for each in old)
    yield Change(
        "example", f"{fresh} new, {gone} gone", f"{len(old)} of them", f"{len(new)} of them"
    )


def _rest(before: Prompt, after: Prompt) -> Iterator[Change]:
    most = before.front.max_chars, after.front.max_chars
    if most[0] != most[1]:
        why = "turns that fitted are refused" if most[1] < most[0] else ""
        yield Change("bound", "max_chars", str(most[0]), str(most[1]), why)
    pairs = (
        ("partial", "partials", before.partials, after.partials),
        ("model", "models", before.front.models, after.front.models),
    )
    for rule, what, old, new in pairs:
        if list(old) != list(new):
            yield Change(rule, what, ", ".join(old), ", ".join(new))
