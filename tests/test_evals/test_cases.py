"""Cases from four kinds of files are the same; a mistake names file, line and key."""

import csv
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from genai.errors import CaseError, MissingExtra
from genai.evals import Suite, load_suite

HEAD = "suite: mix\nmetrics:\n  exact: {min: 0.5}\n"
CASES: list[dict[str, Any]] = [
    {"id": "on", "input": "2 + 2?", "expected": "4", "tags": ["sum", "easy"]},
    {"id": "1e3", "input": 'Says "hi", twice\nover', "expected": ["hi", "hello"]},
    {
        "id": "talk",
        "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "And now?"}],
        "expected": "é ü 漢",
        "cluster": "c1",
        "limits": {"seconds": 2.5, "tokens": 100},
        "expected_tools": [{"name": "add", "args": {"a": 1}}],
        "metadata": {"source": "mail"},
    },
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "evals").mkdir()
    return tmp_path / "evals"


def suite(folder: Path, body: str) -> Suite:
    path = folder / "mix.yaml"
    path.write_text(body, encoding="utf-8")
    return load_suite(path)


def test_every_form_gives_the_same_cases_and_hash(folder: Path) -> None:
    inline = suite(folder, HEAD + "cases: " + json.dumps(CASES, ensure_ascii=False) + "\n")
    (folder / "a.jsonl").write_text(
        '{"$schema": "schema/case.json"}\n'
        + "\n".join(json.dumps(case, ensure_ascii=False) for case in reversed(CASES)) + "\n\n",
        encoding="utf-8",
    )  # fmt: skip
    lines = suite(folder, HEAD + "files: a.jsonl\n")
    write_csv(folder / "a.csv")
    table = suite(folder, HEAD + "files: [a.csv]\n")
    write_parquet(folder / "a.parquet")
    columns = suite(folder, HEAD + "files: [{path: a.parquet}]\n")
    assert inline.hash == lines.hash == table.hash == columns.hash
    by_id = {case.id: case for case in table.cases}
    assert by_id["talk"].metadata == {"source": "mail"}
    assert by_id["1e3"].expectations == ["hi", "hello"]
    assert by_id["on"].tags == ("sum", "easy")


def texts() -> list[dict[str, str]]:
    """The cases as a table of texts: lists and objects are JSON, metadata has columns."""
    rows = []
    for case in CASES:
        row = {k: v if isinstance(v, str) else json.dumps(v) for k, v in case.items()}
        for key, value in case.get("metadata", {}).items():
            row[f"meta.{key}"] = value
        row.pop("metadata", None)
        rows.append(row)
    return rows


def write_csv(path: Path) -> None:
    rows = texts()
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path) -> None:
    rows = texts()
    columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
    limits = [None, None, {"seconds": 2.5, "tokens": 100}]  # a typed column does as well
    columns["limits"] = limits  # type: ignore[assignment]
    parquet.write_table(pyarrow.table(columns), path)


def test_the_first_line_may_name_the_schema(folder: Path) -> None:
    (folder / "a.csv").write_text("# $schema=schema/case.json\nid,input,expected\na,x,1\n")
    table = suite(folder, HEAD + "files: a.csv\n")
    (folder / "a.jsonl").write_text(
        '{"$schema": "schema/case.json"}\n{"id": "a", "input": "x", "expected": "1"}\n'
    )
    assert suite(folder, HEAD + "files: a.jsonl\n").hash == table.hash
    (folder / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + (folder / "a.jsonl").read_bytes())
    assert suite(folder, HEAD + "files: a.jsonl\n").hash == table.hash  # a byte order mark
    (folder / "b.jsonl").write_text(
        '{"$schema": "schema/case.json"}\n{"id": "a", "input": "x", "target": "1"}\n'
    )
    named = suite(folder, HEAD + "files: [{path: b.jsonl, format: inspect}]\n")
    assert named.hash == table.hash
    (folder / "a.csv").write_text("# $schema=schema/case.json\nid,input,expected\na,x\n")
    with pytest.raises(CaseError, match=r"a\.csv: line 3: has not as many cells"):
        suite(folder, HEAD + "files: a.csv\n")


def test_without_pyarrow_the_pip_line_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(folder / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra) as caught:
        suite(folder, HEAD + "files: a.parquet\n")
    line = "`pyarrow` is not installed; run: pip install 'genai-workbench[parquet]'"
    assert str(caught.value) == line
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert extras["parquet"][0].startswith("pyarrow")
    assert "parquet" in extras["all"][0]


