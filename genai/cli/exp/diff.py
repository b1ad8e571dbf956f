"""`genai exp diff A B`: what differs between two runs, and what came of it, case by case."""

import argparse

from genai.wiring.experiments import difference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("before", help="the beginning of a run's name")
    parser.add_argument("after", help="the same, of another run of the suite")


def run(options: argparse.Namespace) -> int:
    """Print settings and metrics that differ; give the exit code of the gate."""
    found = difference(options.before, options.after)
    print(found.text())
    return found.decision.exit_code
