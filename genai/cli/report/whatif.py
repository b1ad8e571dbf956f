"""`genai report whatif`: what recorded traffic would have cost another way, and how good it is."""

import argparse

import genai
from genai.reports.counterfactual import Change
from genai.wiring.money import what_if


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--model", default="", help="another model")
    parser.add_argument("--cached", type=float, help="share of the input read from a cache")
    parser.add_argument("--cut", type=int, default=0, metavar="TOKENS", help="a shorter prompt")
    parser.add_argument("--only", default="", metavar="MODEL", help="calls of this model alone")
    parser.add_argument(
        "--runs",
        nargs=2,
        metavar=("NOW", "THEN"),
        default=(),
        help="two runs of one suite: tokens and quality, as now and the other way",
    )
    parser.add_argument(
        "--month", default="", metavar="YYYY-MM", help="a month (default: the last)"
    )
    parser.add_argument("--days", type=int, help="the last so many days instead, today included")


def run(options: argparse.Namespace) -> int:
    """Print both costs; 4 where quality is not measured or too little carries the figure."""
    change = Change(options.model, options.cached, options.cut, options.only)
    found = what_if(genai.find_project(), change, options.runs, options.month, options.days)
    print(found.text())
    return found.exit_code
