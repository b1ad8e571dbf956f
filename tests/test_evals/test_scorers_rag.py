"""Scorers of retrieval, refusal and grounding, by the worked figures of the handbook's formulas."""

import math
from pathlib import Path
from typing import Any

import pytest
from trials import cited, hits, judge, ranked, score, trial, unmeasured

from genai.evals.case import Gold
from genai.evals.scorers import Tools
from genai.text.support import support

RELEVANT = {"relevant": ("a", "c", "z")}
GRADED = {"relevant": {"a": 3.0, "b": 0.0, "c": 2.0, "d": 1.0, "e": 2.0}}
REFUSES = {"kind": "unanswerable"}
FAILED: dict[str, Any] = {"state": "failed", "reason": "ValueError"}
REFUSED: dict[str, Any] = {"state": "refused", "reason": "no_evidence"}


@pytest.mark.parametrize(
    ("name", "params", "value"),
    [
        ("recall_at_k", {"k": 1}, 0.333333),
        ("recall_at_k", {"k": 3}, 0.666667),
        ("recall_at_k", {"k": 5}, 0.666667),
        ("recall_at_k", {}, 0.666667),
        ("precision_at_k", {"k": 1}, 1),
        ("precision_at_k", {"k": 3}, 0.666667),
        ("precision_at_k", {"k": 5}, 0.4),
        ("precision_at_k", {"k": 10}, 0.2),  # k, not the number returned
        ("hit_at_k", {"k": 1}, 1),
        ("mrr", {}, 1),
        ("average_precision", {}, 0.555556),
        ("ndcg_at_k", {"k": 5}, 0.703918),
        ("ndcg_at_k", {"k": 5, "gain": "linear"}, 0.703918),
    ],
)
def test_ranks_without_grades(name: str, params: dict[str, Any], value: float) -> None:
    given = trial(case=RELEVANT, hits=ranked("abcde"))
    assert score(name, given, **params) == pytest.approx(value, abs=1e-6)
    # a repeated passage keeps its first rank and takes no other
    twice = trial(case=RELEVANT, hits=ranked("aabacde"))
    assert score(name, twice, **params) == pytest.approx(value, abs=1e-6)


def test_ndcg_with_grades() -> None:
    given = trial(case=GRADED, hits=ranked("abcd"))
    assert score("ndcg_at_k", given) == pytest.approx(8.930677 / 10.823466, abs=1e-6)
    linear = score("ndcg_at_k", given, gain="linear")
    assert linear == pytest.approx(4.430677 / 5.692536, abs=1e-6)
    assert score("recall_at_k", given) == 0.75  # grade 0 is not relevant


def test_a_late_first_hit() -> None:
    given = trial(case=RELEVANT, hits=ranked("xyc"))
    assert score("mrr", given) == pytest.approx(1 / 3)
    assert (score("hit_at_k", given, k=2), score("hit_at_k", given, k=3)) == (0, 1)
    assert score("average_precision", given) == pytest.approx(1 / 9)


RANKING = (
    "recall_at_k", "precision_at_k", "hit_at_k", "mrr", "average_precision", "ndcg_at_k",
)  # fmt: skip


@pytest.mark.parametrize("name", RANKING)
def test_nothing_relevant_does_not_apply_and_nothing_found_is_zero(name: str) -> None:
    assert score(name, trial(hits=ranked("abc"))) is None
    assert score(name, trial(case={"relevant": {"a": 0.0}}, hits=ranked("abc"))) is None
    assert score(name, trial(case=RELEVANT)) == 0
    assert score(name, trial(case=RELEVANT, **FAILED)) == 0
    assert score(name, trial(case=RELEVANT, hits=ranked("acz"), **REFUSED)) > 0.5
    if name.endswith("_k"):
        with pytest.raises(ValueError, match="must be 1 or more"):
            score(name, trial(case=RELEVANT, hits=ranked("abc")), k=0)


