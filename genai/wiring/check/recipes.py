"""What a recipe names: the suite that gates it, licences, and a name of its own."""

import re
from pathlib import Path

from genai import project as projects
from genai.errors import ConfigError, shown
from genai.evals import load_suite
from genai.finetune.check.licences import check_known
from genai.finetune.recipe import Recipe, load_recipe

_METHOD = re.compile(r"^method:", re.MULTILINE)


def text_of(path: Path) -> str:
    """Give a file's text to look for a key in; '' where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def is_recipe(path: Path) -> bool:
    """Say whether a settings file is a recipe: nothing else has a `method`."""
    return bool(_METHOD.search(text_of(path)))


def check_recipe(path: Path) -> None:
    """Read a recipe, and the suite that gates it, which a project holds from its start."""
    recipe, name = load_recipe(path), shown(path)
    for other in sorted(path.parent.glob("*.yaml")):
        if other.name < path.name and is_recipe(other) and _named(other, recipe):
            raise ConfigError(
                f"{name}: `name`: {recipe.name} is the name of {shown(other)} too, and names the"
                " folder of its runs; give another"
            )
    check_known(recipe, name)
    root, state = projects.find_project().root, projects.find_project().state
    suite = root / recipe.evals.suite
    if not suite.is_relative_to(state) and not suite.is_file():
        raise ConfigError(f"{name}: `evals.suite`: {recipe.evals.suite} does not exist; mend it")
    if suite.is_file():
        metrics = load_suite(suite).metrics
        if recipe.evals.metric not in metrics:
            raise ConfigError(
                f"{name}: `evals.metric`: {recipe.evals.metric} is no metric of"
                f" {recipe.evals.suite}; use {', '.join(metrics)}"
            )


def _named(path: Path, recipe: Recipe) -> bool:
    line = rf"^name:\s*[\"']?{re.escape(recipe.name)}[\"']?\s*(#.*)?$"
    return bool(re.search(line, text_of(path), re.MULTILINE))
