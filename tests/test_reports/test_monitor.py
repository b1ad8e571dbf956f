"""Monitoring reads the ledger alone: the same figures as text, page and metrics."""

import random
import re
from decimal import Decimal
from pathlib import Path

import pytest

from genai.cli import main
from genai.ledger import Ledger
from genai.reports.monitor import markdown, monitor, prometheus
from genai.reports.monitor_page import page
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus

DAY = 86_400
NOW = 20_710 * DAY + 5_000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found, dice = Ledger(tmp_path / "ledger.db"), random.Random(3)
    for n in range(200):
        at = NOW - DAY * (n % 4)
        context = Context(feature="chat" if n % 2 else "<b>mail</b>", prompt_id=f"p@{n % 2}")
        outcome, reason = ("refusal", "no_evidence") if n % 10 == 0 else ("ok", "")
        found.record(Call(f"c{n:027x}", "chain", at, dice.random(), outcome, "m", context,
                          reason=reason))  # fmt: skip
        found.record(Call(f"m{n:027x}", "model", at, dice.random(), "ok", f"model-{n % 2}", context,
                          cost=Cost(Decimal("0.01"), CostStatus.PRICED), ttft=0.1))  # fmt: skip
        guard, decision = ("answer", "redact") if n % 5 == 0 else ("question", "")
        found.record(Call(f"g{n:027x}", "guard", at, 0.001, "ok", f"guards/{guard}", context,
                          reason=decision or ("block" if n % 20 == 1 else "")))  # fmt: skip
    found.flush()
    return found


def test_the_figures_are_those_of_the_rows(ledger: Ledger) -> None:
    found = monitor(ledger, days=30, now=NOW)
    assert (found.whole.calls, found.whole.answers) == (200, 180)
    assert found.whole.refused == pytest.approx((0.1, 0.0657, 0.1494), abs=1e-3)
    assert found.whole.money.total == Decimal(2)
    assert found.whole.per_answer == Decimal(2) / 180
    assert found.whole.reasons == {"no_evidence": 20}
    assert [line.calls for line in found.days] == [50, 50, 50, 50]
    assert {line.name: line.calls for line in found.models} == {"model-0": 100, "model-1": 100}
    assert {line.name for line in found.groups["prompt_id"]} == {"p@0", "p@1"}
    assert monitor(ledger, days=2, now=NOW).whole.calls == 100
    chat = monitor(ledger, days=30, now=NOW, where={"feature": "chat"})
    assert chat.whole.calls == 100
    assert found.rolled_up == 600
    assert [(each.name, each.calls, each.reasons) for each in found.guards] == [
        ("answer", 40, {"redact": 40}), ("question", 160, {"block": 10}),
    ]  # fmt: skip
    assert chat.rolled_up == 0


def samples(text: str) -> dict[str, float]:
    """Read Prometheus' text format as strictly as a scraper does."""
    found, types = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            types.add(line.split()[2])
            continue
        match = re.fullmatch(r"(([a-z_]+)(\{[^}]*\})?) (-?[0-9.e+-]+)", line)
        assert match, line
        assert match[2] in types
        assert match[1] not in found
        found[match[1]] = float(match[4])
    return found


