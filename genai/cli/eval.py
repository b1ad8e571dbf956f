"""`genai eval [SUITE]`: run a suite on the configured chain and print its table."""

import argparse
import sys
from pathlib import Path

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("suite", nargs="?", default="handbook", help="evals/SUITE.yaml")
    parser.add_argument("--model", help="another model for this run")
    parser.add_argument("--limit", type=int, help="the first N cases only")
    parser.add_argument("--junit", help="write JUnit XML here")


def run(options: argparse.Namespace) -> int:
    """Give 0 when every limit holds, 1 when one is broken, 4 when one is unmeasured."""
    chain = genai.load(model=options.model)
    folder = genai.find_project().root / chain.config.index.documents
    chain.index.sync(folder, progress=sys.stderr.isatty())
    record = genai.open_ledger().record
    report = genai.evaluate(options.suite, chain, limit=options.limit, record=record)
    print(report.text())
    if options.junit:
        report.junit(Path(options.junit))
    code: int = report.exit_code
    return code
