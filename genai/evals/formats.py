"""The files of other tools, as they write them: their names for what a case has, and their shapes.

What a case has no key for is kept in its metadata, and what is empty is left out.
"""

import ast
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from genai.errors import CaseError
from genai.evals.case import Case

Row = Mapping[str, Any]
# the names of other tools; one that is mapped to "" is left out
FORMATS: Mapping[str, Mapping[str, str]] = {
    "deepeval": {
        "expected_output": "expected", "retrieval_context": "contexts", "context": "contexts",
        "actual_output": "", "tools_called": "", "token_cost": "", "completion_time": "",
    },
    "inspect": {"target": "expected"},
    "promptfoo": {},
    "pydantic-evals": {"name": "id", "inputs": "input", "expected_output": "expected"},
    "ragas": {
        "user_input": "input", "reference": "expected", "retrieved_contexts": "contexts",
        "reference_context_ids": "relevant", "response": "", "retrieved_context_ids": "",
    },
}  # fmt: skip
_EMPTY: tuple[Any, ...] = (None, "", [], {})
# promptfoo's assertions that a metric of ours decides by the accepted answer
_SAME = (
    "equals", "contains", "icontains", "contains-any", "icontains-any", "contains-all",
    "icontains-all", "starts-with", "similar", "factuality", "model-graded-factuality",
)  # fmt: skip
# and its others: only with one of these words in front is an expected text no plain text
_OTHERS = (
    "answer-relevance bleu classifier contains-html contains-json contains-sql contains-xml"
    " context-faithfulness context-recall context-relevance conversation-relevance cost"
    " finish-reason g-eval gleu guardrails is-html is-json is-refusal is-sql"
    " is-valid-function-call is-valid-openai-function-call is-valid-openai-tools-call is-xml"
    " javascript latency levenshtein llm-rubric meteor model-graded-closedqa moderation perplexity"
    " perplexity-score pi python regex rouge-n ruby search-rubric tool-call-f1 trace-error-spans"
    " trace-span-count trace-span-duration webhook word-count"
).split()
_ASSERTION = re.compile(
    rf"((?:not-)?(?:{'|'.join(map(re.escape, (*_SAME, *_OTHERS)))}))(?:\([\d.]+\))?(?::(.*)|$)",
    re.S,
)


_CODE = re.compile(r"(fn|eval|grade|file):(.*)", re.S)


def as_case(row: Row, form: str, where: str) -> dict[str, Any]:
    """Give a row of another tool's file under the keys of a case. `where` names file and line.

    Raises:
        CaseError: it asks for something that no metric here judges.
    """
    row = {name: value for name, value in row.items() if value not in _EMPTY}
    row = _of_promptfoo(row, where) if form == "promptfoo" else row
    found: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in row.items():
        new = FORMATS[form].get(name, name)
        if new == "metadata" and isinstance(given := _parsed(value), Mapping):
            rest |= given
        elif new in Case.__struct_fields__ and new != "metadata" and new not in found:
            found[new] = _shaped(new, value, form)
        elif new:
            rest[name.removeprefix("meta.")] = value
    if isinstance(found.get("input"), list):
        found["messages"] = [_turn(each) for each in found.pop("input")]
    if "id" not in found:  # the others have no ids, or none here: content names the case
        asked = found.get("input") or json.dumps(found.get("messages"), default=str)
        found["id"] = Case(id="x", input=str(asked)).hash[:12]
    return {**found, "metadata": rest} if rest else found


def _shaped(key: str, value: Any, form: str) -> Any:
    """Give a value in the shape that a case has it in."""
    if key == "id" or (key == "expected" and form == "inspect" and not isinstance(value, list)):
        return str(value)
    if key == "contexts" and isinstance(value, str):
        given = _parsed(value)
        return given if isinstance(given, list) else value.split("|")
    if key == "relevant" and isinstance(given := _parsed(value), list):
        return [str(each) for each in given]
    if key == "expected_tools" and isinstance(given := _parsed(value), list):
        return [_tool(each) for each in given]
    return value


def _parsed(value: Any) -> Any:
    """Give what a cell of a table holds: JSON, or a list as Python shows it."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError):
                return read(value)
    return value


def _tool(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    names = ("args", "inputParameters", "input_parameters")
    return {"name": given.get("name"), "args": next(filter(None, map(given.get, names)), {})}


def _turn(given: Any) -> Any:
    return {key: given[key] for key in ("role", "content") if key in given} if isinstance(
        given, Mapping) else given  # fmt: skip


def _of_promptfoo(row: Row, where: str) -> dict[str, Any]:
    """Tell a test's variables from what it asserts: one is asked, the others are metadata."""
    asserted = [_assertion(value) for name, value in row.items() if name.startswith("__expected")]
    asserted += [(each.get("type"), each.get("value")) for each in row.get("assert", ())]
    if len(asserted) > 1:
        raise CaseError(f"{where}: has {len(asserted)} assertions, and a case is judged by the"
                        " metrics of its suite; leave one of them")  # fmt: skip
    found: dict[str, Any] = {}
    for kind, value in asserted:
        if kind not in _SAME:
            raise CaseError(
                f"{where}: the assertion `{kind}` has no metric here that an accepted answer"
                f" decides; take it out, or use {', '.join(_SAME)}"
            )
        found = {"expected": value, "tags": [kind]}
    named = {**row, **row.get("vars", {})}
    ours = ("id", "vars", "assert", "description")
    asked = {k: value for k, value in named.items() if not k.startswith("__") and k not in ours}
    one = "input" if "input" in asked else next(iter(asked), "")
    if one != "input" and len(asked) > 1:
        raise CaseError(
            f"{where}: has the variables {', '.join(asked)}; name the one that is asked `input`"
        )
    notes = {
        name.removeprefix("__metadata:").removeprefix("__"): value
        for name, value in named.items()
        if name.startswith("__metadata:") or name in ("__description", "description")
    }
    ids = {"id": row["id"]} if "id" in row else {}
    others = {name: value for name, value in asked.items() if name != one}
    return {**ids, **found, "input": asked.get(one, ""), "metadata": {**others, **notes}}


def _assertion(text: str) -> tuple[str, Any]:
    """Read `contains: two years`; a text without such a word in front is the very answer."""
    found = _ASSERTION.fullmatch(text.strip()) or _CODE.fullmatch(text.strip())
    if found is None:
        return "equals", text
    kind, value = found[1], (found[2] or "").strip()
    return kind, [each.strip() for each in value.split(",")] if kind.endswith(
        ("-any", "-all")) else value  # fmt: skip
