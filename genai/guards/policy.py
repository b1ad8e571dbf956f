"""The policy file: which guards look at which place, and what follows from what they find."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from genai.config import Settings, digest, parse_yaml, validate
from genai.errors import ConfigError
from genai.guards.base import Guard, apply, combine, judge
from genai.guards.injection import InjectionGuard
from genai.guards.length import LengthGuard
from genai.guards.pii import PiiGuard
from genai.guards.secrets import SecretsGuard
from genai.text.pii import KINDS
from genai.types import Action, Place, Verdict

NAMES = ("length", "secrets", "injection", "pii")
_QUESTION = {"allow", "flag", "redact", "block"}
_PASSAGE = {"allow", "flag", "quarantine"}


class GuardSettings(Settings):
    """One guard at one place. `on_error` has no default: somebody must have decided."""

    guard: str
    action: Literal["flag", "redact", "quarantine", "block"]
    on_error: Literal["open", "closed"]
    max_chars: int = Field(default=20_000, ge=1)
    kinds: list[str] = Field(default_factory=lambda: list(KINDS))
    region: str = "US"


class PolicySettings(Settings):
    """The whole of `configs/guards.yaml`."""

    version: Literal[1] = 1
    question: list[GuardSettings] = Field(default_factory=list)
    passage: list[GuardSettings] = Field(default_factory=list)
    answer: list[GuardSettings] = Field(default_factory=list)


class Policy:
    """The guards of every place. A place without guards allows everything."""

    def __init__(self, settings: PolicySettings, *, extra: Iterable[tuple[Place, Guard]] = ()):
        """Make the guards a file names; `extra` adds guards of your own, blocking, closed."""
        self.hash = digest(settings.model_dump(mode="json"))
        self._guards: dict[Place, list[tuple[Guard, Action, Literal["open", "closed"]]]] = {
            "question": [_entry(s) for s in settings.question],
            "passage": [_entry(s) for s in settings.passage],
            "answer": [_entry(s) for s in settings.answer],
        }
        for place, guard in extra:
            self._guards[place].append((guard, Action.BLOCK, "closed"))

    def check(self, text: str, place: Place) -> tuple[Verdict, ...]:
        """Run all guards of a place on a text; one verdict each, in the file's order."""
        return tuple(
            judge(guard, text, place, action, on_error)
            for guard, action, on_error in self._guards.get(place, ())
        )

    @staticmethod
    def combine(verdicts: Iterable[Verdict]) -> Action:
        """Give the strongest decision."""
        return combine(verdicts)

    @staticmethod
    def apply(text: str, verdicts: Iterable[Verdict]) -> str:
        """Redact once, on the original."""
        return apply(text, verdicts)


def _entry(settings: GuardSettings) -> tuple[Guard, Action, Literal["open", "closed"]]:
    made: dict[str, Guard] = {
        "length": LengthGuard(settings.max_chars),
        "secrets": SecretsGuard(),
        "injection": InjectionGuard(),
        "pii": PiiGuard(settings.kinds, settings.region),
    }
    return made[settings.guard], Action(settings.action), settings.on_error


def load_policy(path: Path) -> Policy:
    """Read a policy file; a missing one is an error, for no guards at all must be written down.

    Raises:
        ConfigError: names file, place, guard and cure.
    """
    shown = f"{path.parent.name}/{path.name}"
    if not path.is_file():
        raise ConfigError(f"{shown}: is missing; copy it from the starter (`genai init`)")
    settings = validate(PolicySettings, parse_yaml(path.read_text("utf-8"), shown) or {}, shown)
    for place in ("question", "passage", "answer"):
        for entry in getattr(settings, place):
            _check(entry, place, shown)
    return Policy(settings)


def _check(entry: GuardSettings, place: str, shown: str) -> None:
    if entry.guard not in NAMES:
        close = difflib.get_close_matches(entry.guard, NAMES, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(NAMES)}"
        raise ConfigError(f"{shown}: `{entry.guard}` of `{place}` is not a guard; {hint}")
    allowed = _PASSAGE if place == "passage" else _QUESTION
    if entry.action not in allowed:
        raise ConfigError(
            f"{shown}: `{entry.guard}` of `{place}` cannot `{entry.action}`; use one of"
            f" {', '.join(sorted(allowed))}"
        )
    unknown = set(entry.kinds) - set(KINDS)
    if unknown:
        raise ConfigError(
            f"{shown}: `{min(unknown)}` is not a kind of personal data; known: {', '.join(KINDS)}"
        )
