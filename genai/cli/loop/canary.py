"""`genai loop canary`: ask known questions again, where they are due."""

import argparse

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--now", action="store_true", help="ask them though they are not due")


def run(options: argparse.Namespace) -> int:
    """Run it from a timer. 1 where a canary fails that passed the time before."""
    found = genai.open_loop().canary(now=options.now)
    print(found.text())
    return found.exit_code
