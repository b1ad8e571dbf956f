"""The real ragas behind our door: what it would hide is unmeasured, and it may be absent."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from judges import EXPECTED, REFUSED, Line, Scripted, trial, vectors

from genai.errors import BudgetExceeded, ModelError
from genai.evals import CannotMeasure, Score, Trial
from genai.evals.ragas import ALL, VERSION, _collections
from genai.types import Reply

METRICS = {each.name: each for each in ALL}
SUPPORTED, NOT = (
    {"statement": "s", "reason": "r", "verdict": 1},
    {"statement": "s", "reason": "r", "verdict": 0},
)


def skip_without_ragas() -> None:
    if importlib.util.find_spec("ragas") is None:
        pytest.skip("no ragas: pip install 'genai-workbench[ragas]'")


def score(name: str, judge: Scripted, given: Trial, embed: Any = vectors, **params: Any) -> Score:
    skip_without_ragas()
    found = asyncio.run(METRICS[f"ragas/{name}"].score(given, judge.tools(embed), **params))  # type: ignore[arg-type]
    return found if isinstance(found, Score) else Score(found)


def statements(*texts: str) -> Line:
    return {"statements": list(texts)}


def judged(*each: dict[str, Any]) -> Line:
    return {"statements": list(each)}


def attributed(*values: int) -> Line:
    rows = [{"statement": "s", "reason": "r", "attributed": each} for each in values]
    return {"classifications": rows}


def guess(question: str, noncommittal: int = 0) -> Line:
    return {"question": question, "noncommittal": noncommittal}


GOOD: dict[str, tuple[list[Line], float]] = {
    "faithfulness": ([statements("a", "b"), judged(SUPPORTED, NOT)], 0.5),
    "context_recall": ([attributed(1, 0, 1, 1)], 0.75),
    "context_precision": ([{"reason": "r", "verdict": v} for v in (1, 1)], 1.0),
    "context_utilization": ([{"reason": "r", "verdict": v} for v in (0, 1)], 0.5),
    "context_relevance": ([{"rating": 2}, {"rating": 1}], 0.75),
    "response_groundedness": ([{"rating": 2}, {"rating": 1}], 0.75),
    "answer_relevancy": ([guess("same"), guess("half"), guess("same")], (1 + 0.6 + 1) / 3),
    "answer_accuracy": ([{"rating": 4}, {"rating": 2}], 0.75),
    "answer_correctness": (
        [
            statements("a", "b"),
            statements("c"),
            {k: [{"statement": "s", "reason": "r"}] for k in ("TP", "FP", "FN")},
        ],
        0.75 * 0.5 + 0.25 * 1.0,
    ),
    "factual_correctness": (
        [{"claims": ["a", "b"]}, judged(SUPPORTED, NOT), {"claims": ["c"]}, judged(SUPPORTED)],
        0.67,  # ragas rounds
    ),
    "noise_sensitivity": (
        [
            statements("right"),
            statements("a", "b"),
            *[judged(SUPPORTED), judged(SUPPORTED, SUPPORTED)] * 2,
            judged(SUPPORTED, NOT),
        ],
        0.5,
    ),
}


def test_every_metric_here_is_run() -> None:
    assert {f"ragas/{name}" for name in GOOD} == set(METRICS)
    assert {each.version for each in ALL} == {VERSION}


@pytest.mark.parametrize("name", GOOD)
def test_ragas_asks_by_our_door_and_its_value_comes_back(name: str) -> None:
    lines, value = GOOD[name]
    judge = Scripted(*lines)
    found = score(name, judge, trial(**EXPECTED))
    assert found.value == pytest.approx(value, abs=1e-6)
    assert not judge.lines
    assert judge.asked[0][0].role == "user"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("faithfulness", [statements("a", "b", "c"), judged(SUPPORTED, NOT)]),
        ("noise_sensitivity", [statements("a"), statements("b", "c"), judged(SUPPORTED, NOT)]),
        ("factual_correctness", [{"claims": ["a", "b"]}, judged(SUPPORTED)]),
        ("answer_correctness", [statements("a"), statements("b"), {"TP": [], "FP": [], "FN": []}]),
    ],
)
def test_fewer_verdicts_than_claims_are_unmeasured(name: str, lines: list[Line]) -> None:
    with pytest.raises(CannotMeasure, match=r"\d verdicts on \d claims") as error:
        score(name, Scripted(*lines), trial(**EXPECTED))
    assert error.value.code == "judge_parse"


@pytest.mark.parametrize(
    ("name", "lines", "code"),
    [
        ("faithfulness", [statements()], "empty_claims"),
        ("answer_correctness", [statements()], "empty_claims"),  # 1.0 to ragas
        ("factual_correctness", [{"claims": []}], "empty_claims"),  # 0.0 to ragas
        ("context_recall", [attributed()], "empty_claims"),
        ("answer_relevancy", [guess("")], "judge_parse"),
        ("context_relevance", [{"rating": 9}] * 5 + [{"rating": 9}] * 5, "judge_parse"),
        ("context_recall", [attributed(7, 7)], "judge_parse"),
        ("faithfulness", ["prose", "prose"], "judge_parse"),
    ],
)
def test_nan_and_what_ragas_makes_of_nothing_are_unmeasured(
    name: str, lines: list[Line], code: str
) -> None:
    judge = Scripted(*lines)
    with pytest.raises(CannotMeasure) as error:
        score(name, judge, trial(**EXPECTED))
    assert error.value.code == code
    assert not judge.lines


def test_an_empty_field_is_missing_and_a_case_without_the_reference_does_not_apply() -> None:
    with pytest.raises(CannotMeasure, match="`retrieved_contexts` is empty") as error:
        score("faithfulness", Scripted(), trial(contexts=()))
    assert error.value.code == "missing_field"
    with pytest.raises(CannotMeasure, match="needs an embedder"):
        score("answer_relevancy", Scripted(), trial(), None)
    assert score("context_recall", Scripted(), trial()).value is None


def test_a_failed_trial_is_wrong_and_a_refusal_is_judged_where_an_answer_was_due() -> None:
    for name, value in (("faithfulness", 0.0), ("noise_sensitivity", 1.0), ("context_recall", 0.0)):
        assert score(name, Scripted(), trial(state="failed", text="", **EXPECTED)).value == value
    assert score("faithfulness", Scripted(), trial(**REFUSED)).value is None
    assert score("answer_relevancy", Scripted(), trial(**REFUSED)).value == 0.0
    right = trial(**REFUSED, case={"kind": "unanswerable"})
    assert score("answer_relevancy", Scripted(), right).value is None


@pytest.mark.parametrize("error", [ModelError("slow", "timeout"), BudgetExceeded("no money left")])
def test_a_dead_judge_is_asked_once_though_ragas_would_go_on(error: Exception) -> None:
    skip_without_ragas()
    asked = []

    async def dead(messages: object, **params: object) -> Reply:
        asked.append(messages)
        raise error

    tools = Scripted().tools()
    object.__setattr__(tools, "judge", dead)
    with pytest.raises((CannotMeasure, BudgetExceeded)) as raised:
        asyncio.run(METRICS["ragas/response_groundedness"].score(trial(), tools))  # type: ignore[arg-type]
    assert getattr(raised.value, "code", None) in ("timeout", 3)
    assert len(asked) == 1


PROBE = """
import asyncio, sys, warnings
from importlib.abc import MetaPathFinder

