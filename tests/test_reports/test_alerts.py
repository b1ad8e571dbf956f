"""Alerts fire on the ledger's figures, once an episode."""

import json
import os
import re
import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from genai.cli import main
from genai.errors import ConfigError, InputError
from genai.ledger import Ledger, Prices, tables
from genai.ledger.prices.snapshot import Snapshot
from genai.reports.alerts import AlertSettings, due, load_alerts, send
from genai.types import Call, Cost, CostStatus, Usage

HOUR = 3600.0
NOW = 20_715 * 86_400.0 + 12 * HOUR  # noon, 19 days into a month
WEEK = 7 * 24 * HOUR


def settings(*rules: dict[str, Any], **sinks: dict[str, Any]) -> AlertSettings:
    return AlertSettings.model_validate(
        {"rules": list(rules), "sinks": {"log": {"kind": "log"}, **sinks}}
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def ask(
    ledger: Ledger, count: int, *, at: float = NOW - 120, seconds: float = 1.0,
    outcome: str = "ok", kind: str = "chain", cost: str = "0.01",
) -> None:  # fmt: skip
    for n in range(count):
        stamp = f"{int(at * 10):012x}{kind[:2].encode().hex()}{outcome[:2].encode().hex()}"
        money = Cost(Decimal(cost), CostStatus.PRICED)
        ledger.record(Call(f"{stamp}{n:08x}", kind, at, seconds, outcome, "m", cost=money))
    ledger.flush()


def fired(given: AlertSettings, ledger: Ledger, memory: Path, now: float = NOW) -> list[str]:
    found = due(given, ledger, memory, now=now)
    assert send(given, found, memory) == []
    return [alert.text for alert in found]


def test_a_line_fires_once_an_episode_and_again_after_it(ledger: Ledger, tmp_path: Path) -> None:
    rule = {"name": "slow", "figure": "p95_seconds", "above": 5, "cooldown": 6}
    given, memory = settings(rule), tmp_path / "alerts.json"
    ask(ledger, 60, seconds=9)
    assert fired(given, ledger, memory) == ["slow: p95_seconds is 9, above 5 (n 60)"]
    assert fired(given, ledger, memory, NOW + 60) == []
    assert fired(given, ledger, memory, NOW + 0.5 * HOUR) == []
    later = NOW + 2 * HOUR
    assert fired(given, ledger, memory, later) == []  # quiet: the window is empty
    ask(ledger, 60, seconds=9, at=later - 60)
    assert len(fired(given, ledger, memory, later)) == 1  # a new episode
    memory.write_text("not json")
    assert len(fired(given, ledger, memory, later)) == 1  # once too often, never lost


def test_few_questions_are_no_alarm(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "slow", "figure": "p95_seconds", "above": 5})
    assert fired(given, ledger, tmp_path / "m") == []
    ask(ledger, 29, seconds=9)
    assert fired(given, ledger, tmp_path / "m") == []


def test_a_burning_error_budget_needs_both_windows(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "burn", "figure": "error_share", "hours": 1, "slo": 0.99})
    ask(ledger, 80, at=NOW - 50 * 60)
    ask(ledger, 40, at=NOW - 40 * 60, outcome="error")
    ask(ledger, 10, at=NOW - 60)
    assert fired(given, ledger, tmp_path / "m") == []  # it is over already
    ask(ledger, 10, at=NOW - 90, outcome="error")
    (text,) = fired(given, ledger, tmp_path / "m")
    assert "burns the error budget of 99.00% at 35.7 times the pace" in text


def test_what_is_usual_at_this_hour_is_no_alarm(ledger: Ledger, tmp_path: Path) -> None:
    rule = {"name": "rush", "figure": "questions", "hours": 2, "unusual": 4, "least": 10}
    given = settings(rule)
    for back, count in ((1, 100), (2, 110), (3, 95), (4, 105)):
        ask(ledger, count, at=NOW - back * WEEK - 60)
    ask(ledger, 108)
    assert fired(given, ledger, tmp_path / "m") == []
    ask(ledger, 200, at=NOW - 200)
    (text,) = fired(given, ledger, tmp_path / "m")
    assert "the middle of 4 weeks" in text
    assert fired(given, Ledger(tmp_path / "new" / "ledger.db"), tmp_path / "n") == []


def test_traffic_that_stops_is_seen(ledger: Ledger, tmp_path: Path) -> None:
    """No call at all is below every line; who has not begun yet has no usual week."""
    given = settings(
        {"name": "silent", "figure": "questions", "hours": 2, "below": 10},
        {"name": "unusual", "figure": "questions", "hours": 2, "unusual": 4},
    )
    ask(ledger, 100, at=NOW - WEEK - 60)
    assert len(fired(given, ledger, tmp_path / "young")) == 1  # one week is no usual one
    for back in (2, 3, 4):
        ask(ledger, 100 + back, at=NOW - back * WEEK - 60)
    assert fired(given, ledger, tmp_path / "m") == [
        "silent: questions is 0, below 10 (n 0)",
        "unusual: questions is 0, 20.0 deviations from 102.5, the middle of 4 weeks (n 0)",
    ]


