"""`genai loop status`: how many items stand at each stage, for how long, and what fixed them."""

import argparse

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Look at the ledger first, so that what is new is counted."""
    loop = genai.open_loop()
    print(loop.refresh().text())
    print(loop.status().text())
    return 0
