"""Intervals and tests against published or independently computed values, and by simulation."""

import math
import random
from collections.abc import Callable
from itertools import accumulate, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai import stats

CLUSTERS = {
    "A": [-0.2, -0.1, -0.3], "B": [0, -0.1], "C": [0.1, 0, -0.2, -0.1], "D": [-0.4],
    "E": [0.05, -0.05, -0.15], "F": [-0.1, -0.2],
}  # fmt: skip
NAMES = [name for name, values in CLUSTERS.items() for _ in values]
VALUES = [value for values in CLUSTERS.values() for value in values]
PLAIN = [-0.3, -0.2, -0.1, -0.25, 0.05, -0.15, 0, -0.4]


def near(*values: float, abs: float = 1e-6) -> object:
    return pytest.approx(values if len(values) > 1 else values[0], abs=abs)


@pytest.mark.parametrize(
    ("k", "n", "low", "high", "lower90", "lower95"),
    [
        (18, 20, 0.698966, 0.972134, 0.781604, 0.738337),
        (7, 10, 0.396778, 0.892209, 0.497372, 0.441700),
        (170, 200, 0.793944, 0.892864, 0.814798, 0.803812),
        (50, 50, 0.928652, 1.0, 0.968197, 0.948667),
        (0, 50, 0.0, 0.071348, 0.0, 0.0),
        (0, 0, 0.0, 1.0, 0.0, 0.0),
    ],
)
def test_wilson(k: int, n: int, low: float, high: float, lower90: float, lower95: float) -> None:
    assert stats.wilson(k, n) == near(low, high)
    assert stats.wilson(k, n, 0.80)[0] == near(lower90)
    assert stats.wilson(k, n, 0.90)[0] == near(lower95)


def test_a_bound_of_a_share_is_a_share() -> None:
    for n in range(1, 300):
        assert 0 <= stats.wilson(0, n)[0] <= stats.wilson(n, n)[1] <= 1


