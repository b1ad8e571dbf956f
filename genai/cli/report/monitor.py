"""`genai report monitor`: what production shows, from the ledger alone."""

import argparse
from pathlib import Path

import genai
from genai.reports.monitor import monitor
from genai.reports.monitor_page import page
from genai.reports.monitor_text import markdown, prometheus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--days", type=int, default=30, help="UTC days, today included (30)")
    parser.add_argument("--where", action="append", default=[], metavar="NAME=VALUE",
                        help="one value of a dimension, such as feature=chat")  # fmt: skip
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one page here")
    parser.add_argument("--prometheus", action="store_true", help="print Prometheus' text format")


def run(options: argparse.Namespace) -> int:
    """Print the figures as Markdown."""
    wrong = [each for each in options.where if "=" not in each]
    if wrong:
        raise genai.InputError(f"--where {wrong[0]}: give NAME=VALUE, such as feature=chat")
    where = dict(each.split("=", 1) for each in options.where)
    try:
        found = monitor(genai.open_ledger(), days=options.days, where=where)
    except ValueError as error:
        raise genai.InputError(f"--where: {error}") from error
    print(prometheus(found) if options.prometheus else markdown(found), end="")
    if options.html:
        try:
            options.html.parent.mkdir(parents=True, exist_ok=True)
            options.html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            said = f"{options.html}: cannot be written ({error.strerror}); name another file"
            raise genai.InputError(said) from error
        print(f"written: {options.html}")
    return 0
