"""`genai report`: what was recorded, as text and pages; the words are listed without one."""

import argparse

from genai.cli import ACTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """List the reports."""
    for word, summary in ACTIONS["report"].items():
        print(f"genai report {word}: {summary}")
    return 0
