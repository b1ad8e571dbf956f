"""`genai exp`: what was tried and what came of it. Its words are listed."""

import argparse

from genai.cli import ACTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """List the words."""
    for word, summary in ACTIONS["exp"].items():
        print(f"genai exp {word}: {summary}")
    return 0