class Hide(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
before = list(warnings.filters)
from judges import Scripted, trial
from genai.evals import CannotMeasure
from genai.evals.ragas import ALL
assert not {{"ragas", "langchain_core", "numpy"}} & set(sys.modules)
verdict = {{"statement": "a", "reason": "", "verdict": 1}}
lines = [{{"statements": ["a"]}}, {{"statements": [verdict]}}]
try:
    print(asyncio.run(ALL[0].score(trial(), Scripted(*lines).tools())))
    from ragas._analytics import do_not_track
    print("untracked", do_not_track())
except CannotMeasure as error:
    print(error.code, error)
assert warnings.filters == before
"""


def probe(*hidden: str) -> str:
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE.format(hidden=set(hidden))],
        cwd=tests.parent, capture_output=True, text=True, timeout=200,
        env={**os.environ, "PYTHONPATH": str(tests), "RAGAS_DO_NOT_TRACK": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_ragas_imports_where_langchain_community_has_lost_what_it_wants() -> None:
    skip_without_ragas()
    said = probe("langchain_community.chat_models.vertexai", "langchain_community.llms.vertexai")
    assert said == "Score(value=1.0, reason='')\nuntracked True"


def test_without_ragas_a_metric_is_unmeasured_and_names_the_pip_line() -> None:
    said = probe("ragas")
    assert said == (
        "missing_field `ragas` is not installed; run: pip install 'genai-workbench[ragas]'"
    )


def test_another_version_of_ragas_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_ragas()
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.5.0")
    with pytest.raises(CannotMeasure, match=r"ragas 0\.5\.0 is installed, .* known for 0\.4\.3"):
        _collections.__wrapped__()
