"""`genai finetune`: from data to a model that the evals say is better. Its words are the steps."""

import argparse

from genai.cli import ACTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """List the steps in their order."""
    for word, summary in ACTIONS["finetune"].items():
        print(f"genai finetune {word}: {summary}")
    return 0
