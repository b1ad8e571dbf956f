"""Money of a call in dollars, and of several calls as one."""

from collections.abc import Sequence
from decimal import Decimal

from genai.types import Cost, CostStatus


def total_cost(costs: Sequence[Cost]) -> Cost:
    """Add up the money of several calls, unknown if that of any is; one call's is as it stands."""
    if len(costs) == 1:
        return costs[0]
    paid = [cost for cost in costs if cost.status != CostStatus.DECLARED_FREE]
    if not paid:
        return Cost(Decimal(0), CostStatus.DECLARED_FREE, "every call was declared free")
    unknown = [cost for cost in paid if cost.amount is None]
    if unknown:
        return Cost(None, CostStatus.UNPRICED, unknown[0].reason)
    currencies = sorted({cost.currency for cost in paid})
    if len(currencies) > 1:
        return Cost(None, CostStatus.UNPRICED, f"booked in {' and '.join(currencies)}")
    amount = sum((cost.amount for cost in paid if cost.amount is not None), Decimal(0))
    statuses = {cost.status for cost in paid}
    status = statuses.pop() if len(statuses) == 1 else CostStatus.ESTIMATED
    return Cost(amount, status, paid[0].reason, currencies[0])


def in_dollars(cost: Cost) -> Decimal | None:
    """Give the dollars of a call; None where nobody knows them or another currency was booked."""
    return cost.amount if cost.currency == "USD" else None
