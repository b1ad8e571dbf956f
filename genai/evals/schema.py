"""JSON schemas of suites and cases, so that an editor completes and checks them.

`python -m genai.evals.schema evals/schema` writes them anew.
"""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from genai.evals.case import Case
from genai.evals.suite import SuiteSettings

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def case_schema() -> dict[str, Any]:
    """Give the schema of one case, as a line of JSONL holds it."""
    found, parts = _case()
    return {"$schema": _DRAFT, "title": "A case", **found, "$defs": parts}


def suite_schema() -> dict[str, Any]:
    """Give the schema of `evals/<suite>.yaml`, its cases included."""
    found = SuiteSettings.model_json_schema()
    case, parts = _case()
    found["properties"]["cases"] = {"type": "array", "items": case}
    names = {"type": "string"}
    found["properties"]["files"] = {
        "anyOf": [
            names, {"type": "array", "items": {"anyOf": [names, {"$ref": "#/$defs/CaseFile"}]}},
        ]
    }  # fmt: skip
    return {"$schema": _DRAFT, **found, "$defs": {**found["$defs"], **parts}}


def _case() -> tuple[dict[str, Any], dict[str, Any]]:
    (found,), parts = msgspec.json.schema_components([Case], ref_template="#/$defs/{name}")
    for part in parts.values():  # from Python 3.13 on they come without their indentation
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    return found, parts


def write(folder: Path) -> None:
    """Write both schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in (("suite", suite_schema()), ("case", case_schema())):
        text = json.dumps(schema, indent=1, sort_keys=True) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
