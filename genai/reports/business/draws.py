"""Uncertainty: every input drawn from what is known of it, thousands of times, by one seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genai import extras
from genai.errors import ConfigError, InputError
from genai.reports.business.formula import monthly, price_of, use_of
from genai.reports.business.inputs import DEFAULT, BusinessSettings, Input

_BINS = 50  # of one input, for the value of knowing it


@dataclass(frozen=True, slots=True)
class Swing:
    """How far the value moves when one input goes from its P10 to its P90, others at median.

    `share` is its part of the squared rank correlations; `worth` is what knowing it exactly
    would be worth before deciding (EVPPI).
    """

    name: str
    low: float
    high: float
    share: float
    worth: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """The distribution of the net present value. `cvar5` is the mean of the worst 5 %.

    `evpi` is what perfect knowledge of everything would be worth before deciding.
    """

    draws: int
    seed: int
    mean: float
    sd: float
    p10: float
    p50: float
    p90: float
    positive: float
    cvar5: float
    evpi: float
    swings: tuple[Swing, ...]
    fan: tuple[tuple[float, float, float], ...]  # cumulative P10, P50, P90, month by month
    curve: tuple[float, ...]  # 101 quantiles of the value


def outlook(
    settings: BusinessSettings, inputs: Mapping[str, Input], *, draws: int = 10_000,
    seed: int = 20_260,
) -> Outlook:  # fmt: skip
    """Draw all inputs and give the distribution of the value. The same seed gives the same.

    Raises:
        InputError: there is nothing to draw, or the seed is negative.
    """
    if draws < 1 or seed < 0:
        raise InputError(f"draws={draws}, seed={seed}: draws are at least 1, a seed at least 0")
    np: Any = extras.load("numpy", "evals")
    drawn = _drawn(np, settings, inputs, draws, np.random.default_rng(seed))
    value, cumulative = _value(np, settings, drawn)
    order = np.sort(value)
    evpi = float(np.maximum(value, 0).mean() - max(value.mean(), 0.0))
    p10, p50, p90 = map(float, np.quantile(value, [0.1, 0.5, 0.9]))
    fan = np.quantile(cumulative, [0.1, 0.5, 0.9], axis=0).T
    return Outlook(
        draws, seed, float(value.mean()), float(value.std(ddof=min(draws - 1, 1))), p10, p50, p90,
        float((value > 0).mean()), float(order[: max(draws // 20, 1)].mean()), evpi,
        _swings(np, settings, drawn, value),
        tuple((float(low), float(mid), float(high)) for low, mid, high in fan),
        tuple(map(float, np.quantile(value, np.linspace(0, 1, 101)))),
    )  # fmt: skip


def _drawn(
    np: Any, settings: BusinessSettings, inputs: Mapping[str, Input], draws: int, random: Any
) -> dict[str, Any]:
    """Draw each input by its own quantile function, the ranks tied by a Gaussian copula."""
    special: Any = extras.load("scipy.special", "evals")
    names = [
        name for name, each in inputs.items() if each.kind != "fixed" or each.source != DEFAULT
    ]
    normal = random.standard_normal((draws, len(names)))
    if settings.correlations:
        normal = normal @ _factor(np, names, settings.correlations)
    ranks = special.ndtr(normal)
    found = {name: np.full(draws, each.a) for name, each in inputs.items()}
    return found | {
        name: _quantiles(np, special, inputs[name], ranks[:, at], random)
        for at, name in enumerate(names)
    }


def _factor(np: Any, names: Sequence[str], pairs: Mapping[str, float]) -> Any:
    matrix = np.eye(len(names))
    for pair, value in pairs.items():
        one, _, other = pair.partition(" ")
        if one not in names or other not in names or one == other:
            raise ConfigError(
                f"configs/business.yaml: `correlations`: {pair!r} must be two inputs, 'volume cost'"
            )
        at = names.index(one), names.index(other)
        matrix[at] = matrix[at[::-1]] = 2 * math.sin(math.pi * value / 6)
    try:
        return np.linalg.cholesky(matrix).T
    except np.linalg.LinAlgError as error:
        raise ConfigError(
            "configs/business.yaml: `correlations` contradict each other; make them smaller"
        ) from error


def _quantiles(np: Any, special: Any, given: Input, ranks: Any, random: Any) -> Any:
    if given.kind == "pert":
        low, mode, high = given.a, given.b, given.c
        one = 1 + 4 * (mode - low) / (high - low)
        two = 1 + 4 * (high - mode) / (high - low)
        return low + (high - low) * special.betaincinv(one, two, ranks)
    if given.kind == "beta":
        return special.betaincinv(given.a + 1, given.b - given.a + 1, ranks)
    if given.kind == "lognormal":
        return given.a * np.exp(given.b * special.ndtri(ranks))
    if given.kind == "blocks":
        sums = np.array([total for total, _ in given.blocks])
        counts = np.array([count for _, count in given.blocks])
        size = len(given.blocks)
        weights = random.multinomial(size, np.full(size, 1 / size), len(ranks))
        # a draw of days without a question has no cost a question, and is drawn anew
        while counts.any() and (empty := weights @ counts == 0).any():
            weights[empty] = random.multinomial(size, np.full(size, 1 / size), empty.sum())
        return (weights @ sums) / np.maximum(weights @ counts, 1)
    return np.full(len(ranks), given.a)


def _value(np: Any, settings: BusinessSettings, v: Mapping[str, Any]) -> tuple[Any, Any]:
    """Give the net present value and the cumulative cash, month by month, of every draw."""
    months = range(1, settings.months + 1)
    use = np.array([use_of(settings, month) for month in months])
    price = np.array([price_of(settings, month) for month in months])
    factor = (1 + monthly(settings.discount)) ** -np.arange(1.0, settings.months + 1)
    human = v["minutes"] / 60 * v["wage"]
    freed = v["realisation"] * human * (1 - v["escalated"]) + v["revenue"]
    lost = v["undetected"] * v["loss"] + v["review"] * v["review_cost"]
    cases = v["volume"][:, None] * use
    running = v["fixed"] + v["compliance"]
    net = cases * ((freed - lost)[:, None] - v["cost"][:, None] * price) - running[:, None]
    cumulative = np.cumsum(net, axis=1) - v["build"][:, None]
    return net @ factor - v["build"], cumulative


def _swings(
    np: Any, settings: BusinessSettings, drawn: Mapping[str, Any], value: Any
) -> tuple[Swing, ...]:
    moving = [name for name, column in drawn.items() if column.max() > column.min()]
    medians = {name: np.array([np.median(column)]) for name, column in drawn.items()}
    ranks = _ranks(np, value)
    squares = {name: _correlation(np, _ranks(np, drawn[name]), ranks) ** 2 for name in moving}
    total = sum(squares.values()) or 1.0
    found = []
    for name in moving:
        ends = np.quantile(drawn[name], [0.1, 0.9])
        low, high = (
            float(_value(np, settings, {**medians, name: np.array([end])})[0][0]) for end in ends
        )
        worth = _worth(np, drawn[name], value)
        found.append(Swing(name, low, high, float(squares[name] / total), worth))
    return tuple(sorted(found, key=lambda each: -abs(each.high - each.low)))


def _worth(np: Any, column: Any, value: Any) -> float:
    """Give what knowing one input is worth: decide within bins of it instead of once for all."""
    order = np.argsort(column, kind="stable")
    bins = np.array_split(value[order], min(_BINS, len(value)))
    best = math.fsum(max(float(each.mean()), 0.0) * len(each) for each in bins) / len(value)
    return max(best - max(float(value.mean()), 0.0), 0.0)


def _ranks(np: Any, values: Any) -> Any:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _correlation(np: Any, one: Any, other: Any) -> float:
    return float(np.corrcoef(one, other)[0, 1])
