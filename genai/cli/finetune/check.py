"""`genai finetune check [RECIPE]`: what is wrong with a recipe's data, before it trains."""

import argparse
import json
import os
import sys
from pathlib import Path

import genai
from genai.finetune import find_recipe, load_recipe
from genai.finetune.check import check_data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument(
        "recipe", nargs="?", default="configs/sft.yaml", help="a file (configs/sft.yaml)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings here too")


def run(options: argparse.Namespace) -> int:
    """Print a sample with its trained tokens and every finding; 1 where one stops the run."""
    project = genai.find_project()
    recipe = load_recipe(find_recipe(project, options.recipe))
    report = check_data(recipe, project, progress=_progress if sys.stderr.isatty() else _quiet)
    print(report.text(colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    if options.json:
        options.json.write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
    return 1 if report.failed else 0


def _progress(step: str) -> None:
    print(f"{step} ...", file=sys.stderr, flush=True)


def _quiet(step: str) -> None:
    """Say nothing where nobody watches."""
