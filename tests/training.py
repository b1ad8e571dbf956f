"""A project with the demo's data, recipes to vary, and rows to write, for tests of fine-tuning."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genai.config import validate
from genai.finetune import Recipe
from genai.finetune.demo import recipe as demo_recipe
from genai.finetune.demo import write_demo
from genai.project import Project

ROOT = Path(__file__).parents[1]
STORK = "Where does the white stork build its nest of sticks each spring?"
SUITE = f"""suite: birds
metrics:
  exact: {{gate: true}}
cases:
  - {{id: stork, input: "{STORK}", expected: on chimneys}}
"""


def demo_project(folder: Path) -> Project:
    """Make a project with the quick demo, its recipes and a suite of its own."""
    project = Project(folder, folder / ".genai")
    shutil.copytree(ROOT / "finetune" / "demo", folder / "finetune" / "demo")
    (folder / "configs").mkdir()
    (folder / "evals").mkdir()
    (folder / "configs" / "genai.yaml").write_text("version: 1\n")
    for name in ("sft.yaml", "dpo.yaml"):
        shutil.copy(ROOT / "configs" / name, folder / "configs" / name)
    (folder / "evals" / "birds.yaml").write_text(SUITE)
    write_demo("quick", project)
    return project


def recipe_of(method: str = "sft", **changes: Any) -> Recipe:
    """Give the quick recipe with whole sections changed; any method, on the demo's base."""
    given = demo_recipe("quick", "sft" if method == "sft" else "dpo")
    given |= {"method": method, "base": ".genai/finetune/demo/quick/base", **changes}
    return validate(Recipe, given, "configs/test.yaml")


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write one JSON value a line; a string goes in as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def asked(question: str, answer: str, **more: Any) -> dict[str, Any]:
    """Give an SFT row."""
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **more}


def pair(question: str, chosen: str, rejected: str, **more: Any) -> dict[str, Any]:
    """Give a preference row."""
    return {"prompt": question, "chosen": chosen, "rejected": rejected, **more}
