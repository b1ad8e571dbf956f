"""A suite of sums, runs of it, and tasks that fail on chosen cases."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genai.evals import Decision, Options, Report, Tools, evaluate
from genai.evals.baseline import accept

HEAD = """suite: sums
metrics:
  exact: {gate: true}
  hard_exact: {scorer: exact, min: 0.2, where: hard}
  token_f1: {show: true}
"""
NASTY = (
    "<script>alert(1)</script> ``` @team ]]> \x08 ![x](http://evil.test/p.png) [y](http://evil.test)"
    " <img src=x onerror=alert(2)> \u202eright http://evil.test/auto #12 </details> \ud800"
)
Task = Callable[[str], str]


def suite(folder: Path, head: str = HEAD, count: int = 60, name: str = "s") -> Path:
    (folder / "evals").mkdir(exist_ok=True)
    rows = [
        {"id": f"{name}{n}", "input": f"{n} + 1", "expected": str(n + 1),
         "tags": ["hard" if n % 2 else "easy"]}
        for n in range(count)
    ]  # fmt: skip
    (folder / "evals" / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "evals" / "sums.yaml"
    path.write_text(f"{head}files: sums.jsonl\n")
    return path


def right(question: str) -> str:
    return str(int(question.partition(" ")[0]) + 1)


def wrong_below(most: int, said: str = "no") -> Task:
    return lambda question: said if int(question.partition(" ")[0]) < most else right(question)


def run(path: Path, task: Any, **options: Any) -> Report:
    runs = path.parent.parent / ".genai" / "runs"
    return evaluate(path, task, runs, Tools(), Options(resume=False, **options))


def judged(
    folder: Path, task: Task, before: Task = right, **options: Any
) -> tuple[Report, Decision]:
    path = suite(folder)
    accept(run(path, before), "the first run")
    report = run(path, task, **options)
    decision = report.judged()
    assert decision is not None
    return report, decision


def nasty(question: str) -> str:
    return NASTY if int(question.partition(" ")[0]) < 20 else right(question)
