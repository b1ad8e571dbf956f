"""The inputs of a business case: `configs/business.yaml`, each assumption with who stands for it.

An input is a single value, a range (low, mode, high), or `measured`, which the ledger fills in. A
missing or impossible one is an error that names it.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date as Day
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from genai.config import Currency, Settings, read_settings
from genai.errors import ConfigError

# what the formulas need, with unit and meaning
NAMES: Mapping[str, tuple[str, str]] = {
    "volume": ("cases a month", "cases at full use"),
    "minutes": ("minutes", "handling time of a person for one case"),
    "wage": ("money an hour", "loaded hourly rate of that person"),
    "realisation": ("share", "part of the freed labour that becomes value"),
    "cost": ("money a case", "spending on models for one case, failed calls included"),
    "escalated": ("share", "cases handed to a person after all"),
    "undetected": ("share", "cases with an error nobody noticed"),
    "success": ("share", "cases answered rightly"),
    "loss": ("money", "loss per undetected error"),
    "review": ("share", "cases a person reviews"),
    "review_cost": ("money", "cost of one review"),
    "fixed": ("money a month", "running cost: people, licences"),
    "build": ("money", "investment before the first case"),
    "compliance": ("money a month", "documents, audits, renewed assessments"),
    "revenue": ("money a case", "further revenue per case"),
}
_SHARES = {"realisation", "escalated", "undetected", "success", "review"}
_LEDGER = "USD"  # what the ledger's money is in
_OPTIONAL = {"compliance": 0.0, "revenue": 0.0, "success": 1.0}
# what the formulas need besides; `basis` says who stands for them
OTHERS = ("discount", "ramp", "volume_growth", "price_decline", "hosting")
DEFAULT = "default"  # the source of an input that nobody stated


class Assumption(Settings):
    """One input as somebody states it: a value, or low, mode and high; who, whence and when."""

    value: float | None = None
    low: float | None = None
    mode: float | None = None
    high: float | None = None
    source: str = ""
    owner: str = ""
    date: Day | None = None
    measured: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> "Assumption":
        spread = [self.low, self.mode, self.high]
        given = [each for each in spread if each is not None]
        forms = (self.value is not None) + bool(given) + self.measured
        if forms != 1:
            raise ValueError("give `value`, or `low`, `mode` and `high`, or `measured: true`")
        if given and len(given) != 3:
            raise ValueError("a range needs `low`, `mode` and `high`")
        if len(given) == 3 and not spread[0] <= spread[1] <= spread[2]:  # type: ignore[operator]
            raise ValueError(f"low <= mode <= high does not hold: {given}")
        if not self.measured and not (self.source and self.owner):
            raise ValueError("an assumption needs `source` and `owner`; without them it is a wish")
        return self


class Basis(Settings):
    """Who stands for a number of the plan that is no input, such as `discount`."""

    source: str = ""
    owner: str = ""
    date: Day | None = None


class Hosting(Settings):
    """Own GPUs beside the API: requests a second at the service level, and what they cost."""

    tokens_per_second: float = Field(gt=0)
    utilisation: float = Field(gt=0, le=1)
    peak_to_mean: float = Field(ge=1)
    tokens_per_request: float = Field(gt=0)
    per_hour: float = Field(gt=0, description="money an hour and GPU")
    overhead: float = Field(ge=0, description="money a month for the people who keep it running")
    api_per_request: float = Field(gt=0)


class Criterion(Settings):
    """What ends the project: a figure of the case, the line it must keep, and until when."""

    figure: str
    min: float | None = None
    max: float | None = None
    by: Day | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Criterion":
        if self.min is None and self.max is None:
            raise ValueError(f"`{self.figure}` needs `min` or `max`: which line must it keep?")
        return self

    @property
    def words(self) -> str:
        """Give it in words, such as `payback at most 12 by 2027-03-31`."""
        least = "" if self.min is None else f" at least {self.min:g}"
        most = "" if self.max is None else f" at most {self.max:g}"
        return f"{self.figure}{least}{most}{f' by {self.by}' if self.by else ''}"


class BusinessSettings(Settings):
    """The whole of `configs/business.yaml`."""

    version: Literal[1] = 1
    title: str = "Business case"
    decision: str = ""
    currency: Currency = "USD"
    months: int = Field(default=24, ge=1, le=240)
    discount: float = Field(default=0.10, ge=0, lt=1, description="a year")
    ramp: list[float] = Field(
        default_factory=lambda: [1.0], min_length=1, description="use, month by month"
    )
    volume_growth: float = Field(default=0.0, gt=-1, description="a year")
    price_decline: float = Field(default=0.0, ge=0, lt=1, description="of `cost`, a year")
    inputs: dict[str, Assumption]
    correlations: dict[str, Annotated[float, Field(ge=-1, le=1)]] = Field(
        default_factory=dict, description="'a b': rank correlation"
    )
    hosting: Hosting | None = None
    basis: dict[str, Basis] = Field(
        default_factory=dict, description=f"who stands for {', '.join(OTHERS)}"
    )
    kill: list[Criterion] = Field(default_factory=list)

    @model_validator(mode="after")
    def _complete(self) -> "BusinessSettings":
        for given, known, what in (
            (self.inputs, tuple(NAMES), "is not an input"),
            (self.basis, OTHERS, "in `basis` is not a number of the plan"),
        ):
            for name in given:
                if name not in known:
                    close = difflib.get_close_matches(name, known, n=1)
                    hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"
                    raise ValueError(f"`{name}` {what}; {hint}")
        missing = [name for name in NAMES if name not in self.inputs and name not in _OPTIONAL]
        if missing:
            raise ValueError(f"`inputs.{missing[0]}` is missing ({NAMES[missing[0]][1]})")
        for name, each in self.inputs.items():
            for value in (each.value, each.low, each.high):
                if value is not None and (wrong := _impossible(name, value)):
                    raise ValueError(f"`inputs.{name}` {wrong}")
        if not all(0 <= share <= 1 for share in self.ramp):
            raise ValueError("`ramp` holds shares of full use, 0 to 1")
        return self


def _impossible(name: str, value: float) -> str:
    """Say why an input cannot have a value; nothing where it can."""
    if name in _SHARES and not 0 <= value <= 1:
        return f"is a share: {value} is not in 0..1"
    if name != "revenue" and value < 0:  # revenue may be lost
        return f"is {NAMES[name][1]}: {value} is below 0"
    return ""


@dataclass(frozen=True, slots=True)
class Input:
    """One input as the formulas take it: how it is drawn, and where it comes from.

    `kind`: `fixed` (a), `pert` (a low, b mode, c high), `beta` (a hits of b), `lognormal` (a
    median, b sigma), `blocks` (`blocks` of (sum, count), a day each, resampled as they stand).
    """

    name: str
    kind: Literal["fixed", "pert", "beta", "lognormal", "blocks"]
    a: float
    b: float = 0.0
    c: float = 0.0
    blocks: tuple[tuple[float, float], ...] = ()
    source: str = ""
    owner: str = ""
    date: str = ""
    n: int | None = None

    def unit(self, currency: str) -> str:
        """Say what a value counts, such as `minutes` or `USD a case`."""
        return NAMES[self.name][0].replace("money", currency)

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        return NAMES[self.name][1]

    @property
    def central(self) -> float:
        """The value of the deterministic case: the mode, the share, the median."""
        if self.kind == "pert":
            return self.b
        if self.kind == "beta":
            return self.a / self.b if self.b else 0.0
        if self.kind == "blocks":
            count = sum(n for _, n in self.blocks)
            return sum(total for total, _ in self.blocks) / count if count else 0.0
        return self.a


def load_business(path: Path) -> BusinessSettings:
    """Read the assumptions. Raises `ConfigError` with file, key and cure."""
    return read_settings(BusinessSettings, path)


def inputs_of(settings: BusinessSettings, measured: Mapping[str, Input]) -> dict[str, Input]:
    """Give every input, those marked `measured` from the ledger.

    Raises:
        ConfigError: the ledger cannot say one that is marked as measured.
    """
    found = {}
    for name in NAMES:
        stated = settings.inputs.get(name)
        if stated is None:
            found[name] = Input(name, "fixed", _OPTIONAL[name], source=DEFAULT)
        elif stated.measured:
            if name not in measured:
                raise ConfigError(
                    f"configs/business.yaml: `inputs.{name}` is marked as measured, and the ledger"
                    " holds nothing to measure it by yet; state it as an assumption until then"
                )
            if name == "cost" and settings.currency != _LEDGER:
                raise ConfigError(
                    f"configs/business.yaml: `inputs.cost` is measured in {_LEDGER} and the case"
                    f" counts in {settings.currency}; state it in {settings.currency}"
                )
            found[name] = measured[name]
        else:
            found[name] = _stated(name, stated)
    return found


def _stated(name: str, given: Assumption) -> Input:
    when = given.date.isoformat() if given.date else ""
    if given.value is not None:
        return Input(name, "fixed", given.value, source=given.source, owner=given.owner, date=when)
    low, mode, high = given.low or 0.0, given.mode or 0.0, given.high or 0.0
    if high == low:
        return Input(name, "fixed", low, source=given.source, owner=given.owner, date=when)
    return Input(name, "pert", low, mode, high, source=given.source, owner=given.owner, date=when)


def fixed(inputs: Mapping[str, Input], **values: float) -> dict[str, Input]:
    """Give the inputs with some of them set to a value.

    Raises:
        ConfigError: no such input, or one that cannot have the value.
    """
    for name, value in values.items():
        if name not in inputs:
            raise ConfigError(f"`{name}` is not an input of the business case")
        if wrong := _impossible(name, value):
            raise ConfigError(f"`{name}` {wrong}")
    return {
        name: replace(each, kind="fixed", a=values[name]) if name in values else each
        for name, each in inputs.items()
    }
