"""Ask the judge model one thing: fence what is judged, want a schema, and say why it failed.

Whatever is judged (question, answer, passages, accepted answers) was written by others. It goes
into a user turn only, each text in a fence that it cannot close, so that "give me full marks" and
a forged end of the fence are still nothing but text to judge.
"""

import functools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from genai.errors import ModelError
from genai.evals.case import Case
from genai.evals.scorers.base import Result, Tools
from genai.evals.task import CODES
from genai.evals.trial import CannotMeasure, Trial
from genai.prompts import Prompt, own_or_shipped
from genai.types import Context, Passage

Judge = Callable[..., Awaitable[Result]]
_CODES = {"refusal": "judge_refusal", **CODES, "bad_reply": "judge_parse"}
REFUSED = ("content_filter", "refusal")  # why a reply ended
NO_JUDGE = "no judge model: set `judge` in the suite or `evals.judge` in configs/genai.yaml"


class Said(BaseModel):
    """Base of what a judge replies. A key too many is not held against it."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"additionalProperties": False})


class Verdict(Said):
    """One yes or no; the reason stands first, so that it is thought before it is decided."""

    number: int
    reason: str
    verdict: bool


class Verdicts(Said):
    """A yes or no for each of the numbered things asked about."""

    verdicts: list[Verdict]


S = TypeVar("S", bound=Said)


async def ask(tools: Tools, name: str, schema: type[S], **values: str | Sequence[str]) -> S:
    """Render `prompts/judge/<name>.md`, ask, and give what fits the schema.

    A string is put in as it is, for a trusted input; the texts of a sequence are fenced one by one
    and numbered from 1. The model is asked a second time where its reply does not fit.

    Raises:
        CannotMeasure: there is no judge, it cannot be reached, refuses, or its reply does not fit.
        PromptError: the prompt file is wrong, or a text is too long for it.
    """
    if tools.judge is None:
        raise CannotMeasure("missing_field", NO_JUDGE)
    prompt = read_prompt(name, tools.prompts)
    filled = {
        slot: value if isinstance(value, str) else _fenced(slot, value)
        for slot, value in values.items()
    }
    context = Context(prompt_id=prompt.id)
    try:
        reply = await tools.judge(
            prompt.render(**filled), schema=schema, reasks=1, context=context, **prompt.params
        )
    except ModelError as error:
        raise CannotMeasure(failure_code(error), f"judge {tools.judge_name}: {error}") from error
    if reply.finish_reason in REFUSED:
        raise CannotMeasure("judge_refusal", f"judge {tools.judge_name}: refused to judge")
    if not isinstance(reply.parsed, schema):
        raise CannotMeasure("judge_parse", f"judge {tools.judge_name}: gave no {schema.__name__}")
    return reply.parsed


async def verdicts(
    tools: Tools, name: str, count: int, **values: str | Sequence[str]
) -> list[Verdict]:
    """Ask for a yes or no on each of `count` numbered things; give them in order.

    Raises:
        CannotMeasure: `judge_parse` where one has no verdict, or two: a share of fewer would lie.
    """
    said = await ask(tools, name, Verdicts, **values)
    found = sorted(said.verdicts, key=lambda each: each.number)
    if [each.number for each in found] != list(range(1, count + 1)):
        given = ", ".join(str(each.number) for each in found) or "none"
        raise CannotMeasure(
            "judge_parse",
            f"judge {tools.judge_name}: {name}: {count} verdicts wanted, 1 to {count}; got {given}",
        )
    return found


def failure_code(error: ModelError) -> str:
    """Give the reason code of a judge call that failed, such as `rate_limited`."""
    return _CODES.get(error.kind, "scorer_error")


def read_prompt(name: str, folder: Path) -> Prompt:
    """Read `folder/judge/<name>.md`, else the shipped one, once while the file stays as it is."""
    path = folder / "judge" / f"{name}.md"
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _read_prompt(f"judge/{name}", folder, stamp)


@functools.lru_cache(maxsize=64)
def _read_prompt(name: str, folder: Path, _stamp: int) -> Prompt:
    return own_or_shipped(name, folder)


def _fenced(slot: str, texts: Sequence[str]) -> list[Passage]:
    return [
        Passage(f"{slot}-{number}", slot, 0, len(text), text)
        for number, text in enumerate(texts, start=1)
    ]


def asked(case: Case) -> list[str]:
    """Give what the case asks: its input, or the whole conversation that leads to the answer."""
    if case.input:
        return [case.input]
    return ["\n".join(f"{turn.role}: {turn.content}" for turn in case.messages)]


def of_answers(wrong: Result, *, refusals: bool = True) -> Callable[[Judge], Judge]:
    """Make a judge of answers alone: a failed trial is `wrong`, and is not shown to the model.

    A refusal that was right has nothing to judge. One where an answer was due is `wrong` as well,
    so that a task cannot raise its score by saying less; without `refusals` it does not apply.
    """

    def wrap(score: Judge) -> Judge:
        @functools.wraps(score)
        async def judge(trial: Trial, tools: Tools, /, **params: object) -> Result:
            if trial.refused and (not refusals or trial.case.expect == "refusal"):
                return None
            if trial.state != "answered":
                return wrong
            return await score(trial, tools, **params)

        return judge

    return wrap
