"""`genai report business`: does it pay, with its range, from the ledger and stated assumptions."""

import argparse
from datetime import UTC, date, datetime
from pathlib import Path

from genai.cli import day
from genai.reports.drift import Period
from genai.wiring.business import business_case


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--usecase", metavar="ID", help="inputs of configs/usecases/ID.yaml")
    parser.add_argument("--folder", type=Path, help="write the page, JSON, spreadsheet and plots")
    parser.add_argument("--draws", type=int, default=10_000, help="of the simulation (10,000)")
    parser.add_argument(
        "--seed", type=int, default=20_260, help="of the draws; one seed, one result (20,260)"
    )
    parser.add_argument("--from", dest="first", type=day, metavar="DAY",
                        help="measure from this day on (all days)")  # fmt: skip
    parser.add_argument("--to", dest="last", type=day, metavar="DAY",
                        help="measure up to this day")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the case; 1 where a kill criterion is broken, 4 where no headline may be printed."""
    report = business_case(
        usecase=options.usecase or "", draws=options.draws, seed=options.seed,
        period=Period(options.first or date(1970, 1, 1), options.last or datetime.now(UTC).date()),
    )  # fmt: skip
    print(report.text())
    for path in report.write(options.folder) if options.folder else ():
        print(f"written: {path}")
    if report.warnings:
        return 4
    return 0 if all(kept for _, _, kept in report.kill) else 1
