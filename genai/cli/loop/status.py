"""`genai loop status`: how many items stand at each stage, for how long, and what fixed them."""

import argparse

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--write", action="store_true",
                        help="put what fixed what under Unreleased in CHANGELOG.md")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Look at the ledger first, so that what is new is counted."""
    loop = genai.open_loop()
    print(loop.refresh().text())
    print(loop.status().text())
    if options.write:
        print(f"{loop.write_changelog()} new lines in CHANGELOG.md")
    return 0
