"""`genai check`: find mistakes in every settings file, prompt and suite, all at once."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import genai
from genai.evals import load_suite
from genai.evals.vary import check_variants
from genai.wiring import prices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Print one line a mistake; exit code 64 when there is any."""
    root = genai.find_project().root
    prompts = root / "prompts"
    checks: dict[str, Callable[[], object]] = {
        "configs/genai.yaml": genai.settings,
        "configs/guards.yaml": genai.load_guards,
        "configs/prices.yaml": lambda: prices().names(),
        "the configured model": genai.model,
    }
    for path in sorted(prompts.rglob("*.md")):
        name = path.relative_to(prompts).with_suffix("").as_posix()
        checks[f"prompts/{name}.md"] = lambda name=name: genai.prompt(name)  # type: ignore[misc]
    for path in sorted((root / "evals").glob("*.yaml")):
        checks[f"evals/{path.name}"] = lambda path=path: check_variants(load_suite(path))  # type: ignore[misc]
    problems = [line for line in (_problem(check) for check in checks.values()) if line]
    for line in dict.fromkeys(problems):
        print(line, file=sys.stderr)
    print(f"{len(checks)} files checked in {Path(root)}: {len(problems) or 'no'} mistakes")
    return 64 if problems else 0


def _problem(check: Callable[[], object]) -> str:
    try:
        check()
    except genai.GenaiError as error:
        return str(error)
    return ""
