"""`genai eval behaviour SUITE --metric exact_match`: how often its relations are violated."""

import argparse

import genai
from genai.errors import CaseError
from genai.evals import load_suite
from genai.evals.baseline import card_of, find_run
from genai.evals.behaviour import compare, relations_in, violations
from genai.evals.groups import by_group, by_tag
from genai.evals.report.text import decision_text
from genai.evals.vary import check_variants


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("--metric", required=True, help="whose verdict must hold, or turn")
    parser.add_argument("--relation", help="one relation (default: all that have variants)")
    parser.add_argument("--tags", metavar="BEGINNING", default="",
                        help="compare the cases of such tags instead: language:")  # fmt: skip
    parser.add_argument("--run", dest="of", default="", help="which run (default: the newest)")
    parser.add_argument("--against", default="", help="a baseline or a run to compare with")
    parser.add_argument("--stage", choices=("pull_request", "release"), default="pull_request",
                        help="how strict the gate is (pull_request)")  # fmt: skip
    parser.add_argument("--margin", type=float, help="a drop that may be (default: the gate's)")


def run(options: argparse.Namespace) -> int:
    """Print each relation's violations; with --against give the exit code of the gate."""
    project = genai.find_project()
    runs = project.state / "runs"
    suite = load_suite(project.root / "evals" / f"{options.suite}.yaml")
    if options.tags:
        run = find_run(runs, options.suite, options.of)
        print("\n".join(gap.text() for gap in by_tag(run, options.tags, options.metric)))
        return 0
    check_variants(suite)
    card = find_run(runs, options.suite, options.of).scorecard
    before = None
    if options.against:
        before = card_of(runs, project.root / "evals", options.suite, options.against)
    codes = [0]
    relations = [options.relation] if options.relation else relations_in(suite.cases)
    if not relations:
        raise CaseError(f"suite {suite.name}: has no variants; make them: genai eval vary"
                        f" {options.suite} --relation typo, and list the file")  # fmt: skip
    for relation in relations:
        print(violations(card, suite, options.metric, relation).text())
        if relation == "names":
            print("\n".join(f"  {gap.text()}" for gap in by_group(card, suite, options.metric)))
        if before is not None:
            print(violations(before, suite, options.metric, relation).text(0))
            decision = compare(
                before, card, suite, options.metric, relation, stage=options.stage,
                margin=options.margin,
            )  # fmt: skip
            print(decision_text(decision))
            codes.append(decision.exit_code)
    return next((code for code in (1, 4, 2) if code in codes), 0)
