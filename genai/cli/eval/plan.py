"""`genai eval plan SUITE --margin .05`: cases, dollars and minutes before spending."""

import argparse

import genai
from genai.evals import load_suite
from genai.evals.baseline import plan, runs_of
from genai.project import default_suite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", nargs="?", default="", help="default: the only one, or handbook")
    parser.add_argument("--margin", type=float, default=0.05, help="a drop that may be (0.05)")


def run(options: argparse.Namespace) -> int:
    """Print what each metric that gates needs; 2 where the suite has too few cases."""
    project = genai.find_project()
    name = options.suite or default_suite()
    suite = load_suite(project.root / "evals" / f"{name}.yaml")
    found = plan(suite, options.margin, runs_of(project.state / "runs", name))
    for each in found:
        print(each.text())
    return 0 if all(each.enough for each in found) else 2
