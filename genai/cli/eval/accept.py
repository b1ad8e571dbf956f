"""`genai eval accept SUITE --reason WHY`: take a run as the baseline."""

import argparse

import genai
from genai.evals.baseline import accept, find_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("--reason", required=True, help="why this run is what later ones must hold")
    parser.add_argument("--run", dest="of", default="", help="which run (default: the newest)")
    parser.add_argument("--name", default="", help="which baseline (default: the suite's)")


def run(options: argparse.Namespace) -> int:
    """Write `evals/baselines/<suite>/<name>.jsonl`."""
    project = genai.find_project()
    report = find_run(project.state / "runs", options.suite, options.of)
    path = accept(report, options.reason, options.name)
    print(f"run {report.run} is the baseline now: {path.relative_to(project.root)}; commit it")
    return 0
