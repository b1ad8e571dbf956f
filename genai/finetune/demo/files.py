"""The demo as files: training rows, suites, the base, and the two recipes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from genai.config import validate
from genai.errors import InputError
from genai.evals.trial import Trial
from genai.finetune.data import write_rows
from genai.finetune.demo.base import write_base
from genai.finetune.demo.generate import Example, Generator, Preset
from genai.finetune.recipe import Recipe
from genai.project import Project

_TRAINING: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("quick", "sft"): {"learning_rate": 3e-3, "steps": 200, "batch": 32, "warmup_steps": 20},
    ("quick", "dpo"): {"learning_rate": 5e-4, "steps": 40, "batch": 16, "warmup_steps": 3},
    ("support", "sft"): {"learning_rate": 2e-3, "steps": 600, "batch": 32, "warmup_steps": 50},
    ("support", "dpo"): {"learning_rate": 3e-4, "steps": 120, "batch": 16, "warmup_steps": 5},
}


def recipe(preset: str, method: str) -> dict[str, Any]:
    """Give the recipe of a preset as the settings its file holds."""
    home, sft = f".genai/finetune/demo/{preset}", method == "sft"
    defects = "3 in 5 answers invent a value that the message does not state" if sft else ""
    file = {
        "path": f"{home}/{'sft' if sft else 'pairs'}.jsonl", "licence": "CC0-1.0",
        "source": "genai.finetune.demo", "consent": "synthetic", "pii": "none", "defects": defects,
    }  # fmt: skip
    training = {**_TRAINING[preset, method], "weight_decay": 0.01 if sft else 0.0, "seed": 1}
    # with `sigmoid` alone some answers are no JSON any more, and cities fall with them
    anchored = {"preference": {"losses": {"sigmoid": 1.0, "sft": 1.0}}}
    return {
        "version": 1,
        "name": f"{preset}-{method}",
        "method": method,
        "base": f"{home}/base" if sft else f".genai/finetune/runs/{preset}-sft/model",
        "weights": "random" if sft else "pretrained",
        "data": [file],
        "mask": "completion",
        "max_length": "auto",
        "tuning": {"kind": "full"} if sft else {"kind": "lora", "rank": 16, "alpha": 32},
        "training": training,
        **(anchored if (preset, method) == ("support", "dpo") else {}),
        # messages are made from a template, so that neighbours differ by one word
        "check": {"near": 1.0},
        "evals": {
            "suite": f"finetune/demo/{preset}.yaml", "dev": f"{home}/dev.yaml", "metric": "exact",
            "max_tokens": 48,
        },
        "budget": {"max_hours": 0.5, "max_gib": 4.0},
        "licences": {"base": "CC0-1.0"},
        "card": {
            "intended_use": "Shows how fine-tuning is gated by the task; reads the demo's support"
            " messages.",
            "out_of_scope": "Any other text. It has seen nothing else.",
            "limits": "A vocabulary of a few hundred words, one sentence form a part.",
            "languages": ["en"],
            "contact": "the owner of this project",
            "licence": "CC0-1.0",
        },
    }  # fmt: skip


def write_demo(preset: str, project: Project) -> Path:
    """Write everything a preset needs into `.genai/finetune/demo/PRESET`; give that folder.

    The suite that gates is not written: `finetune/demo/PRESET.yaml` is frozen.

    Raises:
        InputError: no such preset, the frozen suite is missing, or the disk refuses.
        MissingExtra: transformers is not installed.
    """
    made = Generator(preset)
    folder = project.state / "finetune" / "demo" / preset
    frozen = project.root / "finetune" / "demo" / f"{preset}.yaml"
    if not frozen.is_file():
        raise InputError(f"{frozen.name}: the frozen test set is missing; copy finetune/demo/ from"
                         " the starter (`genai init`)")  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(folder / "sft.jsonl", made.sft())
        write_rows(folder / "pairs.jsonl", made.pairs())
        write_suite(made.preset, "dev", made.dev, folder / "dev.yaml")
        texts = [text for row in made.sft() for turn in row.messages for text in (turn.content,)]
        write_base(made.preset, texts, folder / "base")
        for method in ("sft", "dpo"):
            settings = recipe(preset, method)
            validate(Recipe, settings, f"{preset}-{method}")
            text = yaml.safe_dump(settings, sort_keys=False, width=100, allow_unicode=True)
            (folder / f"{method}.yaml").write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error}); free space or mend its rights"
                         ) from error  # fmt: skip
    return folder


def write_suite(preset: Preset, name: str, examples: Sequence[Example], path: Path) -> None:
    """Write examples as a suite with a metric for every slice."""
    lines = (json.dumps(each) for each in _cases(preset, examples, f"{preset.name}-{name}"))
    path.with_suffix(".jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    there, absent = f"{preset.field}:present", f"{preset.field}:absent"
    null = {"path": f"$.{preset.field}", "equals": None}
    metrics: dict[str, Any] = {
        "exact": {"gate": True},
        "exact_present": {"scorer": "exact", "where": there, "gate": True},
        "null_when_absent": {"scorer": "json_path", "params": null, "where": absent, "gate": True},
        "json_valid": {"gate": True},
    }
    if preset.field == "order":
        metrics["city"] = {"scorer": "genai.finetune.demo:city", "gate": True}
    settings = {
        "suite": path.stem if name == "test" else f"{preset.name}-{name}",
        "version": 1,
        "description": f"Support messages to strict JSON; `{preset.field}` is null where none is"
        " stated.",
        "licence": "CC0-1.0",
        "task": "model",
        "metrics": metrics,
        "files": [path.with_suffix(".jsonl").name],
    }
    text = yaml.safe_dump(settings, sort_keys=False, width=100, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def _cases(preset: Preset, examples: Sequence[Example], name: str) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(examples):
        there = "absent" if each.values[preset.field] is None else "present"
        tags = [f"{preset.field}:{there}", f"intent:{each.values['intent']}"]
        yield {"id": f"{name}-{number:03}", "input": each.message, "expected": each.answer,
               "tags": tags}  # fmt: skip


def city(trial: Trial) -> bool:
    """Say whether the answer names the city that the message states."""
    try:
        given = json.loads(trial.text)
    except ValueError:
        return False
    wanted = json.loads(trial.case.expected)["city"]
    return isinstance(given, dict) and given.get("city") == wanted
