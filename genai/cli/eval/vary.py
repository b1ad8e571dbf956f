"""`genai eval vary SUITE --relation typo --seed 1`: make and freeze variants of a suite's cases."""

import argparse
from collections import Counter

import genai
from genai.cli import count
from genai.errors import CaseError
from genai.evals import load_suite
from genai.evals.edits import TEMPLATES, Words
from genai.evals.vary import (
    RELATIONS,
    check_variants,
    freeze,
    frozen,
    review,
    unreviewed,
    variants_path,
    vary,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("--relation", choices=sorted(RELATIONS), help="what to change")
    parser.add_argument("--seed", type=int, default=1, help="one seed, the same variants (1)")
    parser.add_argument("--count", type=count, default=1, help="variants a case at the most (1)")
    parser.add_argument("--template", action="append", help="a paraphrase, with {input} in it")
    parser.add_argument("--group", action="append", default=[], metavar="NAME=WORD,WORD",
                        help="the names of a group, for the relation `names`")  # fmt: skip
    parser.add_argument("--review", nargs="+", metavar=("NAME", "CASE"), help="who looked at which")
    known = "; ".join(f"{name} ({each.expect}): {each.does}" for name, each in RELATIONS.items())
    parser.epilog = f"Without --relation or --review it checks the frozen file. {known}."


def run(options: argparse.Namespace) -> int:
    """Write `evals/<suite>.variants.jsonl`, or say what stands in it; 64 where one is stale."""
    suite = load_suite(genai.find_project().root / "evals" / f"{options.suite}.yaml")
    name = f"evals/{variants_path(suite).name}"
    if options.review:
        reviewer, *cases = options.review
        print(f"{name}: {review(suite, reviewer, cases)} variants reviewed by {reviewer}")
    elif options.relation:
        words = Words(tuple(options.template or TEMPLATES), _groups(options.group))
        made = vary(suite, options.relation, seed=options.seed, count=options.count, words=words)
        fresh = freeze(suite, made)
        print(
            f"{name}: {len(made.variants)} variants by {made.relation}, {fresh} new or changed;"
            f" {len(made.without)} cases have nothing to change"
        )
    else:
        waiting = Counter(case.variant.relation for case in unreviewed(frozen(suite)))  # type: ignore[union-attr]
        for relation, n in Counter(c.variant.relation for c in frozen(suite)).items():  # type: ignore[union-attr]
            print(f"{relation}: {n} variants, {waiting[relation]} wait for a reviewer")
    if variants_path(suite).name not in [each.path for each in suite.settings.files]:
        print(f"the suite does not list it yet: files: [{variants_path(suite).name}]")
    if not options.relation:
        check_variants(suite)
    return 0


def _groups(given: list[str]) -> dict[str, list[str]]:
    pairs = [each.partition("=") for each in given]
    if not all(sign and words for _, sign, words in pairs):
        raise CaseError("a group is written --group women=Anna,Maria")
    return {name: words.split(",") for name, _, words in pairs}
