"""The files of five other tools are read as those tools write them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from ragas.dataset_schema import EvaluationDataset, SingleTurnSample

from genai.errors import CaseError
from genai.evals import Suite, load_suite
from genai.evals.case import Case

HEAD = "suite: mix\nmetrics:\n  exact: {min: 0.5}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "evals").mkdir()
    return tmp_path / "evals"


def read(folder: Path, name: str, form: str) -> Suite:
    path = folder / "mix.yaml"
    path.write_text(HEAD + f"files: [{{path: {name}, format: {form}}}]\n")
    return load_suite(path)


def only(folder: Path, name: str, form: str) -> Case:
    (case,) = read(folder, name, form).cases
    return case


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("ragas", {"user_input": "q", "reference": "a", "retrieved_contexts": ["c"]}),
        ("deepeval", {"input": "q", "expected_output": "a", "retrieval_context": ["c"]}),
        ("inspect", {"input": "q", "target": "a", "choices": ["a", "b"]}),
        ("pydantic-evals", {"name": "n1", "inputs": "q", "expected_output": "a"}),
        ("promptfoo", {"input": "q", "__expected": "a", "__description": "d"}),
    ],
)
def test_cases_of_other_tools_are_read_under_their_names(
    folder: Path, form: str, row: dict[str, Any]
) -> None:
    (folder / "a.jsonl").write_text(json.dumps(row) + "\n")
    case = only(folder, "a.jsonl", form)
    assert (case.question, case.expected) == ("q", "a")
    assert case.id
    if "retrieved_contexts" in row or "retrieval_context" in row:
        assert case.contexts == ("c",)


GOLDEN = {
    "input": "How long?", "actual_output": None, "expected_output": "two years",
    "retrieval_context": None, "context": ["It lasts two years."], "name": None, "comments": None,
    "source_file": "shop.md", "tools_called": None,
    "expected_tools": [{"name": "look", "inputParameters": {"x": 1}}],
    "additional_metadata": {"evolutions": ["Reasoning"]}, "custom_column_key_values": None,
}  # fmt: skip


def test_goldens_of_deepeval(folder: Path) -> None:
    (folder / "goldens.json").write_text(json.dumps([GOLDEN]))
    case = only(folder, "goldens.json", "deepeval")
    assert (case.input, case.expected) == ("How long?", "two years")
    assert case.contexts == ("It lasts two years.",)
    assert [(each.name, each.args) for each in case.expected_tools] == [("look", {"x": 1})]
    notes = {"source_file": "shop.md", "additional_metadata": {"evolutions": ["Reasoning"]}}
    assert case.metadata == notes
    with (folder / "goldens.csv").open("w", newline="") as file:  # lists are parted by a bar
        row = {**GOLDEN, "context": "It lasts two years.|A pen one.", "expected_tools": None}
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    table = only(folder, "goldens.csv", "deepeval")
    assert table.contexts == ("It lasts two years.", "A pen one.")


def test_samples_of_inspect(folder: Path) -> None:
    talk = [{"role": "system", "content": "Be brief.", "source": "input"},
            {"role": "user", "content": "How long?", "id": "m1"}]  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"id": 1, "input": "How long?", "target": 2, "metadata": {"level": "easy"}, "files": None},
        {"id": None, "input": talk, "target": ["two years", "2 years"], "choices": ["a", "b"]},
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, two = read(folder, "a.jsonl", "inspect").cases
    assert (one.id, one.expected, one.metadata) == ("1", "2", {"level": "easy"})
    assert [(turn.role, turn.content) for turn in two.messages][1] == ("user", "How long?")
    assert (two.expectations, two.metadata) == (["two years", "2 years"], {"choices": ["a", "b"]})


PYDANTIC = """# yaml-language-server: $schema=shop_schema.json
name: shop
cases:
- name: warranty
  inputs: How long?
  metadata: null
  expected_output: two years
  evaluators: []
- name: null
  inputs: How long is a lamp's?
  metadata: {level: easy}
  expected_output: one year
  evaluators:
  - Contains: year
evaluators:
- EqualsExpected
"""


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_dataset_of_pydantic_evals(folder: Path, ending: str) -> None:
    import yaml

    text = PYDANTIC if ending == "yaml" else json.dumps(yaml.safe_load(PYDANTIC))
    (folder / f"shop.{ending}").write_text(text)
    one, two = read(folder, f"shop.{ending}", "pydantic-evals").cases
    assert (one.id, one.input, one.expected, one.metadata) == (
        "warranty", "How long?", "two years", None,
    )  # fmt: skip
    assert two.metadata == {"level": "easy", "evaluators": [{"Contains": "year"}]}


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_what_ragas_itself_writes(folder: Path, ending: str) -> None:
    sample = SingleTurnSample(
        user_input="How long?", reference="two years", response="three",
        retrieved_contexts=["It's two years.", "A pen: one."], reference_contexts=["c"],
    )  # fmt: skip
    getattr(EvaluationDataset(samples=[sample]), f"to_{ending}")(folder / f"a.{ending}")
    case = only(folder, f"a.{ending}", "ragas")
    assert (case.input, case.expected) == ("How long?", "two years")
    assert case.contexts == ("It's two years.", "A pen: one.")
    assert list(case.metadata or ()) == ["reference_contexts"]


def test_a_table_of_promptfoo(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "question,__expected,__description,__prefix\n"
        'How long?,"contains-any: two years, 2 years",a lamp,Please: \n'
        "How wide?,Note: two metres,,\n"
        "How dear?,equals: two dollars,,\n"
    )
    any_of, plain, equal = read(folder, "a.csv", "promptfoo").cases
    assert (any_of.input, any_of.expectations) == ("How long?", ["two years", "2 years"])
    assert (any_of.tags, any_of.metadata) == (("contains-any",), {"description": "a lamp"})
    assert (plain.expected, equal.expected) == ("Note: two metres", "two dollars")


def test_tests_of_promptfoo_with_several_variables(folder: Path) -> None:
    (folder / "tests.yaml").write_text(
        "tests:\n- description: a lamp\n  vars: {input: 'How long?', language: English}\n"
        "  assert: [{type: icontains, value: two years}]\n"
    )
    case = only(folder, "tests.yaml", "promptfoo")
    assert (case.input, case.expected, case.tags) == ("How long?", "two years", ("icontains",))
    assert case.metadata == {"language": "English", "description": "a lamp"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("input,__expected\na,x\nb,llm-rubric: is polite\n",
         r"evals/a\.csv: line 3: the assertion `llm-rubric` has no metric here"),
        ("input,__expected\na,not-contains: x\n", "line 2: the assertion `not-contains` has no"),
        ("input,__expected\na,javascript: output.length\n", "line 2: the assertion `javascript`"),
        ("input,__expected1,__expected2\na,contains: x,contains: y\n", "line 2: has 2 assertions"),
        ("question,language\na,b\n", "line 2: has the variables question, language; name the one"),
    ],
)  # fmt: skip
def test_what_promptfoo_asserts_and_no_metric_judges_is_refused_by_name(
    folder: Path, text: str, said: str
) -> None:
    (folder / "a.csv").write_text(text)
    with pytest.raises(CaseError, match=said):
        read(folder, "a.csv", "promptfoo")
