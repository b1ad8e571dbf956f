"""`genai upgrade`: migrate a project's ledger; say whether its settings and index fit."""

import argparse

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Migrate what is older; what is newer than this program is refused, never changed."""
    steps = genai.open_ledger().upgrade()
    print(f"ledger: {steps} migrations applied" if steps else "ledger: up to date")
    config = genai.settings()
    print(f"configs/genai.yaml: version {config.version}, up to date")
    index = genai.Index(config.chain.index)
    print(f"index {index.name}: {index.count()} passages, {index.state()}")
    return 0
