"""What every change needs: the words it draws on, and where a case has its texts and facts."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from genai.evals.case import Case, Turn

TEMPLATES = (
    "Could you help me with this: {input}",
    "I have a question. {input}",
    "Please tell me: {input}",
    "{input} Thank you.",
)


@dataclass(frozen=True, slots=True)
class Words:
    """What some relations need: sentence templates, names by group, passages on other things.

    The words of two groups belong together by their place: the first with the first.
    """

    templates: tuple[str, ...] = TEMPLATES
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    passages: tuple[tuple[str, str], ...] = ()
    turn: int = 1

    def at(self, turn: int) -> "Words":
        """Give the same for the n-th variant of a case."""
        return replace(self, turn=turn)

    def with_passages(self, cases: Sequence[Case]) -> "Words":
        """Add what stands in the given contexts and gold quotes of all cases."""
        found = []
        for case in cases:
            found += [(case.cluster or case.id, each) for each in case.contexts]
            found += [(gold.document, gold.quote) for gold in case.gold]
        return replace(self, passages=tuple(dict.fromkeys(found)))


def everywhere(case: Case, change: Callable[[str], str]) -> Case:
    """Give the case with a change made to what a task sees and to the given passages."""
    changed = rewritten(case, change)
    return msgspec.structs.replace(changed, contexts=tuple(map(change, case.contexts)))


def asking(case: Case, text: str) -> Case:
    """Give the case with another question: its input, or its last turn."""
    if case.input:
        return msgspec.structs.replace(case, input=text)
    last = Turn(role="user", content=text)
    return msgspec.structs.replace(case, messages=(*case.messages[:-1], last))


def texts_of(case: Case) -> list[str]:
    """Give what a task sees: the input, or every turn."""
    return [case.input] if case.input else [turn.content for turn in case.messages]


def rewritten(case: Case, change: Callable[[str], str]) -> Case:
    """Give the case with a change made to all that a task sees."""
    if case.input:
        return msgspec.structs.replace(case, input=change(case.input))
    turns = tuple(msgspec.structs.replace(t, content=change(t.content)) for t in case.messages)
    return msgspec.structs.replace(case, messages=turns)


def seen(case: Case, passages: Sequence[str]) -> bool:
    """Say whether a task sees these passages."""
    texts = texts_of(case)
    return bool(passages) and all(any(each in text for text in texts) for each in passages)


def facts_of(case: Case) -> list[str]:
    """Give the texts that make the answer: gold quotes, and expected texts and numbers."""
    found = [gold.quote for gold in case.gold]
    for each in case.expectations:
        if isinstance(each, str | int | float) and not isinstance(each, bool):
            found.append(str(each))
    return [each for each in found if each.strip() and (len(each) > 2 or each.isdigit())]


def holds(fact: str, text: str) -> bool:
    """Say whether a text holds a fact."""
    return any(True for _ in places_of(fact, text))


def places_of(fact: str, text: str) -> Iterator[tuple[int, int]]:
    """Give the spans where a fact stands; white space and case aside, whole words only."""
    body = r"\s+".join(map(re.escape, fact.split()))
    left = r"(?<![A-Za-z0-9])" if fact.strip()[0].isascii() else ""
    right = r"(?![A-Za-z0-9])" if fact.strip()[-1].isascii() else ""
    for hit in re.finditer(left + body + right, text, re.IGNORECASE):
        yield hit.span()


def in_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Make a change in a text, or in each text of a list."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [in_strings(each, change) for each in value]
    return value
