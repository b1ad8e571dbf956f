"""Who and what a call is for: one immutable record that follows threads, tasks and executors.

The record is set and reset inside plain functions only; it is never held across a `yield`, where
it would leak into the code that reads the stream.
"""

import contextvars
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, ParamSpec, TypeVar

from genai.types import NOBODY, Context

P = ParamSpec("P")
R = TypeVar("R")
_NAMES = tuple(field.name for field in fields(Context))
_current: contextvars.ContextVar[Context] = contextvars.ContextVar("genai", default=NOBODY)


def current() -> Context:
    """Give what the running code said of itself with `scope`."""
    return _current.get()


def merged(given: Context | None) -> Context:
    """Give the explicit context; what it leaves open comes from the surrounding `scope`."""
    around = _current.get()
    if given is None or given is NOBODY:
        return around
    if around is NOBODY:
        return given
    set_here = {name: value for name in _NAMES if (value := getattr(given, name))}
    return replace(around, **set_here)


@contextmanager
def scope(**names: str) -> Iterator[Context]:
    """Say for whom and what the calls inside are: `with genai.scope(user="ann", feature="faq"):`.

    Names are the fields of `Context`. Tasks and `asyncio.to_thread` inherit it; for a thread or an
    executor wrap the function with `bind`.
    """
    token = _current.set(replace(_current.get(), **names))
    try:
        yield _current.get()
    finally:
        _current.reset(token)


def bind(function: Callable[P, R]) -> Callable[P, R]:
    """Carry the present scope into a thread or an executor: `pool.submit(genai.bind(f), x)`."""
    held = _current.get()

    def bound(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _current.set(held)
        try:
            return function(*args, **kwargs)
        finally:
            _current.reset(token)

    return bound


def carry() -> dict[str, Any]:
    """Give the present scope as plain values, for another process; `scope(**carried)` there."""
    held = _current.get()
    return {name: value for name in _NAMES if (value := getattr(held, name))}


_trial: contextvars.ContextVar[tuple[int, Counter[str]] | None] = contextvars.ContextVar(
    "genai_trial", default=None
)


@contextmanager
def repeated(number: int) -> Iterator[None]:
    """Say that the calls inside are repeat `number` (from 0) of one trial, for replay."""
    token = _trial.set((number, Counter()))
    try:
        yield
    finally:
        _trial.reset(token)


def occurrence(request: str) -> str | None:
    """Say which repeat a request is, and which of its like in it; None outside `repeated`.

    Counting within a trial makes it independent of what runs beside it and of resumption.
    """
    held = _trial.get()
    if held is None:
        return None
    number, seen = held
    within = seen[request]
    seen[request] += 1
    return f"{number}.{within}" if within else str(number)
