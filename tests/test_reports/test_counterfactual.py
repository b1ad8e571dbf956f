"""Recorded traffic priced another way: exact where rates say it, measured where runs do."""

import random
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from suites import right, run, suite, wrong_below

import genai
from genai.cli import main
from genai.errors import InputError
from genai.evals import Report
from genai.ledger import Ledger, Prices
from genai.project import init
from genai.reports.counterfactual import Change, Counterfactual, counterfactual, ratios
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus, Usage

NOW = time.time()
PRICES = Prices.read(
    {"free": ["local/*"], "models": {
        "now": {"input": "0.00001", "output": "0.00002", "cached_input": "0.000001"},
        "then": {"input": "0.000001", "output": "0.000004", "cached_input": "0.0000001"}}},
    "prices.yaml",
)  # fmt: skip
USAGE = Usage(1000, 100, source="provider")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(tmp_path / "ledger.db")
    for n in range(100):
        book(found, n)
    return found


def book(ledger: Ledger, n: int, **changes: Any) -> None:
    given: dict[str, Any] = {"usage": USAGE, "cost": PRICES.cost("now", USAGE), **changes}
    ledger.record(Call(f"m{n:027x}", "model", NOW - 60, 0.1, "ok", given.pop("model", "now"),
                       **given))  # fmt: skip


def found(ledger: Ledger, *runs: Report, **change: Any) -> Counterfactual:
    pair = (runs[0], runs[1]) if runs else None
    return counterfactual(ledger, PRICES, Change(**change), NOW - 3600, NOW, runs=pair)


def counted(inward: int, outward: int, task: Any = right, spread: int = 0) -> Any:
    def asked(question: str) -> dict[str, Any]:
        dice = random.Random(question)
        more = dice.randint(-spread, spread) if spread else 0
        return {"text": task(question), "input_tokens": inward + more, "output_tokens": outward}

    return asked


def test_another_model_at_its_rates(ledger: Ledger) -> None:
    held = found(ledger, model="then")
    assert held.booked == 100 * (1000 * Decimal("0.00001") + 100 * Decimal("0.00002"))
    assert held.other == 100 * (1000 * Decimal("0.000001") + 100 * Decimal("0.000004"))
    assert (held.coverage, held.low, held.high) == (1.0, held.other, held.other)
    assert held.assumed == ("then takes and gives as many tokens as now",)
    assert held.exit_code == 4
    assert "quality: not measured" in held.text()


def test_a_cache_and_a_shorter_prompt(ledger: Ledger) -> None:
    cached = found(ledger, cached=0.6)
    assert cached.other == 100 * (
        400 * Decimal("0.00001") + 600 * Decimal("0.000001") + 100 * Decimal("0.00002")
    )
    cut = found(ledger, cut=300)
    assert cut.booked - cut.other == 100 * 300 * Decimal("0.00001")
    assert found(ledger, cut=5000).other == 100 * 100 * Decimal("0.00002")
    both = found(ledger, cut=300, cached=0.5, model="then")
    assert both.other == 100 * (
        350 * Decimal("0.000001") + 350 * Decimal("0.0000001") + 100 * Decimal("0.000004")
    )
    assert len(both.assumed) == 3


def test_tokens_and_quality_come_from_paired_runs(ledger: Ledger, tmp_path: Path) -> None:
    path = suite(tmp_path)
    now = run(path, counted(1000, 100))
    then = run(path, counted(700, 120, wrong_below(20), spread=90))
    held = found(ledger, now, then, model="then")
    assert held.ratios is not None
    assert held.ratios.inward == pytest.approx(0.7, abs=0.03)
    assert held.ratios.outward == pytest.approx(1.2)
    exact = Decimal(str(held.ratios.inward)) * 1000 * Decimal("0.000001")
    assert held.other == pytest.approx(100 * (exact + 120 * Decimal("0.000004")))
    assert held.low < held.other < held.high
    assert (held.high - held.low) / held.other < Decimal("0.1")
    assert held.quality is not None
    assert str(held.quality.word) == "REGRESSION"
    assert held.assumed == ()
    assert held.exit_code == 0
    assert "quality: REGRESSION" in held.text()
    assert "exact: 1.000 now, 0.667 then" in held.text()


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    from genai.reports.counterfactual.ratios import _drawn

    dice, hits = random.Random(5), 0
    for _ in range(200):
        cases = []
        for _ in range(60):
            size = dice.randint(500, 1500)
            cases.append([size, 100, int(size * dice.uniform(0.5, 0.9)), 100])
        draws = sorted(each[0] for each in _drawn(cases))
        hits += draws[int(0.025 * len(draws))] <= 0.7 <= draws[int(0.975 * len(draws))]
    assert hits / 200 >= 0.90


def test_runs_of_other_cases_or_without_tokens_are_refused(tmp_path: Path) -> None:
    path = suite(tmp_path)
    now = run(path, counted(1000, 100))
    bare = run(path, right)
    with pytest.raises(InputError, match="share no case with token counts"):
        ratios(now, bare)
    other = run(suite(tmp_path, count=10), counted(1000, 100))
    with pytest.raises(InputError, match="the dataset changed"):
        ratios(now, other)


