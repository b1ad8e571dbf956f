"""The gate says what the facts say, at the error rates they state."""

import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai.errors import CaseError
from genai.evals import Decision, Scorecard, decide, read_scorecard
from genai.evals.scorecard import Head, MetricHead, Row

Values = Sequence[object]


def card(
    values: Values, *, kind: str = "pass", clusters: Sequence[str] = (), **changes: object
) -> Scorecard:
    """A scorecard of one gating metric."""
    metric = {"name": "exact", "id": "m1", "kind": kind, "gate": True}
    metric |= {
        key: changes.pop(key) for key in list(changes) if key in MetricHead.__struct_fields__
    }
    head = {"suite": "s", "dataset": "d1", "task": "t", "variant": "v", "cases": len(values)}
    rows = [
        Row(f"c{n:05}", [value], clusters[n] if clusters else "", answer=f"answer {value}")
        for n, value in enumerate(values)
    ]
    return Scorecard(Head(**(head | changes), metrics=[MetricHead(**metric)]), rows)  # type: ignore[arg-type]


def paired(losses: int, gains: int, n: int, both: int = 0) -> tuple[Scorecard, Scorecard]:
    """Two runs with so many losses and gains; the others pass in both, or fail where `both`."""
    rest = [1] * (n - losses - gains - both) + [0] * both
    before = [1] * losses + [0] * gains + rest
    after = [0] * losses + [1] * gains + rest
    return card(before), card(after)


@pytest.mark.parametrize(
    ("losses", "gains", "n", "at_5", "at_2"),
    [
        (12, 3, 100, "REGRESSION", "REGRESSION"),
        (6, 0, 30, "REGRESSION", "REGRESSION"),
        (5, 0, 30, "INCONCLUSIVE", "INCONCLUSIVE"),
        (5, 5, 100, "INCONCLUSIVE", "INCONCLUSIVE"),
        (9, 7, 200, "PASS", "INCONCLUSIVE"),
        (10, 4, 400, "PASS", "INCONCLUSIVE"),
        (30, 14, 800, "PASS", "REGRESSION"),
        (1, 8, 100, "IMPROVED", "IMPROVED"),
        (0, 0, 50, "PASS", "INCONCLUSIVE"),
    ],
)
def test_the_worked_table(losses: int, gains: int, n: int, at_5: str, at_2: str) -> None:
    before, after = paired(losses, gains, n)
    assert str(decide(before, after, margin=0.05)) == at_5
    assert str(decide(before, after, margin=0.02)) == at_2


def test_bounds_p_and_the_counts_stand_beside_the_word() -> None:
    found = decide(*paired(12, 3, 100)).comparisons[0]
    assert (found.low, found.high) == pytest.approx((-0.153153, -0.023318), abs=1e-6)
    assert (found.p, found.q) == pytest.approx((0.010635, 0.010635), abs=1e-6)
    assert (found.losses, found.gains, found.n) == (12, 3, 100)
    assert found.before == pytest.approx(0.97)
    assert found.after == pytest.approx(0.88)
    assert found.test == "McNemar"


def test_a_small_real_drop_is_said_to_be_small() -> None:
    decision = decide(*paired(30, 14, 800))
    assert decision.comparisons[0].note == "exact: a real drop, but smaller than the margin"


def test_three_cases_are_inconclusive_and_say_what_is_missing() -> None:
    decision = decide(*paired(3, 0, 3))
    assert str(decision) == "INCONCLUSIVE"
    assert "3 independent cases, at least 10 are needed" in decision.reason
    assert "3 cases changed, at least 6 are needed" in decision.reason
    assert "cases would decide" in decision.reason


def test_the_stage_sets_margin_and_exit_code() -> None:
    before, after = paired(0, 0, 50)
    assert decide(before, after).exit_code == 0
    undecided: Decision = decide(before, after, stage="release")
    assert (str(undecided), undecided.exit_code) == ("INCONCLUSIVE", 2)
    assert decide(*paired(5, 5, 100)).exit_code == 0  # a pull request goes on, with a warning
    assert decide(*paired(12, 3, 100)).exit_code == 1


SCORES = [-0.30, -0.20, -0.10, -0.25, 0.05, -0.15, 0.0, -0.40]
GROUPED = {
    "A": [-0.20, -0.10, -0.30], "B": [0, -0.10], "C": [0.10, 0, -0.20, -0.10], "D": [-0.40],
    "E": [0.05, -0.05, -0.15], "F": [-0.10, -0.20],
}  # fmt: skip


