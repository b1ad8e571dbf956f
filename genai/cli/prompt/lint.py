"""`genai prompt lint [NAME]`: what is likely to go wrong with prompts, notes too."""

import argparse
import json

import genai
from genai.prompts.lint import RULES
from genai.prompts.sarif import sarif
from genai.wiring.prompts import lint_prompts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("name", nargs="?", default="", help="one prompt (default: all)")
    parser.add_argument("--form", choices=("text", "json", "sarif"), default="text",
                        help="of what is printed (text)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the findings; exit code 64 when one is an error."""
    found = lint_prompts(options.name)
    if options.form == "sarif":
        print(sarif(found, RULES, genai.__version__))
    elif options.form == "json":
        print(json.dumps([each._asdict() for each in found], indent=2, ensure_ascii=False))
    else:
        for each in found:
            print(f"{each.level} {each.rule}: {each.message}")
        print(f"{len(found) or 'no'} findings")
    return 64 if any(each.level == "error" for each in found) else 0
