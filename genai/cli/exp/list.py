"""`genai exp list`: runs, grids and trainings, newest first, and what waits for MLflow."""

import argparse

from genai.cli import count
from genai.wiring.experiments import experiments, listing, outstanding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--limit", type=count, default=20, help="rows to show (20)")


def run(options: argparse.Namespace) -> int:
    """Print a line an experiment."""
    print(listing(experiments(limit=options.limit)))
    waits = outstanding()
    if waits is not None:
        print(f"{waits}; deliver them: genai exp push")
    return 0
