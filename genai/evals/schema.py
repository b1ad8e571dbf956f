"""JSON schemas of suites and cases, so that an editor completes and checks them.

`python -m genai.evals.schema evals/schema` writes them anew.
"""

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
    (found,), parts = msgspec.json.schema_components([Case], ref_template="#/$defs/{name}")
    return {"$schema": _DRAFT, "title": "A case", **found, "$defs": parts}


def suite_schema() -> dict[str, Any]:
    """Give the schema of `evals/<suite>.yaml`, its cases included."""
    found = SuiteSettings.model_json_schema()
    (case,), parts = msgspec.json.schema_components([Case], ref_template="#/$defs/{name}")
    found["properties"]["cases"] = {"type": "array", "items": case}
    names = {"type": "string"}
    found["properties"]["files"] = {
        "anyOf": [
            names, {"type": "array", "items": {"anyOf": [names, {"$ref": "#/$defs/CaseFile"}]}},
        ]
    }  # fmt: skip
    return {"$schema": _DRAFT, **found, "$defs": {**found["$defs"], **parts}}


def write(folder: Path) -> None:
    """Write both schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in (("suite", suite_schema()), ("case", case_schema())):
        text = json.dumps(schema, indent=1, sort_keys=True) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
