"""The JSON schema of recipes, so that an editor completes and checks them.

`python -m genai.finetune.schema configs/schema` writes it anew.
"""

import json
import sys
from pathlib import Path
from typing import Any

from genai.finetune.recipe import Recipe


def recipe_schema() -> dict[str, Any]:
    """Give the schema of a recipe."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()
    }  # fmt: skip


def write(folder: Path) -> None:
    """Write it into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recipe_schema(), indent=1, sort_keys=True) + "\n"
    (folder / "recipe.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
