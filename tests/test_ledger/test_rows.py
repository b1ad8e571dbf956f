"""Rows and totals: what went in comes out, nothing unknown is 0, no content unless asked."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import call

from genai.ledger import Ledger
from genai.ledger.sums import total_cost
from genai.types import Cost, CostStatus, Usage


@pytest.fixture
def ledger(tmp_path: Path, url: str) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "ledger.db", url=url)
    yield found
    found.database.dispose()


def test_a_row_comes_back_as_it_went_in(ledger: Ledger) -> None:
    given_call = call(
        ttft=0.25, usage=Usage(3, 4, 1, "provider", reasoning_tokens=2, fees=(("web_search", 1),)),
        cost=Decimal("12345.678901234567"), tags={"place": "question", "score": 0.5},
    )  # fmt: skip
    ledger.record(given_call)
    assert ledger.call(given_call.id) == given_call
    assert ledger.call("unknown") is None


@given(
    cost=st.one_of(st.none(), st.decimals(0, 10_000, places=12)),
    tokens=st.integers(0, 10**9),
    text=st.text(max_size=50),
)
@settings(max_examples=40)
def test_any_row_comes_back(
    tmp_path_factory: pytest.TempPathFactory, cost: Decimal | None, tokens: int, text: str
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("l") / "ledger.db")
    row = call(
        cost=cost,
        usage=Usage(tokens, source="counted"),
        tags={"t": text.encode("utf-8", "replace").decode()},
    )
    ledger.record(row)
    found = ledger.call(row.id)
    assert found == row


def test_a_retold_row_is_stored_once(ledger: Ledger) -> None:
    row = call()
    ledger.record(row)
    ledger.record(row)
    assert len(ledger.calls()) == 1


def test_unknown_money_is_counted_not_summed_as_zero(ledger: Ledger) -> None:
    for cost in (Decimal("0.1"), Decimal("0.2"), None):
        ledger.record(call(cost=cost))
    ledger.record(call(kind="chain", cost=Decimal("0.3")))
    total = ledger.summary().cost
    assert (total.total, total.known, total.calls) == (Decimal("0.3"), 2, 3)
    assert str(total) == (
        "at least $0.3 (coverage 66.7% of calls, 0.0% of tokens; 1 unpriced, 0.0% of tokens)"
    )


def test_summary_and_days(ledger: Ledger) -> None:
    outcomes = ["ok"] * 17 + ["refusal"] * 2 + ["error"]
    for n, outcome in enumerate(outcomes, start=1):
        day = 1_800_000_000.0 + 86_400 * (n % 2)
        row = call(kind="chain", seconds=float(n), outcome=outcome, started_at=day, ttft=0.1)
        ledger.record(row)
    total = ledger.summary()
    assert (total.questions, total.answers, total.refusals, total.errors) == (20, 17, 2, 1)
    assert (total.p50, total.p95, total.p99) == (10.0, 19.0, 20.0)
    days = ledger.by_day()
    assert [day.questions for day in days] == [10, 10]
    assert sum(day.refusals for day in days) == 2
    assert "20: 17 answers, 2 refusals, 1 errors" in total.text()
    assert ledger.calls(kind="chain", outcome="error", limit=5)[0].seconds == 20.0


def test_another_currency_is_never_added_up_as_dollars(ledger: Ledger) -> None:
    euros = Cost(Decimal("0.5"), CostStatus.PROVIDER_REPORTED, currency="EUR")
    ledger.record(call(cost=Decimal("0.25"), usage=Usage(30, 10, source="provider")))
    ledger.record(replace(call(usage=Usage(100, 60, source="provider")), cost=euros))
    money = ledger.summary().cost
    assert (money.total, money.known, money.calls, money.sure) == (Decimal("0.25"), 1, 2, 1)
    assert (money.tokens, money.tokens_sure, money.unpriced_tokens) == (200, 40, 160)
    assert str(money).startswith("at least $0.25 (")
    (day,) = ledger.by_day()
    assert day.cost == money


def test_an_empty_ledger_says_nothing_is_known(ledger: Ledger) -> None:
    total = ledger.summary()
    assert total.p50 is None
    assert total.questions == 0
    assert ledger.by_day() == []


@pytest.mark.parametrize(("mode", "kept"), [("none", False), ("feedback", False), ("all", True)])
def test_content_is_kept_only_where_configured(tmp_path: Path, mode: str, kept: bool) -> None:
    ledger = Ledger(tmp_path / "ledger.db", content=mode)
    ledger.record(call(), question="my quaint question", answer="my odd answer")
    ledger.flush()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (b"quaint question" in stored) is kept
    assert (b"odd answer" in stored) is kept


def test_a_thumb_keeps_its_turn_only_with_the_tick(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", content="feedback")
    ledger.feedback("a", False, reason="wrong", comment="private words", turn=("q-one", "a-one"))
    ledger.feedback("b", True, comment="fine words", turn=("q-two", "a-two"), consent=True)
    assert ledger.thumbs("a") == [False]
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"private words" not in stored
    assert b"q-one" not in stored
    assert b"fine words" in stored
    assert b"q-two" in stored


def test_money_of_one_currency_keeps_it_and_of_two_is_not_added_up() -> None:
    one, other, foreign = (
        Cost(Decimal(amount), CostStatus.PROVIDER_REPORTED, currency=currency)
        for amount, currency in (("1.5", "EUR"), ("2", "EUR"), ("4", "USD"))
    )
    both = total_cost([one, other])
    assert (both.amount, both.currency) == (Decimal("3.5"), "EUR")
    mixed = total_cost([one, foreign])
    assert (mixed.amount, mixed.status) == (None, CostStatus.UNPRICED)
    assert mixed.reason == "booked in EUR and USD"
