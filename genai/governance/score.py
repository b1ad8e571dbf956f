"""The score of use cases: value a task and a year, its range, what matters most, what stops it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai import extras, stats
from genai.errors import InputError
from genai.governance.usecase import UseCase, parts

_CONFIDENCE = 0.90  # of the two-sided interval whose lower end the gate takes
_FEW = 30  # smoke cases below which the share is no ground
_YEARS = 3


@dataclass(frozen=True, slots=True)
class Worth:
    """What one success share is worth: money a task, net money a year, and the present value."""

    p: float
    task: float
    net: float
    npv: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The present value over all draws, and the inputs that move its median most."""

    draws: int
    seed: int
    p10: float
    p50: float
    p90: float
    positive: float
    swings: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """One use case judged. `gate` takes the cautious success share, `point` the one seen.

    `stops` end it whatever the figures say; `guess` is set where there are no figures.
    """

    case: UseCase
    stops: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    gate: Worth | None = None
    point: Worth | None = None
    spread: Spread | None = None
    guess: float | None = None

    @property
    def word(self) -> str:
        """`stop`, `go`, `wait` (the value may well be negative) or `guess`."""
        if self.stops:
            return "stop"
        if self.spread is None:
            return "guess"
        return "go" if self.spread.positive >= 0.8 else "wait"

    def text(self) -> str:
        """Say it in a few lines."""
        lines = [f"{self.case.id}: {self.word}"]
        lines += [f"  stop: {each}" for each in self.stops]
        lines += [f"  note: {each}" for each in self.warnings]
        if self.guess is not None:
            lines.append(f"  guess: {self.guess:.2f} of 16.67, no figures behind it")
        if self.gate and self.point and self.spread and self.case.money:
            unit = self.case.money.currency
            for said, each in (("cautious", self.gate), ("as seen", self.point)):
                lines.append(
                    f"  {said}: success {each.p:.3f}, {each.task:,.2f} {unit} a task,"
                    f" {each.net:,.0f} net a year, NPV {each.npv:,.0f}"
                )
            held = self.spread
            lines.append(
                f"  range: NPV {held.p10:,.0f} / {held.p50:,.0f} / {held.p90:,.0f} (P10/50/90),"
                f" P(NPV > 0) {held.positive:.3f}, {held.draws:,} draws, seed {held.seed}"
            )
            lines += [
                f"  matters: {name} moves it from {low:,.0f} to {high:,.0f}"
                for name, low, high in held.swings
            ]
        return "\n".join(lines)


def hard_stops(case: UseCase) -> list[str]:
    """Name what ends the discussion whatever the figures say."""
    approved = case.oversight.review_mode == "approve_each"
    found = {
        "the use may be prohibited by Article 5 of the AI Act": "prohibited"
        in case.law.class_interval,
        "a solely automated decision has no exception of Article 22 GDPR (`law.gateway`)": (
            case.law.automated_decision and not case.law.gateway
        ),
        "nobody owns it (`owner`)": not case.owner,
        "there is no baseline without AI (`baseline.baseline`)": not case.baseline.baseline,
    }
    stops = [words for words, holds in found.items() if holds]
    for mode in case.failure_modes:
        if mode.reversibility == "irreversible" and not approved:
            stops.append(f"{mode.name}: irreversible, and nobody approves each output")
    if case.evidence.n and case.guess is None:
        uplift = _gate(case) - case.baseline.p_baseline
        if uplift <= 0:
            stops.append(f"no better than the baseline (uplift {uplift:+.3f})")
    return stops


def score(case: UseCase, *, draws: int = 10_000, seed: int = 20_260) -> Score:
    """Judge one use case; the same seed gives the same score.

    Raises:
        InputError: there is nothing to draw, or the seed is negative.
    """
    if draws < 1 or seed < 0:
        raise InputError(f"draws={draws}, seed={seed}: draws are at least 1, a seed at least 0")
    stops = tuple(hard_stops(case))
    if case.guess is not None:
        return Score(case, stops, guess=case.guess.score)
    n = case.evidence.n
    warnings = [f"{n} smoke cases; {_FEW} are needed for a share"] if n < _FEW else []
    if not case.kill_criteria:
        warnings.append("no kill criterion (`kill_criteria`)")
    numbers = {name: parts(each)[1] for name, each in _numbers(case).items()}
    seen = case.evidence.n_success / n
    return Score(
        case, stops, tuple(warnings), _worth(case, _gate(case), numbers),
        _worth(case, seen, numbers), _spread(case, draws, seed),
    )  # fmt: skip


