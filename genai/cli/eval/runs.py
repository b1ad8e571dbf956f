"""`genai eval runs SUITE`: the runs of a suite, newest first."""

import argparse

import genai
from genai.cli import count
from genai.evals.baseline import runs_of
from genai.evals.report.text import headline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("--limit", type=count, default=20, help="rows to show (20)")


def run(options: argparse.Namespace) -> int:
    """Print a line a run."""
    found = runs_of(genai.find_project().state / "runs", options.suite)
    for report in found[: options.limit]:
        print(f"{report.run}  {headline(report)}")
    if not found:
        print(f"no run yet; make one: genai eval {options.suite}")
    return 0
