"""Scorers that hold an answer to a text, a pattern or a size: assertions, True or False."""

import re
from collections.abc import Sequence
from typing import Any

from genai.evals.scorers.answer import accepted, judged, normalise
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import Score, Trial


@judged(wrong=False, expected=True)
def exact(trial: Trial, tools: Tools) -> bool:
    """Say whether the answer is an accepted one, character by character; outer white space aside.

    False or True; None without `expected`.
    """
    return trial.text.strip() in {each.strip() for each in accepted(trial)}


@judged(wrong=False, expected=True)
def exact_normalised(trial: Trial, tools: Tools, articles: bool = False) -> bool:
    """Say whether the answer is an accepted one; case, punctuation, articles and spaces aside.

    False or True; None without `expected`. The rules are those of SQuAD's exact match (Rajpurkar
    et al. 2016), but a number keeps its sign and point. `articles: true` keeps a, an and the.
    """
    given = normalise(trial.text, articles)
    return any(given == normalise(each, articles) for each in accepted(trial))


@judged(wrong=False, expected=True, unless="values")
def one_of(trial: Trial, tools: Tools, values: Sequence[Any] | None = None) -> bool:
    """Say whether the answer is one of the values, else of the accepted answers; case aside.

    False or True; None with neither. For labels: punctuation counts, outer white space does not.
    """
    given = trial.text.strip().casefold()
    return given in {each.strip().casefold() for each in accepted(trial, values)}


@judged(wrong=False, expected=True, unless="value")
def contains(
    trial: Trial, tools: Tools, value: str | None = None, ignore_case: bool = False
) -> bool:
    """Say whether the answer holds the value, else any accepted answer. False or True.

    None with neither.
    """
    return bool(_held(trial, value, ignore_case)[0])


@judged(wrong=False, expected=True, unless="values")
def contains_all(
    trial: Trial, tools: Tools, values: Sequence[Any] | None = None, ignore_case: bool = False
) -> Score:
    """Say whether the answer holds each of the values, else of the accepted answers.

    False or True; None with neither. The reason names what is missing.
    """
    _, lacks = _held(trial, values, ignore_case)
    return Score(not lacks, f"lacks {_shown(lacks)}" if lacks else "")


@judged(wrong=False, expected=True, unless="values")
def contains_any(
    trial: Trial, tools: Tools, values: Sequence[Any] | None = None, ignore_case: bool = False
) -> bool:
    """Say whether the answer holds at least one of the values, else of the accepted answers.

    False or True; None with neither.
    """
    return bool(_held(trial, values, ignore_case)[0])


@judged(wrong=False)
def not_contains(
    trial: Trial, tools: Tools, values: Sequence[Any], ignore_case: bool = False
) -> Score:
    """Say whether the answer holds none of the values. False or True; always applies."""
    has, _ = _held(trial, values, ignore_case)
    return Score(not has, f"holds {_shown(has)}" if has else "")


@judged(wrong=False, expected=True, unless="value")
def starts_with(
    trial: Trial, tools: Tools, value: str | None = None, ignore_case: bool = False
) -> bool:
    """Say whether the answer begins with the value, else an accepted answer; outer spaces aside.

    False or True; None with neither.
    """
    fold = str.casefold if ignore_case else str
    given = fold(trial.text).lstrip()
    return any(given.startswith(fold(each).strip()) for each in accepted(trial, value))


@judged(wrong=False)
def regex(trial: Trial, tools: Tools, pattern: str, flags: str = "") -> bool:
    """Say whether the pattern is found anywhere in the answer. False or True; always applies.

    `flags` are letters of Python's `re`: i, m, s, x, a. Anchor the pattern to match the whole.
    """
    if strange := set(flags) - set("imsxa"):
        raise ValueError(f"`flags`: {''.join(sorted(strange))!r} is not one of i, m, s, x, a")
    option = re.NOFLAG
    for letter in flags:
        option |= re.RegexFlag[letter.upper()]
    return re.search(pattern, trial.text, option) is not None


@judged(wrong=False)
def word_count(trial: Trial, tools: Tools, min: int = 0, max: int | None = None) -> Score:
    """Say whether the answer has `min` to `max` words, both included. False or True.

    Words are what white space parts. Always applies.
    """
    return _between(len(trial.text.split()), "words", min, max)


@judged(wrong=False)
def length(trial: Trial, tools: Tools, min: int = 0, max: int | None = None) -> Score:
    """Say whether the answer has `min` to `max` characters, both included. False or True.

    A character is a code point. Always applies.
    """
    return _between(len(trial.text), "characters", min, max)


def _between(count: int, unit: str, low: int, high: int | None) -> Score:
    if low <= 0 and high is None:
        raise ValueError("give `min`, `max` or both")
    return Score(low <= count and (high is None or count <= high), f"{count} {unit}")


@judged(wrong=False)
def one_line(trial: Trial, tools: Tools) -> bool:
    """Say whether the answer is one line, outer white space aside. False or True."""
    return len(trial.text.strip().splitlines()) == 1


def _held(
    trial: Trial, values: str | Sequence[Any] | None, ignore_case: bool
) -> tuple[list[str], list[str]]:
    fold = str.casefold if ignore_case else str
    given = fold(trial.text)
    texts = accepted(trial, values)
    has = [each for each in texts if fold(each) in given]
    return has, [each for each in texts if each not in has]


def _shown(texts: Sequence[str]) -> str:
    return ", ".join(repr(each[:60]) for each in texts[:5])


_EXPECTED = ("expected",)
ALL: tuple[Scorer, ...] = (
    Scorer("exact", exact, needs=_EXPECTED),
    Scorer("exact_normalised", exact_normalised, needs=_EXPECTED),
    Scorer("one_of", one_of),
    Scorer("contains", contains),
    Scorer("contains_all", contains_all),
    Scorer("contains_any", contains_any),
    Scorer("not_contains", not_contains),
    Scorer("starts_with", starts_with),
    Scorer("regex", regex),
    Scorer("word_count", word_count),
    Scorer("length", length),
    Scorer("one_line", one_line),
)
