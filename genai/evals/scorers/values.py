"""Scorers of answers that are a value: a number, a letter, a set of items."""

import json
import re
from typing import Literal

from genai.evals.scorers.answer import accepted, as_text, judged, normalise, numbers
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import CannotMeasure, Score, Trial

_SAID = re.compile(r"(?i:answer|option|choice)(?i: is| would be)?\W{0,5}([A-Z])(?!\w)")
_FIRST = re.compile(r"\W{0,8}([A-Z])(?:[).:\]*]|\s*\Z|\s*\n)")
_LIST_MARK = re.compile(r"\A\s*(?:[-*\u2022]|\d{1,3}[.)])\s+")
_ENCLOSED = re.compile(r"\(([A-Z])\)|\{([A-Z])\}|\*\*([A-Z])\*\*")


@judged(wrong=False, expected=True)
def numeric(
    trial: Trial,
    tools: Tools,
    tolerance: float = 0.0,
    relative: float = 0.0,
    pick: Literal["last", "first", "any"] = "last",
) -> Score:
    """Say whether the answer's number equals an accepted one, within a tolerance.

    False or True; None without `expected`. Numbers are read out of prose; the last one counts, as
    in GSM8K (Cobbe et al. 2021), else the first or any by `pick`. It may be off by the larger of
    `tolerance` and `relative` times the expected number. A percentage equals its fraction as well
    as its figure: 12 % is 12 and 0.12.
    """
    found = numbers(trial.text)
    chosen = {"last": found[-1:], "first": found[:1], "any": found}[pick]
    for wanted in (number for each in accepted(trial) for number in numbers(each)[-1:]):
        for given in chosen:
            if any(
                abs(a - b) <= max(tolerance, relative * abs(b), 1e-12 * abs(b))
                for a, b in _readings(given, wanted)
            ):
                return Score(True)
    if not any(numbers(each) for each in accepted(trial)):
        raise CannotMeasure("missing_field", f"case `{trial.case_id}`: `expected` has no number")
    return Score(False, f"gave {chosen[0][0]:g}" if chosen else "gave no number")


def _readings(given: tuple[float, bool], wanted: tuple[float, bool]) -> list[tuple[float, float]]:
    (a, a_percent), (b, b_percent) = given, wanted
    pairs = [(a, b)]
    if a_percent and not b_percent:
        pairs.append((a / 100, b))
    if b_percent and not a_percent:
        pairs.append((a, b / 100))
    return pairs


@judged(wrong=False, expected=True)
def choice(trial: Trial, tools: Tools, letters: str = "ABCDEFGHIJ") -> Score:
    """Say whether the answer chose the expected letter of a multiple-choice question.

    False or True; None without `expected`. The choice is the last letter said to be the answer
    ("the answer is (B)"), else the letter that the answer begins with ("B) because"), else the
    only one in brackets, braces or bold. A bare "A" in a sentence is an article, not a choice.
    """
    given = _chosen(trial.text, letters.upper())
    wanted = {each.strip(" ().:\n").upper() for each in accepted(trial)}
    return Score(given in wanted, f"chose {given}" if given else "chose no letter")


def _chosen(text: str, letters: str) -> str:
    said = [each for each in _SAID.findall(text) if each in letters]
    if said:
        return str(said[-1])
    bare = text.strip()
    if len(bare) == 1 and bare.upper() in letters:
        return bare.upper()
    first = _FIRST.match(text)
    if first and first[1] in letters:
        return first[1]
    enclosed = {"".join(each) for each in _ENCLOSED.findall(text)} & set(letters)
    return enclosed.pop() if len(enclosed) == 1 else ""


@judged(wrong=0.0, expected=True)
def set_f1(trial: Trial, tools: Tools) -> Score:
    """Give F1 of the answer's items against the expected set, order and repeats aside.

    0 to 1; None without `expected`. Items are a JSON list's, else what commas, semicolons and line
    ends part, list marks dropped; both sides are normalised. F1 = 2 |A and B| / (|A| + |B|); two
    empty sets give 1.
    """
    given = {normalise(each) for each in _items(trial.text)} - {""}
    expected = trial.case.expected
    items = map(as_text, expected) if isinstance(expected, list) else _items(as_text(expected))
    wanted = {normalise(each) for each in items} - {""}
    if not given and not wanted:
        return Score(1.0)
    share = 2 * len(given & wanted) / (len(given) + len(wanted))
    return Score(
        share,
        f"lacks {', '.join(map(repr, sorted(wanted - given)))[:200]}" if wanted - given else "",
    )


def _items(text: str) -> set[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list):
        return set(map(as_text, found))
    return {_LIST_MARK.sub("", each) for each in set(re.split(r"[,;\n]", text))}


_EXPECTED = ("expected",)
ALL: tuple[Scorer, ...] = (
    Scorer("numeric", numeric, needs=_EXPECTED),
    Scorer("choice", choice, needs=_EXPECTED),
    Scorer("set_f1", set_f1, needs=_EXPECTED),
)
