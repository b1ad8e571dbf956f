"""`genai index`: what the index holds."""

import argparse

from genai.cli.index import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    show.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Show what the index holds."""
    return show.run(options)
