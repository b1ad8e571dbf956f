"""What a rule may watch: figures of the calls of a window, and of the state things are in now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from genai.ledger import Ledger, Prices
from genai.ledger.rollup import PAID
from genai.ledger.sums import in_dollars
from genai.reports.invoices import newest_error
from genai.types import Call


@dataclass(frozen=True, slots=True)
class State:
    """What stands beside the calls: the ledger, its prices, the history of bills (a file)."""

    ledger: Ledger
    prices: Prices | None = None
    invoices: Path | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the calls of some kinds in a window; None where they cannot say.

    `bad` tells which calls a share counts, so that an error budget can be made of it. `now` is
    given where the figure is about the state of things at a time, for which few calls are enough;
    it is given the window's begin and end. `count` says that it is the number of calls, so that
    none at all is a figure too.
    """

    kinds: Sequence[str] = ("chain",)
    of: Callable[[Sequence[Call]], float | None] | None = None
    bad: Callable[[Call], bool] | None = None
    now: Callable[[State, Sequence[Call], float, float], float | None] | None = None
    count: bool = False

    def value(self, calls: Sequence[Call], state: State, since: float, now: float) -> float | None:
        """Give the figure of a window's calls, at its end."""
        if self.now is not None:
            return self.now(state, calls, since, now)
        if self.bad is not None:
            return sum(map(self.bad, calls)) / len(calls) if calls else None
        return self.of(calls) if self.of is not None else None


def cost(calls: Sequence[Call]) -> float:
    """Add up the dollars that are known."""
    return float(sum(in_dollars(call.cost) or 0 for call in calls))


def _unknown(call: Call) -> bool:
    return in_dollars(call.cost) is None


def _percentile(share: float, name: str) -> Callable[[Sequence[Call]], float | None]:
    def figure(calls: Sequence[Call]) -> float | None:
        values = sorted(v for c in calls if (v := getattr(c, name)) is not None)
        return values[max(-(-int(share * 100) * len(values) // 100), 1) - 1] if values else None

    return figure


def _per_answer(calls: Sequence[Call]) -> float | None:
    answers = sum(call.outcome == "ok" for call in calls)
    return cost(calls) / answers if answers and not any(map(_unknown, calls)) else None


def _cached(calls: Sequence[Call]) -> float | None:
    read = sum(call.usage.cached_tokens for call in calls)
    whole = sum(call.usage.input_tokens for call in calls)
    return read / whole if whole else None


def _lost(state: State, calls: Sequence[Call], since: float, now: float) -> float:
    """Count calls whose process died before the reply, and rows that could not be stored."""
    lost = state.ledger.calls(limit=10**9, since=since, until=now, outcome="lost")
    return float(len(lost) + state.ledger.set_aside(since))


def _stale(state: State, calls: Sequence[Call], since: float, now: float) -> float:
    """Count reservations of budgets that nobody settled in their time."""
    import sqlalchemy as sa

    from genai.ledger.tables import reservations as table

    query = sa.select(sa.func.count()).where(table.c.state == "open", table.c.expires_at < now)
    with state.ledger.database.begin(write=False) as db:
        return float(db.execute(query).scalar_one())


def _price_age(state: State, calls: Sequence[Call], since: float, now: float) -> float | None:
    """Give the age in days of the newest price list that calls of the window were priced by."""
    used = {call.cost.snapshot for call in calls}
    lists = [] if state.prices is None else state.prices.snapshots
    dates = [each.imported_at for each in lists if each.hash[:16] in used]  # as rows name it
    return float((_today(now) - max(dates)).days) if dates else None


def _days_to_end(state: State, calls: Sequence[Call], since: float, now: float) -> float | None:
    """Give the days until a provider ends the first of the models that were called."""
    if state.prices is None:
        return None
    known = state.prices
    used = {known.canonical(call.model) for call in calls}
    # the version that answered may end before the name that was asked for
    used |= {f"{call.model.partition('/')[0]}/{call.response_model}" for call in calls}
    ends = [day for day, name in known.ending(date.max) if name in used]
    return float((min(ends) - _today(now)).days) if ends else None


def _invoice_error(state: State, calls: Sequence[Call], since: float, now: float) -> float | None:
    return None if state.invoices is None else newest_error(state.invoices)


def _today(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()


_MODEL = ("model",)
FIGURES: Mapping[str, Figure] = {
    "questions": Figure(of=lambda calls: float(len(calls)), count=True),
    "error_share": Figure(bad=lambda call: call.outcome == "error"),
    "refusal_share": Figure(bad=lambda call: call.outcome == "refusal"),
    "unpriced_share": Figure(PAID, bad=_unknown),
    "retry_share": Figure(_MODEL, bad=lambda call: bool(call.retry_of)),
    "p95_seconds": Figure(of=_percentile(0.95, "seconds")),
    "ttft_p95_seconds": Figure(of=_percentile(0.95, "ttft")),
    "cost": Figure(PAID, of=cost),
    "cost_per_answer": Figure(of=_per_answer),
    "cached_share": Figure(_MODEL, of=_cached),
    "lost_rows": Figure(now=_lost),
    "stale_reservations": Figure(now=_stale),
    "price_age_days": Figure(_MODEL, now=_price_age),
    "days_to_end": Figure(_MODEL, now=_days_to_end),
    "invoice_error": Figure(now=_invoice_error),
}
SHARES = [name for name, each in FIGURES.items() if each.bad is not None]
STATES = [name for name, each in FIGURES.items() if each.now is not None]
