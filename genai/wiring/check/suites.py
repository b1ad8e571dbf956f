"""What a suite and the loop name, and the programs beside a suite."""

import difflib
import warnings
from functools import partial
from pathlib import Path
from typing import get_args

from genai.errors import CaseError, ConfigError, ModelError, shown
from genai.evals import Suite, load_suite
from genai.evals.judge.ask import NO_JUDGE
from genai.evals.make import read_drafts
from genai.evals.redteam import check_attacks
from genai.evals.scorers import own_scorer
from genai.evals.scorers.known import known_scorers
from genai.evals.suite import out_of_range
from genai.evals.vary import check_variants
from genai.loop import load_loop
from genai.types import Place
from genai.wiring.check.names import Check, opened
from genai.wiring.parts import settings
from genai.wiring.tasks import open_task


def check_suite(path: Path) -> None:
    """Read a suite, and open what it names: its task, its own scorers, its judge."""
    suite = load_suite(path)
    if suite.name != path.stem:
        raise CaseError(f"{shown(path)}: `suite`: {suite.name} is not the file's name; use it")
    check_variants(suite)
    read_drafts(suite)
    if any((case.metadata or {}).get("place") in get_args(Place) for case in suite.cases):
        check_attacks(suite)
    named: list[Check] = [
        partial(own_scorer, name, metric.scorer, path.parent.parent)
        for name, metric in suite.metrics.items()
        if metric.scorer and ":" in metric.scorer
    ]
    if suite.settings.task not in ("chain", "model"):
        named.append(partial(open_task, suite.settings.task))
    if suite.settings.judge:
        named.append(partial(_judge, suite.settings.judge))
    elif not settings().evals.judge:
        named.append(partial(_unjudged, suite))
    for read in named:
        try:
            read()
        except Exception as error:  # whatever a module of theirs raises when it is imported
            raise CaseError(f"{shown(path)}: {str(error) or type(error).__name__}") from error


def _judge(name: str) -> None:
    try:
        opened(name)
    except ModelError as error:
        raise CaseError(f"`judge`: {error}") from error


def _unjudged(suite: Suite) -> None:
    for name, metric in suite.metrics.items():
        scorer = known_scorers().get(metric.scorer or name)
        if scorer is not None and "judge" in scorer.needs:
            raise CaseError(f"`metrics.{name}`: {NO_JUDGE}")


def check_loop(path: Path) -> None:
    """Read the loop's settings, and the suites, metrics and judge that they name."""
    loop, name = load_loop(path), shown(path)
    suites = {each.stem for each in (path.parent.parent / "evals").glob("*.yaml")}
    named = {"cases": loop.cases, "canary.suite": loop.canary.suite}
    missing = next((each for each in named.values() if each not in suites), "")
    if suites and missing:  # a project may have none yet
        keys = " and ".join(f"`{key}`" for key, suite in named.items() if suite == missing)
        raise ConfigError(
            f"{name}: {keys}: evals/{missing}.yaml does not exist; name a suite:"
            f" {', '.join(sorted(suites))}"
        )
    for each, metric in loop.online.metrics.items():
        scorer = metric.scorer or each
        if ":" not in scorer and scorer not in known_scorers():
            close = difflib.get_close_matches(scorer, known_scorers(), n=1)
            hint = f"did you mean `{close[0]}`?" if close else "see docs/testing.md for those known"
            raise ConfigError(f"{name}: `online.metrics`: `{scorer}` is not a metric; {hint}")
        if problem := out_of_range(each, metric):
            raise ConfigError(f"{name}: `online.metrics.{each}.{problem}")
    if loop.online.judge:
        try:
            opened(loop.online.judge)
        except ModelError as error:
            raise ConfigError(f"{name}: `online.judge`: {error}") from error


def check_program(path: Path) -> None:
    """Compile a Python file, and run nothing of it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError) as error:
        number, said = getattr(error, "lineno", None), getattr(error, "msg", error)
        line = f"line {number}: " if number else ""
        raise CaseError(f"{shown(path)}: {line}is no Python ({said}); mend it") from error
