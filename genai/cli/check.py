"""`genai check`: find mistakes in every settings file, prompt and suite, all at once."""

import argparse
import sys

import genai
from genai.config import misspelt_variables
from genai.prompts import prompt_names
from genai.wiring.check import Check, checks, unread_files, users_apart
from genai.wiring.prompts import lint_prompts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Print one line a mistake; exit code 64 when there is any."""
    root = genai.find_project().root
    made = checks()
    problems = [line for line in (_problem(check) for check in made.values()) if line]
    found = [*unread_files(made), *lint_prompts()]
    problems += [each.message for each in found if each.level == "error"]
    problems = list(dict.fromkeys(problems))  # a mistake may be met on two ways
    for line in problems:
        print(line, file=sys.stderr)
    for line in [*misspelt_variables(), *users_apart()]:
        print(f"warning: {line}")
    for each in found:
        if each.level == "warning":
            print(f"warning: {each.message}")
    count = sum((root / name).is_file() for name in made) + len(prompt_names(root / "prompts"))
    mistakes = "1 mistake" if len(problems) == 1 else f"{len(problems) or 'no'} mistakes"
    files = "1 file" if count == 1 else f"{count} files"
    print(f"{files} checked in {root}: {mistakes}")
    return 64 if problems else 0


def _problem(check: Check) -> str:
    try:
        check()
    except genai.GenaiError as error:
        return str(error)
    return ""
