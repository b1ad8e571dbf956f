"""Sides by hash: a row never changes side, whatever is added, removed or reordered around it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from genai.errors import InputError
from genai.evals.leaks import tokens
from genai.finetune.data.rows import Row, read_rows, write_rows
from genai.project import write_whole


def side(group: str, share: float) -> bool:
    """Say whether a group is among the `share` that is held out, for good."""
    return _place(group, "held-out") < share


def split(rows: Iterable[Row], shares: Mapping[str, float]) -> dict[str, list[Row]]:
    """Part rows into named shares and `train`, by who wrote them or else by what was asked.

    Rows of one person, one conversation or one wording of a prompt stay together.

    Raises:
        InputError: the shares leave nothing to train.
    """
    if any(share <= 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise InputError(f"shares {dict(shares)}: each must be above 0 and all together below 1")
    found: dict[str, list[Row]] = {"train": [], **{name: [] for name in shares}}
    for row in rows:
        place = _place(_group(row), "")
        for name, share in shares.items():
            if place < share:
                found[name].append(row)
                break
            place -= share
        else:
            found["train"].append(row)
    return found


def split_file(path: Path, method: str, shares: Mapping[str, float]) -> dict[str, tuple[Path, int]]:
    """Part a file of rows into `FILE.train.jsonl`, and suites of the held-out SFT rows.

    A held-out part is `FILE.NAME.yaml` with its cases beside it, ready for `evals` of a recipe;
    rows of another method stay rows.

    Raises:
        InputError: the file cannot be read or the parts not written.
    """
    parts = split(read_rows([path], method), shares)
    found = {}
    for name, rows in parts.items():
        target = path.with_name(f"{path.stem}.{name}.jsonl")
        if name == "train" or method != "sft":
            write_rows(target, rows)
        else:
            target = _write_suite(target, rows)
        found[name] = target, len(rows)
    return found


def _write_suite(target: Path, rows: Iterable[Row]) -> Path:
    lines = []
    for row in rows:
        case: dict[str, Any] = {"id": row.id, "expected": row.answers[0]}
        if len(row.prompt) == 1 and row.prompt[0].role == "user":
            case["input"] = row.prompt[0].content
        else:
            case["messages"] = [{"role": t.role, "content": t.content} for t in row.prompt]
        lines.append(json.dumps(case, ensure_ascii=False) + "\n")
    suite = target.with_suffix(".yaml")
    write_whole(target, "".join(lines))
    write_whole(suite, f"suite: {target.stem}\ntask: model\nmetrics:\n  exact: {{gate: true}}\n"
                f"files: [{target.name}]\n")  # fmt: skip
    return suite


def _place(group: str, salt: str) -> float:
    """Give a group its place between 0 and 1, the same on every machine."""
    digest = hashlib.sha256(f"{salt}\n{group}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _group(row: Row) -> str:
    made = row.provenance
    asked = "\n".join(" ".join(tokens(turn.content)) for turn in row.prompt)
    return made.user_key or made.group or asked
