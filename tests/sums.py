"""A suite of sums, and a function that adds: the smallest task that can be right or wrong."""

import json
from pathlib import Path
from typing import Any

from genai.evals import Options, Report, Tools, evaluate

HEAD = "suite: sums\nmetrics:\n  exact: {min: 0.5, gate: true}\n"


def sums(folder: Path, count: int = 20, head: str = HEAD) -> Path:
    (folder / "evals").mkdir(exist_ok=True)
    rows = [{"id": f"s{n}", "input": f"{n} + 1", "expected": str(n + 1)} for n in range(count)]
    (folder / "evals" / "sums.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    path = folder / "evals" / "sums.yaml"
    path.write_text(f"{head}files: sums.jsonl\n")
    return path


def run(path: Path, task: Any, **options: Any) -> Report:
    return evaluate(path, task, path.parent.parent / "runs", Tools(), Options(**options))


def add(question: str) -> str:
    left, _, right = question.partition(" + ")
    return str(int(left) + int(right))
