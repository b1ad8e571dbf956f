"""Gathered rows wait until a person has read them; then they are training data, with that name.

.genai/finetune/data/NAME.drafts.jsonl      wait for review
.genai/finetune/data/NAME.jsonl             accepted: name it in a recipe
.genai/finetune/data/NAME.held-out.jsonl    of people who are held out: `check.leak_files`
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from genai.errors import InputError
from genai.finetune.data.gather import Gathered
from genai.finetune.data.rows import Row, read_rows, write_rows
from genai.project import Project


def data_path(project: Project, name: str, part: str = "") -> Path:
    """Say where the rows of a name are; `part` is `drafts`, `held-out` or nothing."""
    return project.state / "finetune" / "data" / f"{name}{f'.{part}' if part else ''}.jsonl"


def add_drafts(project: Project, name: str, method: str, found: Gathered) -> int:
    """Put gathered rows to the drafts, and held-out ones aside; give the number of new drafts."""
    known = {row.id for part in ("", "drafts") for row in _read(project, name, part, method)}
    fresh = [row for row in found.rows if row.id not in known]
    drafts = data_path(project, name, "drafts")
    _write(drafts, [*_read(project, name, "drafts", method), *fresh])
    aside = {row.id: row for row in _read(project, name, "held-out", method)}
    aside |= {row.id: row for row in found.held_out}
    _write(data_path(project, name, "held-out"), aside.values())
    return len(fresh)


def accept_drafts(
    project: Project, name: str, method: str, ids: Sequence[str], reviewer: str
) -> Path:
    """Move drafts that somebody has read to the training rows; give their file.

    Raises:
        InputError: nobody reviewed, or there is no such draft; then nothing is changed.
    """
    drafts = {row.id: row for row in read_drafts(project, name, method)}
    if not reviewer.strip():
        raise InputError("a row counts once somebody has read it: --reviewer NAME")
    for each in ids:
        if each not in drafts:
            known = ", ".join([*drafts][:5]) or "none"
            raise InputError(f"{name}: has no draft `{each}`; drafts: {known}")
    read = (drafts.pop(each) for each in dict.fromkeys(ids))
    moved = [replace(r, provenance=replace(r.provenance, reviewer=reviewer.strip())) for r in read]
    path = data_path(project, name)
    # accepted first: a row that stands in both files after a crash is one row by its id
    _write(path, [*_read(project, name, "", method), *moved])
    _write(data_path(project, name, "drafts"), drafts.values())
    return path


def drop_drafts(project: Project, name: str, method: str, ids: Sequence[str]) -> None:
    """Throw drafts away that should not be trained."""
    left = [row for row in read_drafts(project, name, method) if row.id not in ids]
    _write(data_path(project, name, "drafts"), left)


def read_drafts(project: Project, name: str, method: str) -> list[Row]:
    """Give the rows that wait; a draft that was accepted meanwhile is none."""
    accepted = {row.id for row in _read(project, name, "", method)}
    return [row for row in _read(project, name, "drafts", method) if row.id not in accepted]


def _read(project: Project, name: str, part: str, method: str) -> list[Row]:
    path = data_path(project, name, part)
    return read_rows([path], method) if path.exists() else []


def _write(path: Path, rows: Iterable[Row]) -> None:
    rows = list(rows)
    if rows:
        write_rows(path, rows)
    else:
        path.unlink(missing_ok=True)
