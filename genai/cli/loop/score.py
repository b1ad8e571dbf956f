"""`genai loop score`: judge a sample of what was answered, within the day's budget."""

import argparse

import genai
from genai.cli import amount


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--days", type=amount, help="how far back (default: configs/loop.yaml)")


def run(options: argparse.Namespace) -> int:
    """Run it from a timer. 0 all judged, 3 the budget ended it, 4 nothing measured."""
    found = genai.open_loop().score(options.days)
    print(found.text())
    return found.exit_code
