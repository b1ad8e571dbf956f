"""Rules over the ledger's figures, and who hears of it."""

from genai.reports.alerts.rules import Alert, AlertSettings, due, load_alerts
from genai.reports.alerts.sinks import send

__all__ = ["Alert", "AlertSettings", "due", "load_alerts", "send"]
