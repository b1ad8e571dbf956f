"""Scorers of what a task did and took."""

import json
from decimal import Decimal
from typing import Any

import pytest
from trials import judge, score, trial, unmeasured

from genai.evals.case import CaseLimits, ExpectedTool
from genai.types import ToolCall, Usage

LOOK = ("look", {"word": "stork"})
ADD = ("add", {"a": 1, "b": [1, {"c": None}]})


def asked(*made: tuple[str, Any], expected: tuple[tuple[str, Any], ...] = (LOOK, ADD)) -> Any:
    return trial(
        case={"expected_tools": tuple(ExpectedTool(name=n, args=a) for n, a in expected)},
        tool_calls=tuple(
            ToolCall("", name, args if isinstance(args, str) else json.dumps(args))
            for name, args in made
        ),
    )


MORE = ("add", {**ADD[1], "c": 0})


@pytest.mark.parametrize(
    ("made", "params", "value"),
    [
        ((LOOK, ADD), {}, True),
        ((ADD, LOOK), {}, True),
        ((ADD, LOOK), {"order": "exact"}, False),
        ((LOOK, ADD), {"order": "exact"}, True),
        ((LOOK, ADD, LOOK), {}, False),
        ((LOOK, ADD, LOOK), {"order": "exact"}, False),
        ((LOOK, ("other", {}), ADD), {"order": "subset"}, True),
        ((LOOK,), {"order": "subset"}, False),
        ((LOOK, LOOK), {}, False),
        ((LOOK, MORE), {}, False),
        ((LOOK, MORE), {"args": "subset"}, True),
        ((LOOK, ("add", {"a": True, "b": ADD[1]["b"]})), {}, False),  # true is not 1
        ((LOOK, ("add", "{broken")), {}, False),
        ((LOOK, ("add", "{broken")), {"args": "ignore"}, True),
        ((LOOK, ("ADD", ADD[1])), {"args": "ignore"}, False),
        ((), {}, False),
    ],
)
def test_tool_calls(made: tuple[Any, ...], params: dict[str, Any], value: bool) -> None:
    assert score("tool_calls", asked(*made), **params) is value


def test_calls_are_paired_as_well_as_they_can_be() -> None:
    expected = (("f", {}), ("f", {"a": 1}))
    made = (("f", {"a": 1}), ("f", {"b": 2}))  # the first pairs with either, the second with one
    for order in (made, made[::-1]):
        assert score("tool_calls", asked(*order, expected=expected), args="subset") is True


def test_what_is_wrong_with_tool_calls_is_said() -> None:
    assert judge("tool_calls", asked(LOOK)).reason == "no call add as expected; made: 'look'"
    more = judge("tool_calls", asked(LOOK, ADD, ADD))
    assert more.reason == "3 calls, 2 expected; made: 'look', 'add', 'add'"
    with pytest.raises(ValueError, match="`order` is 'strict'; it is one of any, exact, subset"):
        score("tool_calls", asked(LOOK), order="strict")


def test_names_of_tools() -> None:
    assert score("tool_names", asked(ADD, LOOK)) == 1
    assert score("tool_names", asked(LOOK, ("other", {}))) == 0.5
    assert score("tool_names", asked()) == 0
    assert score("no_tool_call", asked()) is True
    assert score("no_tool_call", asked(LOOK)) is False
    for name in ("tool_calls", "tool_names"):
        assert score(name, trial("text")) is None


def taken(**given: Any) -> Any:
    limits = CaseLimits(seconds=2, cost=0.01, tokens=100)
    known = {"seconds": 1.5, "cost": Decimal("0.004"), "usage": Usage(60, 30, source="provider")}
    return trial("text", {"limits": limits}, **{**known, **given})


def test_limits_of_a_case() -> None:
    assert score("within_limits", taken()) is True
    slow = judge("within_limits", taken(seconds=2.5, cost=Decimal("0.02")))
    assert (slow.value, slow.reason) == (False, "seconds 2.5, limit 2; cost 0.02, limit 0.01")
    assert score("within_limits", taken(usage=Usage(60, 50, source="counted"))) is False
    assert score("within_limits", trial("text")) is None
    assert score("within_limits", taken(state="failed")) is False


def test_a_limit_on_what_nobody_knows_is_unmeasured() -> None:
    assert unmeasured("within_limits", taken(cost=None)) == "missing_field"
    assert score("within_limits", taken(cost=None, seconds=3)) is False
    replayed = {"replayed": True, "seconds": 99.0}
    assert score("within_limits", taken(**replayed)) is True
    only = trial("text", {"limits": CaseLimits(seconds=1)}, **replayed)
    assert score("within_limits", only) is None


def test_what_a_case_took() -> None:
    given = taken(ttft=0.25)
    figures = [score(n, given) for n in ("seconds", "cost", "tokens", "output_tokens", "ttft")]
    assert figures == [1.5, 0.004, 90, 30, 0.25]
    unknown = trial("text", seconds=1.5)
    for name in ("cost", "tokens", "output_tokens", "ttft"):
        assert unmeasured(name, unknown) == "missing_field"
    assert score("seconds", taken(replayed=True)) is None
    assert score("ttft", taken(replayed=True)) is None
    assert score("cost", trial("text", cost=Decimal(0))) == 0  # declared free is not unknown
