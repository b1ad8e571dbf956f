"""Find cases that a model may have seen: in training data, or in the examples of a prompt.

Four ways to be the same: `exact`; `normalised` (case, accents' form, punctuation and white space
aside); `near` (four in five content words shared, in any order); `overlap` (13 words in a row of
the question or an expected answer, or the whole of a shorter question, stand in the text).
A file that cannot be read is an error, since what was not read was not checked.
"""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genai.errors import CaseError
from genai.evals.case import Case
from genai.prompts import load_prompt
from genai.prompts.render import unfenced
from genai.text.terms import STOP_WORDS

Kind = Literal["exact", "normalised", "near", "overlap"]
_KINDS: tuple[Kind, ...] = ("exact", "normalised", "overlap", "near")  # the surest first
_GRAM, _KEY = 13, 6  # words in a row; words that a shorter question must have to be looked for
_NEAR, _FEWEST = 0.8, 3  # share of content words; content words that a question must have
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Source:
    """A text that a model may have seen, and where it stands."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Leak:
    """A case that stands in a text. `share` is how much of the words both have."""

    case: str
    kind: Kind
    file: str
    line: int
    share: float
    seen: str

    def text(self) -> str:
        """Say it in one line."""
        share = f" ({self.share:.0%} of the words)" if self.kind == "near" else ""
        return f"{self.case}: {self.kind}{share} in {self.file}:{self.line}: {self.seen}"


class Known:
    """The texts of cases, to be looked for in others."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._exact: dict[str, str] = {}
        self._normalised: dict[tuple[str, ...], str] = {}
        self._runs: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._sizes: dict[str, int] = {}
        self._with: dict[str, list[str]] = defaultdict(list)
        for case in cases:
            self.add(case)

    def add(self, case: Case) -> None:
        """Know one more case."""
        question = tokens(case.question)
        self._exact.setdefault(case.question.strip(), case.id)
        self._normalised.setdefault(question, case.id)
        for text in (*case.said, *(each for each in case.expectations if isinstance(each, str))):
            words = tokens(text)
            for start in range(len(words) - _GRAM + 1):
                self._look_for(words[start : start + _GRAM], case.id)
        if _KEY <= len(question) < _GRAM:
            self._look_for(question, case.id)
        content = _content(question)
        self._sizes[case.id] = len(content)
        for word in content if len(content) >= _FEWEST else ():
            self._with[word].append(case.id)

    def _look_for(self, run: tuple[str, ...], case: str) -> None:
        self._runs[run[:_KEY]].append((run, case))

    def find(self, text: str) -> dict[str, tuple[Kind, float]]:
        """Give the cases that stand in a text, each with the surest kind and its share."""
        words = tokens(text)
        found: dict[str, tuple[Kind, float]] = dict(self._near(words))
        for start in range(len(words) - _KEY + 1):
            for run, case in self._runs.get(words[start : start + _KEY], ()):
                if words[start : start + len(run)] == run:
                    found[case] = ("overlap", 1.0)
        if words and words in self._normalised:
            found[self._normalised[words]] = ("normalised", 1.0)
        if text.strip() in self._exact:
            found[self._exact[text.strip()]] = ("exact", 1.0)
        return found

    def _near(self, words: tuple[str, ...]) -> Iterator[tuple[str, tuple[Kind, float]]]:
        content = _content(words)
        shared = Counter(case for word in content for case in self._with.get(word, ()))
        for case, count in shared.items():
            share = count / (len(content) + self._sizes[case] - count)
            if share >= _NEAR:
                yield case, ("near", share)


def find_leaks(cases: Iterable[Case], texts: Iterable[Source]) -> list[Leak]:
    """Give every case that stands in one of the texts, with file and line, the surest first."""
    known = Known(cases)
    found = [
        Leak(case, kind, source.file, source.line, share, _short(source.text))
        for source in texts
        for case, (kind, share) in known.find(source.text).items()
    ]
    return sorted(
        found, key=lambda each: (_KINDS.index(each.kind), each.case, each.file, each.line)
    )


def read_texts(path: Path, shown: str = "") -> list[Source]:
    """Read what a model may have seen: the strings of a JSONL file, or the turns of a prompt.

    Raises:
        CaseError: the file cannot be read, a line is no JSON, or it holds no text.
        PromptError: it is no prompt.
    """
    shown = shown or path.name
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{shown}: cannot be read ({error}), so nothing was checked; mend it"
                        ) from error  # fmt: skip
    if path.suffix == ".md":
        found = list(_turns(path, text, shown))
    elif path.suffix in (".jsonl", ".ndjson"):
        found = list(_rows(text, shown))
    else:
        raise CaseError(f"{shown}: is neither .jsonl nor a prompt (.md); convert it to JSONL")
    if not found:
        raise CaseError(f"{shown}: holds no text, so nothing was checked; is it the right file?")
    return found


def _rows(text: str, shown: str) -> Iterator[Source]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CaseError(f"{shown}: line {number}: is not JSON ({error}), so the file was not"
                            " checked; mend the line") from error  # fmt: skip
        yield from (Source(shown, number, each) for each in _strings(row))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield unfenced(value)  # a passage is a document, which a case may quote
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _turns(path: Path, text: str, shown: str) -> Iterator[Source]:
    """Give every paragraph of a prompt's turns, so that each example stands alone."""
    root = next((each for each in path.parents if each.name == "prompts"), path.parent)
    prompt = load_prompt(path.relative_to(root).with_suffix("").as_posix(), root)
    text = text.replace("\r\n", "\n")
    position = 0
    for _, segments in prompt.turns:
        for segment in segments:
            position = max(text.find(segment.text, position), position)
            yield from _paragraphs(segment.text, text.count("\n", 0, position) + 1, shown)


def _paragraphs(text: str, line: int, shown: str) -> Iterator[Source]:
    for number, each in enumerate(text.split("\n")):
        # an example is often written as `Question: ...`
        bare = re.sub(r"^\s*(?:[-*>]\s+|\w{1,12}:\s+)", "", each).strip()
        if bare:
            yield Source(shown, line + number, bare)
    if text.strip():
        yield Source(shown, line, text)


def tokens(text: str) -> tuple[str, ...]:
    """Give the words of a text: compatibility forms folded, lower case, no punctuation."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _content(words: Sequence[str]) -> frozenset[str]:
    return frozenset(words) - STOP_WORDS


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 120 else f"{flat[:117]}..."
