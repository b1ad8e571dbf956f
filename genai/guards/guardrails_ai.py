"""guardrails-ai both ways: its validators in our policy, our guards as its validators.

Its import takes seconds and happens on first use only. Its telemetry is on by default and each of
its Guards reads the setting from the home folder again, so what reads the setting is replaced for
the whole process, before anything else of it is loaded. A stream goes through our gate, never
through its buffer: that one loses the end of a text.
"""

import functools
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from genai import extras
from genai.errors import ConfigError
from genai.guards.base import Entry, Guard, Scope, redact
from genai.project import import_named, on_path
from genai.types import Action, Place, Span

_opening = threading.Lock()


@functools.lru_cache(maxsize=1)
def silent() -> Any:
    """Load guardrails-ai with its telemetry off for good; give the package.

    Raises:
        MissingExtra: it is not installed.
    """
    rc = extras.load("guardrails.classes.rc", "guards").RC
    read = rc.load.__func__

    @classmethod  # type: ignore[misc]
    def load(cls: Any, logger: Any = None) -> Any:
        found = read(cls, logger)
        found.enable_metrics = False
        found.use_remote_inferencing = False
        return found

    rc.load = load
    extras.load("guardrails.settings", "guards").settings.rc = rc.load()
    return extras.load("guardrails", "guards")


class GuardrailsGuard:
    """Runs one of its validators on whole texts; where it names spans, those are the findings."""

    scope: Scope = "whole"
    quick = False

    def __init__(self, validator: str | Any, params: Mapping[str, Any] | None = None) -> None:
        """Take a validator, or `package.module:Class` with its arguments.

        Raises:
            ConfigError: there is no such class; its arguments are tried on first use.
            MissingExtra: guardrails-ai is not installed.
        """
        if isinstance(validator, str):
            _find(validator)
        self.name = validator if isinstance(validator, str) else validator.rail_alias
        self._validator = None if isinstance(validator, str) else validator
        self._params = dict(params or {})

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the spans that the validator names, or the whole text where it names none."""
        validator = self._open()
        result = validator.validate(text, {})
        if result.outcome == "pass":
            return ()
        spans = [
            Span(each.start, each.end, self.name, 1.0, "[removed]")
            for each in result.error_spans or ()
            if each.start < each.end
        ]
        fix = result.fix_value if isinstance(result.fix_value, str) else ""
        return spans or [Span(0, len(text), self.name, 1.0, fix or "[removed]")]

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the validator; its own message may repeat the text."""
        return f"The guardrails-ai validator `{self.name}` failed it."

    def _open(self) -> Any:
        with _opening:  # it may load a model, and texts come several at once
            if self._validator is None:
                silent()
                self._validator = _validator(self.name, self._params)
            return self._validator


def _validator(path: str, params: Mapping[str, Any]) -> Any:
    try:
        return import_named(path)(**{"on_fail": "noop", **params})
    except (ImportError, AttributeError, TypeError) as error:
        raise _wrong(path, str(error)) from error


def _wrong(path: str, why: str) -> ConfigError:
    return ConfigError(
        f"configs/guards.yaml: `validator`: {path!r} cannot be made ({why}); give"
        " `package.module:Class` and its `params`"
    )


def _find(path: str) -> None:
    """Refuse a validator that is not there, by its files alone: an import takes seconds."""
    if importlib.util.find_spec("guardrails") is None:
        extras.load("guardrails", "guards")
    on_path()
    module, _, name = path.partition(":")
    package, *inner = module.split(".")
    if not all(each.isidentifier() for each in (package, *inner, name)):
        raise _wrong(path, "it is no such path")
    try:
        spec, here = importlib.util.find_spec(package), package
        for each in inner:
            places = spec.submodule_search_locations if spec else None
            here = f"{here}.{each}"
            spec = PathFinder.find_spec(here, list(places or ()))
    except (KeyError, ValueError):  # a package in pieces, or one made by hand: first use will tell
        return
    if spec is None:
        raise _wrong(path, f"there is no module {module}")
    if spec.origin and spec.origin.endswith(".py"):
        text = Path(spec.origin).read_text("utf-8", "replace")
        if not any(each in text for each in (name, "import *", "__getattr__")):
            raise _wrong(path, f"{module} holds no {name}")


def as_validator(guard: Guard, place: Place = "answer", *, on_fail: str = "fix") -> Any:
    """Make a guardrails-ai validator of one of our guards: `guardrails.Guard().use(validator)`.

    It fails a text with the spans our guard finds; the fix is the text with the spans replaced. A
    guard that raises fails the text, it does not end the call.
    """
    package = silent()
    base = extras.load("guardrails.validator_base", "guards")

    @package.register_validator(name=f"genai/{guard.name}", data_type="string")
    class Validator(package.Validator):  # type: ignore[misc, name-defined]
        """One of our guards in the form of guardrails-ai."""

        def _validate(self, value: Any, metadata: dict[str, Any]) -> Any:
            spans, fault = Entry(guard, Action.REDACT, "closed").look(value, place)
            threshold = getattr(guard, "threshold", 0.0)
            spans = [span for span in spans if span.score >= threshold]
            if fault:
                return base.FailResult(
                    error_message=f"The guard `{guard.name}` {fault}.", fix_value=""
                )
            if not spans:
                return base.PassResult()
            return base.FailResult(
                error_message=guard.explain(spans),
                fix_value=redact(value, spans),
                error_spans=[
                    base.ErrorSpan(start=s.start, end=s.end, reason=s.kind) for s in spans
                ],
            )

        def _chunking_function(self, chunk: str) -> list[str]:
            return []  # a stream is judged as a whole; stream through our gate instead

    return Validator(on_fail=on_fail)
