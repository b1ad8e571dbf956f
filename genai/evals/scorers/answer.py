"""What the scorers of an answer share: whom they judge, what they accept, and how text is read.

One rule for all of them (`judged`): where the case has nothing to compare with, the scorer does
not apply; nor does it to a refusal that was right. Any other refusal, and a task that failed, is a
wrong answer, so that a task cannot raise its score by saying less.
"""

import functools
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

from genai.evals.scorers.base import Result
from genai.evals.trial import CannotMeasure, Trial

P = ParamSpec("P")
_SCRIPT = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(f"[{_SCRIPT}]|[^\\W_{_SCRIPT}]+")
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_NUMBER_SIGN = re.compile(r"(?<=\d)\.(?=\d)|(?<!\S)-(?=\d)")
_POINT, _MINUS = "\ue000", "\ue001"  # private use: they stand in while punctuation goes
_NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-+]?)[$\u20ac\u00a3\u00a5]?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?P<power>[eE][-+]?\d{1,3}\b)?(?P<percent>\s?%)?"
)


def judged(
    wrong: bool | float, expected: bool = False, unless: str = "", calls: bool = False
) -> Callable[[Callable[Concatenate[Trial, P], Result]], Callable[Concatenate[Trial, P], Result]]:
    """Make a scorer of a function that judges answers alone.

    `wrong` is the value of a failed trial and of a refusal where an answer was due. With
    `expected` the scorer applies only where the case has that, or the parameter `unless` is given;
    with `calls` only where the case expects tool calls.
    """

    def wrap(
        score: Callable[Concatenate[Trial, P], Result],
    ) -> Callable[Concatenate[Trial, P], Result]:
        @functools.wraps(score)
        def judge(trial: Trial, /, *args: P.args, **params: P.kwargs) -> Result:
            if expected and unless not in params and trial.case.expected is None:
                return None
            if calls and not trial.case.expected_tools:
                return None
            if trial.state == "refused" and trial.case.expect == "refusal":
                return None
            if trial.state != "answered":
                return wrong
            return score(trial, *args, **params)

        return judge

    return wrap


def as_text(value: Any) -> str:
    """Give a text as it is, and any other value as its JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def accepted(trial: Trial, given: str | Sequence[Any] | None = None) -> list[str]:
    """Give the texts to compare with: those given, else the accepted answers of the case.

    Raises:
        CannotMeasure: there is none.
    """
    values = trial.case.expectations if given is None else given
    texts = [values] if isinstance(values, str) else [as_text(each) for each in values]
    if not texts:
        raise CannotMeasure("missing_field", f"case `{trial.case_id}`: has no accepted answer")
    return texts


def best(trial: Trial, measure: Callable[[str], float]) -> float:
    """Give the highest measure over the accepted answers."""
    return max(measure(each) for each in accepted(trial))


def nfkc(text: str) -> str:
    """Give the NFKC form in linear time, also of a text that is nothing but combining marks.

    Such runs are cut after 30 marks, as the stream-safe form of UAX 15 does: ordering a run takes
    time quadratic in its length.
    """
    if text.isascii():
        return text
    marks = "".join(each for each in set(text) if unicodedata.combining(each))
    if marks:
        text = re.sub(f"[{marks}]{{30}}", lambda run: f"{run[0]}\u034f", text)
    return unicodedata.normalize("NFKC", text)


def normalise(text: str, articles: bool = False) -> str:
    """Give a text without what two right answers may differ in.

    NFKC, case folded, no punctuation, no English article (unless `articles`), single spaces: the
    rules of SQuAD, except that a number keeps its sign and decimal point. A text of nothing else
    stays as it is.
    """
    whole = nfkc(text).casefold().replace("\u2212", "-")
    kept = _NUMBER_SIGN.sub(lambda found: _POINT if found[0] == "." else _MINUS, whole)
    drop = {
        ord(each): None
        for each in set(kept)
        if each in _ASCII_PUNCTUATION or unicodedata.category(each)[0] == "P"
    }
    kept = kept.translate({**drop, ord(_POINT): ".", ord(_MINUS): "-"})
    if not articles:
        kept = _ARTICLE.sub(" ", kept)
    return " ".join(kept.split()) or " ".join(whole.split())


def words(text: str) -> list[str]:
    """Give the words of a text: runs of letters and digits, case folded; an ideograph is a word."""
    return _WORD.findall(nfkc(text).casefold())


def numbers(text: str) -> list[tuple[float, bool]]:
    """Give the numbers of a text in order, each with whether a percent sign follows.

    Reads `1,234.5`, `-3`, `$20`, `.5`, `6e-3` and `12 %`; a decimal comma is not one.
    """
    found = []
    for match in _NUMBER.finditer(nfkc(text).replace("\u2212", "-")):
        digits = match["digits"].replace(",", "") + (match["power"] or "")
        value = float(digits)
        if value != float("inf"):
            found.append((-value if match["sign"] == "-" else value, bool(match["percent"])))
    return found
