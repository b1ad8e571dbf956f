"""How often the gate says what: false alarms and power of the whole rule, by seeded draws."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from scipy import special

from genai import stats
from genai.evals import Scorecard, decide
from genai.evals.gate import Comparison, Word, decided
from genai.evals.scorecard import Head, MetricHead, Row

DRAWS = 20_000


@cache
def word(losses: int, gains: int, n: int, margin: float, q: float | None = None) -> Word:
    """Give what the rule says of so many pairs; `q` is the p where others were tested as well."""
    bounds = stats.bonett_price(losses, gains, n)
    found = Comparison(
        "exact", Word.PASS, True, margin, n=n, clusters=n, losses=losses, gains=gains,
        low=bounds.low, high=bounds.high,
    )  # fmt: skip
    return decided(found, stats.mcnemar(losses, gains) if q is None else q)[0]


def drawn(
    n: int, drop: float, discordant: float, draws: int | tuple[int, int] = DRAWS
) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """Draw losses and gains of paired verdicts."""
    worse, better = (discordant + drop) / 2, (discordant - drop) / 2
    dice = np.random.default_rng(20_260)
    return dice.multinomial(n, [worse, better, 1 - worse - better], size=draws)[..., :2]


def shares(n: int, drop: float, discordant: float, margin: float) -> tuple[float, float, float]:
    """Give the shares of PASS (IMPROVED counts as that), REGRESSION and INCONCLUSIVE."""
    pairs, counts = np.unique(drawn(n, drop, discordant), axis=0, return_counts=True)
    found = dict.fromkeys(Word, 0.0)
    for (losses, gains), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        found[word(losses, gains, n, margin)] += count / DRAWS
    return found[Word.PASS] + found[Word.IMPROVED], found[Word.REGRESSION], found[Word.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("n", "drop", "discordant", "expected"),
    [
        (50, 0.00, 0.10, (0.211, 0.013, 0.776)), (50, 0.02, 0.10, (0.111, 0.036, 0.853)),
        (50, 0.05, 0.15, (0.037, 0.156, 0.807)), (50, 0.10, 0.16, (0.004, 0.461, 0.535)),
        (100, 0.00, 0.10, (0.438, 0.033, 0.528)), (100, 0.02, 0.10, (0.222, 0.115, 0.663)),
        (100, 0.05, 0.15, (0.049, 0.320, 0.631)), (100, 0.10, 0.16, (0.002, 0.808, 0.190)),
        (200, 0.00, 0.10, (0.708, 0.040, 0.253)), (200, 0.02, 0.10, (0.372, 0.196, 0.432)),
        (200, 0.05, 0.15, (0.051, 0.556, 0.393)), (200, 0.10, 0.16, (0.000, 0.980, 0.019)),
        (400, 0.00, 0.10, (0.930, 0.044, 0.027)), (400, 0.02, 0.10, (0.593, 0.328, 0.079)),
        (400, 0.05, 0.15, (0.052, 0.827, 0.121)), (400, 0.10, 0.16, (0.000, 1.000, 0.000)),
    ],
)  # fmt: skip
def test_false_alarms_and_power_are_as_stated(
    n: int, drop: float, discordant: float, expected: tuple[float, float, float]
) -> None:
    found = shares(n, drop, discordant, 0.05)
    assert found == pytest.approx(expected, abs=0.015)
    if not drop:
        assert found[1] <= 0.05


@pytest.mark.parametrize(
    ("n", "drop", "discordant", "red"),
    [(50, 0, 0.15, 0.036), (200, 0, 0.15, 0.043), (100, 0.05, 0.15, 0.32),
     (200, 0.05, 0.11, 0.67), (100, 0.10, 0.16, 0.81), (400, 0.05, 0.15, 0.83)],
)  # fmt: skip
def test_the_margin_of_a_release_raises_no_more_false_alarms(
    n: int, drop: float, discordant: float, red: float
) -> None:
    found = shares(n, drop, discordant, 0.02)
    assert found[1] == pytest.approx(red, abs=0.015)
    if not drop:
        assert found[1] <= 0.05


def test_the_rule_that_is_drawn_is_the_one_that_decides() -> None:
    for losses, gains in ((0, 0), (5, 0), (6, 0), (12, 3), (3, 4), (1, 9), (20, 18)):
        before = [1] * losses + [0] * gains + [1] * (100 - losses - gains)
        after = [0] * losses + [1] * gains + [1] * (100 - losses - gains)
        for stage, margin in (("pull_request", 0.05), ("release", 0.02)):
            cards = card(before, "pass"), card(after, "pass")
            found = decide(*cards, stage=stage)  # type: ignore[arg-type]
            assert found.word == word(losses, gains, 100, margin)


def test_five_slices_that_gate_are_one_family() -> None:
    """With nothing changed five tests alone are red in a fifth of the runs, after Holm in .09."""
    pairs = drawn(200, 0.0, 0.15, (DRAWS // 4, 5)).tolist()
    alone = together = 0
    for family in pairs:
        p = [stats.mcnemar(losses, gains) for losses, gains in family]
        adjusted = stats.holm(p)
        alone += any(word(lost, won, 200, 0.05) is Word.REGRESSION for lost, won in family)
        together += any(
            word(lost, won, 200, 0.05, q) is Word.REGRESSION
            for (lost, won), q in zip(family, adjusted, strict=True)
        )
    assert alone / len(pairs) == pytest.approx(0.20, abs=0.02)
    assert together / len(pairs) == pytest.approx(0.09, abs=0.02)


def card(values: Sequence[float], kind: str = "score", clusters: Sequence[str] = ()) -> Scorecard:
    metric = MetricHead("exact", "m1", kind=kind, gate=True)  # type: ignore[arg-type]
    head = Head(suite="s", dataset="d", task="t", variant="v", metrics=[metric], cases=len(values))
    owners = clusters or [""] * len(values)
    rows = [Row(f"c{n}", [value], owners[n]) for n, value in enumerate(values)]
    return Scorecard(head, rows)


def red(d: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", clustered: bool) -> float:
    """Give the share of runs the gate calls worse; d has runs, clusters and cases of a cluster.

    The gate itself is asked about the runs whose upper bound is below 0, for no other can be one.
    """
    runs, count, size = d.shape
    mean = d.mean(axis=(1, 2))
    units = (d - mean[:, None, None]).sum(axis=2) if clustered else d.reshape(runs, -1)
    if not clustered:
        units = units - mean[:, None]
    freedom = units.shape[1] - 1
    se = np.sqrt((freedom + 1) / freedom * (units**2).sum(axis=1)) / (count * size)
    high = mean + special.stdtrit(freedom, 0.95) * se
    owners = [f"k{n // size}" for n in range(count * size)] if clustered and size > 1 else []
    before = card([0.5] * (count * size), clusters=owners)
    found = 0
    for number in np.flatnonzero(high < 0):
        after = card((0.5 + d[number].ravel()).tolist(), clusters=owners)
        decision = decide(before, after)
        assert decision.comparisons[0].high == pytest.approx(high[number])
        found += decision.word is Word.REGRESSION
    return found / runs


def scores(
    runs: int, count: int, size: int, *, sd: float, icc: float, drop: float = 0.0
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    dice = np.random.default_rng(7)
    shared = dice.normal(0, sd * icc**0.5, (runs, count, 1))
    return shared + dice.normal(-drop, sd * (1 - icc) ** 0.5, (runs, count, size))


@pytest.mark.parametrize("n", [20, 60])
def test_scores_raise_false_alarms_in_at_most_one_run_of_twenty(n: int) -> None:
    assert red(scores(1000, n, 1, sd=0.2, icc=0.0), True) <= 0.06  # 1,000 draws: .05 +- .007


def test_a_drop_in_scores_is_found_with_the_power_that_is_printed() -> None:
    """The smallest drop shown at n 100 and a spread of .2 is .0497, at a power of .80."""
    assert stats.detectable(0.2, 100) == pytest.approx(0.049729, abs=1e-6)
    high = scores(200, 100, 1, sd=0.2, icc=0.0, drop=0.049729)
    assert red(high, True) == pytest.approx(0.80, abs=0.08)  # 200 draws: +- .028


@pytest.mark.parametrize(("count", "size", "naive"), [(20, 5, 0.132), (20, 10, 0.209)])
def test_clusters_keep_the_false_alarms_where_cases_alone_do_not(
    count: int, size: int, naive: float
) -> None:
    d = scores(400, count, size, sd=0.2, icc=0.31)
    assert red(d, True) <= 0.05 + 0.02  # 400 draws: +- .011
    assert red(d[:200], False) >= naive - 0.05


@pytest.mark.parametrize("n", [2, 10, 30])
def test_scores_of_a_few_cases_pass_no_rare_loss(n: int) -> None:
    """One case in twenty is lost and the others hardly move: t bounds pass it in .2 to .9."""
    dice = np.random.default_rng(3)
    passed = 0
    for _ in range(100):
        moved = dice.normal(0, 0.005, n) - (dice.random(n) < 0.05) * 0.99
        words = [each.word for each in decide(card([0.995] * n), card(0.995 + moved)).comparisons]
        passed += words[0] in (Word.PASS, Word.IMPROVED)
    assert passed <= 5


def test_scores_pass_from_as_many_cases_as_verdicts_do() -> None:
    same = [0.5 + n % 2 / 100 for n in range(60)]
    for n, expected in ((44, Word.INCONCLUSIVE), (45, Word.PASS)):
        (found,) = decide(card(same[:n]), card(same[1 : n + 1])).comparisons
        assert (found.word, word(0, 0, n, 0.05)) == (expected, expected)
    assert (
        "44 independent cases, a score needs 45 to pass"
        in decide(card(same[:44]), card(same[1:45])).reason
    )
    clear = decide(card([0.5] * 10), card([0.8 + n / 100 for n in range(10)]))
    assert clear.word is Word.IMPROVED
    assert decide(card([0.5] * 2), card([0.8, 0.81])).word is Word.INCONCLUSIVE
