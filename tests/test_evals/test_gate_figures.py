"""What stands beside the gate's word: every figure, and what is left open where there is none."""

from collections.abc import Sequence
from statistics import stdev, variance

import pytest

from genai import stats
from genai.evals import Scorecard, decide
from genai.evals.gate import Comparison, Word, decided
from genai.evals.scorecard import Head, MetricHead, Row

Values = Sequence[object]
Metric = tuple[str, Values, Values, dict[str, object]]


def runs(*metrics: Metric, clusters: Sequence[str] = (), repeats: int = 1) -> list[Scorecard]:
    """Two runs of metrics that gate, each with its values before and now and what is said of it."""
    count = len(metrics[0][1])
    heads = [
        MetricHead(**({"name": name, "id": "m1", "kind": "score", "gate": True} | said))  # type: ignore[arg-type]
        for name, _, _, said in metrics
    ]
    found = []
    for side in (1, 2):
        rows = [
            Row(
                f"c{n:03}",
                [each[side][n] for each in metrics],  # type: ignore[index]
                clusters[n] if clusters else "",
                answer=f"{side}.{n}",
            )
            for n in range(count)
        ]
        head = Head(
            suite="s", dataset="d", task="t", variant="v", metrics=heads, cases=count,
            repeats=repeats,
        )  # fmt: skip
        found.append(Scorecard(head, rows))
    return found


def moved(*given: float, name: str = "m", **said: object) -> Metric:
    """A metric whose scores were .5 and have moved by so much."""
    return name, [0.5] * len(given), [0.5 + each for each in given], said


def flipped(losses: int, gains: int, n: int, name: str = "m", **said: object) -> Metric:
    """A verdict with so many losses and gains."""
    rest = [1] * (n - losses - gains)
    before, after = [1] * losses + [0] * gains + rest, [0] * losses + [1] * gains + rest
    return name, before, after, {"kind": "pass"} | said


def one(*metrics: Metric, **options: float) -> Comparison:
    return decide(*runs(*metrics), **options).comparisons[0]  # type: ignore[arg-type]


def test_the_cases_that_would_decide_and_the_drop_that_can_be_seen() -> None:
    verdicts = one(flipped(12, 3, 100))
    d = [-1] * 12 + [1] * 3 + [0] * 85
    assert verdicts.needs == stats.cases_to_prove(0.05, 17 / 102)
    assert verdicts.detectable == pytest.approx(stats.detectable(stdev(d), 100))
    assert (verdicts.before, verdicts.after) == (pytest.approx(0.97), pytest.approx(0.88))
    given = [-0.2, 0.1, 0.0, -0.4, 0.3, -0.1]
    scores = one(moved(*given))
    assert scores.needs == stats.cases_for_drop(0.05, sd=stdev(given))
    assert scores.detectable == pytest.approx(stats.detectable(stdev(given), 6))
    even = one(moved(-0.2, 0.2, 0.0))  # as many better as worse has moved all the same
    assert even.needs == stats.cases_for_drop(0.05, sd=0.2)
    assert (scores.losses, scores.gains, scores.n, scores.clusters) == (3, 2, 6, 6)
    assert one(moved(-0.1, 0.1)).detectable == pytest.approx(stats.detectable(0.2 / 2**0.5, 2))


def test_one_case_and_equal_differences_have_no_spread() -> None:
    for found in (one(moved(-0.25)), one(moved(*[-0.25] * 9))):
        assert (found.detectable, found.needs, found.within, found.ratio) == (None,) * 4
    assert one(flipped(1, 0, 1)).note == (
        "m: undecided with 1 cases; 1 independent cases, at least 10 are needed;"
        f" 1 case changed, at least 6 are needed; about {stats.cases_to_prove(0.05, 1)} cases would"
        " decide"
    )


