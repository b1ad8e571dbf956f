"""A task is any callable; this asks it one case and gives the Trial.

It may be a Model, a Chain, a LangChain runnable, or a function, sync or async, that takes a text
(for a case with several turns: a list of messages). It may give text, a Reply, an Answer, a
Refusal, a LangChain message or list of Documents, or a mapping with `text` and, where it has
them, `contexts`, `tool_calls`, `cost`, and `usage` or `input_tokens` and `output_tokens`.
"""

import asyncio
import functools
import hashlib
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai import bridge
from genai.errors import BudgetExceeded, ModelError, Unmeasured
from genai.evals.case import Case
from genai.evals.trial import Trial
from genai.ledger.cap import dollars
from genai.types import Answer, Cost, Hit, Passage, Refusal, Reply, ToolCall, Usage

Task = Callable[..., Any]
# why nothing is known of a case: the kinds of ModelError, and what other clients call theirs
CODES = {
    "key": "no_key",
    "permission": "no_key",
    "network": "network",
    "timeout": "timeout",
    "rate_limited": "rate_limited",
    "server": "server_error",
    "unknown_model": "no_model",
}
_BY_NAME = {
    "AuthenticationError": "no_key", "RateLimitError": "rate_limited",
    "InternalServerError": "server_error", "URLError": "network", "gaierror": "network",
    "NetworkError": "network", "RemoteProtocolError": "network", "ChunkedEncodingError": "network",
    "IncompleteRead": "network",
}  # fmt: skip
_BY_ENDING = {
    "Timeout": "timeout", "TimeoutError": "timeout", "TimeoutException": "timeout",
    "ConnectionError": "network", "ConnectError": "network", "ConnectorError": "network",
}  # fmt: skip
_BY_STATUS = {401: "no_key", 402: "no_key", 403: "no_key", 408: "timeout", 429: "rate_limited"}
_DEEPEST = 20  # causes behind an error that are looked at
_CONTEXTS = ("contexts", "retrieved_contexts", "context", "documents", "source_documents")
_LISTS = (list, tuple)
_ALONE, _MANY = 8, 105  # cases in flight: of a function, of a model that limits itself


def describe(task: Task) -> tuple[str, str]:
    """Give a task's name and its variant: a hash of what is known to shape its answers.

    A function is known by the file it stands in and its place there, which says nothing of what it
    calls or reads (`sources` looks at that); a task of yours may have an `identity` (any text) that
    says it all. Of what a closure, a `partial` or an object holds, the plain values count.
    """
    if isinstance(task, functools.partial):
        name, inner = describe(task.func)
        held = [*task.args, *sorted(task.keywords.items())]
        return name, _digest(name, f"{inner} {[each for each in held if _is_plain(each)]}")
    model = getattr(getattr(task, "model", None), "name", "")
    own = getattr(task, "name", "") or getattr(task, "__name__", "")
    name = str(model or own or type(task).__name__)
    given = getattr(task, "identity", None)
    if given is None:
        given = f"{type(task).__module__}.{type(task).__qualname__} {_held(task)} {_source(task)}"
    return name, _digest(name, given)


def _digest(name: str, given: object) -> str:
    return hashlib.sha256(f"{name}\n{given}".encode("utf-8", "replace")).hexdigest()[:12]


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, str | int | float | bool | None)


def _held(task: Task) -> str:
    """Give the plain values that a closure or an object holds, for they shape what it gives."""
    cells = getattr(task, "__closure__", None) or ()
    names = getattr(getattr(task, "__code__", None), "co_freevars", ())
    held = {n: c.cell_contents for n, c in zip(names, cells, strict=False) if _is_set(c)}
    held |= {**getattr(getattr(task, "__self__", None), "__dict__", {}),
             **getattr(task, "__dict__", {})}  # fmt: skip
    plain = {n: v for n, v in held.items() if _is_plain(v)}
    return f"{getattr(task, '__qualname__', '')} {_place(task)} {sorted(plain.items())}"


def _place(task: Task) -> str:
    """Tell two lambdas of one file, or of one line, apart."""
    code = getattr(task, "__code__", None)
    if code is None:
        return ""
    return f"{code.co_firstlineno} {code.co_names} {[*filter(_is_plain, code.co_consts)]}"


