"""Online outcomes are judged by user, with the gate's rules; an unfair sample is not compared."""

import math
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from makers import call

import genai
from genai import stats
from genai.cli import main
from genai.evals.gate import Word
from genai.evals.online import ab
from genai.ledger.outcomes import Outcome, complaints
from genai.types import Context


def test_newcombes_published_example() -> None:
    # Stat Med 17 (1998), table II, 56/70 and 48/80, method 10: .0524 to .3339
    found = stats.newcombe(48, 80, 56, 70, confidence=0.975)
    assert found.mean == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_an_odd_split_is_seen() -> None:
    # chi-square with 1 degree of freedom: 3.841459 is its 95th percentile
    off = math.sqrt(3.841458820694124 * 1000) / 2
    assert stats.split_p(round(500 - off), round(500 + off)) == pytest.approx(0.05, abs=0.001)
    assert stats.split_p(300, 100, share=0.75) == 1
    assert stats.split_p(5200, 4800) < 0.001


def test_one_value_a_cluster_is_welchs_error_with_its_correction() -> None:
    a, b = [1.0, 0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]
    found, p = stats.clustered_difference(a, b, "abcde", "fghi")
    squares = sum((x - 0.6) ** 2 for x in a) / 25 + sum((x - 0.25) ** 2 for x in b) / 16
    assert found.se == pytest.approx(math.sqrt(9 / 8 * squares))
    assert found.high - found.mean == pytest.approx(2.353363 * found.se)  # t.95(3)
    assert 0.05 < p < 0.5


def test_false_alarms_stay_at_five_percent_where_users_ask_often() -> None:
    dice = random.Random(7)
    alarms = naive = 0
    for _ in range(600):
        sides: list[tuple[list[float], list[str]]] = []
        for side in "ab":
            values, users = [], []
            for user in range(30):
                taste = dice.betavariate(2, 1)  # some people are hard to please
                values += [float(dice.random() < taste) for _ in range(10)]
                users += [f"{side}{user}"] * 10
            sides.append((values, users))
        (a, users_a), (b, users_b) = sides
        found, p = stats.clustered_difference(a, b, users_a, users_b)
        alarms += found.high < 0
        assert (found.high < 0) == (p < 0.05)
        naive += stats.score_test(int(sum(a)), 300, int(sum(b)), 300) < 0.05
    assert 0.02 < alarms / 600 < 0.08
    assert naive / 600 > 0.12


def rows(arm: str, users: int, good: float, each: int = 1, start: int = 0) -> list[Outcome]:
    """`good` of the calls are answered, spread evenly over the users."""
    found, total = [], users * each
    for n in range(total):
        fine = math.floor((n + 1) * good) > math.floor(n * good)
        unit = f"u{start + n // each}"
        found.append(Outcome(arm, unit, float(start + n), "ok" if fine else "refusal", None))
    return found


def test_a_clear_drop_is_a_regression_and_no_change_passes() -> None:
    old = rows("old", 400, 0.9)
    worse = ab([*old, *rows("new", 400, 0.7, start=400)], "old", "new")
    assert worse.word is Word.REGRESSION
    assert worse.exit_code == 1
    assert worse.difference == pytest.approx(-0.2)
    assert worse.method == "unpaired, users"
    same = ab([*old, *rows("new", 400, 0.9, start=400)], "old", "new")
    assert (same.word, same.exit_code) == (Word.PASS, 0)
    few = ab([*rows("old", 20, 0.9), *rows("new", 20, 0.8, start=20)], "old", "new")
    assert (few.word, few.exit_code) == (Word.INCONCLUSIVE, 2)


def test_users_who_saw_both_sides_are_compared_with_themselves() -> None:
    given = [*rows("old", 40, 0.9, 5), *rows("new", 40, 0.5, 5)]
    # every other user sees the new one first
    given = [replace(row, at=float((int(row.unit[1:]) % 2) ^ (row.arm == "new"))) for row in given]
    found = ab(given, "old", "new")
    assert found.method == "paired, 40 users saw both"
    assert found.word is Word.REGRESSION
    backwards = ab(given, "new", "old")
    assert backwards.word is Word.IMPROVED
    assert backwards.difference == pytest.approx(0.4)


def test_one_person_with_many_calls_is_one_unit() -> None:
    busy = [Outcome("new", "busy", 900.0 + n, "refusal", None) for n in range(300)]
    calm = [*rows("old", 50, 1.0), *rows("new", 49, 1.0, start=50), *busy]
    found = ab(calm, "old", "new")
    assert found.difference == pytest.approx(-0.02)  # of the calls it would be -.86
    assert found.word is Word.INCONCLUSIVE
    assert (found.after.calls, found.after.units) == (349, 50)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([*rows("old", 900, 0.9), *rows("new", 600, 0.9, start=900)], "users split 900 : 600"),
        (rows("old", 50, 0.9), "no call of new has a measured outcome"),
    ],
)
def test_an_unfair_split_is_not_compared(given: list[Outcome], said: str) -> None:
    found = ab(given, "old", "new")
    assert (found.word, found.exit_code) == (Word.CANNOT_COMPARE, 4)
    assert found.difference is None
    assert said in found.text()


def test_thumbs_that_come_more_often_on_one_side_are_no_fair_sample() -> None:
    given = [Outcome("old", f"a{n}", float(n), "ok", True if n < 40 else None) for n in range(400)]
    given += [Outcome("new", f"b{n}", float(n), "ok", n % 9 > 0 if n < 120 else None)
              for n in range(400)]  # fmt: skip
    found = ab(given, "old", "new", metric="thumbs")
    assert found.word is Word.CANNOT_COMPARE
    assert "no fair sample" in found.note
    assert "measured 40 of 400 calls" in found.text()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_ledgers_releases_are_compared_from_the_command_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = genai.open_ledger()
    now = time.time()
    for n in range(240):
        release, user = ("r1", "r2")[n % 2], f"user{n}"
        fine = n // 2 % 10 > 0 if release == "r1" else n // 2 % 2 > 0
        row = call(
            kind="chain", outcome="ok", started_at=now - 1000 + n,
            context=Context(release=release, user=user, feature="chat"),
        )  # fmt: skip
        ledger.record(row)
        ledger.feedback(row.id, not fine)
        ledger.feedback(row.id, fine)  # the last thumb counts
    other = call(kind="chain", outcome="error", started_at=now, context=Context(release="r3"))
    ledger.record(other)
    for n in range(240):  # a suite that ran on the newer release, with nobody behind it
        context = Context(release="r2", run="tried", feature="chat")
        row = call(kind="chain", outcome="error", started_at=now + n, context=context)
        ledger.record(row)
    assert sum(each.why == "error" for each in complaints(ledger)) == 1  # the one of `r3`
    assert main(["eval", "ab", "r1", "r2", "--metric", "thumbs"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("REGRESSION: r2 against r1 on thumbs")
    assert "r1: 0.900" in said
    assert "r2: 0.500" in said
    assert "240" not in said  # nobody's call is counted twice
    assert main(["eval", "ab", "r1", "r2"]) == 0  # all were answered
    assert main(["eval", "ab", "r1", "r2", "--feature", "mail"]) == 4
    assert main(["eval", "ab", "r1", "r1"]) == 64
    assert main(["eval", "ab", "r1", "r2", "--share", "1"]) == 64
