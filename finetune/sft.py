"""Supervised fine-tuning, as `python finetune/sft.py [RECIPE]`.

Checks the data, holds the plan to the budget, trains, and has the evals judge what came out.
"""

import sys

import genai


def main(recipe: str = "configs/sft.yaml") -> None:
    """Train by a recipe and print what the gate says."""
    outcome = genai.train(recipe, say=print)
    print(f"{outcome.name}: {outcome.steps} steps, {outcome.seconds:.0f} s, model {outcome.model}")
    for gate in genai.judge(outcome.name):
        print(gate.text())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except genai.GenaiError as error:
        sys.exit(f"{error}")
