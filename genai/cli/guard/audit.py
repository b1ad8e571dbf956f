"""`genai guard audit verify`: whether the log of verdicts is as it was written."""

import argparse

import genai
from genai.guards import Audit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("what", choices=["verify"], help="whether no line was changed or lost")
    parser.add_argument("--head", default="", help="a head noted earlier, which must be in the log")


def run(options: argparse.Namespace) -> int:
    """Print the number of lines and the head, or the first line that was changed; then 1."""
    found = Audit(genai.find_project().state / "audit").verify(options.head)
    if found.problem:
        print(f"changed: {found.problem}; {found.lines} lines before it are as they were written")
        return 1
    print(f"{found.lines} lines as they were written; head {found.head}")
    return 0
