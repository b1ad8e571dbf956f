"""`genai calls`: the newest calls of the ledger, a summary, or what the budgets have left."""

import argparse
import sys
import time

import genai
from genai.cli import amount, count
from genai.errors import one_line
from genai.ledger.follow import Follower
from genai.ledger.store import FILTERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--limit", type=count, default=20, help="rows to show (20)")
    parser.add_argument("--hours", type=amount, default=0.0, help="of the last so many hours only")
    for name in FILTERS:
        option = name.replace("_", "-")
        parser.add_argument(f"--{option}", dest=f"only_{name}", help=f"calls of one {option} only")
    parser.add_argument("--follow", action="store_true", help="print calls as they come")
    parser.add_argument("--summary", action="store_true", help="totals by model instead of rows")
    parser.add_argument("--days", type=count, nargs="?", const=10**6, help="by day, the last DAYS")
    parser.add_argument("--budgets", action="store_true", help="what each budget has left")


def run(options: argparse.Namespace) -> int:
    """Print rows, newest first, or totals with their coverage."""
    ledger = genai.open_ledger()
    since = time.time() - 3600 * options.hours if options.hours else 0.0
    since = max(since, (time.time() // 86_400 + 1 - options.days) * 86_400 if options.days else 0)
    if options.budgets:
        met = [each.text() for each in genai.Budgets(ledger.database, []).status()]
        none = "no budget has let a call through yet; set them: `budgets` in configs/genai.yaml"
        print("\n".join(met) or none)
        return 0
    if options.summary or options.days:
        groups = ledger.groups(since)
        print(groups.summary().text())
        for day in groups.by_day() if options.days else ():
            print(f"{day.day}: {day.questions} questions, {day.cost}")
            for row in day.models:
                print(f"  {row.text()}")
        return 0
    equal = {name: getattr(options, f"only_{name}") for name in FILTERS}
    follower = Follower(ledger, **equal) if options.follow else None  # before what it follows
    rows = ledger.calls(limit=options.limit, since=since, **equal)
    if not rows and not options.follow:
        print("the ledger holds no such call yet; ask something: genai ask 'QUESTION'")
        return 0
    heads = f"{'time (UTC)':19}  {'kind':9} {'model':28} {'outcome':9} {'tokens':>11} {'cost':>12}"
    print(f"{heads}  seconds")
    for call in rows[::-1] if options.follow else rows:
        print(_line(call))
    if follower is not None:
        sys.stdout.flush()  # a pipe would keep it back
        for call in follower.calls(rows):
            print(_line(call), flush=True)
    return 0


def _line(call: genai.Call) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(call.started_at))
    tokens = "-" if call.input_tokens is None else f"{call.input_tokens}+{call.output_tokens}"
    cost = "unknown" if call.cost.amount is None else str(call.cost)
    words = f"{when}  {call.kind:9} {one_line(call.model)[:28]:28} {call.outcome:9} {tokens:>11}"
    return f"{words} {cost:>12} {call.seconds:8.3f}  {one_line(call.reason)}".rstrip()
