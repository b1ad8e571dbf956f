"""`genai usecase score [ID ...]`: which ideas are likely to pay, and what stops them."""

import argparse

import genai
from genai.governance.score import ranking, score
from genai.governance.usecase import load_usecases
from genai.wiring.business import as_launched


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("ids", nargs="*", help="names of files (default: all)")
    parser.add_argument("--draws", type=int, default=10_000, help="of the simulation (10,000)")
    parser.add_argument(
        "--seed", type=int, default=20_260, help="of the draws; one seed, one result (20,260)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the ranking; 1 where a case is stopped."""
    project = genai.find_project()
    cases = load_usecases(project.root / "configs" / "usecases", options.ids)
    scores = []
    for planned in cases:
        case, lines = as_launched(planned, project)
        scores.append(score(case, draws=options.draws, seed=options.seed))
        print(*lines, sep="\n", end="\n" if lines else "")
    print(ranking(scores))
    return 1 if any(each.stops for each in scores) else 0
