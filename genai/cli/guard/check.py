"""`genai guard check TEXT`: what each guard of a place says of a text, and what would leave."""

import argparse
import sys
from pathlib import Path

import genai
from genai.guards.base import STOPS
from genai.guards.settings import PLACES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("text", help="the text, or - to read it from standard input")
    parser.add_argument(
        "--place", choices=PLACES, default="question", help="whose guards (question)"
    )
    parser.add_argument("--policy", type=Path, help="another policy file (default: the project's)")
    parser.add_argument("--evidence", action="append", default=[], help="a passage, for `grounded`")


def run(options: argparse.Namespace) -> int:
    """Print one line a guard, then the text as it would leave; 1 where it would not."""
    policy = genai.load_guards(path=options.policy)
    text = sys.stdin.read() if options.text == "-" else options.text
    gate = policy.gate(options.place, evidence=options.evidence)
    out = gate.feed(text) + gate.finish()
    for verdict in gate.verdicts:
        where = ", ".join(f"{s.kind} at {s.start}-{s.end}" for s in verdict.spans[:5])
        said = " ".join(filter(None, [verdict.reason, where and f"({where})"]))
        print(f"{verdict.guard:<12} {verdict.decision.value:<12} {said}".rstrip())
    decision = gate.decision
    print(f"{options.place}: {decision.value}, {sum(v.seconds for v in gate.verdicts):.6f} seconds")
    if decision in STOPS:
        return 1
    print(out)
    return 0
