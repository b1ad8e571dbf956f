"""`genai prompt diff BEFORE AFTER`: what a change of a prompt means, and what it costs."""

import argparse

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    what = "a name, NAME@HASH, NAME@LABEL, a file, or REVISION:prompts/x.md"
    parser.add_argument("before", help=what)
    parser.add_argument("after", help="the same")
    parser.add_argument("--model", default="", help="whose price (default: the prompt's own)")
    parser.add_argument("--form", choices=("text", "json", "sarif"), default="text",
                        help="of what is printed (text)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the differences; exit code 1 when one breaks the program around the prompt."""
    found = genai.diff_prompts(options.before, options.after, model=options.model)
    if options.form == "sarif":
        print(found.sarif(genai.__version__))
    else:
        print(found.json() if options.form == "json" else found.text())
    return found.exit_code
