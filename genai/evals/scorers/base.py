"""The seam of every scorer, and what it may use."""

import hashlib
import importlib
import importlib.util
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from genai import bridge
from genai.errors import CaseError
from genai.evals.trial import Score
from genai.project import import_named

Result = bool | float | str | None | Score
Asks = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a scorer may use beside the trial; each may be absent.

    `source` is the folder of the documents. `embed` gives a matrix of unit rows for texts.
    `judge(messages, schema=..., **params)` asks the judge model and gives a Reply. `embed_name`
    and `judge_name` name the two. `prompts` is the folder of prompt files.
    """

    source: Path = Path()
    embed: Callable[[Sequence[str]], Any] | None = None
    embed_name: str = ""
    judge: Asks | None = None
    judge_name: str = ""
    prompts: Path = Path("prompts")


@dataclass(frozen=True, slots=True)
class Scorer:
    """A way to judge a trial.

    `score(trial, tools, **params)` gives a bool, a number, a string, a Score, or None where it
    does not apply; it may be async, and raises CannotMeasure. `version` changes with its meaning.
    `width` is the range of its values, `needs` what a case or the tools must have:
    `expected gold relevant expected_tools contexts embed judge`.
    """

    name: str
    score: Callable[..., Result | Awaitable[Result]]
    version: str = "1"
    better: Literal["higher", "lower"] = "higher"
    width: float = 1.0
    needs: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


def own_scorer(name: str, path: str, root: Path) -> Scorer:
    """Make a scorer of a user's function, `evals/mine.py:polite` or `package.module:polite`.

    Its version is the hash of its source, so that a changed function is a changed metric.

    Raises:
        CaseError: it cannot be found.
    """
    module_name, _, attribute = path.rpartition(":")
    try:
        if module_name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(
                f"genai_scorer_{hashlib.sha256(module_name.encode()).hexdigest()[:8]}",
                root / module_name,
            )
            if spec is None or spec.loader is None:
                raise ImportError(f"{module_name} cannot be loaded")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return function_scorer(name, getattr(module, attribute))
        return function_scorer(name, import_named(path, root))
    except Exception as error:  # whatever a module of theirs raises when it is imported
        raise CaseError(
            f"metric `{name}`: scorer {path!r} cannot be loaded ({type(error).__name__}: {error});"
            " give `evals/file.py:function` or `package.module:function`"
        ) from error


def function_scorer(name: str, function: Callable[..., Any]) -> Scorer:
    """Make a scorer of a function of a trial (and of `tools` and parameters, if it takes them).

    One that is not async runs in a thread of its own: it may wait for a model or a server.
    """
    takes_tools = "tools" in inspect.signature(function).parameters
    is_async = inspect.iscoroutinefunction(function)

    async def score(trial: Any, tools: Tools, **params: Any) -> Any:
        call = partial(function, trial, **({"tools": tools} if takes_tools else {}), **params)
        given = call() if is_async else await bridge.aside(call)
        return await given if isinstance(given, Awaitable) else given

    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = getattr(function, "__qualname__", repr(type(function)))
    return Scorer(name, score, hashlib.sha256(source.encode()).hexdigest()[:12])
