"""What can be said of the rows as they stand in their files, before any tokenizer."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

from genai.finetune.check.near import normalised
from genai.finetune.check.report import Finding, State, by_limit
from genai.finetune.data import Fault, LabelledRow, PreferenceRow, Row
from genai.finetune.recipe import Recipe
from genai.text.pii import find_pii
from genai.text.secrets import find_secrets

_FAULTS = {
    "schema": ("lines are no rows of this method", "mend or remove them"),
    "role": ("answers end with a role that is not trained", "one turn of the assistant comes last"),
    "empty": ("prompts or answers are empty", "remove them"),
    "identical": ("pairs have one text twice", "remove them: their loss never falls"),
}


def faults(found: Sequence[Fault], lines: int) -> list[Finding]:
    """Count the lines that cannot be rows, a finding for each kind of fault."""
    return [
        by_limit(name, [each.text() for each in found if each.kind == name], lines, 0, what, cure)
        for name, (what, cure) in _FAULTS.items()
    ]


def personal(rows: Sequence[Row], recipe: Recipe, owners: Sequence[int]) -> Finding:
    """Look for personal data and secrets, in the files whose `pii` is not `allowed`.

    Secrets are looked for in the files that say `checked` only, as personal data is; a row that
    carries a detector's finding fails in every file but an `allowed` one. `owners` gives the file
    of each row.
    """
    problems = []
    for row, owner in zip(rows, owners, strict=True):
        basis = recipe.data[owner].pii
        kinds = list(row.provenance.pii) if basis != "allowed" else []
        if basis == "checked":
            for text in (*(turn.content for turn in row.prompt), *row.answers):
                kinds += [span.kind for find in (find_pii, find_secrets) for span in find(text)]
        if kinds:
            problems.append(f"{row.file}:{row.line}: {', '.join(dict.fromkeys(kinds))}")
    return by_limit("personal data", problems, len(rows), 0, "rows hold personal data or secrets",
                    "redact or remove them, or say `pii: allowed` with its basis")  # fmt: skip


def reviewed(rows: Sequence[Row]) -> Finding:
    """Find rows made of what people said that nobody has read, or that nobody consented to."""
    problems = []
    for row in rows:
        made = row.provenance
        if made.source in ("feedback", "evals") and not (made.reviewer and made.consent):
            lacks = "a reviewer" if made.consent else "consent"
            problems.append(f"{row.file}:{row.line}: lacks {lacks}")
    return by_limit("reviewed", problems, len(rows), 0, "gathered rows lack a reviewer or consent",
                    "review them: genai finetune data accept NAME")  # fmt: skip


def contradictions(rows: Sequence[Row], limit: float) -> Finding:
    """Find answers that are chosen in one pair and rejected in another of the same prompt."""
    chosen: dict[str, set[str]] = defaultdict(set)
    pairs = [row for row in rows if isinstance(row, PreferenceRow)]
    for row in pairs:
        chosen[_prompt(row)].add(normalised(row.chosen) or row.chosen)
    lines = [
        f"{row.file}:{row.line}: rejected here, chosen elsewhere" for row in pairs
        if (normalised(row.rejected) or row.rejected) in chosen[_prompt(row)]
        and not _alike(row)
    ]  # fmt: skip
    return by_limit("contradictions", lines, len(pairs), limit, "pairs contradict another",
                    "decide each and remove the other")  # fmt: skip


def alike(rows: Sequence[Row]) -> Finding:
    """Find pairs whose answers differ in nothing but punctuation: rarely what is to be learned."""
    pairs = [row for row in rows if isinstance(row, PreferenceRow)]
    lines = [
        f"{row.file}:{row.line}" for row in pairs
        if _alike(row)
    ]  # fmt: skip
    text = f"{len(lines)} of {len(pairs)} pairs differ in punctuation alone"
    state: State = "warn" if lines else "pass"
    return Finding("same words", state, text, len(lines), len(pairs), tuple(lines[:20]))


def _alike(row: PreferenceRow) -> bool:
    return normalised(row.chosen) == normalised(row.rejected) != ""


def _prompt(row: Row) -> str:
    return "\n".join(f"{turn.role} {normalised(turn.content)}" for turn in row.prompt)


def balance(rows: Sequence[Row], limits: tuple[float, float]) -> Finding:
    """Say how many answers are good for one bad, and the weights that even it out."""
    labels = [row.label for row in rows if isinstance(row, LabelledRow)]
    good = sum(labels)
    bad = len(labels) - good
    if not good or not bad:
        return Finding("label balance", "fail", f"{good} good, {bad} bad answers; both are needed",
                       0, len(labels))  # fmt: skip
    ratio, even = good / bad, f"`desirable_weight: {max(1.0, bad / good):.3g}`, "
    even += f"`undesirable_weight: {max(1.0, good / bad):.3g}`"
    state: State = "pass" if limits[0] <= ratio <= limits[1] else "warn"
    return Finding("label balance", state, f"{good} good and {bad} bad; even with {even}",
                   good, len(labels))  # fmt: skip


def length_bias(
    chosen: Sequence[int], rejected: Sequence[int], limits: tuple[float, float]
) -> Finding:
    """Say whether the longer answer is mostly the chosen one: length is then what is learned."""
    unequal = [(a, b) for a, b in zip(chosen, rejected, strict=True) if a != b]
    median = statistics.median(a - b for a, b in zip(chosen, rejected, strict=True))
    longer = sum(a > b for a, b in unequal)
    text = f"chosen is longer in {longer} and shorter in {len(unequal) - longer} of {len(chosen)}"
    text += f" pairs, by {median:+g} tokens in the median"
    share = longer / len(unequal) if unequal else 0.5
    state: State = "pass" if limits[0] <= share <= limits[1] else "warn"
    return Finding("length bias", state, text, longer, len(chosen))


def sense(recipe: Recipe, rows: int) -> Finding:
    """Say how often every row is seen; many times is learning by heart."""
    steps = recipe.steps_for(rows)
    epochs = steps * recipe.rows_per_step / rows
    text = f"{steps} steps of {recipe.rows_per_step} rows see every row {epochs:.2g} times"
    if epochs > recipe.check.epochs:
        return Finding("steps", "warn", f"{text}; above {recipe.check.epochs:g} it is learned by"
                       " heart", steps, rows)  # fmt: skip
    if recipe.training.warmup_steps >= steps:
        return Finding(
            "steps", "fail", f"{text}, and `warmup_steps` is not below them", steps, rows
        )
    return Finding("steps", "pass", text, steps, rows)


def of_method(recipe: Recipe, rows: Sequence[Row]) -> Iterator[Finding]:
    """Give the findings that only this method has."""
    if recipe.method in ("dpo", "orpo"):
        yield contradictions(rows, recipe.check.contradictions)
        yield alike(rows)
    if recipe.method == "kto":
        yield balance(rows, recipe.check.label_balance)