def test_scores_go_by_cluster_robust_bounds_and_sign_flip() -> None:
    clusters = [name for name, values in GROUPED.items() for _ in values]
    d = [value for values in GROUPED.values() for value in values]
    before, after = [0.5] * len(d), [0.5 + each for each in d]
    found = decide(
        card(before, kind="score", clusters=clusters), card(after, kind="score", clusters=clusters)
    ).comparisons[0]
    assert (found.low, found.high) == pytest.approx((-0.193993, -0.039340), abs=1e-6)
    assert found.p == pytest.approx(0.015625)
    assert found.clusters == 6
    assert str(found.word) == "INCONCLUSIVE"  # 6 clusters are too few for a regression
    single = decide(
        card([0.5] * 8, kind="score"), card([0.5 + each for each in SCORES], kind="score")
    ).comparisons[0]
    assert single.p == pytest.approx(4 / 256)
    assert single.high == pytest.approx(-0.067579, abs=1e-6)


def test_a_constant_difference_is_not_certainty() -> None:
    found = decide(card([0.5] * 60, kind="score"), card([0.44] * 60, kind="score")).comparisons[0]
    assert (found.low, found.high) == pytest.approx((-0.11, -0.01))
    assert str(found.word) == "REGRESSION"
    few = decide(card([0.5] * 20, kind="score"), card([0.44] * 20, kind="score")).comparisons[0]
    assert str(few.word) == "INCONCLUSIVE"


@pytest.mark.parametrize(("value", "repeats"), [(0.5, 1), ([1, 0, 3], 3)])
def test_a_score_that_did_not_move_says_how_many_cases_would_do(
    value: object, repeats: int
) -> None:
    for n, word in ((50, "INCONCLUSIVE"), (60, "INCONCLUSIVE"), (61, "PASS")):
        cards = [card([value] * n, kind="score", repeats=repeats) for _ in range(2)]
        decision = decide(*cards)
        assert str(decision) == word
        about = f"exact: undecided with {n} cases; about 61 cases would decide"
        assert decision.reason == ("" if word == "PASS" else about)


def test_less_is_better_where_the_metric_says_so() -> None:
    before, after = card([11.0] * 40, kind="score", better="lower", width=10.0), None
    after = card([13.0 + n % 3 for n in range(40)], kind="score", better="lower", width=10.0)
    decision = decide(before, after)
    assert str(decision) == "REGRESSION"
    assert decision.comparisons[0].margin == pytest.approx(0.5)  # on the scale of the metric


@pytest.mark.parametrize(("before", "width"), [(0.00003, 0.1), (0.02, 0.1), (40, 1000), (0.4, 10)])
def test_the_margin_of_an_amount_is_a_share_of_what_it_was(before: float, width: float) -> None:
    """An app of a cent may not become four times as dear within half a cent a case."""
    kind = {"kind": "score", "better": "lower", "width": width}

    def taken(factor: float) -> Scorecard:
        return card([before * factor * (1 + n % 7 / 10) for n in range(80)], **kind)

    for factor, word in ((1, "PASS"), (1.01, "PASS"), (1.1, "REGRESSION"), (0.8, "IMPROVED")):
        assert str(decide(taken(1), taken(factor))) == word, factor
    assert decide(taken(1), taken(1.1)).comparisons[0].margin == pytest.approx(
        0.065 * before, rel=0.01
    )
    free = decide(card([0.0] * 80, **kind), card([0.0] * 80, **kind))
    assert str(free) == "PASS"


def test_repeats_are_averaged_and_the_advice_follows_the_variance() -> None:
    before = card([[0.5, 0.25, 4]] * 30, repeats=4)
    moved = [0.5 + 0.25 * ((n % 3 == 1) - (n % 3 == 0)) for n in range(30)]
    after = card([[value, 0.25, 4] for value in moved], repeats=4)
    found = decide(before, after).comparisons[0]
    assert (found.test, str(found.word)) == ("sign-flip", "INCONCLUSIVE")
    assert found.within == 1.0
    assert "more repeats of the same cases would help" in found.note
    steady = card([[value, 0.0, 4] for value in moved], repeats=4)
    found = decide(card([[0.5, 0.0, 4]] * 30, repeats=4), steady).comparisons[0]
    assert found.within == 0.0
    assert "more repeats" not in found.note


def test_a_zero_tolerance_suite_forgives_nothing_and_can_pass() -> None:
    before, after = card([1] * 50, hard=True), card([1] * 50, hard=True)
    decision = decide(before, after, stage="release")
    assert str(decision) == "PASS"
    assert "the rate is below 0.058" in decision.comparisons[0].note
    worse = card([0] + [1] * 49, hard=True)
    assert str(decide(before, worse)) == "REGRESSION"
    assert "1 case passed before, not now" in decide(before, worse).reason


