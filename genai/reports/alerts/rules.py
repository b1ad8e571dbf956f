"""Alert rules: `configs/alerts.yaml`, judged on the ledger, each told once an episode."""

import difflib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from genai.config import Settings, read_settings
from genai.ledger import Ledger
from genai.types import Call

_HOUR = 3600.0
Figure = Callable[[Sequence[Call]], float | None]


class Rule(Settings):
    """One rule: a figure over a window, against a line.

    `above` and `below` are plain lines. `slo` is the share of questions that must succeed: the rule
    fires when its error budget burns `burn` times too fast, in the window and in its last twelfth,
    so that it is neither deaf nor nervous. `unusual` compares with the same hours of earlier weeks:
    so many median deviations away. `budget` is dollars a month, judged by pace.
    """

    name: str = Field(min_length=1)
    figure: str
    hours: float = Field(default=1.0, gt=0, le=24 * 31)
    least: int = Field(default=30, ge=1, description="questions below which the rule is silent")
    above: float | None = None
    below: float | None = None
    slo: float | None = Field(default=None, gt=0, lt=1)
    burn: float = Field(default=14.4, gt=1)
    unusual: float | None = Field(default=None, gt=0)
    weeks: int = Field(default=4, ge=2, le=12)
    budget: float | None = Field(default=None, gt=0)
    cooldown: float = Field(default=6.0, ge=0, description="hours before it is told again")
    to: list[str] = Field(default_factory=lambda: ["log"])

    @model_validator(mode="after")
    def _one_line(self) -> "Rule":
        lines = [self.above, self.below, self.slo, self.unusual, self.budget]
        if sum(line is not None for line in lines) != 1:
            raise ValueError("give one of `above`, `below`, `slo`, `unusual` and `budget`")
        if self.figure not in FIGURES:
            close = difflib.get_close_matches(self.figure, FIGURES, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(FIGURES)}"
            raise ValueError(f"`{self.figure}` is not a figure; {hint}")
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


