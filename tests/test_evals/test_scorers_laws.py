"""What holds of every scorer: one rule of wrong answers, bounds, any Unicode, answers of 1 MB."""

import inspect
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from growth import grows_as_its_input
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trials import hits, judge, score, trial

from genai.evals.case import ExpectedTool, Gold
from genai.evals.scorers import SCORERS, Tools
from genai.evals.trial import CannotMeasure
from genai.types import ToolCall, Usage

PARAMS: dict[str, dict[str, Any]] = {
    "regex": {"pattern": "x$"},
    "not_contains": {"values": ["zzz"]},
    "word_count": {"min": 1},
    "length": {"min": 1},
    "json_schema": {"schema": {"type": "object"}},
    "json_path": {"path": "$.a"},
}
TOOLS = Tools(embed=lambda texts: [[1.0, 0.0] for _ in texts])
NEEDS_EXPECTED = [name for name, each in SCORERS.items() if "expected" in each.needs]
OF_TEXT = [*NEEDS_EXPECTED, "one_of", "contains", "contains_all", "contains_any", "starts_with"]
SHARES = [
    "set_f1", "token_f1", "token_precision", "token_recall", "rouge_1", "rouge_2", "rouge_l",
    "bleu", "chrf", "edit_similarity", "jaccard",
]  # fmt: skip
SYMMETRIC = [
    "exact", "exact_normalised", "set_f1", "token_f1", "rouge_1", "rouge_2", "rouge_l",
    "edit_similarity", "jaccard",
]  # fmt: skip
UNBOUNDED = {"seconds", "ttft", "cost", "tokens", "output_tokens"}
ANY_TEXT = st.text(st.characters(), max_size=60) | st.text(
    "ab \ud800\x00\u0301.,\"'1[-", max_size=60
)


def whole(text: str, expected: Any, **given: Any) -> Any:
    """Make a trial to which every scorer can be put."""
    case = {
        "expected": expected,
        "gold": (Gold(document="a.md", quote="one two"),),
        "expected_tools": (ExpectedTool(name="f"),),
    }
    known = {"hits": hits("one two 3", "x"), "usage": Usage(1, 1, source="counted"), "ttft": 0.1}
    return trial(text, case, tool_calls=(ToolCall("", text, text),), **{**known, **given})


@pytest.mark.parametrize("name", OF_TEXT)
def test_one_rule_of_wrong_answers(name: str) -> None:
    params = PARAMS.get(name, {})
    right = "B 3"  # a text that holds a number and is its own answer
    for state in ("failed", "refused"):
        wrong = score(name, trial(right, {"expected": right}, state=state), TOOLS, **params)
        assert wrong is False or wrong == 0.0, state
    refusal = {"kind": "unanswerable", "expected": right}
    assert score(name, trial(right, refusal, state="refused"), TOOLS, **params) is None
    for state in ("failed", "refused", "answered"):
        assert score(name, trial(right, state=state), TOOLS, **params) is None, state


def test_every_scorer_says_what_it_is_for() -> None:
    assert len(SCORERS) >= 40
    for name, each in SCORERS.items():
        assert each.name == name
        assert len(inspect.getdoc(each.score) or "") > 60, name
        assert list(inspect.signature(each.score).parameters)[:2] == ["trial", "tools"], name
        assert (each.better == "lower") == (name in UNBOUNDED), name


@pytest.mark.parametrize("name", SCORERS)
@given(text=ANY_TEXT, expected=ANY_TEXT)
@example(text="\ud800\x00", expected="\udfff")
@example(text="\u0301" * 80, expected="\u0323\u0301" * 80)
@example(text='{"\\ud800": {}}', expected="1")
@settings(max_examples=40)
def test_any_text_is_scored_within_bounds(name: str, text: str, expected: str) -> None:
    try:
        said = judge(name, whole(text, expected), TOOLS, **PARAMS.get(name, {}))
    except CannotMeasure as error:
        if error.code not in ("missing_field", "empty_claims"):
            raise
        return
    said.reason.encode()  # it is written to a log
    if said.value is not None:
        assert 0 <= float(said.value) <= (float("inf") if name in UNBOUNDED else 1 + 1e-12)


@pytest.mark.parametrize("name", SYMMETRIC)
@given(one=ANY_TEXT, other=ANY_TEXT)
@settings(max_examples=60)
def test_order_of_the_two_texts_does_not_matter(name: str, one: str, other: str) -> None:
    there, back = score(name, whole(one, other)), score(name, whole(other, one))
    if None not in (there, back):
        assert there == pytest.approx(back)


@pytest.mark.parametrize("name", [*SHARES, "exact", "exact_normalised"])
@given(text=ANY_TEXT)
@settings(max_examples=60)
def test_a_text_is_most_like_itself(name: str, text: str) -> None:
    value = score(name, whole(text, text))
    assert value is None or value == pytest.approx(1)


def edits(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for n, a in enumerate(one, start=1):
        above, row = row, [n]
        for m, b in enumerate(other, start=1):
            row.append(min(row[-1] + 1, above[m] + 1, above[m - 1] + (a != b)))
    return row[-1]


@given(one=st.text("ab\u00e9\ud800", max_size=40), other=st.text("abc\u00e9", max_size=40))
@example(one="bbbabccbaca", other="caccaacaaba")
@example(one="bcaacaacabab", other="bbbbccccaaaba")
def test_edits_are_those_of_the_plain_table(one: str, other: str) -> None:
    longest = max(len(one), len(other), 1)
    value = score("edit_similarity", trial(one, {"expected": other}))
    assert value == pytest.approx(1 - edits(one, other) / longest)


def test_edits_with_an_alphabet_of_more_than_a_byte() -> None:
    one, other = "".join(map(chr, range(0x4E00, 0x5000))), "".join(map(chr, range(0x4E01, 0x5001)))
    value = score("edit_similarity", trial(f"{one}x", {"expected": f"y{other}"}))
    assert value == pytest.approx(1 - edits(f"{one}x", f"y{other}") / (len(one) + 1))


MEGABYTE = {
    "prose": "word another, third. The 3.5% of 1,234 is one two; " * 20_000,
    "one letter": "a" * 1_000_000,
    "marks": "\u0301\u0323" * 500_000,
    "broken": "\ud800\x00" * 500_000,
    "dots": "." * 999_999 + "x",
    "digits": "1," * 500_000,
    "brackets": "[" * 1_000_000,
    "ranges": "[1-999]" * 140_000,
    "quotes": "\u201c" * 1_000_000,
    "ideographs": "\u4e2d\u6587\u6ca1" * 330_000,
    "spaces": " " * 999_999 + "x",
}


@pytest.mark.parametrize("kind", MEGABYTE)
def test_an_answer_of_a_megabyte_takes_no_quadratic_time(kind: str) -> None:
    text, other = MEGABYTE[kind], ("A text, 3 of it. " * 60)[:1000]

    def judge(size: int, name: str) -> None:
        with suppress(CannotMeasure):
            score(name, whole(text[:size], other), TOOLS, **PARAMS.get(name, {}))

    for name in SCORERS:
        assert grows_as_its_input(partial(judge, name=name), len(text)), name
