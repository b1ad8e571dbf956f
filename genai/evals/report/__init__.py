"""A run as people and programs read it."""

from genai.evals.report.base import (
    FORMS,
    Lapse,
    Measured,
    Report,
    Slice,
    baseline_path,
    check_before,
    read_report,
)

__all__ = [
    "FORMS", "Lapse", "Measured", "Report", "Slice", "baseline_path", "check_before", "read_report",
]  # fmt: skip
