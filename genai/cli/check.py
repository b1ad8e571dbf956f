"""`genai check`: find mistakes in every settings file, prompt and suite, all at once."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import genai
from genai.evals import load_suite
from genai.evals.vary import check_variants
from genai.governance.usecase import load_usecase
from genai.loop import load_loop
from genai.prompts import prompt_names
from genai.reports.invoices import load_formats
from genai.wiring import prices
from genai.wiring.prompts import lint_prompts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Print one line a mistake; exit code 64 when there is any."""
    root = genai.find_project().root
    checks: dict[str, Callable[[], object]] = {
        "configs/genai.yaml": genai.settings,
        "configs/prices.yaml": lambda: prices().names(),
        "configs/loop.yaml": lambda: load_loop(root / "configs" / "loop.yaml"),
        "the configured model": genai.model,
    }
    if (root / "prompts").is_dir():  # without prompts there is no chain to guard
        checks["configs/guards.yaml"] = genai.load_guards
    for path in sorted((root / "configs" / "usecases").glob("*.yaml")):
        checks[f"usecases/{path.name}"] = lambda path=path: load_usecase(path)  # type: ignore[misc]
    if (root / "configs" / "invoices.yaml").exists():
        checks["configs/invoices.yaml"] = lambda: load_formats(root / "configs" / "invoices.yaml")
    for path in sorted((root / "evals").glob("*.yaml")):
        checks[f"evals/{path.name}"] = lambda path=path: check_variants(load_suite(path))  # type: ignore[misc]
    problems = [line for line in (_problem(check) for check in checks.values()) if line]
    found = lint_prompts()
    problems += [each.message for each in found if each.level == "error"]
    for line in dict.fromkeys(problems):
        print(line, file=sys.stderr)
    for each in found:
        if each.level == "warning":
            print(f"warning: {each.message}")
    count = len(checks) + len(prompt_names(root / "prompts"))
    mistakes = "1 mistake" if len(problems) == 1 else f"{len(problems) or 'no'} mistakes"
    print(f"{count} files checked in {Path(root)}: {mistakes}")
    return 64 if problems else 0


def _problem(check: Callable[[], object]) -> str:
    try:
        check()
    except genai.GenaiError as error:
        return str(error)
    return ""
