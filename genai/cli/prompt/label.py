"""`genai prompt label LABEL NAME`: point a label, such as production, at a locked version."""

import argparse

from genai.wiring.prompts import label_prompt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("label", help="such as production")
    parser.add_argument("name", help="NAME for the file as it is, NAME@HASH to go back to another")


def run(options: argparse.Namespace) -> int:
    """Write `prompts/labels.yaml`; a version without a receipt is refused."""
    print(label_prompt(options.label, options.name))
    print("commit prompts/labels.yaml")
    return 0
