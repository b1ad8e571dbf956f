"""`genai report invoices FILE ...`: what a provider bills beside what the ledger booked."""

import argparse
from pathlib import Path

import genai
from genai.wiring.money import held_against


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("files", nargs="+", type=Path, help="CSV or JSON of one provider")
    parser.add_argument("--format", default="", help="a format of configs/invoices.yaml")


def run(options: argparse.Namespace) -> int:
    """Print the lines; 1 where some do not match, 4 where the ledger has nothing to compare."""
    found, history = held_against(genai.find_project(), options.files, options.format)
    print(found.text())
    if len(history) > 1:
        print("how far off, period by period:", *history, sep="\n  ")
    return found.exit_code
