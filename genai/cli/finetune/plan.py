"""`genai finetune plan [RECIPE]`: tokens, hours, memory, energy and money before the run."""

import argparse
import json
import sys
from pathlib import Path

import genai
from genai.finetune import find_recipe, load_recipe
from genai.finetune.calibrate import plan_run
from genai.finetune.plan import actual, hold, read_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument(
        "recipe", nargs="?", default="configs/sft.yaml", help="a file (configs/sft.yaml)"
    )
    parser.add_argument("--fresh", action="store_true", help="time the steps again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the plan here too")


def run(options: argparse.Namespace) -> int:
    """Print the plan, beside what a finished run took; 3 where it is above the budget."""
    project = genai.find_project()
    recipe = load_recipe(find_recipe(project, options.recipe))
    found = None if options.fresh else read_plan(recipe, project)
    found = found or plan_run(recipe, project, say=lambda step: print(step, file=sys.stderr))
    print(found.text(actual(recipe, project)))
    if options.json:
        options.json.write_text(json.dumps(found.as_dict(), indent=1) + "\n", encoding="utf-8")
    hold(found, recipe)
    return 0
