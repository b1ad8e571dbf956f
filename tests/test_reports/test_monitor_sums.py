"""All money is counted once, days and groups add up to the whole, and eval runs stand apart."""

import time
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest

from genai.ledger import Ledger
from genai.ledger.rollup import DIMENSIONS, roll_up
from genai.reports.alerts import AlertSettings, due
from genai.reports.business import measured
from genai.reports.monitor import Monitor, monitor
from genai.reports.monitor_page import page
from genai.reports.monitor_text import markdown, prometheus
from genai.types import Call, Context, Cost, CostStatus, Usage

DAY = 86_400
NOW = time.time() // DAY * DAY + 60.0
EVALS = "Eval runs asked 15 questions for $0.45; they are in no figure."


def cents(amount: int) -> Cost:
    return Cost(Decimal(amount) / 100, CostStatus.PRICED)


def ask(ledger: Ledger, n: int, run: str = "") -> None:
    """Record one question: its embedding for a cent, its model for two, and a guard."""
    at = NOW - DAY * (n % 3)
    around = {name: f"{name}-{n % 2}" for name in DIMENSIONS if name != "model"}
    own = Context(run=run, **around)
    inside = Context(parent_id=f"c{run}{n}", run=run, **around)
    usage = Usage(100, 10, source="provider")
    ledger.record(Call(f"e{run}{n}", "embedding", at, 0.1, "ok", "embedder", inside,
                       Usage(20, 0, source="provider"), cents(1)))  # fmt: skip
    ledger.record(Call(f"m{run}{n}", "model", at, 1.0, "ok", f"m-{n % 2}", inside, usage, cents(2)))
    ledger.record(Call(f"g{run}{n}", "guard", at, 0.1, "ok", "guards/question", inside,
                       reason="block" if n % 4 == 0 else "",
                       response_model=f"m-{n % 2}"))  # fmt: skip
    outcome = "error" if run else "refusal" if n % 4 == 0 else "ok"
    ledger.record(Call(f"c{run}{n}", "chain", at, 1.2, outcome, f"m-{n % 2}", own, usage, cents(3)))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """40 questions of people, 15 of an eval run that all fail, and one embedding of a sync."""
    found = Ledger(tmp_path / "ledger.db")
    for n in range(40):
        ask(found, n)
    for n in range(15):
        ask(found, n, "run-1")
    found.record(Call("sync", "embedding", NOW - 4 * DAY, 0.1, "ok", "embedder",
                      Context(feature="sync"), Usage(500, 0, source="provider"),
                      cents(5)))  # fmt: skip
    found.flush()
    return found


def check(found: Monitor) -> None:
    """Hold the days and every dimension against the whole."""
    whole = found.whole
    for name, lines in (("day", found.days), ("model", found.models), *found.groups.items()):
        assert sum(each.money.total for each in lines) == whole.money.total, name
        assert sum(each.tokens for each in lines) == whole.tokens, name
        assert sum(each.answers for each in lines) == whole.answers, name
        if name != "model":  # which has its own calls
            assert sum(each.calls for each in lines) == whole.calls, name
        assert sum(each.verdicts.get("block", 0) for each in lines) == 10, name


def test_embedders_are_paid_and_everything_adds_up_to_the_whole(ledger: Ledger) -> None:
    found = monitor(ledger, now=NOW)
    assert found.whole.money.total == Decimal("1.25")  # 40 times 3 cents, and the sync
    assert (found.whole.calls, found.whole.answers, found.whole.tokens) == (40, 30, 5_700)
    assert found.whole.per_answer == Decimal("1.25") / 30
    assert found.whole.verdicts == {"block": 10}
    check(found)
    assert {each.name: each.verdicts for each in found.models if each.verdicts} == {
        "m-0": {"block": 10}
    }
    assert len(found.days) == 4  # the day of the sync has money and no question
    costs = {each.name: each.money.total for each in found.models}
    assert costs == {"embedder": Decimal("0.45"), "m-0": Decimal("0.4"), "m-1": Decimal("0.4")}
    kept = monitor(ledger, now=NOW, where={"tenant": "tenant-1"})
    assert (kept.whole.calls, kept.whole.money.total) == (20, Decimal("0.6"))
    assert kept.whole.verdicts == {}


