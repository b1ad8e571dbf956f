"""Read cases from YAML, JSONL, CSV and Parquet; all give the same cases and the same hash.

A mistake names file, line and key. The files of other tools are told in `formats`. The first line
may name the schema of the cases: `{"$schema": ...}` in JSONL, `# $schema=...` in CSV.
"""

import csv
import difflib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from genai import extras
from genai.config import parse_yaml
from genai.errors import CaseError, ConfigError
from genai.evals.case import Case
from genai.evals.formats import FORMATS, as_case

_FIELDS = Case.__struct_fields__
_JSON_CELLS = {
    "messages", "gold", "gold_any", "contexts", "relevant", "expected_tools", "tags", "risks",
    "limits", "repeats", "variant", "metadata", "provenance",
}  # fmt: skip
_SCHEMA = b'{"$schema"'  # begins a first line that names the schema of the others
_BOM = b"\xef\xbb\xbf"
_LONGEST = 2**31 - 1  # characters of a cell: the most that a module of C takes everywhere
_Row = tuple[int, Mapping[str, Any]]  # line, and what stands there


def inline(cases: list[Any], text: str, shown: str) -> list[Case]:
    """Check the cases of a suite file; `text` is the file, for line numbers. Raises CaseError."""
    if not all(isinstance(each, dict) for each in cases):
        raise CaseError(f"{shown}: each of `cases` must be a mapping with `id` and `input`")
    lines = lines_of(text)
    lines += [0] * (len(cases) - len(lines))
    return unique(
        ((line, _convert(row, line, shown)) for line, row in zip(lines, cases, strict=False)), shown
    )


def from_file(path: Path, shown: str, form: str = "") -> list[Case]:
    """Read a file of cases by its ending; `form` is a key of `FORMATS`, another tool's form.

    Raises:
        CaseError: names file, line and key.
    """
    readers: dict[str, Callable[[Path, str], Iterable[_Row]]] = {
        ".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet, ".json": _json,
        **({".yaml": _yaml, ".yml": _yaml} if form else {}),
    }  # fmt: skip
    if path.suffix not in readers:
        raise CaseError(f"{shown}: cases are read from {', '.join(readers)}; convert the file")
    if form and form not in FORMATS:
        raise CaseError(f"{shown}: `{form}` is not a format; known: {', '.join(FORMATS)}")
    if not path.is_file():
        raise CaseError(f"{shown}: does not exist; mend `files` of the suite")
    if path.suffix == ".jsonl" and not form:
        return unique(_typed_lines(path, shown), shown)
    rows = readers[path.suffix](path, shown)
    table = path.suffix in (".csv", ".parquet")

    def keyed(row: Mapping[str, Any], line: int) -> Mapping[str, Any]:
        if form:
            return as_case(row, form, f"{shown}: line {line}")
        return _cells(row, line, shown) if table else row

    return unique(((line, _convert(keyed(row, line), line, shown)) for line, row in rows), shown)


def unique(found: Iterable[tuple[int, Case]], shown: str) -> list[Case]:
    """Give the cases; two with one id are an error that names both lines."""
    seen: dict[str, int] = {}
    cases = []
    for line, case in found:
        if case.id in seen:
            raise CaseError(
                f"{shown}: the id `{case.id}` stands twice, lines {seen[case.id]} and {line};"
                " rename one"
            )
        seen[case.id] = line
        cases.append(case)
    return cases


def joined(parts: Sequence[tuple[str, list[Case]]]) -> list[Case]:
    """Give the cases of several files, each with its name; one id in two is an error."""
    seen: dict[str, str] = {}
    for name, cases in parts if len(parts) > 1 else ():
        for case in cases:
            if case.id in seen:
                raise CaseError(
                    f"{name}: the id `{case.id}` stands twice, here and in {seen[case.id]};"
                    " rename one"
                )
            seen[case.id] = name
    return [case for _, cases in parts for case in cases]


def _typed_lines(path: Path, shown: str) -> Iterator[tuple[int, Case]]:
    """Decode straight into cases, which is several times faster than by way of mappings."""
    decode = msgspec.json.Decoder(Case).decode
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            text = text.removeprefix(_BOM)
            if not text.strip() or (line == 1 and text.startswith(_SCHEMA)):
                continue
            try:
                yield line, decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _wrong(error, line, shown, _id_in(text)) from error


