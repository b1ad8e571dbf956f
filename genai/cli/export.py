"""`genai export`: the ledger as Parquet or as a FOCUS cost file, and retention."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import genai
from genai.cli import amount
from genai.errors import InputError
from genai.ledger.export import focus, parquet
from genai.ledger.retention import retain, vacuum
from genai.loop.online import forget
from genai.wiring.parts import prices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--parquet", metavar="FOLDER", type=Path, help="write all calls there")
    parser.add_argument("--focus", metavar="MONTH", help="write a month's cost file, as 2026-11")
    parser.add_argument("--out", type=Path, help="the cost file (default: focus-MONTH.csv)")
    parser.add_argument("--retain", action="store_true", help="delete what is older than the days")
    parser.add_argument(
        "--content-days", type=amount, default=30, help="questions, answers, comments (30)"
    )
    parser.add_argument(
        "--call-days", type=amount, default=2557, help="calls and their costs (2557)"
    )


def run(options: argparse.Namespace) -> int:
    """Do what was asked, in the order above."""
    if not (options.parquet or options.focus or options.retain):
        raise InputError("export: choose --parquet, --focus or --retain")
    ledger = genai.open_ledger()
    if options.parquet:
        print(f"{parquet(ledger, options.parquet)} calls written to {options.parquet}")
    if options.focus:
        _month(options.focus)
        path = options.out or Path(f"focus-{options.focus}.csv")
        done = focus(ledger, path, options.focus, prices().rates)
        print(f"{done.path}: {done.rows} rows, ${done.billed:f}", end="; ")
        print(f"cost known for {done.known} of {done.calls} calls", end="")
        print(f", the rest in {done.aside}" if done.aside else "")
    if options.retain:
        kept = {"content_days": options.content_days, "call_days": options.call_days}
        print(f"{retain(ledger, **kept)} rows deleted or emptied", end="")
        emptied = forget(ledger, genai.find_project().state / "runs")
        print(f", {emptied} runs of online evals emptied" if emptied else "")
        vacuum(ledger)
    return 0


def _month(text: str) -> None:
    try:
        datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"export: --focus needs a month such as 2026-11, got {text!r}") from error