def test_few_cases_carry_no_headline(ledger: Ledger, tmp_path: Path) -> None:
    path = suite(tmp_path, count=8)
    held = found(ledger, run(path, counted(10, 10)), run(path, counted(5, 10)))
    assert held.exit_code == 4
    assert "no headline: token ratios rest on 8 cases; 30 are needed" in held.text()


def test_what_cannot_be_priced_both_ways_is_counted_and_left_out(ledger: Ledger) -> None:
    book(ledger, 101, cost=UNKNOWN_COST)
    book(ledger, 102, usage=Usage(), cost=UNKNOWN_COST)
    book(ledger, 103, usage=Usage(1000, 100, source="provider", audio_output_tokens=50))
    book(ledger, 104, cache_source="replay")
    for n in range(105, 112):
        book(ledger, n, model="other", cost=Cost(Decimal(9), CostStatus.PRICED))
    book(ledger, 112, cost=Cost(Decimal(3), CostStatus.PRICED, currency="EUR"))
    held = found(ledger)
    assert (held.calls, held.priced) == (111, 101)
    assert (held.without_tokens, held.without_booking, held.without_price) == (1, 2, 7)
    assert "left out: 7 calls have no rate the other way" in held.text()
    assert held.booked == held.other
    assert "only 91.0% of the calls" in held.text()
    assert found(ledger, only="other", model="then").priced == 7


def test_a_model_that_is_declared_free_says_what_is_not_in_the_figure(ledger: Ledger) -> None:
    held = found(ledger, model="local/adapters/x")
    assert held.other == 0
    assert any("what it takes to host it" in each for each in held.assumed)


