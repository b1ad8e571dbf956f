"""`genai usecase`: which ideas are worth building. The word is `score`."""

import argparse

from genai.cli import ACTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """List the words."""
    for word, summary in ACTIONS["usecase"].items():
        print(f"genai usecase {word}: {summary}")
    return 0