def test_what_is_not_compared_has_no_figures() -> None:
    before = runs(moved(*[0.0] * 20, width=10.0))[0]
    after = runs(moved(*[0.0] * 20, width=10.0, id="m2"))[1]
    (found,) = decide(before, after).comparisons
    assert (found.word, found.margin) == (Word.CANNOT_COMPARE, 0.5)
    assert (found.n, found.clusters, found.losses, found.gains) == (0, 0, 0, 0)
    assert found.coverage == (1, 1)
    assert (found.suspect, found.hard) == (False, False)


def test_ten_independent_cases_are_enough_and_nine_are_not() -> None:
    assert one(flipped(10, 0, 10)).word is Word.REGRESSION
    assert one(flipped(9, 0, 9)).word is Word.INCONCLUSIVE
    improved = decide(*runs(flipped(0, 10, 10)))
    assert (improved.word, improved.exit_code) == (Word.IMPROVED, 0)


@pytest.mark.parametrize(
    ("low", "high", "losses", "gains", "word"),
    [
        (0.0, 0.2, 0, 9, Word.PASS),  # a bound at 0 shows no gain
        (-0.2, 0.0, 9, 0, Word.INCONCLUSIVE),  # nor a loss
        (-0.2, -0.01, 9, 0, Word.REGRESSION),
        (-0.2, -0.01, 9, 5, Word.REGRESSION),  # fourteen changed, and not four
        (-0.2, -0.01, 5, 0, Word.INCONCLUSIVE),
    ],
)
def test_a_bound_at_nothing_decides_nothing(
    low: float, high: float, losses: int, gains: int, word: Word
) -> None:
    found = Comparison(
        "m",
        Word.PASS,
        True,
        0.05,
        n=60,
        clusters=60,
        losses=losses,
        gains=gains,
        low=low,
        high=high,
    )
    assert decided(found, 0.01)[0] is word


def test_the_margin_of_an_amount_is_a_share_of_what_it_was() -> None:
    lower = {"better": "lower", "width": 10.0}
    assert one(("m", [0.0, 4.0] * 5, [0.0, 4.0] * 5, lower)).margin == pytest.approx(0.05 * 2)


def test_a_p_that_would_do_alone_is_undecided_among_four() -> None:
    alone = one(flipped(10, 3, 100))
    assert (alone.p, alone.q, alone.word) == (alone.p, alone.p, Word.REGRESSION)
    others = [flipped(0, 0, 100, name=each) for each in "xyz"]
    found = one(flipped(10, 3, 100), *others)
    assert (found.q, found.word) == (pytest.approx(4 * 470 / 2**14), Word.INCONCLUSIVE)
    assert one(flipped(10, 3, 100), *others[:2]).word is Word.REGRESSION  # q = .086


@pytest.mark.parametrize(
    ("losses", "gains", "n", "others", "suspect"),
    [
        (10, 3, 100, 0, True),
        (10, 3, 100, 3, False),  # q = .115
        (10, 4, 400, 0, False),  # the upper bound is above 0, though q = .059
    ],
)
def test_what_does_not_gate_is_a_suspect_only_where_the_gate_would_have_said_so(
    losses: int, gains: int, n: int, others: int, suspect: bool
) -> None:
    rest = [flipped(0, 0, n, name=f"x{each}", gate=False) for each in range(others)]
    found = one(flipped(losses, gains, n, gate=False), *rest)
    assert found.suspect is suspect
    assert found.q == pytest.approx((found.p or 0) * (1 + others))


def test_the_reason_is_that_of_a_metric_which_gates_and_decides() -> None:
    decision = decide(*runs(
        flipped(0, 0, 400, name="fine"),
        flipped(3, 3, 400, name="shown", gate=False, margin=0.001),
        flipped(3, 3, 400, name="open", margin=0.001),
    ))  # fmt: skip
    assert decision.word is Word.INCONCLUSIVE
    assert decision.reason.startswith("open: undecided with 400 cases; about ")
    assert [each.metric for each in decision.gating] == ["fine", "open"]
    assert [each.margin for each in decision.comparisons] == [0.05, 0.001, 0.001]