def test_gold_quotes_are_found_in_passages() -> None:
    gold = (Gold(document="a.md", quote="Storks nest"), Gold(document="a.md", quote="in spring"))
    found = hits("nothing", "Storks\n nest on chimneys.", "they come in spring")
    given = trial(case={"gold": gold}, hits=found)
    assert (score("recall_at_k", given), score("recall_at_k", given, k=2)) == (1, 0.5)
    assert score("mrr", given) == 0.5
    assert score("average_precision", given) == pytest.approx((1 / 2 + 2 / 3) / 2)
    ideal = 1 + 1 / math.log2(3)
    ndcg = (1 / math.log2(3) + 1 / 2) / ideal
    assert score("ndcg_at_k", given) == pytest.approx(ndcg)
    again = trial(case={"gold": gold}, hits=hits(*[each.passage.text for each in (*found, *found)]))
    assert score("average_precision", again) == score("average_precision", given)
    assert score("ndcg_at_k", again) == score("ndcg_at_k", given)
    either = trial(case={"gold": gold, "gold_any": True}, hits=found)
    assert score("recall_at_k", either, k=2) == 1
    elsewhere = trial(case={"gold": gold}, hits=hits("Storks nest in spring", document="b.md"))
    assert score("recall_at_k", elsewhere) == 0
    both = trial(case={"gold": gold}, hits=hits("Storks nest in spring"))
    assert score("ndcg_at_k", both) == score("average_precision", both) == 1


def test_the_answer_holds_a_gold_quote() -> None:
    case = {"gold": (Gold(document="a.md", quote="Storks nest on chimneys."),)}
    part = cited(1, "p1", "nest on\nchimneys")
    assert score("answer_span_hit", trial("See [1].", case, citations=(part,))) == 1
    assert score("answer_span_hit", trial("See [1].", case, citations=(cited(1, "p1", ""),))) == 0
    assert score("answer_span_hit", trial("So: Storks nest  on chimneys.", case)) == 1
    assert score("answer_span_hit", trial("They do.", case)) == 0
    assert score("answer_span_hit", trial("Storks nest on chimneys.", case, **REFUSED)) == 0
    assert score("answer_span_hit", trial(case=case, **FAILED)) == 0
    assert score("answer_span_hit", trial("They do.")) is None
    assert score("answer_span_hit", trial("They do.", {**case, **REFUSES})) is None


@pytest.mark.parametrize(
    ("expects", "state", "precision", "recall", "rate"),
    [
        ({}, {}, None, None, 1),
        ({}, REFUSED, 0, None, 0),
        ({}, FAILED, None, None, 0),
        (REFUSES, {}, None, 0, None),
        (REFUSES, REFUSED, 1, 1, None),
        (REFUSES, FAILED, None, 0, None),
    ],
)
def test_refusals(
    expects: dict[str, Any],
    state: dict[str, Any],
    precision: float | None,
    recall: float | None,
    rate: float | None,
) -> None:
    given = trial("text", expects, **state)
    assert score("refusal_precision", given) == precision
    assert score("refusal_recall", given) == recall
    assert score("answer_rate", given) == rate


