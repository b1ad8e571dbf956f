"""`genai loop promote [ID ...]`: make reviewed items cases of the suite, or training pairs."""

import argparse
import sys

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: every reviewed item")
    parser.add_argument("--to", choices=("case", "pair"), default="case",
                        help="a case of a suite, or a pair to train on (case)")  # fmt: skip
    parser.add_argument("--consent", default="", help="the ground where no person ticked a box")
    alone = "train on the question alone where a prompt stood around it"
    parser.add_argument("--question-only", action="store_true", help=alone)


def run(options: argparse.Namespace) -> int:
    """Promote each item; 64 where one of them cannot be, and the others are."""
    loop = genai.open_loop()
    names = options.ids or [item.id for item in loop.items("accepted", "edited")]
    refused = 0
    for name in names:
        try:
            item = loop.promote(
                name, options.to, consent=options.consent, question_only=options.question_only
            )
        except genai.InputError as error:
            refused += 1
            print(f"genai: {error}", file=sys.stderr)
            continue
        print(f"{item.id} is the {item.target} {item.name}")
    print(f"{len(names) - refused} of {len(names)} promoted to a {options.to}")
    if options.to == "case" and len(names) > refused:
        print("the suite has changed: accept a new baseline after the next run")
    return 64 if refused else 0
