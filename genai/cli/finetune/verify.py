"""`genai finetune verify RUN`: train its first steps again and compare the weights."""

import argparse

import genai
from genai.finetune.verify import verify
from genai.wiring.tuning import run_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("run", metavar="RUN", help="its name or folder")
    parser.add_argument("--steps", type=int, help="a step whose weights the lock holds")


def run(options: argparse.Namespace) -> int:
    """Say whether the run can be made again: 0, or 1 where it cannot."""
    found = verify(run_folder(options.run), genai.find_project(), options.steps)
    print(f"{options.run}: {found.words}")
    return 0 if found.ok else 1