def test_weeks_of_few_calls_are_no_measure(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "odd", "figure": "refusal_share", "hours": 2, "unusual": 4})
    for back in (1, 2, 3, 4):
        ask(ledger, 2, at=NOW - back * WEEK - 60)
    ask(ledger, 50)
    ask(ledger, 10, at=NOW - 90, outcome="refusal")
    assert fired(given, ledger, tmp_path / "m") == []
    for back in (1, 2):
        ask(ledger, 40, at=NOW - back * WEEK - 90)
    (text,) = fired(given, ledger, tmp_path / "m")
    assert "the middle of 2 weeks" in text


def test_a_budget_is_judged_by_its_pace_and_step_by_step(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "money", "figure": "cost", "budget": 1000, "least": 10})
    memory = tmp_path / "m"
    ask(ledger, 50, at=NOW - 3 * 86_400, kind="model", cost="8.00")
    assert fired(given, ledger, memory) == []
    ask(ledger, 50, kind="model", cost="8.00")
    step, pace = fired(given, ledger, memory)
    assert step == "money: cost is 800, 80% of this month's budget of $1000.00 is spent (n 100)"
    assert "$800.00 this month" in pace
    assert "the budget is $1000.00" in pace
    (again,) = fired(given, ledger, memory, NOW + 7 * HOUR)  # the step is told once
    assert "at this pace" in again
    ask(ledger, 30, at=NOW + 8 * HOUR, kind="model", cost="8.00")
    assert "100% of this month's budget" in fired(given, ledger, memory, NOW + 9 * HOUR)[0]
    assert fired(given, ledger, memory, NOW + 20 * 86_400) == []  # another month


def test_an_alert_is_told_again_until_it_arrived(ledger: Ledger, tmp_path: Path) -> None:
    """Only what a sink has taken is remembered: a process may end at any point before that."""
    rule = {"name": "slow", "figure": "p95_seconds", "above": 5, "to": ["log", "away"]}
    given = settings(rule, away={"kind": "webhook", "url_env": "GENAI_TEST_UNSET"})
    memory = tmp_path / "alerts.json"
    ask(ledger, 60, seconds=9)
    (first,) = due(given, ledger, memory, now=NOW)
    (again,) = due(given, ledger, memory, now=NOW + 60)  # nobody sent it meanwhile
    assert first.to == again.to == ("log", "away")
    (problem,) = send(given, [again], memory)
    assert "did not reach `away`" in problem
    (rest,) = due(given, ledger, memory, now=NOW + 120)
    assert rest.to == ("away",)  # the log has it
    given = settings(rule, away={"kind": "log"})
    assert send(given, [rest], memory) == []
    assert due(given, ledger, memory, now=NOW + 180) == []


def test_an_error_budget_is_one_of_any_share(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "refused", "figure": "refusal_share", "slo": 0.95, "burn": 6})
    ask(ledger, 40, outcome="error")
    assert fired(given, ledger, tmp_path / "m") == []  # errors are no refusals
    ask(ledger, 40, at=NOW - 90, outcome="refusal")
    (text,) = fired(given, ledger, tmp_path / "m")
    assert "refusal_share is 10, burns the error budget of 95.00% at 10.0 times the pace" in text


def model_calls(ledger: Ledger, count: int, **changes: Any) -> None:
    usage = Usage(1000, 10, cached_tokens=changes.pop("cached", 0), source="provider")
    for n in range(count):
        name = f"{changes.get('retry_of', '')}{changes.get('snapshot', '')}{usage.cached_tokens}"
        call = Call(f"{name}{n:08x}".rjust(28, "x"), "model", NOW - 60, 1.0, "ok", "m", usage=usage)
        money = Cost(Decimal("0.01"), CostStatus.PRICED, snapshot=changes.get("snapshot", ""))
        ledger.record(replace(call, cost=money, retry_of=changes.get("retry_of", "")))
    ledger.flush()


def test_calls_that_are_repeated_dear_or_no_longer_cached_are_seen(
    ledger: Ledger, tmp_path: Path
) -> None:
    given = settings(
        {"name": "repeated", "figure": "retry_share", "above": 0.2},
        {"name": "cache", "figure": "cached_share", "below": 0.5},
        {"name": "dear", "figure": "cost_per_answer", "above": 0.015},
    )
    model_calls(ledger, 40, cached=900)
    ask(ledger, 40)
    assert fired(given, ledger, tmp_path / "m") == []
    model_calls(ledger, 40, retry_of="y" * 4)
    ask(ledger, 40, at=NOW - 90, outcome="refusal")
    assert fired(given, ledger, tmp_path / "m") == [
        "repeated: retry_share is 0.5, above 0.2 (n 80)",
        "cache: cached_share is 0.45, below 0.5 (n 80)",
        "dear: cost_per_answer is 0.02, above 0.015 (n 80)",
    ]


