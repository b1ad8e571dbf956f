"""`genai calls`: the newest calls of the ledger, or a summary."""

import argparse
from datetime import UTC, datetime

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--kind", help="chain, model, embedding, guard or eval")
    parser.add_argument("--outcome", help="ok, refusal, error or cancelled")
    parser.add_argument("--model", help="one model's calls only")
    parser.add_argument("--summary", action="store_true", help="totals instead of rows")


def run(options: argparse.Namespace) -> int:
    """Print rows, newest first, or totals with their coverage."""
    ledger = genai.open_ledger()
    if options.summary:
        print(ledger.summary().text())
        return 0
    rows = ledger.calls(
        limit=options.limit, kind=options.kind, outcome=options.outcome, model=options.model
    )
    if not rows:
        print("the ledger holds no such call yet; ask something: genai ask 'QUESTION'")
        return 0
    print(
        f"{'time (UTC)':19}  {'kind':9} {'model':28} {'outcome':9} {'tokens':>11} "
        f"{'cost':>12} {'seconds':>8}"
    )
    for call in rows:
        when = datetime.fromtimestamp(call.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        tokens = "-" if call.input_tokens is None else f"{call.input_tokens}+{call.output_tokens}"
        cost = "unknown" if call.cost.amount is None else str(call.cost)
        print(
            f"{when}  {call.kind:9} {call.model[:28]:28} {call.outcome:9} {tokens:>11} "
            f"{cost:>12} {call.seconds:8.3f}"
        )
    return 0