def test_fees_stay_as_booked(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.db")
    cost = Cost(Decimal("0.512"), CostStatus.PRICED, fee=Decimal("0.5"))
    book(ledger, 1, cost=cost)
    assert found(ledger, model="then").other == Decimal("0.5") + Decimal("0.0014")


def month(ledger: Ledger, text: bool = True) -> None:
    """200 questions, 80 of them asked before; those with an odd number are easy."""
    for n in range(200):
        asked = Call(
            f"c{n:027x}", "chain", NOW - 1800 + n, 0.1, "refusal" if n == 0 else "ok", "now",
            Context(prompt_id="p@2" if n == 199 else "p@1"), tags={"confidence": 0.9 * (n % 2)},
        )  # fmt: skip
        again = n - 100 if 100 <= n < 180 else n
        question = f"What is  the {again}TH rule?" if again == n else f"what is the {again}th rule?"
        ledger.record(asked, question=question if text else "", answer="That.")
        book(ledger, n, context=Context(parent_id=asked.id))
    ledger.flush()


def test_a_cache_of_our_own_answers_what_was_asked_before(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", content="all")
    month(ledger)
    held = found(ledger, answers=True)
    one = 1000 * Decimal("0.00001") + 100 * Decimal("0.00002")
    assert (held.calls, held.priced) == (200, 200)
    assert held.booked == 200 * one
    assert held.other == (200 - 79) * one  # the first of a refusal was not kept
    said = "79 of 200 questions were asked before and are answered from a cache"
    assert f"assumed: {said}" in held.text()

    blind = Ledger(tmp_path / "blind" / "ledger.db")
    month(blind, text=False)
    held = found(blind, answers=True)
    assert held.other == held.booked
    assert "200 questions have no stored text (`ledger.content`)" in held.text()


def test_what_eval_runs_ask_is_no_traffic(tmp_path: Path) -> None:
    """Three runs of one suite ask the same again; nobody would be answered from a cache."""
    ledger = Ledger(tmp_path / "ledger.db", content="all")
    for n in range(40):
        run = "" if n < 10 else f"r{n // 10}"
        asked = Call(f"c{n:027x}", "chain", NOW - 1800 + n, 0.1, "ok", "now", Context(run=run),
                     tags={"confidence": 0.9})  # fmt: skip
        ledger.record(asked, question=f"What is the {n % 10}th rule?", answer="That.")
        book(ledger, n, context=Context(parent_id=asked.id, run=run))
    ledger.flush()
    held = found(ledger, answers=True)
    assert held.calls == 10
    assert held.other == held.booked
    assert "0 of 10 questions were asked before" in held.text()
    routed = found(ledger, model="then", route=("confidence", 0.5))
    assert routed.calls == 10
    assert "100% of 10, go to then" in routed.text()


def test_easy_questions_go_to_a_cheaper_model(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    month(ledger)
    now, then = (
        1000 * Decimal(inward) + 100 * Decimal(outward)
        for inward, outward in (("0.00001", "0.00002"), ("0.000001", "0.000004"))
    )
    held = found(ledger, model="then", route=("confidence", 0.5))
    assert held.booked == 200 * now
    assert held.other == 100 * now + 100 * then
    assert "confidence of at least 0.5, 50% of 200, go to then; the others stay" in held.text()
    path = suite(tmp_path)
    runs = run(path, counted(1000, 100)), run(path, counted(500, 100, wrong_below(2)))
    held = found(ledger, *runs, model="then", route=("confidence", 0.5))
    assert held.other == 100 * now + 100 * (then - 500 * Decimal("0.000001"))
    assert held.quality is not None
    assert "exact: 1.000 now, 0.967 then" in held.text()
    with pytest.raises(InputError, match="a route leads to another model"):
        Change(route=("confidence", 0.5))


def test_fewer_passages_are_measured_by_running_the_chain_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setenv("GENAI_CHAIN_MODEL", "fake/echo")
    runs = []
    for top_k in (6, 2):
        chain = genai.load(chain__top_k=top_k)
        chain.index.sync(genai.find_project().root / "docs", wait=120)
        runs.append(genai.evaluate("handbook", chain, limit=32))
    ledger = Ledger(genai.find_project().state / "ledger.db")
    for n in range(30):
        book(ledger, n, model="openai/gpt-4o", usage=Usage(3000, 100, source="provider"),
             cost=Cost(Decimal("0.0085"), CostStatus.PRICED))  # fmt: skip
    ledger.flush()
    words = ["report", "whatif", "--days", "2", "--only", "openai/gpt-4o"]
    assert main([*words, "--runs", runs[0].run, runs[1].run]) == 0
    out = capsys.readouterr().out
    share = float(out.partition("input x")[2].partition(",")[0])
    assert 0.2 < share < 0.7
    assert float(out.partition("would have cost $")[2].partition(",")[0]) == pytest.approx(
        30 * (3000 * share * 2.5e-6 + 100 * 1e-5), rel=0.01
    )
    assert "quality: " in out
    assert main([*words, "--route", "confidence"]) == 64
    assert "--route confidence: give FIGURE=LEAST" in capsys.readouterr().err


def test_an_empty_ledger_and_bad_changes(tmp_path: Path) -> None:
    held = found(Ledger(tmp_path / "l.db"), cut=1)
    assert held.coverage is None
    assert "the ledger holds no such call" in held.text()
    assert held.exit_code == 4
    with pytest.raises(InputError, match="has no price"):
        found(Ledger(tmp_path / "l.db"), model="openai/unheard-of")
    for change in ({"cached": 1.2}, {"cut": -1}):
        with pytest.raises(InputError, match="what-if"):
            Change(**change)  # type: ignore[arg-type]


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    project = genai.find_project()
    ledger = Ledger(project.state / "ledger.db")
    for n in range(30):
        cost = Cost(Decimal("0.0035"), CostStatus.PRICED)
        book(ledger, n, model="openai/gpt-4o", cost=cost)
    ledger.flush()
    path = suite(project.root)
    now, then = run(path, counted(1000, 100)), run(path, counted(600, 100))
    words = ["report", "whatif", "--days", "2", "--model", "openai/gpt-4o-mini"]
    assert main(words) == 4
    assert main([*words, "--runs", now.run, then.run]) == 0
    out = capsys.readouterr().out
    assert "booked $0.1050, would have cost $0.0045" in out
    assert "input x0.600, output x1.000" in out
    assert main([*words, "--runs", now.run, "20"]) == 64
    capsys.readouterr()
    for given in (["--month", "soon"], ["--month", "9999-12"], ["--days", "0"],
                  ["--days", "99999999"]):  # fmt: skip
        assert main(["report", "whatif", *given]) == 64
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["report", "whatif", "--month", "2020-02"]) == 4


def test_the_command_prices_every_change_of_the_last_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    ledger = Ledger(genai.find_project().state / "ledger.db", content="all")
    today = datetime.now(UTC)
    last = today.replace(day=1) - timedelta(days=1)  # a day of the last month
    days = (last, last.replace(day=1), today, last.replace(day=1) - timedelta(days=1))
    booked = Cost(Decimal("0.0035"), CostStatus.PRICED)
    for n, day in enumerate(each for each in days for _ in range(2)):
        at = day.timestamp()
        asked = Call(f"c{n:027x}", "chain", at, 0.1, "ok", "openai/gpt-4o",
                     tags={"confidence": 0.9 * (n % 2)})  # fmt: skip
        ledger.record(asked, question="What is the rule?", answer="That.")
        ledger.record(Call(f"m{n:027x}", "model", at, 0.1, "ok", "openai/gpt-4o",
                           Context(parent_id=asked.id), usage=USAGE, cost=booked))  # fmt: skip
    ledger.flush()
    one, mini, kept = Decimal("0.0035"), Decimal("0.00021"), Decimal("0.001")  # of 1,000 and 100
    other = ["--model", "openai/gpt-4o-mini"]
    for words, would in (
        (other, 4 * mini),
        (["--cached", "1"], 4 * (kept + Decimal("0.00125"))),
        (["--cut", "1000"], 4 * kept),
        (["--answers"], one),
        ([*other, "--route", "confidence=0.5"], 2 * one + 2 * mini),
    ):
        assert main(["report", "whatif", *words]) == 4
        out = capsys.readouterr().out
        assert f"4 of 4 calls: booked $0.0140, would have cost ${would:.4f}" in out, words