@pytest.mark.parametrize("missing", [3, 40])
def test_zero_tolerance_is_not_green_where_too_little_is_measured(missing: int) -> None:
    before = card([1] * 100, hard=True)
    values: list[object] = ["!judge_parse"] * missing + [1] * (100 - missing)
    dim = card(values, hard=True)
    for decision in (decide(before, dim), decide(dim, before)):
        assert (str(decision), decision.exit_code) == ("CANNOT_COMPARE", 4)
        assert "cases are unmeasured in the baseline" in decision.reason
    values[-1] = 0  # a failure is one, whatever the others would have been
    assert str(decide(before, card(values, hard=True))) == "REGRESSION"


@pytest.mark.parametrize("margin", [0.0, -0.05, math.nan, math.inf, 1.0, 5.0])
def test_a_margin_that_allows_nothing_or_everything_is_refused(margin: float) -> None:
    with pytest.raises(CaseError, match="give how large a drop may be, above 0"):
        decide(*paired(0, 0, 50), margin=margin)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({}, {"dataset": "d2"}, "the dataset changed (d1 to d2: no case is new or gone, some were"),
        ({}, {"dataset": "d2"}, "genai eval diff REVISION:evals/s.yaml s"),
        ({}, {"suite": "other"}, "the baseline is of the suite `s`, the run of `other`"),
        ({}, {"repeats": 3}, "the baseline has 1 repeats a case, the run 3"),
        ({}, {"id": "m2"}, "exact changed (scorer, version, parameters, embedder or judge)"),
        ({"judge": "a/b"}, {"judge": "a/c", "id": "m2"}, "its judge was a/b and is a/c"),
        ({"prompt": "p1"}, {"prompt": "p2", "id": "m2"}, "its judge prompt was p1 and is p2"),
        ({}, {"name": "f1"}, "f1 is new"),
        ({"gate": False}, {"gate": False}, "no metric of the suite gates"),
        ({}, {"gate": False}, "exact decides in the baseline and no more in the run"),
    ],
)
def test_what_cannot_be_compared_says_which_field_differs(
    old: dict[str, object], new: dict[str, object], said: str
) -> None:
    decision = decide(card([1] * 60, **old), card([1] * 60, **new))
    assert (str(decision), decision.exit_code) == ("CANNOT_COMPARE", 4)
    assert said in decision.reason


def test_the_margin_of_a_metric_that_decides_no_more_is_in_its_own_unit() -> None:
    before, after = (card([3.0] * 60, width=10.0, gate=gate) for gate in (True, False))
    (gone,) = (each for each in decide(before, after, margin=0.05).comparisons if each.gate)
    assert gone.margin == pytest.approx(0.5)


@pytest.mark.parametrize("change", [{"gate": False}, {"name": "exact_normalised"}])
@pytest.mark.parametrize("kind", ["gate", "hard"])
def test_a_metric_that_decides_no_more_is_not_passed_over(
    kind: str, change: dict[str, object]
) -> None:
    def two(**other: object) -> Scorecard:
        named = {"name": "exact", "id": "m1", "gate": False, kind: True, **other}
        heads = [MetricHead("f1", "m2", gate=True), MetricHead(**named)]  # type: ignore[arg-type]
        rows = [Row(f"c{n:05}", [1, 1]) for n in range(60)]
        head = Head(suite="s", dataset="d", task="t", variant="v", cases=60, metrics=heads)
        return Scorecard(head, rows)

    assert str(decide(two(), two())) == "PASS"
    decision = decide(two(), two(**{kind: False, **change}))
    assert (str(decision), decision.exit_code) == ("CANNOT_COMPARE", 4)
    assert decision.reason.startswith("exact decides in the baseline and no more in the run; gate")


def test_a_judge_that_is_not_trusted_is_shown_and_does_not_gate() -> None:
    before, after = paired(12, 3, 100)
    after.head.metrics[0].distrust = "stale"
    decision = decide(before, after)
    assert not decision.gating
    assert (str(decision), decision.reason) == ("CANNOT_COMPARE", "stale")
    assert decision.comparisons[0].suspect


def test_a_judge_that_decided_and_has_lapsed_is_not_passed_over_beside_another_metric() -> None:
    def two(falls: int = 0, **judged: object) -> Scorecard:
        heads = [MetricHead("f1", "m2", gate=True), MetricHead("faith", "m1", gate=True, **judged)]  # type: ignore[arg-type]
        rows = [Row(f"c{n:05}", [int(n >= falls), 1]) for n in range(60)]
        head = Head(suite="s", dataset="d", task="t", variant="v", cases=60, metrics=heads)
        return Scorecard(head, rows)

    stale = two(distrust="its prompt changed")
    for decision in (decide(two(), stale), decide(two(), two(distrust="its prompt"))):
        assert (str(decision), decision.exit_code) == ("CANNOT_COMPARE", 4)
        assert "its prompt" in decision.reason
    assert str(decide(stale, stale)) == "PASS"  # it did not decide when the baseline was accepted
    assert str(decide(two(), two(falls=20, distrust="stale"))) == "REGRESSION"


