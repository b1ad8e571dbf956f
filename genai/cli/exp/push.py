"""`genai exp push`: mirror prompts with their labels, and deliver what waits for MLflow."""

import argparse

from genai.wiring.experiments import push


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Print what still waits; 4 where the store is away or refused something."""
    found = push()
    print(found)
    return 4 if found.queued or found.refused else 0
