"""`genai loop`: from what production shows to cases and training pairs. It lists its words."""

import argparse

from genai.cli import ACTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """List the words."""
    for word, summary in ACTIONS["loop"].items():
        print(f"genai loop {word}: {summary}")
    return 0
