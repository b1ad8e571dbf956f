"""Is a use case worth building? One file under `configs/usecases/`, one score with its range.

A number is a value or `[low, likely, high]`, the three of a triangle. Times are minutes or hours as
their names say, money is in one currency. Some findings stop a case whatever its score.
"""

import difflib
from collections.abc import Mapping
from datetime import date as Day
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from genai.config import Currency, Settings, read_settings
from genai.errors import ConfigError, InputError

Number = float | list[float]
Review = Literal["none", "review_sample", "review_each", "approve_each"]
Class = Literal["minimal", "limited", "high", "prohibited"]


def _ordered(given: Number) -> Number:
    if isinstance(given, list) and (len(given) != 3 or sorted(given) != given):
        raise ValueError("a range is [low, likely, high], in this order")
    if min(parts(given)) < 0:
        raise ValueError("must not be negative")
    return given


def _share(given: Number) -> Number:
    if max(parts(given)) > 1:
        raise ValueError("is a share, 0 to 1")
    return given


def parts(given: Number) -> list[float]:
    """Give low, likely and high of a number."""
    return given if isinstance(given, list) else [given, given, given]


Amount = Annotated[Number, AfterValidator(_ordered)]
Share = Annotated[Number, AfterValidator(_ordered), AfterValidator(_share)]


class Today(Settings):
    """What the task takes without the model."""

    volume_per_year: Amount
    minutes_per_task: Amount
    wage_per_hour: Amount
    error_rate_now: Share = 0.0
    cost_per_error: Amount = 0.0


class Baseline(Settings):
    """A method without AI, and its success share on the same smoke cases."""

    baseline: str = ""
    p_baseline: float = Field(default=0.0, ge=0, le=1)


class Evidence(Settings):
    """Smoke cases by id, and how many of them succeeded."""

    smoke_cases: list[str] | int = Field(default=0, description="their ids, or how many")
    n_success: int = Field(default=0, ge=0)
    corpus_readiness: str = ""
    target: str = ""

    @property
    def n(self) -> int:
        """How many cases were tried."""
        return self.smoke_cases if isinstance(self.smoke_cases, int) else len(self.smoke_cases)

    @model_validator(mode="after")
    def _possible(self) -> "Evidence":
        if self.n_success > self.n:
            raise ValueError(f"{self.n_success} successes in {self.n} smoke cases cannot be")
        return self


class FailureMode(Settings):
    """One way it goes wrong; `detectability` is the share of its errors that somebody notices."""

    name: str
    probability: float = Field(ge=0, le=1)
    source: str
    cost: float = Field(ge=0)
    detectability: float = Field(ge=0, le=1)
    reversibility: Literal["reversible", "costly", "irreversible"]


class Oversight(Settings):
    """Who looks at the outputs; `t_review` is hours a task."""

    review_mode: Review = "none"
    t_review: Amount = 0.0


class Law(Settings):
    """The classes of the AI Act that may apply, and what an automated decision rests on."""

    class_interval: list[Class] = ["minimal"]
    automated_decision: bool = False
    gateway: Literal["", "contract", "law", "consent"] = Field(
        default="", description="the exception of Article 22 GDPR that a decision rests on"
    )
    processors: list[str] = Field(default_factory=list)
    compliance_cost_per_year: Amount = 0.0


class Costs(Settings):
    """What it takes; `c_run` is money a task."""

    currency: Currency = "EUR"
    c_run: Amount
    build_cost: Amount
    run_fixed_per_year: Amount = 0.0
    discount_rate: float = Field(default=0.1, ge=0, lt=1)


class Exit(Settings):
    """What ends it: a metric, its threshold, and the day it is looked at."""

    metric: str
    threshold: str
    date: Day


class Guess(Settings):
    """Marks from 1 to 5 where nobody has numbers yet."""

    value: int = Field(ge=1, le=5)
    feasibility: int = Field(ge=1, le=5)
    data: int = Field(ge=1, le=5)
    risk: int = Field(ge=1, le=5)

    @property
    def score(self) -> float:
        """From 0.667 to 16.667; never beside a value in money."""
        return (2 * self.value + self.feasibility + self.data) * (1 - self.risk / 6)


