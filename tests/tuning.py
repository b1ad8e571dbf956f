"""A project with a task so small that a run learns it by heart in seconds."""

import copy
import json
from pathlib import Path
from typing import Any

from tiny import tiny_model

from genai.config import validate
from genai.finetune import Recipe
from genai.project import Project

WORDS = ("red", "blue", "green", "black", "white", "grey")
FRUITS = ("apple", "pear", "plum", "fig")
QUESTIONS = [f"colour {word} fruit {fruit}" for word in WORDS for fruit in FRUITS]


def answer(question: str) -> str:
    return json.dumps({"fruit": question.rpartition(" ")[2]}, separators=(",", ":"))


SETTINGS: dict[str, Any] = {
    "name": "small",
    "method": "sft",
    "base": "base",
    "weights": "random",
    "data": [
        {"path": "rows.jsonl", "licence": "CC0-1.0", "source": "tests", "consent": "synthetic",
         "pii": "none"}
    ],
    "mask": "completion",
    "tuning": {"kind": "full"},
    "training": {"learning_rate": 0.01, "steps": 12, "batch": 8, "warmup_steps": 2, "threads": 1,
                 "log_every": 2},
    "evals": {"suite": "suite.yaml", "dev": "dev.yaml", "metric": "exact", "max_tokens": 16},
    "licences": {"base": "CC0-1.0"},
    "card": {"intended_use": "tests", "out_of_scope": "the rest", "limits": "it knows 24 lines",
             "languages": ["en"], "contact": "nobody", "licence": "CC0-1.0"},
}  # fmt: skip


def make_project(folder: Path) -> Project:
    project = Project(folder, folder / ".genai")
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "genai.yaml").write_text("version: 1\n")
    tiny_model(folder / "base")
    (folder / "base" / "model.safetensors").unlink()  # a run makes its own
    chosen = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": answer(q)}]}
        for q in QUESTIONS
    ]
    write(folder / "rows.jsonl", chosen)
    pairs = [{"prompt": q, "chosen": answer(q), "rejected": '{"fruit":null}'} for q in QUESTIONS]
    write(folder / "pairs.jsonl", pairs)
    labels = [
        {"prompt": each["prompt"], "completion": each[kind], "label": kind == "chosen"}
        for each in pairs
        for kind in ("chosen", "rejected")
    ]
    write(folder / "labels.jsonl", labels)
    for name in ("suite", "dev"):
        suite = {
            "suite": name,
            "metrics": {
                "exact": {"gate": True, "margin": 0.3},  # 24 cases show no less
                "exact_fig": {"scorer": "exact", "where": "fig", "gate": True, "margin": 0.45},
                "json_valid": {"show": True},
            },
            "cases": [
                {"id": f"c{n}", "input": q, "expected": answer(q), "tags": [q.rpartition(" ")[2]]}
                for n, q in enumerate(QUESTIONS)
            ],
        }
        (folder / f"{name}.yaml").write_text(json.dumps(suite))  # JSON is YAML
    return project


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def recipe(**changes: Any) -> Recipe:
    """Give the small recipe with changes; a dotted key goes into a section."""
    settings = copy.deepcopy(SETTINGS)
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            settings.setdefault(section, {})[name] = value
        else:
            settings[section] = value
    return validate(Recipe, settings, "small")


def preference(method: str = "dpo", **changes: Any) -> Recipe:
    """Give a recipe that goes on from the small run."""
    data = [{**SETTINGS["data"][0], "path": f"{'labels' if method == 'kto' else 'pairs'}.jsonl"}]
    given = {
        "name": f"small-{method}", "method": method, "base": ".genai/finetune/runs/small/model",
        "weights": "pretrained", "data": data, "training__learning_rate": 1e-3,
        "tuning": {"kind": "lora", "rank": 8, "alpha": 16}, "training__steps": 6,
    }  # fmt: skip
    return recipe(**{**given, **changes})
