"""Two versions of a dataset side by side: which cases came, went and changed, and how."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from genai.config import parse_yaml, validate
from genai.errors import CaseError, ConfigError
from genai.evals import read
from genai.evals.case import Case, dataset_hash
from genai.evals.suite import SuiteSettings

# fields that say nothing of what a case asks and expects: they change no hash
NOTES = ("tags", "risks", "metadata", "provenance")


@dataclass(frozen=True, slots=True)
class Change:
    """A case that both versions have: the fields that differ, each before and after."""

    case: str
    fields: dict[str, tuple[Any, Any]]

    @property
    def notes_only(self) -> bool:
        """Whether the case asks and expects what it did before."""
        return set(self.fields) <= set(NOTES)


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed between two versions of a dataset."""

    before: str
    after: str
    added: tuple[Case, ...]
    removed: tuple[Case, ...]
    changed: tuple[Change, ...]
    same: int

    def text(self) -> str:
        """Give a line a case, and of a changed one a line a field."""
        hashes = f"{self.before} -> {self.after}"
        hashes = f"{self.before} on both sides" if self.before == self.after else hashes
        lines = [
            f"dataset {hashes}: {len(self.added)} added, {len(self.removed)} removed,"
            f" {len(self.changed)} changed, {self.same} the same"
        ]
        lines += [f"+ {case.id}: {_short(case.question)}" for case in self.added]
        lines += [f"- {case.id}: {_short(case.question)}" for case in self.removed]
        for change in self.changed:
            notes = " (notes only: the hash stays)" if change.notes_only else ""
            lines.append(f"~ {change.case}: {', '.join(change.fields)}{notes}")
            for name, (old, new) in change.fields.items():
                lines += [f"    {name} - {_short(old)}", f"    {name} + {_short(new)}"]
        return "\n".join(lines)


def difference(before: Sequence[Case], after: Sequence[Case]) -> Difference:
    """Compare two versions by the ids of their cases, in the order of the files."""
    old, new = {case.id: case for case in before}, {case.id: case for case in after}
    both = [(old[name], case) for name, case in new.items() if name in old]
    changed = [Change(case.id, _fields(was, case)) for was, case in both if was != case]
    return Difference(
        dataset_hash(before), dataset_hash(after),
        tuple(case for case in after if case.id not in old),
        tuple(case for case in before if case.id not in new),
        tuple(changed), len(both) - len(changed),
    )  # fmt: skip


def cases_of(name: str, root: Path) -> list[Case]:
    """Read the cases of a suite, of a case file, or of either at a git revision.

    `name`: `handbook`, `evals/handbook.yaml`, or `REVISION:evals/handbook.yaml`. Gold quotes are
    not looked up, since the documents of an old version may be gone.

    Raises:
        CaseError: no such file or revision, or a mistake in it.
    """
    revision, _, path = name.rpartition(":")
    if not revision:
        suite = root / "evals" / f"{name}.yaml"
        return _cases(root / name if Path(name).suffix else suite, name, root, "")
    return _cases(root / path, name, root, revision)


def _cases(path: Path, shown: str, root: Path, revision: str) -> list[Case]:
    """Read one file; those a suite names stand beside it, at the same revision."""
    if path.suffix not in (".yaml", ".yml"):
        return _file(path, "", shown, root, revision)
    text = _bytes(path, shown, root, revision).decode("utf-8", "replace")
    try:
        settings = validate(SuiteSettings, parse_yaml(text, shown), shown)
    except ConfigError as error:
        raise CaseError(str(error)) from error
    parts = [(shown, read.inline(settings.cases, text, shown))] if settings.cases else []
    for file in settings.files:
        beside = f"{revision}:{file.path}" if revision else file.path
        found = _file(path.parent / file.path, file.format, beside, root, revision)
        parts.append((beside, found))
    return read.joined(parts)


def _file(path: Path, form: str, shown: str, root: Path, revision: str) -> list[Case]:
    if not revision:
        return read.from_file(path, shown, form)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"cases{path.suffix}"
        copy.write_bytes(_bytes(path, shown, root, revision))
        return read.from_file(copy, shown, form)


def _bytes(path: Path, shown: str, root: Path, revision: str) -> bytes:
    try:
        if not revision:
            return path.read_bytes()
        where = f"{revision}:./{path.relative_to(root).as_posix()}"
        command = ["git", "show", "--end-of-options", where]
        return subprocess.run(command, cwd=root, capture_output=True, check=True, timeout=60).stdout
    except (OSError, ValueError) as error:
        raise CaseError(f"{shown}: cannot be read ({error}); give a suite or a file of cases"
                        ) from error  # fmt: skip
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or b"git did not answer"
        line = said.decode("utf-8", "replace").strip().splitlines()[-1]
        raise CaseError(f"{shown}: git has no such file ({line}); see git log -- evals/") from error


def _fields(old: Case, new: Case) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in Case.__struct_fields__}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
    flat = " ".join(text.split())
    return flat if len(flat) <= 160 else f"{flat[:157]}..."