def test_citations_are_checked_to_the_character(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Storks nest. They fly.", encoding="utf-8")
    tools = Tools(source=tmp_path)
    found = hits("Storks nest. They fly.")

    def valid(*citations: Any) -> Any:
        return judge("citation_valid", trial("x", hits=found, citations=citations), tools)

    assert valid(cited(1, "p1", "They fly.", 13)).value == 1
    assert valid(cited(1, "p1", "They fly", 12)).reason == "[1] is not in its passage"
    assert valid(cited(1, "p9", "They fly.", 13)).reason == "[1] was not retrieved"
    assert valid().value == 0
    (tmp_path / "a.md").write_text("Storks fly.", encoding="utf-8")
    assert valid(cited(1, "p1", "They fly.", 13)).reason == "[1] is not in 'a.md'"
    assert score("citation_valid", trial("a function says this"), tools) is None
    assert score("citation_valid", trial("no", hits=found, **REFUSED), tools) is None
    assert score("citation_valid", trial(**FAILED), tools) == 0


def test_cited_passages_were_retrieved() -> None:
    found = hits("one", "two")
    citations = (cited(1, "p1", "one"), cited(2, "p7", "x"))
    given = trial("One [1]. Two. Three [2].", hits=found, citations=citations)
    assert score("citation_validity", given) == 0.5
    assert score("citation_coverage", given) == pytest.approx(1 / 3)
    marks = trial("One. [1] Two [2][3]. Three.", hits=found)
    assert score("citation_validity", marks) == pytest.approx(2 / 3)
    assert score("citation_coverage", marks) == pytest.approx(2 / 3)
    bare = trial("One. Two.", hits=found)
    assert (score("citation_validity", bare), score("citation_coverage", bare)) == (None, 0)


def test_quotes_stand_in_one_passage() -> None:
    found = hits("The stork nests on\nchimneys in", "the warm spring of the year")

    def share(text: str) -> Any:
        return score("quoted_span_support", trial(text, hits=found))

    assert share('It says "the Stork nests on chimneys".') == 1
    assert share("\u201cnests on chimneys\u201d and \u00abthe cold spring\u00bb") == 0.5
    assert share("\u201enests on chimneys\u201c") == 1
    assert share('"chimneys in the warm spring"') == 0  # no passage holds it whole
    assert share('a "two words" quote') is None
    assert share("It's the storks' own nest, isn't it") is None
    assert share('5" high.\n\nIt "nests on chimneys".') == 1  # a lone mark quotes no paragraph
    lacks = judge("quoted_span_support", trial('"it never ever nests"', hits=found))
    assert lacks.reason == "not in the passages: 'it never ever nests'"


def test_numbers_stand_in_the_passages() -> None:
    found = hits("On 2024-05-01 it cost 1,234.50 euros, 12 % more.", "Version 3 has 7 parts.")

    def share(text: str) -> Any:
        return score("number_support", trial(text, hits=found))

    assert share("It cost 1234.5 euros [9], 12% more.") == 1
    assert share("1. It cost 1234.5\n2. It has 8 parts") == 0.5
    assert share("On 2024-05-01, that is 1 May 2024") == 1
    assert share("On 2024-05-02") == 0
    assert share("Nothing to count [1].") is None
    for said in ("seven is 7", "it has seven parts"):
        assert score("number_support", trial("7", {"contexts": (said,)})) == 1


def test_support_is_that_of_the_text_room() -> None:
    passages = ("Storks nest on chimneys in 2 villages.", "The heron fishes in five ponds.")
    sentences = (
        "Storks nest on chimneys.", "Herons fish in the river.", "Storks nest in 3 villages.",
        "The heron fishes in 5 ponds.",
    )  # fmt: skip
    shares = [max(support(each, passages)) for each in sentences]
    assert 0 < shares[1] < 1
    assert shares[2:] == [0, 1]
    given = trial(" ".join(f"{each} [1]" for each in sentences), hits=hits(*passages))
    assert score("support", given) == pytest.approx(sum(shares) / 4)
    assert score("support", given, over="min") == 0
    assert judge("support", given).reason == "least supported: 'Storks nest in 3 villages.'"
    assert score("support", trial("Storks nest.")) == 0
    assert unmeasured("support", trial("\U0001f44d [1]", hits=hits(*passages))) == "empty_claims"


@pytest.mark.parametrize(
    "name",
    ["citation_validity", "citation_coverage", "quoted_span_support", "number_support", "support"],
)
def test_a_refusal_rests_on_nothing_and_a_failure_is_wrong(name: str) -> None:
    found = hits("one two three 4")
    assert score(name, trial('No 4 "one two three" [1].', hits=found, **REFUSED)) is None
    assert score(name, trial(**FAILED)) == 0
