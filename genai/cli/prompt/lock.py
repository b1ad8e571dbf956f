"""`genai prompt lock [NAME ...]`: write down that a prompt passed its eval as it is now."""

import argparse

from genai.project import default_suite
from genai.wiring.prompts import lock_prompts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("names", nargs="*", help="prompts (default: all that the run used)")
    parser.add_argument("--suite", default="", help="whose run is the evidence (default: as eval)")
    parser.add_argument("--run", dest="of", default="", help="which run (default: the newest)")


def run(options: argparse.Namespace) -> int:
    """Write `prompts/prompts.lock` and the locked versions, where the run passed."""
    lines = lock_prompts(options.names, options.suite or default_suite(), options.of)
    print("\n".join(lines) or "every prompt that the run used is locked as it is")
    if lines:
        print("commit prompts/prompts.lock and prompts/versions/")
    return 0