def test_rows_that_were_lost_are_told_of_their_own_hours_only(
    ledger: Ledger, tmp_path: Path
) -> None:
    given = settings({"name": "rows", "figure": "lost_rows", "hours": 2, "above": 0})
    memory, spool = tmp_path / "m", ledger.path.parent / "spool"
    ask(ledger, 2, kind="model", outcome="lost")  # what another process had sent when it died
    assert fired(given, ledger, memory) == ["rows: lost_rows is 2, above 0 (n 0)"]
    assert fired(given, ledger, memory, NOW + 3 * HOUR) == []
    old = b'{"t":"call","id":["x"],"started_at":%d.5}\n' % (NOW - WEEK)
    (spool / "1-torn.jsonl").write_bytes(old + b"not a row\n" + old)
    ledger.flush()
    os.utime(spool / "failed.txt", (NOW + 4 * HOUR,) * 2)
    later = NOW + 5 * HOUR
    assert fired(given, ledger, memory, later) == ["rows: lost_rows is 2, above 0 (n 0)"]
    for days in (1, 30, 365):
        assert fired(given, ledger, memory, later + days * 24 * HOUR) == []


def test_the_state_of_prices_budgets_rows_and_bills_is_watched(
    ledger: Ledger, tmp_path: Path
) -> None:
    today = date(2026, 9, 19)
    old = Snapshot("5" * 64, "list", date(2026, 8, 1), {"m": {"deprecation_date": "2026-10-01"}})
    prices = Prices.read({"models": {}}, "prices.yaml", lambda: (old,))
    bills = tmp_path / "invoices.jsonl"
    given = settings(
        {"name": "old prices", "figure": "price_age_days", "hours": 24, "above": 30},
        {"name": "ends", "figure": "days_to_end", "hours": 24, "below": 60},
        {"name": "bill", "figure": "invoice_error", "above": 0.005},
        {"name": "open", "figure": "stale_reservations", "above": 0},
        {"name": "rows", "figure": "lost_rows", "above": 0},
    )

    def found() -> list[str]:
        alerts = due(given, ledger, tmp_path / "m", now=NOW, prices=prices, invoices=bills)
        return [alert.text for alert in alerts]

    assert NOW // 86_400 == today.toordinal() - date(1970, 1, 1).toordinal()
    assert found() == []  # an empty ledger rests on nothing
    model_calls(ledger, 2, snapshot=old.hash[:16])
    lines = [{"provider": "openai", "first": month, "last": month, "error": error, "low": None,
              "high": None}
             for month, error in (("2026-08", 0.2), ("2026-09", -0.012))]  # fmt: skip
    bills.write_text("".join(json.dumps(each) + "\n" for each in lines))
    held = {"budget_id": "total", "call_id": "c", "amount": 1, "created_at": NOW - 2 * HOUR,
            "expires_at": NOW - HOUR}  # fmt: skip
    with ledger.database.begin() as db:
        db.execute(tables.reservations.insert().values(held))
    with (ledger.path.parent / "spool" / "1-torn.jsonl").open("w") as file:
        file.write("not a row\n")
    ledger.flush()
    assert found() == [
        "old prices: price_age_days is 49, above 30 (n 2)",
        "ends: days_to_end is 12, below 60 (n 2)",
        "bill: invoice_error is 0.012, above 0.005 (n 0)",
        "open: stale_reservations is 1, above 0 (n 0)",
        "rows: lost_rows is 1, above 0 (n 0)",
    ]
    for damaged in ("{", "[1]", '{"provider": "openai"}'):
        bills.write_text(damaged)
        with pytest.raises(InputError, match=r"/invoices\.jsonl: is damaged \(.*; move it away"):
            found()


def test_another_currency_is_no_dollar_and_an_empty_ledger_no_alarm(
    ledger: Ledger, tmp_path: Path
) -> None:
    given = settings(
        {"name": "money", "figure": "cost", "above": 5, "least": 1},
        {"name": "unknown", "figure": "unpriced_share", "above": 0.5, "least": 1},
    )
    assert fired(given, ledger, tmp_path / "m") == []
    yen = Cost(Decimal(1000), CostStatus.PRICED, currency="JPY")
    ledger.record(Call("1" * 28, "model", NOW - 60, 1.0, "ok", "m", cost=yen))
    ledger.flush()
    (text,) = fired(given, ledger, tmp_path / "m")
    assert text == "unknown: unpriced_share is 1, above 0.5 (n 1)"