def test_what_eval_runs_ask_is_no_production_figure(ledger: Ledger) -> None:
    found = monitor(ledger, now=NOW)
    assert found.whole.failed is not None
    assert found.whole.failed[0] == 0
    assert found.runs is not None
    assert (found.runs.calls, found.runs.money.total) == (15, Decimal("0.45"))
    assert EVALS in markdown(found)
    assert EVALS in page(found)
    assert "genai_run_questions 15\n" in prometheus(found)
    assert "genai_questions 40\n" in prometheus(found)
    inputs, _ = measured(ledger)
    assert (inputs["cost"].n, inputs["escalated"].n) == (40, 40)
    assert inputs["cost"].source.endswith(", 15 questions of eval runs left out")
    assert sum(cost for cost, _ in inputs["cost"].blocks) == pytest.approx(1.25)
    ledger.feedback("crun-11", False)
    assert monitor(ledger, now=time.time()).thumbs == (0, 0)


def test_alerts_leave_eval_runs_out_but_a_budget_pays_for_them(
    ledger: Ledger, tmp_path: Path
) -> None:
    rules = AlertSettings.model_validate({"rules": [
        {"name": "asked", "figure": "questions", "hours": 96, "above": 0, "least": 1},
        {"name": "failing", "figure": "error_share", "hours": 96, "above": 0.01, "least": 1},
    ]})  # fmt: skip
    fired = due(rules, ledger, tmp_path / "told.json", now=NOW)
    assert [(each.rule, each.value) for each in fired] == [("asked", 40.0)]
    pace = AlertSettings.model_validate({"rules": [
        {"name": "bill", "figure": "cost", "budget": 0.1, "steps": [1], "least": 1000},
    ]})  # fmt: skip
    end = NOW + 300
    (bill,) = due(pace, ledger, tmp_path / "bill.json", now=end)
    since = time.gmtime(end)
    month = end // DAY * DAY - (since.tm_mday - 1) * DAY
    paid = (*ledger.calls(limit=999, kind="model"), *ledger.calls(limit=999, kind="embedding"))
    assert bill.value == pytest.approx(
        float(sum(each.cost.amount or 0 for each in paid if each.started_at >= month))
    )


def test_sums_of_an_older_version_are_made_again(ledger: Ledger) -> None:
    """A table on disk that counted eval runs among the questions is not believed."""
    assert monitor(ledger, now=NOW).whole.calls == 40
    with ledger.database.begin() as db:
        db.exec_driver_sql("UPDATE rollup_state SET value = 2 WHERE key = 'version'")
        db.exec_driver_sql("UPDATE rollup SET kind = 'chain' WHERE kind = 'run chain'")
    assert roll_up(ledger.database) == 56 * 4 - 3
    assert monitor(ledger, now=NOW).whole.calls == 40


def test_a_months_budget_is_judged_in_the_memory_of_its_days(ledger: Ledger) -> None:
    rule = {"name": "money", "figure": "cost", "budget": 100}
    given, memory = AlertSettings.model_validate({"rules": [rule]}), ledger.path.parent / "memory"
    for n in range(20_000):
        ledger.record(Call(f"b{n:05}", "model", NOW, 1.0, "ok", "m-0", cost=cents(1)))
    ledger.drain()
    tracemalloc.start()
    found = due(given, ledger, memory, now=NOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [alert.value for alert in found if "is spent" in alert.text] == [
        pytest.approx(201, abs=2)
    ]
    assert peak < 8 * 2**20  # a call takes 3 KB