def _jsonl(path: Path, shown: str) -> Iterator[_Row]:
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            text = text.removeprefix(_BOM)
            if text.strip() and not (line == 1 and text.startswith(_SCHEMA)):
                yield line, _object(text, line, shown)


def _object(text: bytes, line: int, shown: str) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _wrong(error, line, shown) from error
    if not isinstance(found, dict):
        raise CaseError(f"{shown}: line {line}: must be an object with `id` and `input`")
    return found


def _json(path: Path, shown: str) -> Iterator[_Row]:
    try:
        found = msgspec.json.decode(path.read_bytes().removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _wrong(error, 1, shown) from error
    yield from _listed(found, shown)


def _yaml(path: Path, shown: str) -> Iterator[_Row]:
    try:
        found = parse_yaml(path.read_text(encoding="utf-8-sig"), shown)
    except (ConfigError, UnicodeDecodeError) as error:
        raise CaseError(str(error)) from error
    yield from _listed(found, shown)


def _listed(found: Any, shown: str) -> Iterator[_Row]:
    if isinstance(found, dict):
        found = found.get("cases", found.get("tests"))
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CaseError(f"{shown}: must be a list of cases, or an object with `cases`")
    yield from enumerate(found, start=1)


def _csv(path: Path, shown: str) -> Iterator[_Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaseError(f"{shown}: is not UTF-8 ({error.reason}); save it as UTF-8") from error
    above = 0
    if text.startswith("# $schema"):  # for people and editors, as the first line of other forms
        text, above = text.partition("\n")[2], 1
    before = csv.field_size_limit(_LONGEST)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        rows = [(reader.line_num + above, row) for row in reader]
    finally:
        csv.field_size_limit(before)  # it is the whole process's
    for line, row in rows:
        if None in row or None in row.values():
            raise CaseError(
                f"{shown}: line {line}: has not as many cells as the header;"
                " quote the cells that hold commas"
            )
        yield line, row


def _cells(row: Mapping[str, Any], line: int, shown: str) -> dict[str, Any]:
    """Lists and objects are JSON in their text, an empty text is absent, `meta.x` is metadata."""
    found: dict[str, Any] = {}
    for name, cell in row.items():
        if cell is None or cell == "":
            continue
        value: Any = cell
        written = name in _JSON_CELLS or (name == "expected" and str(cell)[:1] in "[{")
        if isinstance(cell, str) and written:
            try:
                value = json.loads(cell)
            except ValueError as error:
                raise CaseError(
                    f'{shown}: line {line}: `{name}` must be JSON such as ["a"] ({error})'
                ) from error
        if name.startswith("meta."):
            found.setdefault("metadata", {})[name[5:]] = value
        else:
            found[name] = value
    return found


def _parquet(path: Path, shown: str) -> Iterator[_Row]:
    parquet = extras.load("pyarrow.parquet", "parquet")
    try:
        batches = parquet.ParquetFile(path).iter_batches()
        number = 0
        for batch in batches:
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, ValueError) as error:
        raise CaseError(f"{shown}: cannot be read as Parquet ({error}); write it again") from error


def _convert(row: Mapping[str, Any], line: int, shown: str) -> Case:
    try:
        return msgspec.convert(row, Case)
    except (msgspec.ValidationError, TypeError) as error:
        raise _wrong(error, line, shown, str(row.get("id", ""))) from error


def _wrong(error: Exception, line: int, shown: str, case: str = "") -> CaseError:
    said = str(error)
    place = re.search(r" - at `\$\.?(.*)`$", said)
    key = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", place[1]) if place else ""
    said = said[: place.start()] if place else said
    unknown = re.search(r"unknown field `(.*)`", said)
    if unknown:
        close = difflib.get_close_matches(unknown[1], _FIELDS, n=1, cutoff=0.5)
        hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(_FIELDS)}"
        inside = f" of `{key}`" if key else " of a case"
        said, key = f"`{unknown[1]}` is not a key{inside}; {hint}", ""
    named = f"case `{case}`: " if case else ""
    return CaseError(f"{shown}: line {line}: {named}{f'`{key}`: ' if key else ''}{said}")


def _id_in(text: bytes) -> str:
    found = re.search(rb'"id"\s*:\s*"([^"\\]{1,80})"', text)
    return found[1].decode("utf-8", "replace") if found else ""


def lines_of(text: str) -> list[int]:
    """Give the line on which each case begins."""
    root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "cases" and isinstance(value, yaml.SequenceNode):
            return [node.start_mark.line + 1 for node in value.value]
    return []