def _is_set(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # an empty cell raises
    except ValueError:
        return False
    return True


def _source(task: Task) -> str:
    for each in (task, type(task)):
        try:
            return Path(inspect.getsourcefile(each) or "").read_text(encoding="utf-8")
        except (OSError, TypeError):
            continue
    return ""


def width(task: Task) -> int:
    """Say how many cases may be in flight: what the task says, else by its kind."""
    own = getattr(task, "concurrency", None)
    if isinstance(own, int):
        return own
    return _MANY if _entry(task)[1] else _ALONE


def _entry(task: Task) -> tuple[Callable[..., Any], bool]:
    """Find the way in, and whether it is awaited."""
    for name in ("acall", "ainvoke"):
        found = getattr(task, name, None)
        if found is not None:
            return found, True
    if inspect.iscoroutinefunction(task) or inspect.iscoroutinefunction(
        getattr(task, "__call__", None)  # noqa: B004  # the function itself, to see if it is async
    ):
        return task, True
    return getattr(task, "invoke", None) or task, False


class Asker:
    """Asks one task; each call of a sync one has a thread of its own, which may stall for good."""

    def __init__(self, task: Task) -> None:
        self._call, self._awaited = _entry(task)

    async def ask(self, case: Case, unit: str, repeat: int, seconds: float) -> Trial:
        """Ask one case. Whatever the task raises belongs to the case and stops no other."""
        trial = Trial(unit=unit, case_id=case.id, repeat=repeat, case=case)
        start = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                *earlier, outcome = await self._talk(case)
            trial.seconds = time.perf_counter() - start
            _fill(trial, outcome)
            for each in earlier:
                _add(trial, each)
        except asyncio.CancelledError:
            raise
        except (Exception, SystemExit) as error:  # a program of theirs may end with sys.exit
            trial.seconds = time.perf_counter() - start
            trial.state, trial.reason, trial.note = _fault(error, seconds)
        return trial

    async def _one(self, given: Any) -> Any:
        if self._awaited:
            return await self._call(given)
        found = await bridge.aside(functools.partial(self._call, given))
        return await found if isinstance(found, Awaitable) else found

    async def _talk(self, case: Case) -> list[Any]:
        """Give the turns one after another; an assistant turn that is left out is asked for."""
        if not case.messages:
            return [await self._one(case.input)]
        turns: list[dict[str, str]] = []
        outcomes = []
        for turn, following in zip(case.messages, [*case.messages[1:], None], strict=True):
            turns.append({"role": turn.role, "content": turn.content})
            if turn.role == "user" and (following is None or following.role == "user"):
                outcomes.append(await self._one([*turns]))
                turns.append({"role": "assistant", "content": text_of(said(outcomes[-1]))})
        return outcomes


def _fault(error: BaseException, seconds: float) -> tuple[Any, str, str]:
    said = " ".join(str(error).split())[:500]
    for each in _causes(error):
        code = _code(each)
        if code == "timeout" and each is error:
            said = said or f"no answer within {seconds:g} s"
        if code:
            return "unmeasured", code, said
        if isinstance(each, ModelError) or _status(each) is not None:
            break  # a server has answered: the request was wrong
    return "failed", type(error).__name__, f"{type(error).__name__}: {said}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it was raised from; one of a retrying library is its last attempt."""
    for _ in range(_DEEPEST):
        last = getattr(getattr(error, "last_attempt", None), "exception", None)
        cause = last() if callable(last) else None
        if cause is None:
            yield error
            cause = error.__cause__
        if cause is None:
            return
        error = cause


def _code(error: BaseException) -> str | None:
    """Tell a client's trouble from a fault of the task, whichever client it uses."""
    if isinstance(error, Unmeasured):
        return "replay_miss"
    if isinstance(error, BudgetExceeded):
        return "budget_stop"
    if isinstance(error, ModelError):
        return CODES.get(error.kind)
    status = _status(error)
    if status is not None:
        return _BY_STATUS.get(status, "server_error" if status >= 500 else None)
    return _by_name(error)


def _by_name(error: BaseException) -> str | None:
    name = type(error).__name__
    if name == "OpenAIError" and "api_key" in str(error):
        return "no_key"
    if name == "RetryError" and not hasattr(error, "last_attempt"):
        return "server_error"  # requests: each answer was one that is tried again
    for kind in type(error).__mro__:
        for ending, code in _BY_ENDING.items():
            if kind.__name__.endswith(ending):
                return code
        if kind.__name__ in _BY_NAME:
            return _BY_NAME[kind.__name__]
    return None


def _status(error: BaseException) -> int | None:
    """Give the HTTP status under the name that the client has for it."""
    if isinstance(error, SystemExit):  # its code is another
        return None
    response = getattr(error, "response", None)
    given = [getattr(error, name, None) for name in ("status_code", "code", "status")]
    for status in (*given, getattr(response, "status_code", None)):
        if isinstance(status, int) and 400 <= status < 600:
            return int(status)
    return None


def _fill(trial: Trial, outcome: Any) -> None:
    if isinstance(outcome, Answer | Refusal | Reply):
        trial.text = outcome.text
        trial.usage, trial.model, trial.call_id = outcome.usage, outcome.model, outcome.call_id
        trial.cost = outcome.cost.amount
        trial.replayed = outcome.cost.reason.startswith("replayed")
    if isinstance(outcome, Answer):
        trial.citations, trial.hits = outcome.citations, outcome.hits
        trial.confidence = outcome.confidence
    elif isinstance(outcome, Refusal):
        trial.state, trial.reason, trial.hits = "refused", outcome.reason, outcome.evidence
        trial.confidence = outcome.confidence
    elif isinstance(outcome, Reply):
        trial.tool_calls, trial.ttft = outcome.tool_calls, outcome.ttft
    elif isinstance(outcome, Mapping):
        _mapping(trial, outcome)
    elif isinstance(outcome, list) and outcome and hasattr(outcome[0], "page_content"):
        text = "\n\n".join(str(each.page_content) for each in outcome)
        _mapping(trial, {"text": text, "contexts": outcome})
    else:
        trial.text = text_of(outcome)
        _calls(trial, getattr(outcome, "tool_calls", None))
    if not trial.text.strip() and not trial.tool_calls and trial.state == "answered":
        trial.state, trial.reason, trial.note = "failed", "empty", "the task gave no text"


def _add(trial: Trial, outcome: Any) -> None:
    """Count what an earlier turn took to the whole conversation, which knows no more than it."""
    turn = Trial(unit=trial.unit, case_id=trial.case_id)
    _fill(turn, outcome)
    trial.cost = None if trial.cost is None or turn.cost is None else trial.cost + turn.cost
    counted = "none" not in (trial.usage.source, turn.usage.source)
    trial.usage = trial.usage + turn.usage if counted else Usage()
    trial.replayed &= turn.replayed


def said(outcome: Any) -> Any:
    """Give what a mapping says under one of the names for it, or ''; anything else as it is."""
    if not isinstance(outcome, Mapping):
        return outcome
    names = ("text", "answer", "output", "response", "content")
    return next((outcome[name] for name in names if outcome.get(name) is not None), "")


def _mapping(trial: Trial, given: Mapping[str, Any]) -> None:
    output = said(given)
    trial.text = text_of(output)
    contexts = next((given[name] for name in _CONTEXTS if isinstance(given.get(name), _LISTS)), ())
    trial.hits = tuple(_hit(number, each) for number, each in enumerate(contexts, start=1))
    _calls(trial, given.get("tool_calls") or getattr(output, "tool_calls", None))
    if given.get("refused"):
        trial.state, trial.reason = "refused", str(given.get("reason", ""))
    trial.model, trial.call_id = str(given.get("model", "")), str(given.get("call_id", ""))
    cost, usage = given.get("cost"), given.get("usage")
    if isinstance(cost, Cost):
        trial.cost = cost.amount
    elif cost is not None:
        trial.cost = _paid(cost)
    tokens = given.get("input_tokens"), given.get("output_tokens")
    if isinstance(usage, Usage):
        trial.usage = usage
    elif None not in tokens:
        trial.usage = Usage(int(tokens[0]), int(tokens[1]), source="provider")  # type: ignore[arg-type]


def _paid(cost: object) -> Decimal:
    try:
        return dollars(cost)
    except ValueError:
        said = f"`cost` is {cost}; give dollars from 0 up, or nothing where unknown"
        raise ValueError(said) from None


def _hit(number: int, given: Any) -> Hit:
    if isinstance(given, Mapping):
        text, name = str(given.get("text", "")), str(given.get("id", number))
        return Hit(Passage(name, str(given.get("document", "")), 0, len(text), text), 0.0)
    # LangChain's Documents say in their metadata what they are from, and where they stand there
    text, known = str(getattr(given, "page_content", given)), getattr(given, "metadata", None) or {}
    name, start = str(getattr(given, "id", None) or number), known.get("start_index")
    start = start if isinstance(start, int) else 0
    return Hit(Passage(name, str(known.get("source", "")), start, start + len(text), text), 0.0)


def _calls(trial: Trial, given: Any) -> None:
    if isinstance(given, list | tuple):
        trial.tool_calls = tuple(_call(each) for each in given)


def _call(given: Any) -> ToolCall:
    if isinstance(given, ToolCall):
        return given
    given = given.model_dump() if hasattr(given, "model_dump") else given  # an SDK's own
    function = given.get("function", given)
    arguments = function.get("arguments", function.get("args", {}))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(str(given.get("id", "")), str(function.get("name", "")), text)


def text_of(outcome: Any) -> str:
    """Give the text of what came; of a message its content, of other values their JSON."""
    if isinstance(outcome, str):
        return str(outcome)  # LangChain's texts are a kind of their own
    if outcome is None:
        return ""
    for name in ("text", "content"):
        found = getattr(outcome, name, None)
        if isinstance(found, str):
            return str(found)
    if getattr(outcome, "tool_calls", None):  # a message that says nothing beside them
        return ""
    if isinstance(outcome, bool | int | float | list | dict):
        return json.dumps(outcome, ensure_ascii=False, default=str)
    raise TypeError(f"a task must give text, a Reply or an Answer, not {type(outcome).__name__}")
