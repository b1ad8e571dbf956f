"""Scorers of answers that should be JSON.

JSON is what RFC 8259 says: no NaN, no Infinity, no trailing comma, and nothing around it, except
that with `fenced: true` one Markdown code fence around the whole answer is taken off. Numbers of
more than 4,300 digits and thousands of nested brackets are not read.
"""

import json
import re
from typing import Any

from genai.config.schemas import breach
from genai.errors import MissingExtra
from genai.evals.scorers.answer import judged
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import CannotMeasure, Score, Trial

_STEP = re.compile(r"\.(?P<name>[^.\[\]\s\"']+)|\[(?P<index>-?\d+)\]|\[\"(?P<key>[^\"]*)\"\]")
_BY_CASE = object()


@judged(wrong=False)
def json_valid(trial: Trial, tools: Tools, fenced: bool = False) -> Score:
    """Say whether the answer is JSON. False or True; always applies."""
    _, problem = _read(trial.text, fenced)
    return Score(not problem, problem)


@judged(wrong=False)
def json_schema(trial: Trial, tools: Tools, schema: dict[str, Any], fenced: bool = False) -> Score:
    """Say whether the answer is JSON that fits the schema. False or True; always applies.

    JSON Schema, 2020-12 unless `$schema` says otherwise; the reason names the first breach. No
    reference is fetched from anywhere. Needs the package `jsonschema`.
    """
    value, problem = _read(trial.text, fenced)
    if problem:
        return Score(False, problem)
    try:
        problem = breach(schema, value)
    except MissingExtra as error:
        raise CannotMeasure("missing_field", str(error)) from error
    return Score(not problem, problem)


@judged(wrong=False, expected=True, unless="equals")
def json_path(
    trial: Trial, tools: Tools, path: str, equals: Any = _BY_CASE, fenced: bool = False
) -> Score:
    """Say whether the value at a path equals `equals`, else the expected one. False or True.

    None where neither is given. A path is `$` with steps `.name`, `["any name"]` and `[0]` (or
    `[-1]`): the part of JSONPath (RFC 9535) that names one value.
    """
    wanted = trial.case.expected if equals is _BY_CASE else equals
    steps = _steps(path)
    value, problem = _read(trial.text, fenced)
    if problem:
        return Score(False, problem)
    for step in steps:
        if not isinstance(value, list if isinstance(step, int) else dict):
            return Score(False, f"nothing at {path}")
        try:
            value = value[step]  # type: ignore[index]  # a number into a list, a name into an object
        except (KeyError, IndexError):
            return Score(False, f"nothing at {path}")
    same = same_json(value, wanted)
    return Score(same, "" if same else f"{path} is {json.dumps(value)[:80]}")


@judged(wrong=False, expected=True)
def json_equal(trial: Trial, tools: Tools, fenced: bool = False) -> Score:
    """Say whether the answer is the expected JSON value; the order of keys is no matter.

    False or True; None without `expected`, which is the value itself (a list is one value here,
    not several answers) or its JSON text. 1 equals 1.0; true does not equal 1.
    """
    value, problem = _read(trial.text, fenced)
    if problem:
        return Score(False, problem)
    wanted = trial.case.expected
    if isinstance(wanted, str):
        read, wrong = _read(wanted, fenced=False)
        wanted = wanted if wrong else read
    same = same_json(value, wanted)
    return Score(same, "" if same else "another value")


def same_json(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; a bool is no number. Takes any depth."""
    todo = [(one, other)]
    while todo:
        a, b = todo.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            todo += [(a[key], b[key]) for key in a]
        elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
            if len(a) != len(b):
                return False
            todo += zip(a, b, strict=True)
        elif isinstance(a, bool) != isinstance(b, bool) or a != b:
            return False
    return True


def _read(text: str, fenced: bool) -> tuple[Any, str]:
    """Give the value and what is wrong, one of them empty."""
    text = text.strip()
    if fenced and text.startswith("```") and text.endswith("```") and "\n" in text:
        text = text.partition("\n")[2][:-3]
    try:
        return json.loads(text, parse_constant=_refuse), ""
    except json.JSONDecodeError as error:
        return None, f"not JSON at character {error.pos}"
    except ValueError as error:
        return None, f"not JSON: {error}"
    except RecursionError:
        return None, "nested too deep"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    position = 1 if path.startswith("$") else len(path) + 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            break
        named = step["name"] if step["name"] is not None else step["key"]
        steps.append(int(step["index"]) if step["index"] else named)
        position = step.end()
    if position != len(path):
        raise ValueError(f"`path` {path!r} is not understood; write it like `$.a.b[0]`")
    return steps


ALL: tuple[Scorer, ...] = (
    Scorer("json_valid", json_valid),
    Scorer("json_schema", json_schema),
    Scorer("json_path", json_path),
    Scorer("json_equal", json_equal, needs=("expected",)),
)
