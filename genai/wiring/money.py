"""Bills and what-ifs on the project's own ledger and prices."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from genai.project import Project
from genai.types import Call, Usage
from genai.wiring.parts import open_ledger, prices

if TYPE_CHECKING:
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
