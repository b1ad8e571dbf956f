"""Judge a task on cases: any callable, one Report, no model needed."""

from genai.evals.case import Case, Suite
from genai.evals.report import Metric, Report
from genai.evals.run import evaluate, load_suite

__all__ = ["Case", "Metric", "Report", "Suite", "evaluate", "load_suite"]