def test_what_does_not_ask_or_expect_is_not_in_the_hash(folder: Path) -> None:
    base = suite(folder, HEAD + "cases: [{id: a, input: x, expected: '1', tags: [p]}]\n").hash
    same = HEAD + "cases: [{id: a, input: x, expected: '1', metadata: {k: 1}}]\n"
    assert suite(folder, same).hash == base
    for other in ("input: y, expected: '1'", "input: x, expected: '2'", "input: x, expected: 1"):
        assert suite(folder, HEAD + f"cases: [{{id: a, {other}}}]\n").hash != base


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "a", "inptu": "x"}', "line 2: case `a`: `inptu` is not a key of a case; did you"
         " mean `input`?"),
        ('{"id": "a", "input": "x", "gold": [{"document": "d"}]}', "line 2: case `a`: `gold.0`"),
        ('{"id": "a", "input": 5}', "line 2: case `a`: `input`: Expected `str`, got `int`"),
        ('{"id": "a"}', "give exactly one of `input` and `messages`"),
        ('{"id": "a", "input": "x", "messages": [{"role": "user", "content": "y"}]}',
         "give exactly one of"),
        ('{"id": "", "input": "x"}', "`id` is empty"),
        ('{"id": "ok", "input": "again"}', "the id `ok` stands twice, lines 1 and 2; rename one"),
        ('{"id": "a", "input": "x"', "line 2"),
        ('{"id": "a", "messages": [{"role": "assistant", "content": "y"}]}',
         "must end with a user turn"),
        ('{"id": "a", "input": "x", "limits": {"second": 1}}',
         "`second` is not a key of `limits`"),
        ('{"id": "a", "input": "x", "kind": "adversarial"}', "an adversarial case needs"),
    ],
)  # fmt: skip
def test_a_broken_line_names_file_line_and_key(folder: Path, line: str, said: str) -> None:
    (folder / "a.jsonl").write_text('{"id": "ok", "input": "x"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(CaseError) as caught:
        suite(folder, HEAD + "files: a.jsonl\n")
    assert str(caught.value).startswith("evals/a.jsonl: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,input,colour\na,x,red\n", "`colour` is not a key of a case"),
        ("id,input\na,x,y\n", "line 2: has not as many cells as the header"),
        ('id,input,tags\na,x,"[1"\n', "line 2: `tags` must be JSON"),
        ("id,input\na,x\na,y\n", "the id `a` stands twice, lines 2 and 3"),
        ("id,input\na,\n", "give exactly one of"),
    ],
)
def test_a_broken_csv_names_line_and_column(folder: Path, content: str, said: str) -> None:
    (folder / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(CaseError, match="evals/a.csv") as caught:
        suite(folder, HEAD + "files: a.csv\n")
    assert said in str(caught.value)


def test_one_id_in_two_files_is_an_error(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.jsonl").write_text('{"id": "x", "input": "y"}\n')
    said = r"evals/b\.jsonl: the id `x` stands twice, here and in evals/a\.jsonl; rename one"
    with pytest.raises(CaseError, match=said):
        suite(folder, HEAD + "files: [a.jsonl, b.jsonl]\n")
    said = r"evals/a\.jsonl: the id `x` stands twice, here and in evals/mix\.yaml"
    with pytest.raises(CaseError, match=said):
        suite(folder, HEAD + "files: a.jsonl\ncases: [{id: x, input: y}]\n")


def test_a_broken_table_of_columns_names_file_and_row(folder: Path) -> None:
    (folder / "a.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(CaseError, match=r"evals/a\.parquet: cannot be read as Parquet"):
        suite(folder, HEAD + "files: a.parquet\n")
    rows = pyarrow.table({"id": ["a", "b"], "inptu": ["x", "y"]})
    parquet.write_table(rows, folder / "a.parquet")
    with pytest.raises(CaseError, match=r"evals/a\.parquet: line 1: case `a`: `inptu` is not a"):
        suite(folder, HEAD + "files: a.parquet\n")


def test_a_cell_of_any_length_is_read(folder: Path) -> None:
    (folder / "a.csv").write_text("id,input,expected\na,How long?," + "x" * 200_000 + "\n")
    before = csv.field_size_limit()
    (case,) = suite(folder, HEAD + "files: a.csv\n").cases
    assert len(case.expected) == 200_000
    assert csv.field_size_limit() == before  # the index refuses such a cell in a document


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("suite: mix\nmetrics: {exact: {min: .5}}\n", "has no case; give `cases` or `files`"),
        (HEAD + "files: missing.jsonl\n", "evals/missing.jsonl: does not exist"),
        (HEAD + "files: mix.yaml\n", "cases are read from .jsonl"),
        (HEAD + "cases: [x]\n", "each of `cases` must be a mapping"),
        (HEAD + "cases: [{id: a, input: x}]\ntask_: x\n", "`task_` is not a setting; did you mean"),
        ("suite: mix\nmetrics: {exakt: {min: 1}}\ncases: [{id: a, input: x}]\n",
         "`exakt` is not a metric; did you mean `exact`?"),
        ("suite: mix\nmetrics: {exact: {}}\ncases: [{id: a, input: x}]\n", "needs `min` or `max`"),
        ("suite: mix\nmetrics: {exact: {min: 1, where: hard}}\ncases: [{id: a, input: x}]\n",
         "no case has the tag 'hard'"),
        ("suite: mix\nmetrics: {exact: {min: 1, max: .5}}\ncases: [{id: a, input: x}]\n",
         "`min` 1 is above `max` 0.5"),
        ("suite: a b\nmetrics: {exact: {min: 1}}\ncases: [{id: a, input: x}]\n", "`suite`"),
        (HEAD + "spend: lots\ncases: [{id: a, input: x}]\n", "`spend`"),
    ],
)  # fmt: skip
def test_a_broken_suite_says_what_to_mend(folder: Path, body: str, said: str) -> None:
    with pytest.raises(CaseError) as caught:
        suite(folder, body)
    assert said in str(caught.value)


def test_six_gating_metrics_are_too_many(folder: Path) -> None:
    names = ["exact", "contains", "token_f1", "regex", "numeric", "starts_with"]
    metrics = "".join(f"  {name}: {{gate: true}}\n" for name in names)
    with pytest.raises(CaseError, match="6 metrics gate; choose 5 at the most"):
        suite(folder, f"suite: mix\nmetrics:\n{metrics}cases: [{{id: a, input: x}}]\n")