def rank(scores: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    """Order cases with figures by their chance of a gain, then median; guesses stand apart.

    A case that is stopped comes after all that are not.
    """
    figures = [each for each in scores if each.spread is not None]
    guesses = [each for each in scores if each.spread is None]

    def of(each: Score) -> tuple[bool, float, float]:
        assert each.spread is not None
        return bool(each.stops), -each.spread.positive, -each.spread.p50

    return sorted(figures, key=of), sorted(guesses, key=lambda e: (bool(e.stops), -(e.guess or 0)))


def ranking(scores: Sequence[Score]) -> str:
    """Give the ranking as text."""
    figures, guesses = rank(scores)
    lines = [each.text() for each in figures]
    if guesses:
        lines += ["guesses, not to be compared with the above:" if figures else "guesses:"]
        lines += [each.text() for each in guesses]
    return "\n".join(lines)


# -- the formulas --------------------------------------------------------------------------------


def _gate(case: UseCase) -> float:
    return stats.wilson(case.evidence.n_success, case.evidence.n, _CONFIDENCE)[0]


def _numbers(case: UseCase) -> dict[str, Any]:
    """Give every number of the value, hours and money, by the name it has in the file."""
    assert case.today is not None
    assert case.money is not None
    return {
        "volume_per_year": case.today.volume_per_year,
        "minutes_per_task": case.today.minutes_per_task,
        "wage_per_hour": case.today.wage_per_hour,
        "t_review": case.oversight.t_review,
        "c_run": case.money.c_run,
        "cost_per_error": case.error_cost,
        "run_fixed_per_year": case.money.run_fixed_per_year,
        "compliance_cost_per_year": case.law.compliance_cost_per_year,
        "build_cost": case.money.build_cost,
    }


def _value(p: Any, numbers: Any, unnoticed: float, annuity: float) -> tuple[Any, Any, Any]:
    """Give value a task, net value a year and NPV; numbers may be arrays."""
    hours = numbers["minutes_per_task"] / 60
    task = (
        p * hours * numbers["wage_per_hour"]
        - numbers["t_review"] * numbers["wage_per_hour"]
        - numbers["c_run"]
        - (1 - p) * unnoticed * numbers["cost_per_error"]
    )
    net = (
        numbers["volume_per_year"] * task
        - numbers["run_fixed_per_year"]
        - numbers["compliance_cost_per_year"]
    )
    return task, net, net * annuity - numbers["build_cost"]


def _annuity(case: UseCase) -> float:
    rate = case.money.discount_rate if case.money else 0.0
    return math.fsum((1 + rate) ** -year for year in range(1, _YEARS + 1))


def _worth(case: UseCase, p: float, numbers: dict[str, float]) -> Worth:
    task, net, npv = _value(p, numbers, 1 - case.detectability, _annuity(case))
    return Worth(p, float(task), float(net), float(npv))


def _spread(case: UseCase, draws: int, seed: int) -> Spread:
    """Draw the success share from its Beta and each range from its triangle.

    The cautious bound is not used here: it would count caution twice.
    """
    np: Any = extras.load("numpy", "reports")
    random = np.random.default_rng(seed)
    wins = case.evidence.n_success
    drawn: dict[str, Any] = {"success": random.beta(wins + 1, case.evidence.n - wins + 1, draws)}
    for name, number in _numbers(case).items():
        low, likely, high = parts(number)
        drawn[name] = random.triangular(low, likely, high, draws) if high > low else likely
    unnoticed, annuity = 1 - case.detectability, _annuity(case)
    npv = _value(drawn["success"], drawn, unnoticed, annuity)[2]
    middle = {name: float(np.median(each)) for name, each in drawn.items()}
    swings = []
    for name, each in drawn.items():
        if np.ndim(each):
            ends = [
                _value(held["success"], held, unnoticed, annuity)[2]
                for held in (middle | {name: float(q)} for q in np.quantile(each, [0.1, 0.9]))
            ]
            swings.append((name, float(min(ends)), float(max(ends))))
    swings.sort(key=lambda each: each[1] - each[2])
    p10, p50, p90 = map(float, np.quantile(npv, [0.1, 0.5, 0.9]))
    positive = float((npv > 0).mean())
    return Spread(draws, seed, p10, p50, p90, positive, tuple(swings[:3]))