def test_labels_and_percentiles_have_no_pairs_and_are_left_out() -> None:
    rest = [
        moved(*[0.0] * 60, name=kind, kind=kind, gate=False) for kind in ("label", "percentile")
    ]
    decision = decide(*runs(*rest, flipped(0, 0, 60)))
    assert [each.metric for each in decision.comparisons] == ["m"]
    assert (decision.word, decision.reason) == (Word.PASS, "")


def test_a_drop_within_the_margin_is_named_only_where_it_is_real() -> None:
    assert one(flipped(9, 7, 200)).note == ""
    assert one(flipped(30, 14, 800)).note == "m: a real drop, but smaller than the margin"


def test_the_share_of_repeats_in_the_variance() -> None:
    shift = [0.25 * ((n % 3 == 1) - (n % 3 == 0)) for n in range(30)]

    def repeated(spread: float, moves: Sequence[float]) -> Comparison:
        before = [[0.5, spread, 4] for _ in moves]
        after = [[0.5 + each, spread, 4] for each in moves]
        return decide(*runs(("m", before, after, {}), repeats=4)).comparisons[0]

    found = repeated(0.04, shift)
    assert found.within == pytest.approx((0.04 / 4 + 0.04 / 4) / variance(shift))
    assert "more repeats" not in found.note  # .46 of it
    assert "more repeats" in repeated(0.05, shift).note
    assert repeated(0.04, [-0.25] * 30).within is None
    assert one(moved(*shift)).within is None


def test_amounts_have_a_ratio_where_every_one_is_positive() -> None:
    before, after = [1.0, 2.0, 4.0, 8.0], [2.0, 3.0, 9.0, 8.0]
    wanted = stats.log_ratio(before, after)
    lower = {"better": "lower", "width": 10.0}
    found = one(("m", before, after, lower))
    assert found.ratio == pytest.approx((wanted.mean, wanted.low, wanted.high))
    assert (found.losses, found.gains) == (3, 0)
    assert one(("m", before[:2], after[:2], lower)).ratio is not None
    assert one(("m", before[:1], after[:1], lower)).ratio is None
    assert one(("m", before, [0.0, 3.0, 9.0, 8.0], lower)).ratio is None
    assert one(("m", before, after, {"width": 10.0})).ratio is None


def test_cases_unmeasured_on_either_side_are_counted_for_it() -> None:
    before, after = ["!timeout"] * 2 + [0.5] * 98, [0.5] * 99 + ["!timeout"]
    found = one(("m", before, after, {}))
    assert (found.coverage, found.n) == ((pytest.approx(0.98), pytest.approx(0.99)), 97)


def test_the_worst_word_of_scores_moves_the_bounds_by_what_is_unmeasured() -> None:
    moves = [-0.03 + 0.02 * (-1) ** n for n in range(98)]
    before = [0.5] * 100
    found = one(("m", before, ["!timeout"] * 2 + [0.5 + each for each in moves], {}))
    assert (found.word, found.worst) == (Word.PASS, Word.REGRESSION)  # by .02 of the width
    found = one(("m", before, ["!timeout"] * 1 + [0.5, *(0.5 + each for each in moves)], {}))
    assert (found.word, found.worst) == (Word.PASS, Word.PASS)
    assert one(("m", before, [0.5 + n % 2 for n in range(100)], {})).worst is None


def test_flips_go_from_the_largest_loss_to_the_largest_gain() -> None:
    flips = one(moved(0.25, -0.125, 0.0, -0.375)).flips
    assert [(each.case, each.before, each.after) for each in flips] == [
        ("c003", 0.5, 0.125), ("c001", 0.5, 0.375), ("c000", 0.5, 0.75),
    ]  # fmt: skip
    assert [(each.said_before, each.said_after) for each in flips] == [
        ("1.3", "2.3"), ("1.1", "2.1"), ("1.0", "2.0"),
    ]  # fmt: skip
