"""What `configs/guards.yaml` may say, and what is wrong with what it says."""

import difflib
from typing import Any, Literal

from pydantic import Field

from genai.config import Settings
from genai.errors import ConfigError
from genai.guards.base import OnError
from genai.text.pii import KINDS
from genai.types import Place

PLACES: tuple[Place, ...] = ("question", "passage", "tool_call", "answer", "log")
_COMMON = {"guard", "action", "on_error", "timeout", "threshold"}
# the options of each guard; an option of another guard is a mistake
OPTIONS: dict[str, set[str]] = {
    "length": {"max_chars"},
    "cost": {"max_dollars", "dollars_per_million_tokens"},
    "secrets": set(),
    "injection": {"nearest"},
    "pii": {"kinds", "region"},
    "request": {"categories"},
    "toxicity": {"categories"},
    "topic": {"allow", "deny"},
    "grounded": set(),
    "json": {"json_schema"},
    "language": {"languages"},
    "judge": {"prompt"},
    "guardrails": {"validator", "params"},
}
NAMES = tuple(OPTIONS)
_NEEDS = {
    "cost": ("max_dollars", "dollars_per_million_tokens"), "language": ("languages",),
    "judge": ("prompt",), "guardrails": ("validator",),
}  # fmt: skip
_ACTIONS: dict[Place, set[str]] = {
    "question": {"flag", "redact", "pseudonymise", "block"},
    "passage": {"flag", "pseudonymise", "quarantine"},
    "tool_call": {"flag", "redact", "pseudonymise", "block"},
    "answer": {"flag", "redact", "pseudonymise", "reask", "block"},
    "log": {"flag", "redact", "pseudonymise", "block"},
}


class GuardSettings(Settings):
    """One guard at one place. `on_error` has no default: somebody must have decided."""

    guard: str
    action: Literal["flag", "redact", "pseudonymise", "quarantine", "reask", "block"]
    on_error: OnError
    timeout: float = Field(default=5.0, gt=0, description="seconds a guard that waits may take")
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="a finding with a lower score is none"
    )
    max_chars: int = Field(default=20_000, ge=1)
    max_dollars: float | None = Field(default=None, gt=0)
    dollars_per_million_tokens: float | None = Field(default=None, gt=0)
    kinds: list[str] = Field(default_factory=list)
    region: str = "US"
    nearest: bool = Field(default=True, description="compare with known attacks by meaning too")
    categories: list[str] = Field(default_factory=list, description="empty means all")
    allow: list[str] = Field(default_factory=list, description="example sentences of topics")
    deny: list[str] = Field(default_factory=list, description="example sentences of topics")
    json_schema: dict[str, Any] = Field(default_factory=dict)
    languages: list[str] = Field(default_factory=list)
    prompt: str = Field(default="", description="prompts/<name>.md of a judge")
    validator: str = Field(default="", description="package.module:Class of a guardrails validator")
    params: dict[str, Any] = Field(default_factory=dict)


class PolicySettings(Settings):
    """The whole of `configs/guards.yaml`."""

    version: Literal[1] = 1
    audit: bool = False
    question: list[GuardSettings] = Field(default_factory=list)
    passage: list[GuardSettings] = Field(default_factory=list)
    tool_call: list[GuardSettings] = Field(default_factory=list)
    answer: list[GuardSettings] = Field(default_factory=list)
    log: list[GuardSettings] = Field(default_factory=list)


def check_settings(settings: PolicySettings, shown: str) -> None:
    """Check what no type says: names, actions and options that fit the guard and the place.

    Raises:
        ConfigError: names file, place, guard and cure.
    """
    for place in PLACES:
        for entry in getattr(settings, place):
            _check(entry, place, shown)


def _check(entry: GuardSettings, place: Place, shown: str) -> None:
    name = entry.guard
    if name not in NAMES:
        raise ConfigError(f"{shown}: `{name}` of `{place}` is not a guard; {near(name, NAMES)}")
    if entry.action not in _ACTIONS[place]:
        raise ConfigError(
            f"{shown}: `{name}` of `{place}` cannot `{entry.action}`; use one of"
            f" {', '.join(sorted(_ACTIONS[place]))}"
        )
    if name == "judge" and place == "log":
        raise ConfigError(
            f"{shown}: `judge` of `log` would ask a model for every text that is kept; use `pii`,"
            " `secrets` or another guard that asks nobody"
        )
    foreign = entry.model_fields_set - _COMMON - OPTIONS[name]
    if foreign:
        said = ", ".join(sorted(OPTIONS[name])) or "none of its own"
        raise ConfigError(
            f"{shown}: `{min(foreign)}` is no option of `{name}` of `{place}`; it has {said}"
        )
    for option in _NEEDS.get(name, ()):
        if not getattr(entry, option):
            raise ConfigError(f"{shown}: `{name}` of `{place}` needs `{option}`; give it")
    if name == "topic" and not (entry.allow or entry.deny):
        raise ConfigError(f"{shown}: `topic` of `{place}` needs `allow` or `deny`; give sentences")
    for kind in set(entry.kinds) - set(KINDS):
        raise ConfigError(f"{shown}: `{kind}` is not a kind of personal data; {near(kind, KINDS)}")


def near(given: str, known: tuple[str, ...]) -> str:
    """Say which known name was probably meant, else all of them."""
    close = difflib.get_close_matches(given, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"
