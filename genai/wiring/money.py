"""Bills and what-ifs on the project's own ledger and prices."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from genai.errors import InputError
from genai.project import Project
from genai.types import Call, Usage
from genai.wiring.parts import open_ledger, prices

if TYPE_CHECKING:
    from genai.reports.counterfactual import Change, Counterfactual
    from genai.reports.invoices import Reconciliation


def held_against(
    project: Project, files: Sequence[Path], form: str = ""
) -> "tuple[Reconciliation, list[str]]":
    """Hold a bill against the ledger; give it and the history of how far off the ledger was.

    Raises:
        InputError: a file cannot be read, or its columns fit no format.
    """
    from genai.reports.invoices import load_formats, read_invoice, reconcile, track

    settings = load_formats(project.root / "configs" / "invoices.yaml")
    known = prices()

    def price(call: Call, usage: Usage) -> Decimal | None:
        at = datetime.fromtimestamp(call.started_at, UTC)
        tier = call.served_tier or call.requested_tier
        return known.cost(
            call.model, usage, tier=tier, response_model=call.response_model, region=call.region,
            at=at,
        ).amount  # fmt: skip

    bills = [read_invoice(path, settings, form) for path in files]
    found = reconcile(open_ledger(project), bills, settings, price)
    return found, track(project.state / "invoices.jsonl", found)


def what_if(
    project: Project, change: "Change", runs: Sequence[str] = (), month: str = "",
    days: int | None = None,
) -> "Counterfactual":  # fmt: skip
    """Price a month of recorded calls another way; `runs` are two names, as now and then.

    Raises:
        InputError: no such run, no such month, or a model without a price.
    """
    from genai.evals.baseline import find_any
    from genai.reports.counterfactual import counterfactual

    since, until = _period(month, days)
    held = project.state / "runs"
    pair = (find_any(held, runs[0]), find_any(held, runs[1])) if runs else None
    return counterfactual(
        open_ledger(project), prices(), change, since.timestamp(), until.timestamp(), runs=pair
    )


def _period(month: str, days: int | None) -> tuple[datetime, datetime]:
    """Give the bounds of a month, or of the last days, in UTC."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if days is not None:
        if not 1 <= days <= 36_500:
            raise InputError(f"--days {days}: give 1 to 36,500")
        return today - timedelta(days=days - 1), today + timedelta(days=1)
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) if month else None
        first = first or (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise InputError(f"--month {month!r}: is not a month such as 2026-10") from error
