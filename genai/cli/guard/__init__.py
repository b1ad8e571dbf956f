"""`genai guard`: try the guards, compare two policies, check the log of verdicts."""

import argparse

from genai.cli import ACTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """List the words."""
    for word, summary in ACTIONS["guard"].items():
        print(f"genai guard {word}: {summary}")
    return 0
