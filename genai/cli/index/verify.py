"""`genai index verify [--repair]`: compare manifest, full text, vectors and graph, and mend."""

import argparse
import sys

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--name", default="", help="index (default: chain.index)")
    parser.add_argument("--repair", action="store_true", help="mend what differs")


def run(options: argparse.Namespace) -> int:
    """Print what differs; a difference that stays makes the exit code 64."""
    index = genai.Index(options.name)
    found = index.verify(repair=options.repair)
    if found.repaired:
        print(f"index {index.name}: repaired; run `genai index sync` to read damaged files anew")
    for problem in found.problems():
        print(f"  {problem}", file=sys.stderr)
    if not found.sound:
        print("  mend it: genai index verify --repair", file=sys.stderr)
        return 64
    seen = f"; the graph finds {found.recall:.1%}" if found.recall is not None else ""
    print(f"index {index.name}: {found.passages} passages, everything agrees{seen}")
    return 0
