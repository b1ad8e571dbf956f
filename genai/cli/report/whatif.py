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
    parser.add_argument("--route", default="", metavar="FIGURE=LEAST",
                        help="only questions whose row has at least this, as confidence=0.8, go to"
                        " the other model")  # fmt: skip
    parser.add_argument("--answers", action="store_true",
                        help="what was asked before is answered from our own cache")  # fmt: skip
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
    change = Change(options.model, options.cached, options.cut, options.only,
                    _route(options.route), options.answers)  # fmt: skip
    found = what_if(genai.find_project(), change, options.runs, options.month, options.days)
    print(found.text())
    return found.exit_code


def _route(given: str) -> tuple[str, float] | None:
    name, _, least = given.partition("=")
    try:
        return (name, float(least)) if given else None
    except ValueError as error:
        raise genai.InputError(f"--route {given}: give FIGURE=LEAST, as confidence=0.8") from error
