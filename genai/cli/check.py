"""`genai check`: find mistakes in every settings file, prompt and suite, all at once."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import genai
from genai.evals import load_suite
from genai.evals.vary import check_variants
from genai.finetune.recipe import load_recipe
from genai.governance.usecase import load_usecase
from genai.loop import load_loop
from genai.prompts import prompt_names
from genai.reports.alerts import load_alerts
from genai.reports.business import load_business
from genai.reports.invoices import load_formats
from genai.wiring import prices
from genai.wiring.prompts import lint_prompts

_LOADERS: dict[str, Callable[[Path], object]] = {
    "configs/loop.yaml": load_loop,
    "configs/alerts.yaml": load_alerts,
    "configs/invoices.yaml": load_formats,
    "configs/business.yaml": load_business,
    "configs/usecases/*.yaml": load_usecase,
    **{f"configs/{method}.yaml": load_recipe for method in ("sft", "dpo", "kto", "orpo")},
    "evals/*.yaml": lambda path: check_variants(load_suite(path)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(options: argparse.Namespace) -> int:
    """Print one line a mistake; exit code 64 when there is any."""
    root = genai.find_project().root
    checks: dict[str, Callable[[], object]] = {
        "configs/genai.yaml": genai.settings,
        "configs/prices.yaml": lambda: prices().names(),
        "the configured model": genai.model,
    }
    if (root / "prompts").is_dir():  # without prompts there is no chain to guard
        checks["configs/guards.yaml"] = genai.load_guards
    for pattern, load in _LOADERS.items():
        for path in sorted(root.glob(pattern)):
            checks[str(path.relative_to(root))] = partial(load, path)
    problems = [line for line in (_problem(check) for check in checks.values()) if line]
    found = lint_prompts()
    problems += [each.message for each in found if each.level == "error"]
    problems = list(dict.fromkeys(problems))  # the settings are read for the model too
    for line in problems:
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