@pytest.mark.parametrize(
    ("missing", "word"), [(1, "PASS"), (2, "PASS"), (3, "CANNOT_COMPARE"), (40, "CANNOT_COMPARE")]
)
def test_a_dead_judge_is_never_green(missing: int, word: str) -> None:
    before = card([1] * 100)
    after = card(["!judge_parse"] * missing + [1] * (100 - missing))
    decision = decide(before, after)
    assert str(decision) == word
    found = decision.comparisons[0]
    assert found.coverage == (1.0, pytest.approx(1 - missing / 100))
    if word == "PASS":
        assert found.worst is not None


def test_the_worst_case_of_the_unmeasured_is_shown() -> None:
    before, after = card([1] * 200), card(["!timeout"] * 4 + [0] * 5 + [1] * 191)
    found = decide(before, after).comparisons[0]
    assert (str(found.word), str(found.worst)) == ("PASS", "REGRESSION")


def test_a_metric_that_applies_to_other_cases_than_before_cannot_gate() -> None:
    before, after = card([1] * 100), card(["-"] * 10 + [1] * 90)
    decision = decide(before, after)
    assert str(decision) == "CANNOT_COMPARE"
    assert "10 of 100 cases apply on one side only" in decision.reason
    assert str(decide(card(["-"] * 10 + [1] * 90), card(["-"] * 10 + [1] * 90))) == "PASS"


def test_flips_hold_both_answers_losses_first() -> None:
    flips = decide(*paired(2, 1, 60)).comparisons[0].flips
    assert [flip.after - flip.before for flip in flips] == [-1, -1, 1]
    assert (flips[0].said_before, flips[0].said_after) == ("answer 1", "answer 0")


def test_holm_guards_the_family_and_others_are_only_suspects() -> None:
    names = ["a", "b", "c", "d", "e"]

    def many(after: bool) -> Scorecard:
        heads = [MetricHead(name, name, gate=name != "e") for name in names]
        rows = []
        for n in range(100):
            values: list[object] = [
                int(not (after and n < 12)),
                1,
                1,
                1,
                int(not (after and n < 12)),
            ]
            if after and 12 <= n < 15:
                values[0] = values[4] = 1
            rows.append(Row(f"c{n}", values))
        head = Head(suite="s", dataset="d", task="t", variant="v", cases=100, metrics=heads)
        return Scorecard(head, rows)

    decision = decide(many(False), many(True))
    found = {each.metric: each for each in decision.comparisons}
    assert found["a"].q == pytest.approx(4 * found["a"].p)  # type: ignore[operator]
    assert str(decision) == "REGRESSION"
    assert found["e"].suspect
    assert not found["e"].gate


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=12, max_size=80))
def test_swapping_the_sides_mirrors_the_bounds(pairs: list[tuple[int, int]]) -> None:
    one, other = card([a for a, _ in pairs]), card([b for _, b in pairs])
    forth, back = decide(one, other).comparisons[0], decide(other, one).comparisons[0]
    assert forth.low == pytest.approx(-back.high)  # type: ignore[operator]
    assert forth.high == pytest.approx(-back.low)  # type: ignore[operator]
    assert not (str(forth.word) == str(back.word) == "REGRESSION")


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=60), st.randoms(use_true_random=False))
def test_a_run_against_itself_is_never_worse_and_order_does_not_matter(
    values: list[float], dice: random.Random
) -> None:
    one = card(values, kind="score")
    assert str(decide(one, one)) in ("PASS", "INCONCLUSIVE")
    other = card([dice.random() for _ in values], kind="score")
    mixed = Scorecard(other.head, dice.sample(list(other.rows), len(other.rows)))
    assert decide(one, other).comparisons[0].p == decide(one, mixed).comparisons[0].p
    assert str(decide(one, other)) == str(decide(one, mixed))


def test_a_scorecard_is_written_whole_and_damage_is_named(tmp_path: Path) -> None:
    one = card([1, 0, "-", "!timeout", [0.5, 0.5, 2]])
    path = tmp_path / "evals" / "baselines" / "s" / "main.jsonl"
    one.write(path)
    again = read_scorecard(path)
    assert again.head == one.head
    assert list(again.rows) == list(one.rows)
    assert again.cell(again.rows[4], "exact").repeats == 2
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CaseError, match=r"baselines/s/main\.jsonl: is damaged"):
        read_scorecard(path)
    with pytest.raises(CaseError, match="no such scorecard; accept a run first"):
        read_scorecard(path.with_name("other.jsonl"))
