"""Trials made by hand, and what a scorer says of one."""

from collections.abc import Sequence
from typing import Any

from genai.evals.case import Case
from genai.evals.scorers import SCORERS, Tools
from genai.evals.trial import CannotMeasure, Score, Trial, as_score
from genai.types import Citation, Hit, Passage


def trial(text: str = "", case: dict[str, Any] | None = None, **given: Any) -> Trial:
    made = Case(**{"id": "c", "input": "q", **(case or {})})
    return Trial(unit="u", case_id="c", text=text, case=made, **given)


def hits(*passages: str, document: str = "a.md") -> tuple[Hit, ...]:
    """Make hits with the ids p1, p2 and so on, each a whole document."""
    return tuple(
        Hit(Passage(f"p{n}", document, 0, len(text), text), 1.0 / n)
        for n, text in enumerate(passages, start=1)
    )


def ranked(ids: Sequence[str]) -> tuple[Hit, ...]:
    return tuple(Hit(Passage(each, "a.md", 0, 1, "x"), 1.0) for each in ids)


def cited(number: int, passage_id: str, quote: str, start: int = 0) -> Citation:
    return Citation(number, "a.md", "", passage_id, start, start + len(quote), quote)


def judge(name: str, given: Trial, tools: Tools | None = None, **params: Any) -> Score:
    return as_score(SCORERS[name].score(given, tools or Tools(), **params))


def score(name: str, given: Trial, tools: Tools | None = None, **params: Any) -> Any:
    return judge(name, given, tools, **params).value


def unmeasured(name: str, given: Trial, **params: Any) -> str:
    """Give the code of a scorer that cannot measure."""
    try:
        value = score(name, given, **params)
    except CannotMeasure as error:
        return error.code
    raise AssertionError(f"{name} measured {value!r}")
