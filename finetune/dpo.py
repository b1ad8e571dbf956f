"""Preference training, as `python finetune/dpo.py [RECIPE]`.

Goes on from the model that `finetune/sft.py` made. The better run by the trainer's numbers can be
the worse model, so only what the gate lets through is promoted.
"""

import sys

import genai


def main(recipe: str = "configs/dpo.yaml") -> None:
    """Train by a recipe, judge it, and serve it where it is no worse on any slice."""
    outcome = genai.train(recipe, say=print)
    for note in outcome.notes:
        print(f"beware: {note}")
    gates = genai.judge(outcome.name)
    for gate in gates:
        print(gate.text())
    if all(gate.passed for gate in gates):
        print(f"served as local/.genai/adapters/{genai.promote(outcome.name).name}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except genai.GenaiError as error:
        sys.exit(f"{error}")
