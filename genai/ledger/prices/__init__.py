"""What calls cost: dated, exact, and honest where nobody knows."""

from genai.ledger.prices.snapshot import Change, Snapshot, load_all, refresh
from genai.ledger.prices.table import Prices

__all__ = ["Change", "Prices", "Snapshot", "load_all", "refresh"]
