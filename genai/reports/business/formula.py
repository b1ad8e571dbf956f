"""The arithmetic of a business case, for one set of values.

Realisation scales freed labour only; spending and losses are cash. A case ends as resolved,
escalated to a person, or with an error nobody noticed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genai.reports.business.inputs import BusinessSettings, Hosting

_HOURS = 730.0  # of a month


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the plan, in money; `cumulative` includes the investment."""

    number: int
    use: float
    benefit: float
    variable: float
    fixed: float
    compliance: float
    net: float
    discounted: float
    cumulative: float


@dataclass(frozen=True, slots=True)
class Case:
    """What one set of values gives. Rates are monthly; None where there is no such figure."""

    benefit_per_case: float
    cash_cost_per_case: float
    cost_per_success: float | None
    cost_with_fallback: float
    npv: float
    pv_benefits: float
    pv_costs: float
    roi: float
    bcr: float
    irr: float | None
    payback: float | None
    payback_discounted: float | None
    break_even_volume: float | None
    months: tuple[Month, ...]


def case_of(settings: BusinessSettings, values: Mapping[str, float]) -> Case:
    """Work out the case for single values of all inputs."""
    v = dict(values)
    human = v["minutes"] / 60 * v["wage"]
    freed = v["realisation"] * human * (1 - v["escalated"]) + v["revenue"]
    rate = monthly(settings.discount)
    rows: list[Month] = []
    total, benefits, costs = -v["build"], 0.0, v["build"]
    for number in range(1, settings.months + 1):
        use = use_of(settings, number)
        cases = v["volume"] * use
        spend = v["cost"] * price_of(settings, number) + _loss(v)
        benefit, variable = cases * freed, cases * spend
        net = benefit - variable - v["fixed"] - v["compliance"]
        factor = (1 + rate) ** -number
        total += net
        benefits += benefit * factor
        costs += (variable + v["fixed"] + v["compliance"]) * factor
        rows.append(Month(number, use, benefit, variable, v["fixed"], v["compliance"], net,
                          net * factor, total))  # fmt: skip
    cash = v["cost"] + _loss(v)
    per_case = freed - cash
    flows = [-v["build"], *(row.net for row in rows)]
    npv = -v["build"] + math.fsum(row.discounted for row in rows)
    success = v["success"]
    return Case(
        per_case, cash, v["cost"] / success if success else None,
        v["cost"] + (1 - success) * human, npv, benefits, costs,
        (benefits - costs) / costs if costs else 0.0, benefits / costs if costs else 0.0,
        irr(flows), payback(flows), payback([-v["build"], *(row.discounted for row in rows)]),
        (v["fixed"] + v["compliance"]) / per_case if per_case > 0 else None, tuple(rows),
    )  # fmt: skip


def _loss(v: Mapping[str, float]) -> float:
    return v["undetected"] * v["loss"] + v["review"] * v["review_cost"]


def monthly(yearly: float) -> float:
    """Give the monthly rate that compounds to a yearly one."""
    return float((1 + yearly) ** (1 / 12) - 1)


def use_of(settings: BusinessSettings, month: int) -> float:
    """Give the cases of a month as a share of `volume`: the ramp, then growth."""
    ramp = settings.ramp[month - 1] if month <= len(settings.ramp) else settings.ramp[-1]
    return float(ramp * (1 + settings.volume_growth) ** ((month - 1) / 12))


def price_of(settings: BusinessSettings, month: int) -> float:
    """Give the model price of a month as a share of today's."""
    return float((1 - settings.price_decline) ** ((month - 1) / 12))


def irr(flows: Sequence[float]) -> float | None:
    """Give the rate at which the flows are worth nothing; None where there is no such rate."""

    def worth(rate: float) -> float:
        return math.fsum(flow / (1 + rate) ** n for n, flow in enumerate(flows))

    # at a lower rate a power of many months would be 0, which nothing is divided by
    low, high = max(-0.99, float(1e-250 ** (1 / len(flows))) - 1), 10.0
    if not any(flow < 0 for flow in flows) or worth(low) * worth(high) > 0:
        return None
    for _ in range(200):
        middle = (low + high) / 2
        if worth(low) * worth(middle) <= 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def payback(flows: Sequence[float]) -> float | None:
    """Give the months until the sum is no longer negative, linear inside the month; None if never.

    A sum that falls below zero again later does not count as paid back before that.
    """
    total, found = flows[0], 0.0 if flows[0] >= 0 else None
    for number, flow in enumerate(flows[1:], start=1):
        before, total = total, total + flow
        if total < 0:
            found = None
        elif found is None:
            found = number - 1 + (-before / flow if flow else 0.0)
    return found


def crossings(hosting: Hosting, most: float) -> list[tuple[float, float]]:
    """Give every band of requests a month, up to `most`, in which own GPUs are cheaper.

    The cost of GPUs is a staircase, so there are several bands; the last one has no end (inf).
    """
    each = hosting.per_hour * _HOURS
    room = (
        hosting.tokens_per_second * hosting.utilisation * _HOURS * 3600
        / (hosting.peak_to_mean * hosting.tokens_per_request)
    )  # fmt: skip
    bands: list[tuple[float, float]] = []
    if hosting.api_per_request * room <= each:
        return bands  # even a GPU in full use is dearer
    count = 1
    while (count - 1) * room < most:
        cost = each * count + hosting.overhead
        start = max(cost / hosting.api_per_request, (count - 1) * room)
        # a step that is cheaper from its first request on is followed by none that is dearer
        end = math.inf if start == (count - 1) * room else count * room
        if start < end:
            if bands and bands[-1][1] >= start:
                bands[-1] = (bands[-1][0], end)
            else:
                bands.append((start, end))
        if math.isinf(end):
            break
        count += 1
    return bands
