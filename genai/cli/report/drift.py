"""`genai report drift`: what has moved since a pinned reference period."""

import argparse
from datetime import UTC, datetime, timedelta

import genai
from genai.cli import day
from genai.reports.alerts import load_alerts
from genai.reports.drift import Period, drift


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument(
        "--days", type=int, default=7, help="the current period, today included (7)"
    )
    parser.add_argument("--from", dest="first", type=day,
                        help="first day of the reference (default: as configs/alerts.yaml pins"
                        " it, else 28 days before)")  # fmt: skip
    parser.add_argument("--to", dest="last", type=day, help="last day of it")
    parser.add_argument(
        "--rate", type=float, default=0.05, help="share of false findings accepted (0.05)"
    )


def run(options: argparse.Namespace) -> int:
    """Print a line a figure; 1 where something moved, 4 where there is too little to say."""
    if not 1 <= options.days <= 36_500:
        raise genai.InputError(f"--days {options.days}: give 1 to 36,500")
    today = datetime.now(UTC).date()
    start = today - timedelta(days=options.days - 1)
    path = genai.find_project().root / "configs" / "alerts.yaml"
    chosen = options.first or options.last or not path.is_file()
    pinned = None if chosen else load_alerts(path).reference
    first = options.first or (pinned.first if pinned else start - timedelta(days=28))
    last = options.last or (pinned.last if pinned else start - timedelta(days=1))
    reference = Period(first, last)
    current = Period(start, today)
    found = drift(genai.open_ledger(), reference, current, rate=options.rate)
    print(f"{current.first} to {current.last} beside {reference.first} to {reference.last}")
    for each in found:
        print(each.text())
    return 1 if any(each.drifted for each in found) else 0