class AlertSettings(Settings):
    """The whole of `configs/alerts.yaml`."""

    version: Literal[1] = 1
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


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that fired: what it saw, of how many questions, and in words. No content is in it."""

    rule: str
    value: float
    n: int
    text: str
    at: float


def _share(outcome: str) -> Figure:
    def figure(calls: Sequence[Call]) -> float | None:
        return sum(call.outcome == outcome for call in calls) / len(calls) if calls else None

    return figure


def _percentile(share: float, name: str) -> Figure:
    def figure(calls: Sequence[Call]) -> float | None:
        values = sorted(v for c in calls if (v := getattr(c, name)) is not None)
        return values[max(-(-int(share * 100) * len(values) // 100), 1) - 1] if values else None

    return figure


def _cost(calls: Sequence[Call]) -> float | None:
    return float(sum(call.cost.amount or 0 for call in calls if not _unknown(call)))


def _unknown(call: Call) -> bool:
    """Say whether nobody knows the dollars of a call; another currency is not dollars."""
    return call.cost.amount is None or call.cost.currency != "USD"


def _unpriced(calls: Sequence[Call]) -> float | None:
    return sum(map(_unknown, calls)) / len(calls) if calls else None


FIGURES: Mapping[str, Figure] = {
    "questions": lambda calls: float(len(calls)),
    "error_share": _share("error"),
    "refusal_share": _share("refusal"),
    "p95_seconds": _percentile(0.95, "seconds"),
    "ttft_p95_seconds": _percentile(0.95, "ttft"),
    "cost": _cost,
    "unpriced_share": _unpriced,
}


def load_alerts(path: Path) -> AlertSettings:
    """Read the rules. Raises `ConfigError` with file, key and cure."""
    return read_settings(AlertSettings, path)


def due(
    settings: AlertSettings, ledger: Ledger, memory: Path, *, now: float | None = None
) -> list[Alert]:
    """Judge every rule; give those that fire and were not told within their cooldown.

    `memory` is the file that keeps when each was told; a rule that is quiet again is forgotten.
    """
    at = time.time() if now is None else now
    told: dict[str, float] = _remembered(memory)
    found = []
    for rule in settings.rules:
        alert = _judge(rule, ledger, at)
        if alert is None:
            told.pop(rule.name, None)
        elif at - told.get(rule.name, -1e18) >= rule.cooldown * _HOUR:
            told[rule.name] = at
            found.append(alert)
    memory.parent.mkdir(parents=True, exist_ok=True)
    draft = memory.with_suffix(".draft")
    draft.write_text(json.dumps(told, sort_keys=True), encoding="utf-8")
    draft.replace(memory)
    return found


def _remembered(memory: Path) -> dict[str, float]:
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
        return {str(name): float(at) for name, at in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}  # told once too often is better than never


def _judge(rule: Rule, ledger: Ledger, now: float) -> Alert | None:
    if rule.budget is not None:
        return _pace(rule, rule.budget, ledger, now)
    calls = _window(ledger, now - rule.hours * _HOUR, now)
    value = FIGURES[rule.figure](calls)
    if value is None or len(calls) < rule.least:
        return None
    if rule.slo is not None:
        return _burn(rule, rule.slo, calls, now)
    if rule.unusual is not None:
        return _unusual(rule, rule.unusual, value, len(calls), ledger, now)
    over = rule.above is not None and value > rule.above
    under = rule.below is not None and value < rule.below
    if not over and not under:
        return None
    line = rule.above if over else rule.below
    word = "above" if over else "below"
    return _alert(rule, value, len(calls), f"{word} {line:g}", now)


def _window(ledger: Ledger, since: float, until: float) -> list[Call]:
    return ledger.calls(
        limit=10**9, since=since, until=math.nextafter(until, math.inf), kind="chain"
    )


def _burn(rule: Rule, slo: float, calls: Sequence[Call], now: float) -> Alert | None:
    """Fire where the long window and its last twelfth both burn the budget too fast."""
    recent = [call for call in calls if call.started_at >= now - rule.hours * _HOUR / 12]
    rates = [_burning(each, slo) for each in (calls, recent)]
    if any(rate is None or rate < rule.burn for rate in rates):
        return None
    words = f"burns the error budget of {slo:.2%} at {rates[0]:.1f} times the pace"
    return _alert(rule, rates[0] or 0.0, len(calls), words, now)


def _burning(calls: Sequence[Call], slo: float) -> float | None:
    if not calls:
        return None
    return sum(call.outcome == "error" for call in calls) / len(calls) / (1 - slo)


def _unusual(
    rule: Rule, limit: float, value: float, n: int, ledger: Ledger, now: float
) -> Alert | None:
    """Compare with the same hours of the weeks before; their spread is the median deviation."""
    week, before = 7 * 24 * _HOUR, []
    for back in range(1, rule.weeks + 1):
        end = now - back * week
        then = FIGURES[rule.figure](_window(ledger, end - rule.hours * _HOUR, end))
        if then is not None:
            before.append(then)
    if len(before) < 2:
        return None
    middle = statistics.median(before)
    spread = statistics.median(abs(each - middle) for each in before) * 1.4826
    away = abs(value - middle) / max(spread, abs(middle) * 0.05, 1e-9)
    if away < limit:
        return None
    words = f"{away:.1f} deviations from {middle:.4g}, the middle of {len(before)} weeks"
    return _alert(rule, value, n, words, now)


def _pace(rule: Rule, budget: float, ledger: Ledger, now: float) -> Alert | None:
    """Fire where the month's spending, carried on at its pace, passes the budget."""
    today = time.gmtime(now)
    start = now - ((today.tm_mday - 1) * 24 + today.tm_hour) * _HOUR - today.tm_min * 60
    month = 30.4 * 24 * _HOUR
    until = math.nextafter(now, math.inf)
    calls = ledger.calls(limit=10**9, since=start, until=until, kind="model")
    spent = _cost(calls) or 0.0
    elapsed = max(now - start, _HOUR)
    forecast = spent * month / elapsed
    if len(calls) < rule.least or forecast <= budget:
        return None
    words = f"${spent:.2f} this month, ${forecast:.2f} at this pace, the budget is ${budget:.2f}"
    return _alert(rule, spent, len(calls), words, now)


def _alert(rule: Rule, value: float, n: int, words: str, now: float) -> Alert:
    return Alert(rule.name, value, n, f"{rule.name}: {rule.figure} is {value:.4g}, {words} (n {n})",
                 now)  # fmt: skip
