"""`genai guard policy diff OLD NEW --suite S`: which cases of a suite flip between two policies."""

import argparse
from collections import Counter
from pathlib import Path

import genai
from genai.evals import load_suite
from genai.guards.settings import PLACES
from genai.project import default_suite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("what", choices=["diff"], help="compare two of them on a suite")
    parser.add_argument("old", type=Path, help="a policy file")
    parser.add_argument("new", type=Path, help="another one")
    parser.add_argument("--suite", default="", help="evals/SUITE.yaml (default: as eval)")
    parser.add_argument(
        "--place", choices=PLACES, default="question", help="where cases say none (question)"
    )


def run(options: argparse.Namespace) -> int:
    """Print every case whose decision differs, with the guards that decided; 1 where any does."""
    old, new = (genai.load_guards(path=path) for path in (options.old, options.new))
    suite = load_suite(
        genai.find_project().root / "evals" / f"{options.suite or default_suite()}.yaml"
    )
    guards: Counter[str] = Counter()
    flipped = 0
    for case in suite.cases:
        place = (case.metadata or {}).get("place", options.place)
        before, after = old.check(case.question, place), new.check(case.question, place)
        was, now = old.combine(before), new.combine(after)
        if was is now:
            continue
        flipped += 1
        said = {v.guard: v.decision for v in before}
        changed = [v.guard for v in after if said.get(v.guard) != v.decision]
        changed += [v.guard for v in before if v.guard not in {each.guard for each in after}]
        guards.update(changed)
        print(f"{case.id} ({place}): {was.value} -> {now.value} by {', '.join(changed)}")
    counts = ", ".join(f"{guard} {count}" for guard, count in guards.most_common())
    print(f"{flipped} of {len(suite.cases)} cases flip{': ' + counts if counts else ''}")
    return int(flipped > 0)
