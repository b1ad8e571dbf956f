"""`genai eval ab BEFORE AFTER`: judge two versions by what the ledger says their users did."""

import argparse
import time

import genai
from genai.evals.online import ab
from genai.ledger.outcomes import ARMS, outcomes

_DAY = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("before", help="the version that was there, such as a release")
    parser.add_argument("after", help="the version that should replace it")
    parser.add_argument(
        "--by", choices=ARMS, default="release", help="what tells them apart (release)"
    )
    parser.add_argument("--metric", choices=("answered", "thumbs"), default="answered",
                        help="what counts as good (answered)")  # fmt: skip
    parser.add_argument("--margin", type=float, default=0.05, help="a drop that may be (0.05)")
    parser.add_argument("--days", type=float, default=30, help="how far back (30)")
    parser.add_argument(
        "--share", type=float, default=0.5, help="planned share of BEFORE's users (0.5)"
    )
    parser.add_argument("--kind", default="chain", help="chain, or model for bare model calls")
    parser.add_argument("--feature", default="", help="calls of this feature only")


def run(options: argparse.Namespace) -> int:
    """Print both sides and the difference: 0 not worse, 1 worse, 2 undecided, 4 no fair sample."""
    if not (0 < options.share < 1 and 0 < options.margin < 1 and options.days > 0):
        raise genai.InputError("`--share` and `--margin` lie between 0 and 1, `--days` above 0")
    arms = (options.before, options.after)
    if options.before == options.after:
        raise genai.InputError(f"both sides are {options.before!r}; name two versions")
    rows = outcomes(
        genai.open_ledger(), options.by, arms, since=time.time() - options.days * _DAY,
        kind=options.kind, feature=options.feature,
    )  # fmt: skip
    found = ab(rows, *arms, metric=options.metric, margin=options.margin, share=options.share)
    print(found.text())
    return found.exit_code
