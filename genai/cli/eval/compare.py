"""`genai eval compare SUITE BEFORE [NOW]`: judge one run against another."""

import argparse

import genai
from genai.evals import decide
from genai.evals.baseline import card_of, find_run
from genai.evals.report.text import decision_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("before", help="a baseline's name, or the beginning of a run's name")
    parser.add_argument("now", nargs="?", default="", help="a run (default: the newest)")
    parser.add_argument("--stage", choices=("pull_request", "release"), default="pull_request",
                        help="how strict the gate is (pull_request)")  # fmt: skip
    parser.add_argument("--margin", type=float,
                        help="a drop that may be, 0.05 for 5 points (the suite's)")  # fmt: skip
    parser.add_argument("--flips", type=int, default=10, help="changed cases to list a metric (10)")


def run(options: argparse.Namespace) -> int:
    """Print the decision; give its exit code."""
    project = genai.find_project()
    runs = project.state / "runs"
    before = card_of(runs, project.root / "evals", options.suite, options.before)
    now = find_run(runs, options.suite, options.now)
    margin = now.margins.get(options.stage) if options.margin is None else options.margin
    decision = decide(
        before, now.scorecard, stage=options.stage, margin=margin, name=options.before
    )
    print(decision_text(decision, options.flips))
    return decision.exit_code
