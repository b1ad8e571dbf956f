"""`genai init [FOLDER]`: copy the starter project."""

import argparse
from pathlib import Path

from genai import project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("folder", nargs="?", default=".", help="where to (default: here)")


def run(options: argparse.Namespace) -> int:
    """Copy, then say what to do next."""
    target = Path(options.folder)
    written = project.init(target)
    print(f"{len(written)} files written to {target.resolve()}")
    print("next: genai index sync    then: genai ask 'How do I set a budget?'    or: pytest evals/")
    return 0
