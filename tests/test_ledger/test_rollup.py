"""Daily sums equal the calls they are of, however and in whatever order those were stored."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres import new_database, postgres

from genai.ledger import Ledger
from genai.ledger.retention import retain
from genai.ledger.rollup import GROWTH, percentile, roll_up, sums
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus, Usage

DAY = 86_400
START = 20_700 * DAY


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres")) as found:
        yield new_database(found)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    if request.param == "sqlite":
        return Ledger(tmp_path / "ledger.db")
    return Ledger(tmp_path / "ledger.db", url=request.getfixturevalue("url"))


def call(n: int, dice: random.Random, prefix: str) -> Call:
    cost = Cost(Decimal("0.002"), CostStatus.PRICED) if n % 5 else UNKNOWN_COST
    return Call(
        f"{prefix}{n:020x}", "model", START + DAY * (n % 3) + n, dice.lognormvariate(0, 0.7),
        ("ok", "ok", "error", "refusal")[n % 4], f"m{n % 2}",
        Context(feature=f"f{n % 3}", prompt_id="p@1"), Usage(100, 20, 10, "provider"), cost,
        reason="timeout" if n % 4 == 2 else "", ttft=0.2,
    )  # fmt: skip


def test_the_sums_are_those_of_the_calls(ledger: Ledger) -> None:
    dice = random.Random(7)
    calls = [call(n, dice, "a") for n in range(600)]
    for each in calls[:400]:
        ledger.record(each)
    ledger.flush()
    assert ledger.roll_up() == 400
    for each in calls[400:][::-1]:
        ledger.record(each)
    ledger.flush()
    assert ledger.roll_up() == 200
    assert ledger.roll_up() == 0
    whole = sums(ledger.database, kind="model", since=START)[()]
    assert whole.calls == 600
    assert whole.outcomes == {"ok": 300, "error": 150, "refusal": 150}
    assert whole.reasons == {"timeout": 150}
    assert (whole.input_tokens, whole.output_tokens, whole.cached) == (60_000, 12_000, 6_000)
    assert (whole.money.total, whole.money.known) == (Decimal("0.96"), 480)
    by_model = sums(ledger.database, ["model", "day"], kind="model", since=START)
    assert len(by_model) == 6
    assert sum(each.calls for each in by_model.values()) == 600
    only = sums(ledger.database, kind="model", since=START, where={"feature": "f1"})[()]
    assert only.calls == 200
    ordered = sorted(each.seconds for each in calls)
    for share in (0.5, 0.95, 0.99):
        exact = ordered[math.ceil(share * 600) - 1]
        assert whole.percentile(share) == pytest.approx(exact, rel=0.011)
    assert whole.percentile(0.5, "ttft") == pytest.approx(0.2, rel=0.011)


def test_sums_begin_again_when_rows_were_taken_away(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for n in range(10):
        ledger.record(call(n, random.Random(n), "a"))
    ledger.flush()
    roll_up(ledger.database)
    with ledger.database.begin() as db:
        db.exec_driver_sql('DELETE FROM "call" WHERE rowid > 4')
    roll_up(ledger.database)
    assert sums(ledger.database, kind="model")[()].calls == 4


def test_calls_that_retention_deleted_are_in_no_sum_and_new_ones_are(tmp_path: Path) -> None:
    """SQLite numbers the new rows as it did the deleted ones."""
    ledger = Ledger(tmp_path / "ledger.db")
    for n in range(10):
        ledger.record(call(n, random.Random(n), "a"))
    ledger.flush()
    assert ledger.roll_up() == 10
    assert retain(ledger, call_days=-10_000) == 10
    for n in range(15):
        ledger.record(replace(call(n, random.Random(n), "b"), model="new"))
    ledger.flush()
    ledger.roll_up()
    by_model = sums(ledger.database, ["model"], kind="model")
    assert {name: each.calls for name, each in by_model.items()} == {("new",): 15}


def test_an_empty_ledger_has_no_figures(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    assert ledger.roll_up() == 0
    assert sums(ledger.database) == {}
    with pytest.raises(ValueError, match="'colour' is not a dimension; use model"):
        sums(ledger.database, ["colour"])


@settings(max_examples=100)
@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=400), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_at_most_one_percent_off(values: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        bucket = math.floor(math.log(value) / math.log(GROWTH))
        counts[bucket] = counts.get(bucket, 0) + 1
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert percentile(counts, share) == pytest.approx(exact, rel=0.0101)
    assert percentile({}, share) is None
