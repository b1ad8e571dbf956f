"""The model card, filled from the lock and the gate record; nothing in it is made up or left open.

What nobody can measure (what it is for, who answers for it) stands in the recipe's `card`; an
empty field there stops the export.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genai.errors import ConfigError
from genai.finetune.gate import Gate
from genai.finetune.recipe import Recipe, located
from genai.project import Project

_HOLES = ("More Information Needed", "TODO", "TBD")


def write_card(
    path: Path, held: Mapping[str, Any], recipe: Recipe, gates: Sequence[Gate], *,
    project: Project, folder: str, refusal: str = "",
) -> None:  # fmt: skip
    """Write the card of a run, for a folder of this name.

    `refusal` is why the gate does not let it through.

    Raises:
        ConfigError: a field of the recipe's `card` is empty; names it.
    """
    missing = [
        name for name in type(recipe.card).model_fields if not getattr(recipe.card, name)
    ]  # fmt: skip
    if missing:
        raise ConfigError(f"{recipe.name}: `card.{missing[0]}` is empty; say it in the recipe and"
                          " give it to `genai finetune run` again, which trains nothing anew"
                          )  # fmt: skip
    parts = [*_head(recipe, project), *_body(held, recipe, gates, refusal), *_use(recipe, folder)]
    text = "\n".join(parts) + "\n"
    if hole := next((word for word in _HOLES if word in text), ""):
        raise ConfigError(f"{recipe.name}: the card would hold {hole!r}; say it in the recipe"
                          " and give it to `genai finetune run` again")  # fmt: skip
    path.write_text(text, encoding="utf-8")


def _head(recipe: Recipe, project: Project) -> list[str]:
    """Give the front matter that model hubs read."""
    lines = ["---", f"license: {recipe.card.licence.lower()}", "library_name: transformers"]
    local = recipe.base.startswith((".", "/", "~")) or located(project, recipe.base).is_dir()
    if recipe.weights == "pretrained" and not local:
        lines.append(f"base_model: {recipe.base}")
    lines += ["language:", *(f"- {each}" for each in recipe.card.languages)]
    return [*lines, f"tags: [{recipe.method}, {recipe.tuning.kind}]", "---", ""]


def _body(
    held: Mapping[str, Any], recipe: Recipe, gates: Sequence[Gate], refusal: str
) -> Iterator[str]:
    day = datetime.fromtimestamp(held["ended"], UTC).date().isoformat()
    yield f"# {recipe.name}"
    yield ""
    yield f"DRAFT until somebody signs it. Trained {day}; weights `{held['weights'][:16]}`."
    if refusal:
        yield f"\n**The evals do not let this model through: {refusal}.**"
    yield from _section("What it is for", [
        ("intended use", recipe.card.intended_use), ("out of scope", recipe.card.out_of_scope),
        ("limits", recipe.card.limits), ("languages", ", ".join(recipe.card.languages)),
        ("contact", recipe.card.contact), ("licence", recipe.card.licence),
    ])  # fmt: skip
    yield from _section("How it was made", _made(held, recipe))
    yield from _data(held)
    for gate in gates:
        yield from _gate(gate)
    yield from _section("What it took", _took(held, recipe))


def _section(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f"\n## {title}\n\n| | |\n|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows)


def _made(held: Mapping[str, Any], recipe: Recipe) -> list[tuple[str, str]]:
    training, tuning = recipe.training, recipe.tuning
    base, packages = held["base"], held["packages"]
    adapter = "all weights" if tuning.kind == "full" else (
        f"{tuning.kind}, rank {tuning.rank}, alpha {tuning.alpha}, {tuning.modules}"
    )  # fmt: skip
    rows = [
        ("method", f"{recipe.method}, {adapter}, engine {held['engine']}"),
        ("base", " at ".join(filter(None, (base["name"], base["revision"])))),
        ("base weights", f"`{base['weights']}`"),
        ("base licence", base["licence"]),
        ("trained tokens", f"{recipe.mask}, of {recipe.max_length} at the most"),
        ("steps", f"{held['actual']['steps']} of {recipe.rows_per_step} rows"),
        ("learning rate", f"{training.learning_rate:g}, {training.schedule}, warm-up"
         f" {training.warmup_steps}, weight decay {training.weight_decay:g}"),
        ("seeds", f"{training.seed}, data {training.data_seed}"),
        ("chat template", f"`{held['template'][:16]}`"),
        ("packages", ", ".join(f"{name} {v}" for name, v in packages.items() if v)),
    ]  # fmt: skip
    if recipe.method != "sft":
        losses = ", ".join(
            f"{name} {weight:g}" for name, weight in recipe.preference.losses.items()
        )
        rows.insert(6, ("preference", f"beta {recipe.preference.beta:g}, {losses}"))
    return rows


def _data(held: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Data\n\n| file | SHA-256 | licence | source | consent | personal data | defects |"
    yield "|---|---|---|---|---|---|---|"
    for name, each in held["data"].items():
        yield (
            f"| {name} | `{each['sha256'][:16]}` | {each['licence']} | {each['source']} |"
            f" {each['consent']} | {each['pii']} | {each['defects'] or 'none known'} |"
        )
    yield f"\n{held['rows']['count']} rows, `{held['rows']['sha256'][:16]}` in their order."


def _gate(gate: Gate) -> Iterator[str]:
    yield f"\n## Against {gate.baseline}: {gate.word}\n"
    yield f"Suite {gate.suite}, cases `{gate.dataset}`; the difference is after minus before.\n"
    yield "| metric | before | after | n | lost, won | difference, 95 % a side | word |"
    yield "|---|---|---|---|---|---|---|"
    for row in gate.slices:
        between = "not measured" if row.low is None else f"{row.low:+.3f} to {row.high:+.3f}"
        yield (
            f"| {row.metric} | {_share(row.before)} | {_share(row.after)} | {row.n} | {row.lost},"
            f" {row.won} | {between} | {row.word if row.gate else 'shown'} |"
        )
    said = ", ".join(f"{name} {value:.3f}" for name, value in gate.trainer.items())
    yield f"\nThe trainer's own numbers, for information: {said}."


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _took(held: Mapping[str, Any], recipe: Recipe) -> list[tuple[str, str]]:
    actual, machine, plan = held["actual"], held["machine"], held["plan"] or {}
    hours = actual["seconds"] / 3600
    foreseen = f"; planned {plan['hours'] * 3600:.0f} s" if plan.get("hours") else ""
    memory = "unknown" if actual.get("gib") is None else f"{actual['gib']:.2f} GiB at the peak"
    memory += f"; planned {plan['gib']:.2f} GiB" if plan.get("gib") else ""
    price, watts = recipe.budget.hourly_price, recipe.budget.watts
    unknown = "unknown: the recipe names no {}"
    return [
        ("machine", f"{machine['name']}, {machine['threads']} threads, {machine['world_size']}"
         " processes"),
        ("time", f"{actual['seconds']:.0f} s{foreseen}"),
        ("tokens", "unknown" if actual["tokens"] is None else f"{actual['tokens']:,}"),
        ("memory", f"{memory}, of one process"),
        ("cost", unknown.format("`budget.hourly_price`") if price is None
         else f"{hours * price:.4g} {recipe.budget.currency}"),
        ("power", unknown.format("`budget.watts`") if watts is None
         else f"{watts:g} W of the machine, as the recipe says"),
        ("energy", unknown.format("`budget.watts`") if watts is None
         else f"{hours * watts / 1000:.4g} kWh"),
    ]  # fmt: skip


def _use(recipe: Recipe, folder: str) -> Iterator[str]:
    yield "\n## How to run and verify it\n\nFrom beside this folder:\n"
    yield f"```python\nimport genai\n\nmodel = genai.model({f'local/{folder}'!r})\n```\n"
    yield f"`genai finetune verify {recipe.name}` trains its first steps again and compares the"
    yield "weights. `SHA256SUMS` holds the digest of every file here."
