"""Monitoring reads the ledger alone: the same figures as text, page and metrics."""

import random
import re
import time
from decimal import Decimal
from pathlib import Path

import pytest

from genai.cli import main
from genai.errors import InputError
from genai.ledger import Ledger
from genai.reports.monitor import Line, monitor
from genai.reports.monitor_page import page
from genai.reports.monitor_text import HEADS, markdown, prometheus
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus, Usage

DAY = 86_400
NOW = 20_710 * DAY + 5_000.0


PENNY = Cost(Decimal("0.01"), CostStatus.PRICED)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Four days: half of the questions by mail, a tenth refused, a fiftieth failed."""
    found, dice = Ledger(tmp_path / "ledger.db"), random.Random(3)
    for n in range(200):
        at = NOW - DAY * (n % 4)
        context = Context(
            feature="chat" if n % 2 else "<b>mail</b>", prompt_id=f"p@{n % 2}",
            index_revision=f"i{n % 3}", config_hash=f"c{n % 5}", tenant=f"t{n % 4}",
        )  # fmt: skip
        outcome, reason = ("refusal", "no_evidence") if n % 10 == 0 else ("ok", "")
        outcome = "error" if n % 50 == 1 else outcome
        usage = Usage(1000, 50, cached_tokens=400, source="provider")
        times = {"ttft": 0.1 + n % 2, "itl_mean": 0.02 * (1 + n % 2)}
        found.record(Call(f"c{n:027x}", "chain", at, dice.random(), outcome, f"model-{n % 2}",
                          context, usage, PENNY, reason=reason, **times))  # fmt: skip
        found.record(Call(f"m{n:027x}", "model", at, dice.random(), "ok", f"model-{n % 2}", context,
                          usage, PENNY, cache_source="replay" if n % 20 == 0 else "",
                          **times))  # fmt: skip
        guard, decision = ("answer", "redact") if n % 5 == 0 else ("question", "")
        found.record(Call(f"g{n:027x}", "guard", at, 0.001, "ok", f"guards/{guard}", context,
                          reason=decision or ("block" if n % 20 == 1 else ""),
                          response_model=f"model-{n % 2}"))  # fmt: skip
    found.flush()
    return found


def test_the_figures_are_those_of_the_rows(ledger: Ledger) -> None:
    found = monitor(ledger, days=30, now=NOW)
    assert (found.whole.calls, found.whole.answers) == (200, 176)
    assert found.whole.refused == pytest.approx((0.1, 0.0657, 0.1494), abs=1e-3)
    assert found.whole.failed == pytest.approx((0.02, 0.0078, 0.0503), abs=1e-3)
    assert found.whole.money.total == Decimal(2)
    assert found.whole.per_answer == Decimal(2) / 176
    assert (found.whole.tokens, found.whole.cached, found.whole.replayed) == (210_000, 0.4, 10)
    assert (found.whole.ttft, found.whole.ttft_p95) == pytest.approx((0.1, 1.1), rel=0.01)
    assert found.whole.inter_token == pytest.approx(0.02, rel=0.01)
    assert found.whole.inter_token_p95 == pytest.approx(0.04, rel=0.01)
    assert found.whole.reasons == {"no_evidence": 20}
    assert [line.calls for line in found.days] == [50, 50, 50, 50]
    assert [(each.name, each.calls, each.answers, each.per_answer) for each in found.models] == [
        ("model-0", 100, 80, Decimal(1) / 80), ("model-1", 100, 96, Decimal(1) / 96),
    ]  # fmt: skip
    assert [each.verdicts for each in found.models] == [
        {"redact": 20}, {"block": 10, "redact": 20},
    ]  # fmt: skip
    assert {line.name for line in found.groups["prompt_id"]} == {"p@0", "p@1"}
    assert monitor(ledger, days=2, now=NOW).whole.calls == 100
    chat = monitor(ledger, days=30, now=NOW, where={"feature": "chat"})
    assert chat.whole.calls == 100
    assert [(each.name, each.calls, each.reasons) for each in found.guards] == [
        ("answer", 40, {"redact": 40}), ("question", 160, {"block": 10}),
    ]  # fmt: skip
    with pytest.raises(InputError, match="days=0: a period has at least one day"):
        monitor(ledger, days=0)


@pytest.mark.parametrize(
    ("dimension", "count"),
    [("index_revision", 3), ("config_hash", 5), ("tenant", 4), ("feature", 2), ("prompt_id", 2)],
)
def test_every_dimension_adds_up_with_its_money_and_times(
    ledger: Ledger, dimension: str, count: int
) -> None:
    found = monitor(ledger, days=30, now=NOW)
    lines = found.groups[dimension]
    assert len(lines) == count
    assert sum(line.calls for line in lines) == 200
    assert sum(line.money.total for line in lines) == found.whole.money.total
    assert sum(line.tokens for line in lines) == found.whole.tokens
    kept = monitor(ledger, days=30, now=NOW, where={dimension: lines[0].name}).whole
    assert (kept.calls, kept.money.total) == (lines[0].calls, lines[0].money.total)
    if dimension == "feature":
        times = {line.name: (line.ttft, line.inter_token) for line in lines}
        assert times["chat"] == pytest.approx((1.1, 0.04), rel=0.01)
        assert times["<b>mail</b>"] == pytest.approx((0.1, 0.02), rel=0.01)


def test_thumbs_are_those_of_the_period_and_the_filter(ledger: Ledger) -> None:
    for n, up in ((1, True), (3, True), (2, False), (4, False)):
        ledger.feedback(f"c{n:027x}", up)
    ledger.feedback(f"c{1:027x}", False)  # a changed mind counts once
    now = time.time()
    found = monitor(ledger, now=now)
    assert found.thumbs == found.whole.thumbs == (1, 3)
    assert [(each.calls, each.thumbs) for each in found.days if any(each.thumbs)] == [(0, (1, 3))]
    for lines in (found.days, found.models, *found.groups.values()):
        assert [sum(each.thumbs[way] for each in lines) for way in (0, 1)] == [1, 3]
    by_model = {line.name: line.thumbs for line in found.models}
    assert by_model == {"model-0": (0, 2), "model-1": (1, 1)}
    assert 'genai_model_feedback{model="model-1",thumb="up"} 1\n' in prometheus(found)
    assert monitor(ledger, now=now, where={"feature": "chat"}).thumbs == (1, 1)
    assert monitor(ledger, now=now - 40 * DAY).thumbs == (0, 0)  # given later than it ends
    assert monitor(ledger, days=1, now=now + 2 * DAY).thumbs == (0, 0)  # and before it begins


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


def same(scraped: dict[str, float], prefix: str, labels: str, line: Line) -> None:
    """Hold every sample of a line against its figures."""
    inside = f"{{{labels}}}" if labels else ""
    failed, refused = line.failed or (0.0,), line.refused or (0.0,)
    for name, value in (
        ("answers", line.answers), ("refused_share", refused[0]), ("failed_share", failed[0]),
        ("cost_dollars", line.money.total), ("tokens", line.tokens),
        ("cached_share", line.cached), ("replayed", line.replayed),
        ("dollars_per_answer", line.per_answer),
    ):  # fmt: skip
        assert scraped[f"genai_{prefix}{name}{inside}"] == pytest.approx(float(value or 0)), name
    comma = f"{labels}," if labels else ""
    for name, share, value in (
        ("first_text", "0.5", line.ttft), ("between_tokens", "0.5", line.inter_token),
        ("first_text", "0.95", line.ttft_p95), ("between_tokens", "0.95", line.inter_token_p95),
        ("call" if prefix == "model_" else "question", "0.99", line.p99),
    ):  # fmt: skip
        key = f'genai_{prefix}{name}_seconds{{{comma}quantile="{share}"}}'
        assert scraped[key] == pytest.approx(value), name


def test_text_page_and_metrics_say_the_same(ledger: Ledger) -> None:
    found = monitor(ledger, days=30, now=NOW)
    text, metrics, html = markdown(found), prometheus(found), page(found)
    assert "200 questions, 0 thumbs up, 0 down" in text
    assert "| all | 200 | 176 | 10.0% (6.6% to 14.9%) | 2.0% (0.8% to 5.0%) | $2 | $0.01" in text
    assert " | 210,000 | 40.0% | 10 | " in text
    middle, high = found.whole.inter_token, found.whole.inter_token_p95
    assert f" | {middle:.3g} s / {high:.3g} s | 0 / 0 | 10 block, 40 redact |\n" in text
    assert f"| {' | '.join(HEADS)} |" in text
    models = text.partition("## models\n\n")[2].splitlines()[0]  # a retry is a call of its own
    assert models == f"| {' | '.join(('', 'calls', *HEADS[2:]))} |"
    assert html.partition("<h2>models</h2>")[2].index(">calls<") < 200
    for head in HEADS[1:]:
        assert f'<th scope="col">{head}</th>' in html
    scraped = samples(metrics)
    assert scraped["genai_questions"] == found.whole.calls
    same(scraped, "", "", found.whole)
    assert scraped['genai_not_answered{reason="no_evidence"}'] == 20
    assert scraped["genai_misdated_questions"] == 0
    for line in found.models:
        assert scraped[f'genai_model_calls{{model="{line.name}"}}'] == line.calls
        same(scraped, "model_", f'model="{line.name}"', line)
        for decision, count in line.verdicts.items():
            labels = f'model="{line.name}",decision="{decision}"'
            assert scraped[f"genai_model_verdicts{{{labels}}}"] == count
    for dimension in ("prompt_id", "index_revision", "config_hash", "feature", "tenant"):
        for line in found.groups[dimension]:
            labels = f'dimension="{dimension}",value="{line.name}"'
            assert scraped[f"genai_group_questions{{{labels}}}"] == line.calls
            same(scraped, "group_", labels, line)
    assert "| question | 160 | 150 | 0 | 10 |" in text
    assert scraped['genai_guarded_texts{place="question"}'] == 160
    assert scraped['genai_guard_decisions{place="answer",decision="redact"}'] == 40
    assert '<th scope="col">place</th>' in html
    assert "<b>mail</b>" not in html
    assert "&lt;b&gt;mail&lt;/b&gt;" in html
    assert "<script" not in html
    assert not re.search(r"src=|href=|url\(|@import|https?:", html)  # nothing is fetched
    assert "default-src 'none'" in html
    assert html.count("<svg") == 4


def test_a_hostile_name_breaks_no_table_and_no_sample(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    context = Context(feature='a"|\n| b <i>\\')
    ledger.record(
        Call("c" * 28, "chain", NOW, 1e9, "refusal", "m", context, reason="no\n\x1b[2J# y")
    )
    ledger.flush()
    found = monitor(ledger, now=NOW)
    assert markdown(found).endswith("\n- no  [2J# y: 1\n")
    rows = [line for line in markdown(found).splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {len(HEADS) + 1}
    assert any(line.startswith('| a"\\| \\| b <i>\\ | 1 |') for line in rows)
    named = 'genai_group_questions{dimension="feature",value="a\\"|\\n| b <i>\\\\"} 1\n'
    assert named in prometheus(found)
    assert "<i>" not in page(found)


def test_unknown_money_is_never_divided(ledger: Ledger) -> None:
    ledger.record(Call("x" * 28, "model", NOW, 0.1, "ok", "model-9", cost=UNKNOWN_COST))
    ledger.flush()
    found = monitor(ledger, days=30, now=NOW)
    assert found.whole.per_answer is None
    assert "at least $2" in str(found.whole.money)
    assert [line.per_answer is None for line in found.models] == [False, False, True]
    assert 'genai_model_cost_unknown_calls{model="model-9"} 1' in prometheus(found)
    assert "\ngenai_dollars_per_answer" not in prometheus(found)


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
    for words, said in (
        (
            ["--html", "/proc/none/m.html"],
            "/proc/none/m.html: cannot be written (No such file or directory); name another file",
        ),
        (["--where", "feature"], "--where feature: give NAME=VALUE, such as feature=chat"),
        (["--days", "0"], "days=0: a period has at least one day and at most 36,500"),
    ):
        assert main(["report", "monitor", *words]) == 64
        assert capsys.readouterr().err == f"genai: {said}\n"


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
    assert found.misdated == 2
    said = "2 questions are left out: a wrong clock dated them before 2020 or after today."
    assert said in markdown(found)
    assert said in page(found)
    assert "genai_misdated_questions 2\n" in prometheus(found)
