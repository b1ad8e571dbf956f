"""Alert rules and sinks as a person writes them: `configs/alerts.yaml`."""

import difflib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from genai.config import Settings, read_settings
from genai.reports.alerts.figures import FIGURES, SHARES, STATES

_HERE = ("localhost", "127.0.0.1", "::1")


class Rule(Settings):
    """One rule: a figure over a window, against a line.

    `above` and `below` are plain lines. `slo` is the part of the calls that must be good, for a
    figure that is a share of bad ones: the rule fires when its error budget burns `burn` times too
    fast, in the window and in its last twelfth, so that it is neither deaf nor nervous. `unusual`
    compares with the same hours of earlier weeks: so many median deviations away. `budget` is
    dollars a month: it fires where the pace would pass it, and once at each of its `steps`.
    """

    name: str = Field(min_length=1)
    figure: str
    hours: float = Field(default=1.0, gt=0, le=24 * 31)
    least: int = Field(default=30, ge=1, description="calls below which the rule is silent")
    above: float | None = None
    below: float | None = None
    slo: float | None = Field(default=None, gt=0, lt=1)
    burn: float = Field(default=14.4, gt=1)
    unusual: float | None = Field(default=None, gt=0)
    weeks: int = Field(default=4, ge=2, le=12)
    budget: float | None = Field(default=None, gt=0)
    steps: list[Annotated[float, Field(gt=0)]] = Field(
        default=[0.5, 0.8, 1.0], description="shares of the budget, each told once a month"
    )
    cooldown: float = Field(default=6.0, ge=0, description="hours before it is told again")
    to: list[str] = Field(default_factory=lambda: ["log"], min_length=1)

    @model_validator(mode="after")
    def _one_line(self) -> "Rule":
        lines = [self.above, self.below, self.slo, self.unusual, self.budget]
        if sum(line is not None for line in lines) != 1:
            raise ValueError("give one of `above`, `below`, `slo`, `unusual` and `budget`")
        if self.figure not in FIGURES:
            close = difflib.get_close_matches(self.figure, FIGURES, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(FIGURES)}"
            raise ValueError(f"`{self.figure}` is not a figure; {hint}")
        if self.slo is not None and self.figure not in SHARES:
            raise ValueError(f"`slo` takes a share of bad calls: {', '.join(SHARES)}")
        if self.unusual is not None and self.figure in STATES:
            raise ValueError(f"`{self.figure}` has no earlier weeks; give `above` or `below`")
        if self.budget is not None and self.figure != "cost":
            raise ValueError("`budget` is dollars a month; its figure is `cost`")
        return self


class Sink(Settings):
    """Where alerts go. Secrets are named by their environment variable, never written here."""

    kind: Literal["log", "webhook", "email"]
    url_env: str = ""
    host: str = "localhost"
    port: int = Field(default=25, ge=1, le=65_535)
    sender: str = ""
    receivers: list[str] = Field(default_factory=list)
    user_env: str = ""
    password_env: str = ""
    tls: bool = False
    timeout: float = Field(default=5.0, gt=0, le=60)

    @model_validator(mode="after")
    def _reachable(self) -> "Sink":
        if self.kind == "webhook" and not self.url_env:
            raise ValueError("a webhook needs `url_env`, the environment variable with its URL")
        if self.kind == "email" and not self.receivers:
            raise ValueError("mail needs `receivers`")
        if bool(self.user_env) != bool(self.password_env):
            raise ValueError("`user_env` and `password_env` go together; name both")
        if self.user_env and not self.tls and self.host not in _HERE:
            raise ValueError("`user_env` would send a password in the clear; set `tls: true`")
        return self


class Reference(Settings):
    """The days that drift is measured against, the first and the last included."""

    first: date
    last: date

    @model_validator(mode="after")
    def _forward(self) -> "Reference":
        if self.last < self.first:
            raise ValueError(f"{self.first} to {self.last}: it ends before it begins")
        return self


class AlertSettings(Settings):
    """The whole of `configs/alerts.yaml`."""

    version: Literal[1] = 1
    reference: Reference | None = None
    sinks: dict[str, Sink] = Field(default_factory=lambda: {"log": Sink(kind="log")})
    rules: list[Rule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known_sinks(self) -> "AlertSettings":
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two rules are named `{name}`; rename one")
        for rule in self.rules:
            for sink in rule.to:
                if sink not in self.sinks:
                    raise ValueError(f"rule `{rule.name}` tells `{sink}`, which is not in `sinks`")
        return self


def load_alerts(path: Path) -> AlertSettings:
    """Read the rules. Raises `ConfigError` with file, key and cure."""
    return read_settings(AlertSettings, path)
