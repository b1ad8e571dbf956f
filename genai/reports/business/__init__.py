"""Does it pay: from the ledger and stated assumptions to a value with its range."""

from genai.reports.business.inputs import (
    BusinessSettings,
    Input,
    inputs_of,
    load_business,
)
from genai.reports.business.measured import Quality, days_of, few, measured, stamp
from genai.reports.business.report import BusinessReport, business_report

__all__ = [
    "BusinessReport", "BusinessSettings", "Input", "Quality", "business_report",
    "days_of", "few", "inputs_of", "load_business", "measured", "stamp",
]  # fmt: skip
