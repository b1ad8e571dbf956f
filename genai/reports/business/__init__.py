"""Does it pay: from the ledger and stated assumptions to a value with its range."""

from genai.reports.business.inputs import (
    BusinessSettings,
    Input,
    inputs_of,
    load_business,
)
from genai.reports.business.measured import measured
from genai.reports.business.report import BusinessReport, business_report

__all__ = [
    "BusinessReport", "BusinessSettings", "Input", "business_report", "inputs_of",
    "load_business", "measured",
]  # fmt: skip
