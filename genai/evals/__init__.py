"""Judge a task on cases: any callable, one Report, one Decision against a baseline."""

from genai.evals.case import Case
from genai.evals.gate import Comparison, Decision, decide
from genai.evals.report import Measured, Report, baseline_path, read_report
from genai.evals.run import Options, evaluate
from genai.evals.scorecard import Scorecard, read_scorecard
from genai.evals.scorers import Scorer, Tools
from genai.evals.suite import Suite, load_suite
from genai.evals.trial import CannotMeasure, Score, Trial

__all__ = [
    "CannotMeasure", "Case", "Comparison", "Decision", "Measured", "Options", "Report", "Score",
    "Scorecard", "Scorer", "Suite", "Tools", "Trial", "baseline_path", "decide", "evaluate",
    "load_suite", "read_report", "read_scorecard",
]  # fmt: skip
