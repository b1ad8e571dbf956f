"""Suites judge any callable; a mistake in a suite names its line; unmeasured is not passed."""

import xml.etree.ElementTree as Xml
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import genai
from genai.cli import main
from genai.errors import CaseError
from genai.evals import Options, Report, Tools, load_suite
from genai.evals import evaluate as run
from genai.types import (
    Answer,
    Call,
    Citation,
    Cost,
    CostStatus,
    Hit,
    Passage,
    Refusal,
    Usage,
)

DOCUMENT = "Storks nest on chimneys.\n\nHerons fish at dawn.\n"
SUITE = """suite: birds
source: docs
metrics:
  recall_at_k: {min: 0.5}
  answer_span_hit: {min: 0.5}
  citation_valid: {min: 1.0}
  answer_rate: {min: 0.9}
  refusal_precision: {min: 0.9}
  refusal_recall: {min: 0.9}
  cost_per_case: {max: 0.01}
  latency_p95: {max: 5}
cases:
  - id: storks
    input: Where do storks nest?
    kind: answerable
    gold: [{document: birds.md, quote: Storks nest on chimneys.}]
  - id: either
    input: What do birds do?
    kind: ambiguous
    gold_any: true
    gold:
      - {document: birds.md, quote: Storks nest on chimneys.}
      - {document: birds.md, quote: "Herons  fish at dawn."}
  - id: cars
    input: What does a car cost?
    kind: unanswerable
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "birds.md").write_text(DOCUMENT, encoding="utf-8")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "evals").mkdir()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evals" / "birds.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def evaluate(suite: str, task: Any, **options: Any) -> Report:
    path = Path.cwd() / "evals" / f"{suite}.yaml"
    return run(path, task, Path.cwd() / "runs", Tools(), Options(**options))


def answer(quote: str, start: int, *, cost: Decimal | None = Decimal(0)) -> Answer:
    passage = Passage("p", "birds.md", 0, len(DOCUMENT), DOCUMENT)
    citation = Citation(1, "birds.md", "h", "p", start, start + len(quote), quote)
    status = CostStatus.DECLARED_FREE if cost is not None else CostStatus.UNPRICED
    return Answer(
        f"{quote} [1]", (citation,), (), Usage(), Cost(cost, status), 0.1, "c1",
        hits=(Hit(passage, 1.0),),
    )  # fmt: skip


def perfect(question: str) -> Answer | Refusal:
    if "car" in question:
        return Refusal("no_evidence", "no", "next")
    return answer("Storks nest on chimneys.", 0)


def test_a_perfect_task_passes_with_intervals_and_n(suite: Path) -> None:
    report = evaluate("birds", perfect)
    assert report.ok
    assert report.exit_code == 0
    assert {m.name: m.value for m in report.metrics if m.name not in ("latency_p95",)} == {
        "recall_at_k": 1, "answer_span_hit": 1, "citation_valid": 1, "answer_rate": 1,
        "refusal_precision": 1, "refusal_recall": 1, "cost_per_case": 0,
    }  # fmt: skip
    metric = report.metric("answer_rate")
    assert (metric.n, metric.low, metric.high) == (2, pytest.approx(0.342, abs=1e-3), 1.0)
    assert "PASS" in report.text()


def test_a_plain_function_that_returns_text_is_a_task(suite: Path) -> None:
    report = evaluate("birds", lambda question: "Storks nest on chimneys.")
    assert report.metric("answer_span_hit").value == 1
    assert report.metric("refusal_recall").value == 0
    assert report.metric("recall_at_k").state == "fail"  # it shows no passages
    assert report.exit_code == 1


def test_a_wrong_offset_makes_a_citation_invalid(suite: Path) -> None:
    report = evaluate("birds", lambda question: answer("Storks nest on chimneys.", 1))
    assert report.metric("citation_valid").value == 0
    lapse = report.metric("citation_valid").lapses[0]
    assert (lapse.case, lapse.question) == ("storks", "Where do storks nest?")


def test_a_task_that_raises_fails_its_case_and_no_other(suite: Path) -> None:
    def sometimes(question: str) -> Any:
        if "storks" in question:
            raise RuntimeError("boom")
        return perfect(question)

    report = evaluate("birds", sometimes)
    assert report.metric("answer_span_hit").value == pytest.approx(0.5)
    assert report.metric("answer_span_hit").lapses[0].happened == "failed: RuntimeError: boom"


def test_an_unknown_cost_is_unmeasured_not_free(suite: Path) -> None:
    report = evaluate("birds", lambda question: answer("Herons fish at dawn.", 26, cost=None))
    metric = report.metric("cost_per_case")
    assert (metric.value, metric.state) == (None, "unmeasured")
    assert "cost" in metric.reason


def test_each_case_is_a_ledger_row_and_a_line_of_the_run_file(suite: Path) -> None:
    rows: list[Call] = []
    report = evaluate("birds", perfect, record=rows.append)
    assert [row.kind for row in rows] == ["eval"] * 3
    assert rows[0].tags["case"] == "storks"
    assert rows[0].context.parent_id == "c1"
    assert report.metric("recall_at_k").value == 1


def test_junit_has_a_case_a_metric_and_survives_hostile_text(suite: Path, tmp_path: Path) -> None:
    hostile = "<script>]]>\x00\x1b[31m ``` @team"
    report = evaluate("birds", lambda question: hostile)
    report.save(tmp_path / "out" / "junit.xml", "junit", None)
    root = Xml.parse(tmp_path / "out" / "junit.xml").getroot()[0]
    assert root.get("tests") == "8"
    assert not root.findall("testcase/skipped")
    failures = root.findall("testcase/failure")
    assert int(root.get("failures", "0")) == len(failures) > 0
    assert any("<script>" in (failure.text or "") for failure in failures)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: either", "id: storks", "the id `storks` stands twice, lines 13 and 17"),
        ("kind: unanswerable", "kind: unknown", "line 24: case `cars`: `kind`"),
        ("input: What does", "inptu: What does", "did you mean `input`"),
        (
            "recall_at_k:",
            "recall_at_5:",
            "did you mean `recall_at_k`?",
        ),
        (
            "quote: Storks nest on chimneys.",
            "quote: Storks fly.",
            "line 13: case `storks`: birds.md",
        ),
        ("document: birds.md", "document: fish.md", "docs/fish.md does not exist"),
        ("{min: 0.5}", "{}", "needs `min` or `max`"),
        ("kind: unanswerable", "kind: adversarial", "an adversarial case needs"),
        ("suite: birds", "suite: [", "is not valid YAML"),
    ],
)
def test_a_mistake_in_a_suite_names_where(suite: Path, old: str, new: str, said: str) -> None:
    assert old in SUITE
    suite.write_text(SUITE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CaseError) as caught:
        load_suite(suite)
    assert said in str(caught.value)
    assert str(caught.value).startswith("evals/birds.yaml")


def test_a_wrong_quote_in_a_file_of_cases_names_that_file(suite: Path) -> None:
    gold = '[{"document": "birds.md", "quote": "Storks fly."}]'
    suite.with_name("more.jsonl").write_text(f'{{"id": "m", "input": "q", "gold": {gold}}}\n')
    suite.write_text(f"{SUITE}files: more.jsonl\n", encoding="utf-8")
    with pytest.raises(CaseError, match=r"^evals/more\.jsonl: case `m`: birds\.md does not hold"):
        load_suite(suite)


def test_the_dataset_hash_ignores_order_and_follows_content(suite: Path) -> None:
    base = load_suite(suite).hash
    cases = SUITE.split("  - id: ")
    suite.write_text(cases[0] + "".join(f"  - id: {c}" for c in (cases[3], cases[1], cases[2])))
    assert load_suite(suite).hash == base
    suite.write_text(SUITE.replace("What does a car cost?", "What does a bus cost?"))
    assert load_suite(suite).hash != base


def test_an_unknown_suite_lists_the_known_ones(suite: Path) -> None:
    with pytest.raises(CaseError, match="no such suite; known: birds"):
        evaluate("brids", perfect)


def test_the_shipped_suite_has_the_cases_it_should() -> None:
    shipped = load_suite(Path(genai.__file__).parent.parent / "evals" / "handbook.yaml")
    kinds = [case.kind for case in shipped.cases]
    assert len(kinds) >= 80
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "answerable": 56, "unanswerable": 16, "ambiguous": 8, "adversarial": 8,
    }  # fmt: skip


def test_another_model_is_refused_of_a_task_that_chooses_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "birdshop.py").write_text("def answer(question): return 'storks'\n")
    (tmp_path / "evals" / "birds.yaml").write_text(
        "suite: birds\ntask: birdshop:answer\nmetrics:\n  contains: {min: 1}\n"
        "cases:\n  - {id: a, input: Who nests?, expected: storks}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "birds", "--model", "openai/other"]) == 64
    said = capsys.readouterr().err
    assert "'birdshop:answer': chooses its model itself, so openai/other would not be" in said
    with pytest.raises(genai.InputError, match="chooses its model itself"):
        genai.evaluate("birds", lambda question: "storks", model="openai/other")
    assert not list(tmp_path.glob(".genai/runs/*/*"))
    assert main(["eval", "birds"]) == 0
