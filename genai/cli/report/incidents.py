"""`genai report incidents`: what went wrong day by day, its cause and its cost."""

import argparse
from datetime import UTC, date, datetime, timedelta

import genai
from genai.cli import amount, day
from genai.reports.incidents import incidents, text

_EPOCH = date(1970, 1, 1).toordinal()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument(
        "--from",
        dest="first",
        type=day,
        help="first day, which begins the reference (29 days ago)",
    )
    parser.add_argument("--to", dest="last", type=day, help="last day (today)")
    parser.add_argument("--reference", type=int, default=10, help="days to compare with (10)")
    parser.add_argument("--alarms", type=float, default=0.05,
                        help="false findings accepted in the period (0.05)")  # fmt: skip
    parser.add_argument("--per-lost", type=amount, default=0.0,
                        help="dollars an answer costs where a person has to give it")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the incidents; 1 where there is one, 4 where there is too little to say."""
    last = options.last or datetime.now(UTC).date()
    first = options.first or last - timedelta(days=29)
    found = incidents(
        genai.open_ledger(), first.toordinal() - _EPOCH, last.toordinal() - _EPOCH,
        reference=options.reference, alarms=options.alarms,
    )  # fmt: skip
    print(text(found, per_lost=options.per_lost))
    return 1 if found else 0