def test_text_page_and_metrics_say_the_same(ledger: Ledger) -> None:
    found = monitor(ledger, days=30, now=NOW)
    text, metrics, html = markdown(found), prometheus(found), page(found)
    assert "200 questions, 0 thumbs up, 0 down" in text
    assert "| all | 200 | 180 | 10.0% (6.6% to 14.9%)" in text
    scraped = samples(metrics)
    whole = found.whole
    assert scraped["genai_questions"] == whole.calls
    assert scraped["genai_answers"] == whole.answers
    assert scraped["genai_refused_share"] == (whole.refused or (0,))[0]
    assert scraped["genai_dollars_per_answer"] == pytest.approx(float(whole.per_answer or 0))
    assert scraped['genai_question_seconds{quantile="0.95"}'] == pytest.approx(whole.p95)
    assert scraped['genai_not_answered{reason="no_evidence"}'] == whole.reasons["no_evidence"]
    for line in found.models:
        label = f'model="{line.name}"'
        assert scraped[f"genai_calls{{{label}}}"] == line.calls
        assert scraped[f"genai_tokens{{{label}}}"] == line.tokens
        assert scraped[f"genai_cost_dollars{{{label}}}"] == float(line.money.total)
        assert scraped[f'genai_call_seconds{{{label},quantile="0.99"}}'] == pytest.approx(line.p99)
    assert "| question | 160 | 150 | 0 | 10 |" in text
    assert scraped['genai_guarded_texts{place="question"}'] == 160
    assert scraped['genai_guard_decisions{place="answer",decision="redact"}'] == 40
    assert '<th scope="col">place</th>' in html
    assert "<b>mail</b>" not in html
    assert "&lt;b&gt;mail&lt;/b&gt;" in html
    assert "<script" not in html
    assert html.count("<svg") == 4


def test_unknown_money_is_never_divided(ledger: Ledger) -> None:
    ledger.record(Call("x" * 28, "model", NOW, 0.1, "ok", "model-9", cost=UNKNOWN_COST))
    ledger.flush()
    found = monitor(ledger, days=30, now=NOW)
    assert found.whole.per_answer is None
    assert "at least $2" in str(found.whole.money)
    assert 'genai_cost_unknown_calls{model="model-9"} 1' in prometheus(found)
    assert "genai_dollars_per_answer" not in prometheus(found)


def test_an_empty_ledger_says_what_to_do(tmp_path: Path) -> None:
    found = monitor(Ledger(tmp_path / "ledger.db"))
    assert found.whole.refused is None
    assert found.whole.p50 is None
    assert "No question yet" in page(found)
    assert "0 questions" in markdown(found)
    one = Ledger(tmp_path / "one" / "ledger.db")
    one.record(Call("a" * 28, "chain", NOW, 0.1, "ok", "m"))
    one.flush()
    assert monitor(one, now=NOW).whole.answers == 1


def test_the_verb_prints_and_names_a_wrong_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "monitor", "--html", str(tmp_path / "out" / "m.html")]) == 0
    assert "# Monitoring" in capsys.readouterr().out
    assert (tmp_path / "out" / "m.html").exists()
    assert main(["report", "monitor", "--prometheus"]) == 0
    assert "genai_questions 0" in capsys.readouterr().out
    assert main(["report", "monitor", "--where", "colour=red"]) == 64
    assert "'colour' is not a dimension" in capsys.readouterr().err


def test_another_currency_is_never_counted_as_dollars(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for n, (amount, currency) in enumerate((("1", "USD"), ("100", "JPY"), ("2", "USD"))):
        money = Cost(Decimal(amount), CostStatus.PRICED, currency=currency)
        ledger.record(Call(f"m{n:027x}", "model", NOW, 1.0, "ok", "m", cost=money))
    ledger.flush()
    (line,) = monitor(ledger, now=NOW).models
    assert (line.money.total, line.money.known, line.money.calls) == (Decimal(3), 2, 3)
    assert str(line.money).startswith("at least $3 (coverage 66.7% of calls")


def test_clocks_that_jump_and_time_zones_fall_into_utc_days(tmp_path: Path) -> None:
    """One second before and after midnight in UTC are two days, whatever the machine's zone."""
    ledger = Ledger(tmp_path / "ledger.db")
    midnight = 20_710 * DAY
    for n, at in enumerate((midnight - 1.0, midnight + 1.0, 3.0, midnight + 900 * DAY)):
        ledger.record(Call(f"c{n:027x}", "chain", at, 1.0, "ok", "m"))
    ledger.flush()
    found = monitor(ledger, days=2, now=midnight + 10.0)
    assert [(line.name, line.calls) for line in found.days] == [
        ("2026-09-13", 1), ("2026-09-14", 1),
    ]  # fmt: skip
    assert found.whole.calls == 2  # neither 1970 nor a day years ahead