def project(folder: Path, *rules: dict[str, Any]) -> Path:
    (folder / "configs").mkdir()
    (folder / "configs" / "genai.yaml").write_text("version: 1\n")
    (folder / "configs" / "alerts.yaml").write_text(yaml.safe_dump({"rules": list(rules)}))
    return folder


def test_a_timer_outside_of_every_project_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["alerts"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"no project around {tmp_path}: the starter's rules on a ledger of that")
    monkeypatch.setenv("GENAI_PROJECT", str(project(tmp_path)))
    assert main(["alerts"]) == 0
    assert capsys.readouterr().err == ""


def test_money_is_that_of_every_call_whoever_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An application that asks models without a chain spends money too."""
    monkeypatch.chdir(project(
        tmp_path, {"name": "dear hour", "figure": "cost", "above": 50},
        {"name": "unknown", "figure": "unpriced_share", "above": 0.01},
    ))  # fmt: skip
    ledger = Ledger(tmp_path / ".genai" / "ledger.db")
    ask(ledger, 40, at=time.time() - 60, kind="model", cost="2.00")
    ask(ledger, 10, at=time.time() - 60, kind="embedding", cost="1.00")
    ask(ledger, 50, at=time.time() - 60, cost="1.80")  # the questions sum up their calls
    unknown = Call("u" * 28, "model", time.time() - 60, 1.0, "ok", "m")
    ledger.record(unknown)
    ledger.flush()
    assert main(["alerts"]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        "dear hour: cost is 90, above 50 (n 51)",
        "unknown: unpriced_share is 0.01961, above 0.01 (n 51)",
    ]


def test_an_alert_is_told_where_its_memory_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(project(tmp_path, {"name": "quiet", "figure": "questions", "below": 1}))
    taken = tmp_path / ".genai" / ".alerts.json.draft"
    taken.mkdir(parents=True)  # as on a full disk
    for _ in range(2):
        caplog.clear()
        assert main(["alerts"]) == 64
        assert [each.message for each in caplog.records] == ["quiet: questions is 0, below 1 (n 0)"]
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(
            "alert `quiet` will be told to `log` again: .genai/alerts.json: cannot"
        )
    taken.rmdir()
    assert main(["alerts"]) == 1
    assert main(["alerts"]) == 0  # the episode is remembered


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "x", "figure": "p95_second", "above": 1}, "did you mean `p95_seconds`?"),
        ({"name": "x", "figure": "cost"}, "give one of `above`, `below`, `slo`"),
        ({"name": "x", "figure": "cost", "above": 1, "below": 2}, "give one of"),
        ({"name": "x", "figure": "cost", "above": 1, "to": ["pager"]}, "tells `pager`"),
        ({"name": "x", "figure": "cost", "above": 1, "to": []}, "`rules.0.to`"),
        ({"name": "x", "figure": "cost", "abov": 1}, "did you mean `above`?"),
        ({"name": "x", "figure": "cost", "above": float("nan")}, "`rules.0.above`"),
        ({"name": "x", "figure": "cost", "slo": 0.9}, "`slo` takes a share of bad calls"),
        ({"name": "x", "figure": "lost_rows", "unusual": 4}, "has no earlier weeks"),
        ({"name": "x", "figure": "questions", "budget": 4}, "its figure is `cost`"),
        ({"name": "x", "figure": "cost", "above": 1, "hours": -1}, "`rules.0.hours`"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, rule: dict[str, Any], said: str) -> None:
    path = tmp_path / "configs" / "alerts.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"rules": [rule]}))
    with pytest.raises(ConfigError) as caught:
        load_alerts(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith("configs/alerts.yaml")


def test_the_shipped_rules_are_judged_and_tested_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import genai

    source = Path(genai.__file__).parent.parent / "configs" / "alerts.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "configs" / "alerts.yaml").write_text(source.read_text())
    monkeypatch.chdir(tmp_path)
    prices = tmp_path / "configs" / "prices.yaml"
    prices.write_text('models: {a/b: {cached_input: "-0.1"}}')
    assert main(["alerts"]) == 64
    said = "genai: configs/prices.yaml: `a/b`: `cached_input` must be a quoted decimal from 0 to"
    assert capsys.readouterr().err.startswith(said)
    prices.unlink()
    assert main(["alerts"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"14 rules judged, 0 fired", out)
    assert "the ledger holds no call yet: ask a question with genai ask" in out
    assert main(["alerts", "--test"]) == 0
    assert "told 1 sinks" in capsys.readouterr().out
    assert main(["alerts", "test"]) == 0
    assert "told 1 sinks" in capsys.readouterr().out
