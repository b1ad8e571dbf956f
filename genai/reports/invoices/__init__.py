"""What providers bill beside what the ledger booked: line by line, and how far off over time."""

from genai.reports.invoices.compare import Reconciliation, reconcile
from genai.reports.invoices.history import newest_error, track
from genai.reports.invoices.read import InvoiceSettings, Line, load_formats, read_invoice

__all__ = [
    "InvoiceSettings", "Line", "Reconciliation", "load_formats", "newest_error", "read_invoice",
    "reconcile", "track",
]  # fmt: skip
