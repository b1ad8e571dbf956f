"""A run never starts a call that may pass its cap; what was measured is kept and gone on with."""

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from servers import openai_server

import genai
from genai.errors import BudgetExceeded
from genai.ledger.cap import Cap, capped
from genai.types import Cost, CostStatus

# of one call of gpt-4o-mini: 16,384 tokens out at the most, 11 + 7 tokens in fact
WORST, REAL = Decimal("0.0098334"), Decimal("0.00000585")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    source = Path(genai.__file__).parent.parent / "configs" / "prices.yaml"
    (tmp_path / "configs" / "prices.yaml").write_text(source.read_text())
    (tmp_path / "evals").mkdir()
    cases = ", ".join(f"{{id: c{n}, input: 'Say {n}', expected: x}}" for n in range(40))
    (tmp_path / "evals" / "says.yaml").write_text(
        f"suite: says\ntask: model\nmetrics: {{exact: {{show: true}}}}\ncases: [{cases}]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    return tmp_path


def says(url: str, **options: Any) -> genai.Report:
    model = genai.model(f"openai/gpt-4o-mini@{url}")
    return genai.evaluate("says", model, **options)


def test_a_cap_that_is_wide_enough_changes_nothing_but_the_pace(folder: Path) -> None:
    with openai_server(text="x") as (url, server):
        report = says(url, spend=Decimal("0.03"))  # room for three calls at once
    assert len(server.requests) == 40
    assert report.cost == 40 * REAL
    assert report.exit_code == 0


def test_a_cap_too_small_for_one_call_sends_none(folder: Path) -> None:
    with openai_server(text="x") as (url, server):
        report = says(url, spend=Decimal("0.005"))
    assert server.requests == []
    assert (report.exit_code, report.stopped) == (3, "budget_stop")
    assert "raise the cap" in report.metric("exact").reason
    assert report.metric("exact").value is None


def test_a_stopped_run_keeps_what_it_has_and_goes_on(folder: Path) -> None:
    cap = WORST + 12 * REAL
    with openai_server(text="x") as (url, server):
        first = says(url, spend=cap, concurrency=4)
        asked = len(server.requests)
        assert 8 <= asked <= 20
        assert first.exit_code == 3
        assert first.metric("exact").n == asked
        assert first.cost <= cap
        again = says(url, spend=Decimal("1"))
        assert again.run == first.run
        assert len(server.requests) == 40
    assert again.exit_code == 0
    assert again.resumed == asked


def test_an_unknown_price_cannot_be_capped(folder: Path) -> None:
    with openai_server(text="x") as (url, server):
        report = genai.evaluate(
            "says", genai.model(f"openai/nobody-knows@{url}"), spend=Decimal("1")
        )
    assert server.requests == []
    assert "its price is unknown" in report.metric("exact").reason
    assert report.exit_code == 3


def test_a_task_that_reports_its_own_cost_is_stopped_too(folder: Path) -> None:
    asked: list[str] = []

    def task(question: str) -> dict[str, Any]:
        asked.append(question)
        return {"text": "x", "cost": "0.10"}

    report = genai.evaluate("says", task, spend=Decimal("0.50"), concurrency=1)
    assert len(asked) == 5
    assert (report.cost, report.exit_code) == (Decimal("0.50"), 3)


def test_threads_never_pass_a_cap() -> None:
    cap, worst, refused = Cap(Decimal("1.00")), Cost(Decimal("0.03"), CostStatus.PRICED), []
    started = threading.Barrier(16, timeout=20)

    def spend(name: int) -> None:
        started.wait()
        for turn in range(50):
            call = f"{name}-{turn}"
            try:
                while not cap.reserve(call, "m", worst):
                    assert cap.spent + cap.reserved <= cap.limit
            except BudgetExceeded:
                refused.append(call)
                return
            cap.settle(call, Decimal("0.02"))

    threads = [threading.Thread(target=spend, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 16
    assert Decimal("0.97") < cap.spent <= cap.limit
    assert cap.reserved == 0


def test_what_nobody_knows_is_booked_at_its_worst() -> None:
    cap = Cap(Decimal(1))
    assert cap.reserve("a", "m", Cost(Decimal("0.4"), CostStatus.PRICED))
    cap.settle("a", None)
    cap.settle("a", Decimal("0.1"))  # a second word does not count
    assert cap.spent == Decimal("0.4")
    with capped(cap), capped(None):
        pass
