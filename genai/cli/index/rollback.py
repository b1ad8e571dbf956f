"""`genai index rollback [GENERATION]`: let the generation before answer again."""

import argparse

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("generation", nargs="?", default="", help="its id (default: the last one)")
    parser.add_argument("--name", default="", help="index (default: chain.index)")


def run(options: argparse.Namespace) -> int:
    """Switch, and say what answers now."""
    index = genai.Index(options.name)
    now = index.rollback(options.generation)
    print(
        f"index {index.name}: generation {now.id} answers, {now.passages} passages by embedder"
        f" {now.embedder}; forward again: genai index rollback"
    )
    return 0