ONE, TWO = [1.0], [1.0, 2.0]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: stats.wilson(3, 2), "cannot be"),
        (lambda: stats.wilson(-1, 2), "cannot be"),
        (lambda: stats.bonett_price(3, 2, 4), "cannot be"),
        (lambda: stats.bonett_price(-1, 1, 4), "cannot be"),
        (lambda: stats.bonett_price(0, 0, 0), "cannot be"),
        (lambda: stats.clustered([]), "no differences"),
        (lambda: stats.cases_for_drop(0.1), "cannot be planned"),
        (lambda: stats.cases_for_drop(0.5, discordant=0.25), "cannot be planned"),
        (lambda: stats.cases_for_drop(0, sd=0.2), "cannot be planned"),
        (lambda: stats.newcombe(0, 0, 1, 1), "at least 1 of each"),
        (lambda: stats.newcombe(1, 1, 0, 0), "at least 1 of each"),
        (lambda: stats.clustered_difference([], ONE, [], ["a"]), "at least 1 of each"),
        (lambda: stats.clustered_difference(ONE, [], ["a"], []), "at least 1 of each"),
        (lambda: stats.clustered_difference(TWO, ONE, ["a"], ["b"]), "zip"),
        (lambda: stats.clustered_difference(ONE, TWO, ["a"], ["b"]), "zip"),
        (lambda: stats.corrected(ONE, ONE, TWO), "at least 2"),
        (lambda: stats.corrected(TWO, TWO, ONE), "at least 2"),
        (lambda: stats.corrected(TWO, [*TWO, 3.0], TWO), "2 labels, 3 judged"),
        (lambda: stats.agreement([True], [True, False]), "zip"),
        (lambda: stats.log_ratio(ONE, TWO), "zip"),
        (lambda: stats.psi(ONE, TWO), "zip"),
    ],
)
def test_what_cannot_be_is_refused(ask: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ask()


def test_no_failure_in_n_still_leaves_an_upper_bound() -> None:
    found = [stats.rule_of_three(n) for n in (20, 50, 100, 300)]
    assert found == pytest.approx([0.139108, 0.058155, 0.029513, 0.009936], abs=1e-6)
    assert stats.rule_of_three(0) == 1


@pytest.mark.parametrize(
    ("losses", "gains", "n", "mean", "se", "low", "high", "p"),
    [
        (12, 3, 100, -0.088235, 0.039467, -0.153153, -0.023318, 0.010635),
        (6, 0, 30, -0.187500, 0.081938, -0.322276, -0.052724, 0.007812),
        (5, 0, 30, -0.156250, 0.077929, -0.284433, -0.028067, 0.015625),
        (5, 5, 100, 0, 0.033962, -0.055862, 0.055862, 0.5),
        (9, 7, 200, -0.009901, 0.020992, -0.044429, 0.024627, 0.314529),
        (10, 4, 400, -0.014925, 0.009922, -0.031246, 0.001395, 0.059235),
        (30, 14, 800, -0.019950, 0.008427, -0.033812, -0.006088, 0.008047),
        (1, 8, 100, 0.068627, 0.031798, 0.016324, 0.120930, 0.989258),
        (0, 0, 50, 0, 0.027196, -0.044734, 0.044734, 1),
    ],
)
def test_paired_shares(
    losses: int, gains: int, n: int, mean: float, se: float, low: float, high: float, p: float
) -> None:
    found = stats.bonett_price(losses, gains, n)
    assert (found.mean, found.se, found.low, found.high) == near(mean, se, low, high)
    assert (found.n, found.confidence) == (n, 0.95)
    assert stats.mcnemar(losses, gains) == near(p)
    assert stats.bonett_price(1, 0, 1).n == 1  # the fewest there can be


def test_cluster_robust_bounds_and_sign_flips() -> None:
    found = stats.clustered(VALUES, NAMES)
    assert (found.mean, found.se) == near(-0.116667, 0.038374)
    assert (found.low, found.high) == near(-0.193993, -0.039340)
    assert stats.sign_flip(VALUES, NAMES) == near(1 / 64)
    plain = stats.clustered(PLAIN)
    assert (plain.mean, plain.se, plain.high) == near(-0.16875, 0.053400, -0.067579)
    assert stats.sign_flip(PLAIN) == near(4 / 256)


def test_equal_differences_are_not_certainty() -> None:
    found = stats.clustered([0.0] * 60)
    assert (found.low, found.high) == near(-0.05, 0.05)
    alone, two = stats.clustered([0.5]), stats.clustered([0.5, 0.5])
    assert (alone.se, alone.low, alone.high) == near(0, -0.5, 1.5)
    assert (two.low, two.high) == near(-1, 2)
    grouped = stats.clustered([1.0] * 100, [n // 20 for n in range(100)])
    assert (grouped.low, grouped.high) == near(1 - 3 / 5, 1 + 3 / 5)  # five say it, not a hundred
    apart = stats.clustered_difference([1.0] * 40, [1.0] * 40, [n // 10 for n in range(40)],
                                       [9 + n // 20 for n in range(40)])[0]  # fmt: skip
    assert apart.high == near(3 / 4 + 3 / 2)
    assert stats.clustered([0.1, 0.3]).high == near(0.2 + 6.313752 * 0.1)  # t.95(1)
    assert stats.sign_flip([0.0] * 60) == 1


def test_drawn_flips_agree_with_the_normal_form_and_ignore_row_order() -> None:
    dice = random.Random(5)
    values = [dice.gauss(-0.02, 0.3) for _ in range(1999)]
    drawn = stats.sign_flip(values)
    assert stats.sign_flip([*values, 1e-9, -1e-9]) == near(drawn, abs=0.01)  # the normal form
    dice.shuffle(values)
    assert stats.sign_flip(values) == drawn == stats.sign_flip(values, draws=10_000, seed=20_260)


def test_the_sign_flip_test_is_exact_then_drawn_then_normal() -> None:
    dice = random.Random(3)
    values = [dice.gauss(-0.05, 0.3) for _ in range(2001)]
    found = [stats.sign_flip(values[:n], draws=1) for n in (14, 15, 2000, 2001)]
    assert [p in (0.5, 1) for p in found] == [False, True, True, False]  # of one draw


def test_drawn_flips_count_ties_and_are_never_certain() -> None:
    # 12 or more of 16 fall below, by the binomial
    assert stats.sign_flip([-1.0] * 12 + [1.0] * 4) == near(2517 / 2**16, abs=0.006)
    assert stats.sign_flip([-1.0] * 60) == 1 / 10_001
    assert stats.sign_flip([1.0] * 60, draws=750) == 1


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_swapping_the_sides_swaps_the_bounds(values: list[float]) -> None:
    one, other = stats.clustered(values), stats.clustered([-value for value in values])
    assert (one.mean, one.low, one.high) == pytest.approx(
        (-other.mean, -other.high, -other.low), abs=1e-9
    )


def test_families() -> None:
    values = [0.012, 0.041, 0.003, 0.30]
    assert stats.holm(values) == pytest.approx([0.036, 0.082, 0.012, 0.3], abs=1e-9)
    assert stats.benjamini_hochberg(values) == pytest.approx(
        [0.024, 0.054667, 0.012, 0.3], abs=1e-6
    )
    five = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert stats.holm(five) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert stats.benjamini_hochberg(five) == pytest.approx([0.05] * 5)
    assert stats.holm([0.6, 0.7]) == [1, 1]
    assert stats.holm([]) == stats.benjamini_hochberg([]) == []


@pytest.mark.parametrize(
    ("share", "two", "three", "five", "ten", "prove_two", "prove_five"),
    [
        (0.05, 767, 338, 118, None, 773, 124),
        (0.10, 1540, 681, 242, 56, 1546, 248),
        (0.15, 2313, 1025, 365, 87, 2319, 371),
        (0.20, 3086, 1368, 489, 118, 3092, 495),
        (0.30, 4631, 2055, 736, 180, 4637, 742),
    ],
)
def test_cases_needed(
    share: float, two: int, three: int, five: int, ten: int | None, prove_two: int, prove_five: int
) -> None:
    for drop, needed in ((0.02, two), (0.03, three), (0.05, five), (0.10, ten)):
        if needed is not None:
            assert stats.cases_for_drop(drop, discordant=share) == needed
    assert stats.cases_to_prove(0.02, share) == prove_two
    assert stats.cases_to_prove(0.05, share) == prove_five


def test_cases_needed_for_scores() -> None:
    found = [
        [stats.cases_for_drop(drop, sd=sd) for drop in (0.02, 0.03, 0.05, 0.1)]
        for sd in (0.1, 0.2, 0.3)
    ]
    assert found == [[155, 69, 25, 7], [619, 275, 99, 25], [1392, 619, 223, 56]]
    assert stats.detectable(0.2, 100) == near(0.049729)


@pytest.mark.parametrize(
    ("n", "ranks"),
    [(60, (54, 60)), (100, (91, 99)), (200, (185, 196)), (400, (373, 388)), (1000, (938, 962))],
)
def test_ranks_around_the_95th_percentile(n: int, ranks: tuple[int, int]) -> None:
    assert stats.percentile_ranks(n) == ranks


def test_under_59_calls_nothing_bounds_the_95th_percentile() -> None:
    assert stats.percentile_ranks(58)[1] == 59  # no such rank
    assert stats.percentile_ranks(59)[1] == 59
    assert stats.percentile_ranks(10, 0.5) == (2, 9)  # of the median, as in printed tables
    assert stats.percentile_ranks(2, 0.5) == (1, 3)


def test_the_ratio_of_costs() -> None:
    before = [0.010, 0.012, 0.020, 0.008, 0.015, 0.011]
    after = [0.011, 0.015, 0.021, 0.010, 0.015, 0.014]
    found = stats.log_ratio(before, after)
    assert (math.log(found.mean), found.se) == near(0.138592, 0.042412)
    assert (found.mean, found.low, found.high) == near(1.148655, 1.054566, 1.251139)
    assert (found.n, found.confidence) == (6, 0.95)


def test_repeats() -> None:
    assert [stats.pass_at(k, 3, 10) for k in (1, 2, 5)] == pytest.approx(
        [0.3, 0.533333, 0.916667], abs=1e-6
    )
    assert [stats.pass_hat(k, 3, 10) for k in (1, 2, 5)] == pytest.approx(
        [0.3, 0.066667, 0], abs=1e-6
    )
    assert (stats.pass_at(3, 4, 5), stats.pass_hat(3, 4, 5)) == near(1, 0.4)


def labels(both: int, only: int, slip: int, neither: int) -> tuple[list[bool], list[bool]]:
    person = [True] * (both + only) + [False] * (slip + neither)
    judge = [True] * both + [False] * only + [True] * slip + [False] * neither
    return person, judge


def test_a_judge_that_agrees_by_kappa() -> None:
    found = stats.agreement(*labels(58, 4, 9, 29))
    assert found.kappa == near(0.716899)
    assert (found.low, found.high) == near(0.564, 0.851, abs=0.015)
    assert found.hit == near(0.935484, 0.845525, 0.974627)
    assert found.slip == near(0.236842, 0.129937, 0.392068)
    assert found == stats.agreement(*labels(58, 4, 9, 29), draws=2000, seed=20_260)


def test_high_agreement_may_be_a_low_kappa() -> None:
    found = stats.agreement(*labels(90, 4, 4, 2))
    assert found.kappa == near(0.290780)
    assert (found.low, found.high) == near(-0.050, 0.645, abs=0.02)


@pytest.mark.parametrize(("failing", "bounded"), [(1, False), (3, False), (4, True), (25, True)])
def test_a_judge_right_on_a_failing_answer_or_two_has_no_lower_bound_from_it(
    failing: int, bounded: bool
) -> None:
    same = [True] * (50 - failing) + [False] * failing
    found = stats.agreement(same, same)
    assert found.kappa == 1
    assert found.low == (1 if bounded else 0)


def test_kappa_is_undefined_where_both_are_constant() -> None:
    found = stats.agreement([True] * 60, [True] * 60)
    assert (found.kappa, found.low, found.slip) == (None, None, None)


def test_weighted_kappa() -> None:
    table = [[10, 2, 0], [3, 12, 3], [0, 2, 8]]
    found = [stats.kappa(table), stats.kappa(table, "linear"), stats.kappa(table, "quadratic")]
    assert found == pytest.approx([0.617591, 0.694190, 0.781659], abs=1e-6)
    assert stats.kappa([[0, 0], [0, 0]]) is stats.kappa([[5]], "linear") is None


def test_a_judges_score_is_corrected_by_labels() -> None:
    person, judge = labels(58, 4, 9, 29)
    found = stats.corrected(person, judge, [1.0] * 280 + [0.0] * 120)
    assert (found.mean, found.se) == near(0.638752, 0.037142)
    assert (found.low, found.high) == near(0.565956, 0.711549)
    assert (found.n, found.confidence) == (500, 0.975)
    # a judge that says less than people do counts once at the most, one that contradicts not at all
    assert stats.corrected([0, 8, 0, 8], [0, 1, 0, 1], [1, 1]).mean == near(4 - 0.5 + 1)
    assert stats.corrected([0, 1], [1, 0], [1, 1]).mean == near(0.5)
    assert stats.corrected([0, 1], [1, 1], [1, 1]).mean == near(0.5)


def test_clustered_bounds_keep_their_error_where_naive_ones_do_not() -> None:
    dice, robust, naive, runs = random.Random(11), 0, 0, 1500
    for _ in range(runs):
        shared = [dice.gauss(0, 0.15) for _ in range(20)]
        values = [each + dice.gauss(0, 0.22) for each in shared for _ in range(10)]
        names = [n for n in range(20) for _ in range(10)]
        robust += stats.clustered(values, names).high < 0
        naive += stats.clustered(values).high < 0
    assert robust / runs < 0.075
    assert naive / runs > 0.12


def test_two_groups_that_are_not_paired() -> None:
    found = stats.newcombe(48, 80, 56, 70)
    assert (found.se, found.n, found.confidence) == near(
        math.sqrt(0.24 / 80 + 0.16 / 70), 150, 0.95
    )
    assert stats.score_test(56, 70, 48, 80) == near(0.004023)  # z = -2.650172
    assert stats.score_test(5, 5, 7, 7) == stats.split_p(0, 0) == 1
    pair = stats.clustered_difference([1.0, 0.0], [0.0, 0.5], "ab", "cd")[0]
    assert (pair.n, pair.high - pair.mean) == near(4, 6.313752 * pair.se)  # t.95(1)


@pytest.mark.parametrize(
    ("a", "b", "half", "p"),
    [
        (["x", "y", "z"], ["u", "v"], 3 / 3 + 3 / 2, 0.1),  # 1 of the 10 ways to shuffle them
        (["x"], ["y"], 1.0, 0.5),
        (["x", "x"], ["x"], 1.0, 0.5),
    ],
)
def test_groups_in_which_nothing_varies_are_not_certainty(
    a: list[str], b: list[str], half: float, p: float
) -> None:
    found, less = stats.clustered_difference([1.0] * len(a), [0.0] * len(b), a, b)
    assert (found.mean, found.se) == near(-1, 0)
    assert (found.high - found.mean, found.mean - found.low, less) == near(half, half, p)
    for other in (1.0, 2.0):  # not below
        assert stats.clustered_difference([1.0] * len(a), [other] * len(b), a, b)[1] == 1


def exchanged(before: list[list[int]], now: list[list[int]], ordered: bool) -> float:
    """The p of `day_permutation`, by all ways to exchange days."""
    days = [*before, *now]

    def shares(rows: list[list[int]]) -> list[float]:
        counts = [sum(column) for column in zip(*rows, strict=True)]
        found = [each / sum(counts) for each in counts]
        return list(accumulate(found))[:-1] if ordered else found

    weights = [1 / (share * (1 - share) if ordered else share) for share in shares(days)]

    def apart(chosen: tuple[int, ...]) -> float:
        sides = [
            [day for n, day in enumerate(days) if (n in chosen) is side] for side in (True, False)
        ]
        one, other = map(shares, sides)
        return sum(w * (a - b) ** 2 for w, a, b in zip(weights, one, other, strict=True))

    seen = apart(tuple(range(len(before))))
    ways = [apart(each) for each in combinations(range(len(days)), len(before))]
    return sum(each >= seen - 1e-12 for each in ways) / len(ways)


@pytest.mark.parametrize("ordered", [False, True])
def test_exchanged_days_agree_with_all_ways_to_exchange_them(ordered: bool) -> None:
    dice = random.Random(2)
    for move in (0, 2, 4):
        before = [[dice.randint(40, 60), dice.randint(0, 6), dice.randint(5, 20)] for _ in range(5)]
        now = [
            [dice.randint(40, 60), dice.randint(0, 6) + move, dice.randint(5, 20)] for _ in range(4)
        ]
        found = stats.day_permutation(before, now, ordered=ordered, draws=20_000)
        assert found == near(exchanged(before, now, ordered), abs=0.015)


def test_few_days_say_little_and_many_are_never_certain() -> None:
    far = [[90.0, 10.0]] * 14, [[10.0, 90.0]] * 14
    assert stats.day_permutation(*far) == stats.day_permutation(*far, ordered=True) == 1 / 1000
    assert stats.day_permutation(far[0][:2], far[1][:2]) == near(1 / 3, abs=0.05)
    assert (
        stats.day_permutation(far[0][:1], far[1]) == stats.day_permutation(far[0], far[1][:1]) == 1
    )
    assert stats.day_permutation([[0, 0]] * 3, [[0, 0]] * 3) == 1
    plain = [[5.0, 1, 4], [4, 3, 3], [6, 1, 3], [5, 2, 3]], [[3.0, 3, 4], [4, 2, 4], [3, 3, 3]]
    given = stats.day_permutation(*plain, ordered=False, draws=999, seed=20_260)
    assert stats.day_permutation(*plain) == given != stats.day_permutation(*plain, ordered=True)


def test_bins_hold_as_many_values_each() -> None:
    assert stats.edges(range(100)) == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert stats.edges(range(10)) == [n + 0.5 for n in range(9)]
    assert stats.histogram([1, 1, 2, 9], [2.0, 5.0]) == [2, 1, 1]
