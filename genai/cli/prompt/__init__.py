"""`genai prompt`: the prompts of the project, their hashes, and whether each was evaluated."""

import argparse

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Print a line a prompt."""
    found = genai.known_prompts()
    for each in found:
        if each.problem:
            print(each.problem)
            continue
        words = [f"{each.tokens} tokens", each.state]
        if each.receipt is not None:
            receipt = each.receipt
            words[-1] += f" by {receipt.suite} run {receipt.run}, {receipt.decision} {receipt.at}"
        print(f"{each.name}@{each.hash}  {', '.join([*words, *each.labels])}")
    if not found:
        print("no prompt yet; write prompts/TOPIC/NAME.md")
    return 0