class UseCase(Settings):
    """The whole of one file. `launched` is the day from which the ledger knows better."""

    version: Literal[1] = 1
    id: str
    owner: str = ""
    user: str
    decision: str = Field(description="what changes because of the output")
    intended_purpose: str
    launched: Day | None = None
    today: Today | None = None
    baseline: Baseline = Baseline()
    evidence: Evidence = Evidence()
    failure_modes: list[FailureMode] = Field(default_factory=list)
    oversight: Oversight = Oversight()
    law: Law = Law()
    money: Costs | None = None
    kill_criteria: list[Exit] = Field(default_factory=list)
    guess: Guess | None = None

    @model_validator(mode="after")
    def _numbers_or_guess(self) -> "UseCase":
        if self.guess is None:
            for name in ("today", "money"):
                if getattr(self, name) is None:
                    raise ValueError(f"`{name}` is missing; without numbers give `guess`")
            if not self.evidence.n:
                raise ValueError("`evidence.smoke_cases` is missing; without it give `guess`")
        elif self.today is not None or self.money is not None:
            raise ValueError("give numbers or `guess`, not both: they are never mixed")
        return self

    @property
    def detectability(self) -> float:
        """The share of errors that somebody notices: the failure modes by their probability."""
        weight = sum(each.probability for each in self.failure_modes)
        if not weight:
            return 0.0
        return sum(e.probability * e.detectability for e in self.failure_modes) / weight

    @property
    def error_cost(self) -> Amount:
        """What an unnoticed error costs: as stated, else by the failure modes."""
        stated = self.today.cost_per_error if self.today else 0.0
        weight = sum(each.probability for each in self.failure_modes)
        if any(parts(stated)) or not weight:
            return stated
        return sum(each.probability * each.cost for each in self.failure_modes) / weight

    def measured(self, found: Mapping[str, float]) -> "UseCase":
        """Put measured values in the place of planned ones: `volume_per_year` and `c_run`."""
        if self.today is None or self.money is None:
            return self
        today = {k: v for k, v in found.items() if k in Today.model_fields}
        money = {k: v for k, v in found.items() if k in Costs.model_fields}
        return self.model_copy(
            update={
                "today": self.today.model_copy(update=today),
                "money": self.money.model_copy(update=money),
            }
        )


def load_usecase(path: Path) -> UseCase:
    """Read one file. Raises `ConfigError` with file, key and cure."""
    found = read_settings(UseCase, path)
    if found.id != path.stem:
        raise ConfigError(
            f"usecases/{path.name}: `id` is {found.id!r}; give it the name of its file"
        )
    return found


def load_usecases(folder: Path, names: list[str] | None = None) -> list[UseCase]:
    """Read the use cases of a project, or those named.

    Raises:
        InputError: there is none, or none of that name.
    """
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not paths:
        raise InputError(f"{folder.name}/: holds no use case; copy one from the starter")
    for name in names or ():
        if name not in paths:
            close = difflib.get_close_matches(name, paths, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(paths)}"
            raise InputError(f"use case {name!r}: there is no such file; {hint}")
    return [load_usecase(paths[name]) for name in names or paths]


def business_inputs(case: UseCase) -> dict[str, dict[str, Any]]:
    """Give what a use case says of the inputs of `configs/business.yaml`, before there is a ledger.

    Volumes are a month's, a task that is not solved goes to a person, and an unnoticed error is
    the share that fails and is not detected.
    """
    if case.today is None or case.money is None:
        raise InputError(
            f"use case {case.id!r}: holds a guess, which no business case can use; give numbers"
        )
    p = case.evidence.n_success / case.evidence.n
    noticed = case.detectability
    each_task = case.oversight.review_mode != "none"
    monthly = [part / 12 for part in parts(case.today.volume_per_year)]
    wage = parts(case.today.wage_per_hour)[1]
    found: dict[str, list[float]] = {
        "volume": monthly,
        "minutes": parts(case.today.minutes_per_task),
        "wage": parts(case.today.wage_per_hour),
        "cost": parts(case.money.c_run),
        "success": [p] * 3,
        "escalated": [(1 - p) * noticed] * 3,
        "undetected": [(1 - p) * (1 - noticed)] * 3,
        "loss": parts(case.error_cost),
        "review": [float(each_task)] * 3,
        "review_cost": [hours * wage for hours in parts(case.oversight.t_review)],
        "fixed": [part / 12 for part in parts(case.money.run_fixed_per_year)],
        "compliance": [part / 12 for part in parts(case.law.compliance_cost_per_year)],
        "build": parts(case.money.build_cost),
    }
    who = {"source": f"usecases/{case.id}.yaml", "owner": case.owner or "nobody"}
    return {
        name: {"low": low, "mode": mode, "high": high, **who}
        for name, (low, mode, high) in found.items()
    }
