"""`genai finetune run [RECIPE]`: check, plan and train; an interrupted run goes on."""

import argparse
import sys

import genai
from genai.finetune import find_recipe, load_recipe
from genai.finetune.launch import write_launch
from genai.wiring.tuning import train_on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument(
        "recipe", nargs="?", default="configs/sft.yaml", help="a file (configs/sft.yaml)"
    )
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--checked", action="store_true", help="skip the check of the data")
    parser.add_argument("--yes", action="store_true", help="train whatever the plan says")
    parser.add_argument("--launch", metavar="FOLDER", help="only write what starts it there")
    parser.add_argument("--cpu", action="store_true", help="with --launch: for a machine of CPUs")
    parser.add_argument("--ray", metavar="ADDRESS", nargs="?", const="", help="run on a cluster")


def run(options: argparse.Namespace) -> int:
    """Train, say where the model is, and what comes next."""
    project = genai.find_project()
    given = {"fresh": options.fresh, "checked": options.checked, "yes": options.yes}
    if options.ray is not None:
        run_of = train_on(options.recipe, options.ray, **given)
        print(f"model: {run_of / 'model'}\nnext: genai finetune compare {run_of.name}")
        return 0
    if options.launch is not None:
        recipe = load_recipe(find_recipe(project, options.recipe))
        folder = project.root / options.launch
        for path in write_launch(recipe, options.recipe, folder, gpu=not options.cpu):
            print(path)
        return 0
    outcome = genai.train(
        options.recipe, **given, say=lambda line: print(line, file=sys.stderr, flush=True)
    )
    score = "" if outcome.score is None else f", dev score {outcome.score:.3f}"
    print(f"{outcome.name}: {outcome.steps} steps in {outcome.seconds:.0f} s{score}")
    for note in outcome.notes:
        print(f"  beware: {note}")
    print(f"model: {outcome.model} (weights {outcome.weights[:16]})")
    print(f"next: genai finetune compare {outcome.name}")
    return 0
