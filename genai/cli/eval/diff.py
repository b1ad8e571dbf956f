"""`genai eval diff OLD NEW`: what changed between two versions of a dataset."""

import argparse

import genai
from genai.evals.versions import cases_of, difference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("old", help="a suite, a file of cases, or REVISION:evals/SUITE.yaml")
    parser.add_argument("new", help="the same; a bare name is the suite as it is now")


def run(options: argparse.Namespace) -> int:
    """Print the cases that came, went and changed."""
    root = genai.find_project().root
    print(difference(cases_of(options.old, root), cases_of(options.new, root)).text())
    return 0
