"""Rules over the ledger's figures, and who hears of it."""

from genai.reports.alerts.judge import Alert, due
from genai.reports.alerts.rules import AlertSettings, load_alerts
from genai.reports.alerts.sinks import send

__all__ = ["Alert", "AlertSettings", "due", "load_alerts", "send"]
