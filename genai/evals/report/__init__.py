"""A run as people and programs read it."""

from genai.evals.report.base import (
    Lapse,
    Measured,
    Report,
    Slice,
    baseline_path,
    check_baseline,
    read_report,
)

__all__ = [
    "Lapse", "Measured", "Report", "Slice", "baseline_path", "check_baseline", "read_report",
]  # fmt: skip
