"""Scorers of what a task did and took: tool calls, limits, seconds, money, tokens.

What nobody knows is unmeasured (`missing_field`), never 0. A failed trial took what it took.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from genai.evals.case import CaseLimits, ExpectedTool
from genai.evals.scorers.answer import judged
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.scorers.structure import same_json
from genai.evals.trial import CannotMeasure, Score, Trial
from genai.types import ToolCall

Order = Literal["any", "exact", "subset"]
Args = Literal["exact", "subset", "ignore"]


@judged(wrong=False, calls=True)
def tool_calls(trial: Trial, tools: Tools, order: Order = "any", args: Args = "exact") -> Score:
    """Say whether the expected tool calls were made. False or True.

    None where the case expects no call. `order`: `any`, those calls and no other; `exact`, in that
    order too; `subset`, those calls among others. `args`: `exact`, the same arguments; `subset`,
    the expected ones among others; `ignore`, the name alone.
    """
    for name, given, known in (("order", order, _ORDERS), ("args", args, _ARGS)):
        if given not in known:
            raise ValueError(f"`{name}` is {given!r}; it is one of {', '.join(known)}")
    expected: Sequence[ExpectedTool] = trial.case.expected_tools
    made = [(call, _arguments(call)) for call in trial.tool_calls]
    fits = [
        {n for n, (call, given) in enumerate(made) if _fits(each, call.name, given, args)}
        for each in expected
    ]
    if order == "exact":
        lacking = [n for n, each in enumerate(fits) if n not in each]
    else:
        lacking = _unmatched(fits)
    if lacking:
        return Score(False, f"no call {expected[lacking[0]].name} as expected; {_made(trial)}")
    if order != "subset" and len(made) > len(expected):
        return Score(False, f"{len(made)} calls, {len(expected)} expected; {_made(trial)}")
    return Score(True)


_ORDERS, _ARGS = ("any", "exact", "subset"), ("exact", "subset", "ignore")


def _arguments(call: ToolCall) -> Mapping[str, Any] | None:
    """Read the arguments; None where they are not a JSON object."""
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _fits(expected: ExpectedTool, name: str, given: Mapping[str, Any] | None, args: Args) -> bool:
    if name != expected.name or args == "ignore":
        return name == expected.name
    if given is None:
        return False
    if args == "subset":
        given = {key: value for key, value in given.items() if key in expected.args}
    return same_json(dict(given), dict(expected.args))


def _unmatched(fits: Sequence[set[int]]) -> list[int]:
    """Give the expected calls that no call is left for, pairing as many as can be paired."""
    taken: dict[int, int] = {}

    def place(expected: int, tried: set[int]) -> bool:
        for made in fits[expected] - tried:
            tried.add(made)
            if made not in taken or place(taken[made], tried):
                taken[made] = expected
                return True
        return False

    return [number for number in range(len(fits)) if not place(number, set())]


def _made(trial: Trial) -> str:
    return f"made: {', '.join(repr(call.name) for call in trial.tool_calls[:8]) or 'none'}"


@judged(wrong=0.0, calls=True)
def tool_names(trial: Trial, tools: Tools) -> Score:
    """Give F1 of the names called against those expected, repeats counted, order aside.

    0 to 1; None where the case expects no call. F1 = 2 common / (made + expected).
    """
    expected = Counter(each.name for each in trial.case.expected_tools)
    made = Counter(call.name for call in trial.tool_calls)
    return Score(2 * (made & expected).total() / (made.total() + expected.total()), _made(trial))


@judged(wrong=False)
def no_tool_call(trial: Trial, tools: Tools) -> Score:
    """Say whether the task called no tool. False or True; always applies."""
    return Score(not trial.tool_calls, _made(trial) if trial.tool_calls else "")


def within_limits(trial: Trial, tools: Tools) -> Score | None:
    """Say whether the case took no more than its own limits of seconds, dollars and tokens.

    False or True; None where the case sets none, or only seconds and the answer was replayed. A
    failed trial is False. Unmeasured where a limit is set on what nobody knows and no other limit
    is broken.
    """
    limits: CaseLimits | None = trial.case.limits
    if limits is None:
        return None
    if trial.state == "failed":
        return Score(False, "the task failed")
    broken, unknown, checked = [], [], 0
    for name, limit, measure in (
        ("seconds", limits.seconds, seconds),
        ("cost", limits.cost, cost),
        ("tokens", limits.tokens, tokens),
    ):
        if limit is None:
            continue
        try:
            taken = measure(trial, tools)
        except CannotMeasure:
            unknown.append(name)
            continue
        checked += taken is not None
        if taken is not None and taken > limit:
            broken.append(f"{name} {taken:g}, limit {limit:g}")
    if unknown and not broken:
        raise CannotMeasure("missing_field", f"the task does not say its {' and '.join(unknown)}")
    return Score(not broken, "; ".join(broken)) if checked else None


def seconds(trial: Trial, tools: Tools) -> float | None:
    """Give the wall seconds the task took. 0 and more; lower is better.

    None where the answer was replayed: its time says nothing.
    """
    return None if trial.replayed else trial.seconds


def ttft(trial: Trial, tools: Tools) -> float | None:
    """Give the seconds to the first token. 0 and more; lower is better.

    None where the answer was replayed; unmeasured where the task does not say.
    """
    if trial.replayed:
        return None
    return _known(trial.ttft, "its time to the first token; it is known of streamed replies")


def cost(trial: Trial, tools: Tools) -> float:
    """Give the dollars the case took. 0 and more; lower is better.

    Unmeasured where the price is unknown: name the model in configs/prices.yaml.
    """
    amount = None if trial.cost is None else float(trial.cost)
    return _known(amount, "its cost; give the model a price in configs/prices.yaml")


def tokens(trial: Trial, tools: Tools) -> float:
    """Give the tokens in and out together. 0 and more; lower is better.

    Unmeasured where nobody counted.
    """
    counted = trial.usage.source != "none"
    total = trial.usage.input_tokens + trial.usage.output_tokens
    return _known(float(total) if counted else None, "its tokens")


def output_tokens(trial: Trial, tools: Tools) -> float:
    """Give the tokens of the answer. 0 and more; lower is better.

    Unmeasured where nobody counted.
    """
    counted = trial.usage.source != "none"
    return _known(float(trial.usage.output_tokens) if counted else None, "its tokens")


def _known(value: float | None, what: str) -> float:
    if value is None:
        raise CannotMeasure("missing_field", f"the task does not say {what}")
    return value


# no range bounds these: the width is what a margin is a share of (5 % of 10 s is half a second)
ALL: tuple[Scorer, ...] = (
    Scorer("tool_calls", tool_calls, needs=("expected_tools",)),
    Scorer("tool_names", tool_names, needs=("expected_tools",)),
    Scorer("no_tool_call", no_tool_call),
    Scorer("within_limits", within_limits),
    Scorer("seconds", seconds, better="lower", width=10.0),
    Scorer("ttft", ttft, better="lower"),
    Scorer("cost", cost, better="lower", width=0.1),
    Scorer("tokens", tokens, better="lower", width=1000.0),
    Scorer("output_tokens", output_tokens, better="lower", width=1000.0),
)
