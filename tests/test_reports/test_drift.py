"""Drift is found when planted, named with what changed, and rarely seen where nothing moved."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from indexes import starter
from servers import openai_server

import genai
from genai import stats
from genai.cli import main
from genai.errors import Unmeasured
from genai.ledger import Ledger, tables
from genai.project import init
from genai.reports.asked import asked
from genai.reports.drift import Period, compare, drift
from genai.reports.incidents.facts import read_facts
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus, Usage

DAY = 86_400
FIRST = 20_700


USUAL: dict[str, Any] = {
    "refuse": 0.08, "tokens": 6.0, "score": 0.6, "prompt": "p@1", "language": "en",
    "support": 0.8, "topic": 0.25, "index": "i1",
    "release": "r1",
}  # fmt: skip


def week(seed: int, days: range, *, count: int = 60, **changes: Any) -> Iterator[Call]:
    """Questions of some days. Days differ by themselves, as real ones do."""
    dice, given = random.Random(seed), {**USUAL, **changes}
    for day in days:
        mood = dice.lognormvariate(0, 0.15)
        for n in range(count):
            outcome = "refusal" if dice.random() < min(given["refuse"] * mood, 1) else "ok"
            usage = Usage(int(dice.lognormvariate(given["tokens"], 0.4)), 50, source="provider")
            tags = {
                "retrieval_score": given["score"] + dice.gauss(0, 0.1),
                "support": given["support"] + dice.gauss(0, 0.1),
                "language": given["language"] if dice.random() < 0.9 else "de",
                "topic": "billing" if dice.random() < given["topic"] else dice.choice("abc"),
            }
            yield Call(
                f"{seed:08x}{day:010x}{n:010x}", "chain", (FIRST + day) * DAY + n * 60.0,
                dice.lognormvariate(0, 0.3), outcome, "m",
                Context(prompt_id=given["prompt"], index_revision=given["index"],
                        release=given["release"]), usage,
                Cost(usage.input_tokens * Decimal("0.00001"), CostStatus.PRICED), tags=tags,
            )  # fmt: skip


def test_the_effect_sizes_are_those_of_the_worked_examples() -> None:
    assert stats.psi([0.25] * 4, [0.2, 0.2, 0.3, 0.3]) == pytest.approx(0.0405465, abs=1e-7)
    assert stats.psi([0.5, 0.3, 0.2], [0.4, 0.3, 0.3]) == pytest.approx(0.0628609, abs=1e-7)
    with pytest.raises(ValueError, match="no count"):
        stats.psi([0, 0], [1, 1])


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"refuse": 0.3}, "refusal share"),
        ({"tokens": 6.6}, "input_tokens"),
        ({"score": 0.45}, "retrieval_score"),
        ({"language": "fr"}, "language"),
        ({"support": 0.7}, "support"),
        ({"topic": 0.45}, "topic"),
    ],
)
def test_a_planted_shift_is_found_and_named(change: dict[str, Any], figure: str) -> None:
    before = list(week(1, range(28)))
    now = list(week(2, range(28, 35), prompt="p@2", index="i2", release="r2", **change))
    found = compare(before, now)
    moved = [each for each in found if each.drifted]
    assert moved[0].figure == figure
    assert {"prompt_id p@2", "index_revision i2", "release r2"} <= {*moved[0].causes}
    assert moved[0].effect > 0.05
    assert f"moved   {figure}" in moved[0].text()


def test_a_finding_says_what_it_costs() -> None:
    """Questions longer by a known factor at a known price; what has no price costs nothing."""
    before = list(week(1, range(28)))
    now = list(week(2, range(28, 35), tokens=6.6))
    by_name = {each.figure: each for each in compare(before, now)}
    true = sum(float(c.cost.amount or 0) for c in now)
    true -= len(now) * sum(float(c.cost.amount or 0) for c in before) / len(before)
    assert by_name["input_tokens"].dollars == pytest.approx(true, rel=0.2)
    assert f"${by_name['input_tokens'].dollars:.2f} by it" in by_name["input_tokens"].text()
    named = replace(by_name["input_tokens"], causes=("model a\nb", "release \x1b[2J"))
    assert named.text().endswith("; new since: model a b, release  [2J")
    assert abs(by_name["language"].dollars or 0) < 0.02 * true
    unpriced = [replace(call, cost=UNKNOWN_COST) for call in now]
    euros = [replace(call, cost=replace(call.cost, currency="EUR")) for call in now]
    for other in (unpriced, euros):
        assert all(each.dollars is None for each in compare(before, other))


def whole_rows(ledger: Ledger) -> None:
    """Ten days and a week after, in which what other rows say of the questions moves too."""
    dice, thumbs = random.Random(4), list[dict[str, Any]]()
    for call in (*week(1, range(10), count=30), *week(2, range(10, 17), count=30)):
        new = call.started_at >= (FIRST + 10) * DAY
        ledger.record(call)
        ledger.record(Call(
            f"m{call.id[1:]}", "model", call.started_at, 0.5, "ok", "m",
            replace(call.context, parent_id=call.id),
            response_model="m-2026-09" if new else "m-2026-08",
            finish_reason="length" if new and dice.random() < 0.4 else "stop",
        ))  # fmt: skip
        ledger.record(Call(
            f"e{call.id[1:]}", "eval", call.started_at + 60, 0.0, "ok", "recorded",
            Context(parent_id=call.id, run="r"), tags={
                "suite": "online", "case": "c", "judged": dice.random() - 0.4 * new},
        ))  # fmt: skip
        if dice.random() < (0.5 if new else 0.2):
            thumbs.append({"id": call.id, "call_id": call.id, "created_at": call.started_at + 9,
                           "value": dice.random() > (0.7 if new else 0.2)})  # fmt: skip
        ledger.record(Call(f"x{call.id[1:]}", "chain", call.started_at, 9.0, "error", "other",
                           Context(run="r")))  # fmt: skip
    ledger.flush()
    with ledger.database.begin() as db:  # given on those days
        db.execute(tables.feedback.insert(), thumbs)


def test_fingerprint_feedback_and_judges_are_read_from_their_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(tmp_path / ".genai" / "ledger.db")
    whole_rows(ledger)
    start = date.fromordinal(date(1970, 1, 1).toordinal() + FIRST)
    reference = Period(start, start + timedelta(days=9))
    current = Period(start + timedelta(days=10), start + timedelta(days=16))
    found = {each.figure: each for each in drift(ledger, reference, current)}
    moved = {name for name, each in found.items() if each.drifted}
    assert {"fingerprint", "finish reason", "thumbs", "thumbs down", "online judged"} <= moved
    assert found["thumbs down"].before == pytest.approx(0.2, abs=0.15)
    assert found["thumbs down"].now == pytest.approx(0.7, abs=0.15)
    assert "error share" not in found  # what eval runs ask is no question of a person
    assert "fingerprint m-2026-09" in found["fingerprint"].causes

    alerts = tmp_path / "configs" / "alerts.yaml"
    pinned = f"\nreference: {{first: {reference.first}, last: {reference.last}}}\n"
    alerts.write_text(alerts.read_text() + pinned)
    days = (datetime.now(UTC).date() - current.first).days + 1
    assert main(["report", "drift", "--days", str(days)]) == 1
    out = capsys.readouterr().out
    assert f"beside {reference.first} to {reference.last}" in out
    assert "new since: fingerprint m-2026-09" in out
    alerts.write_text(alerts.read_text().replace(str(reference.last), "2020-01-01"))
    assert main(["report", "drift"]) == 64
    assert "`reference`: 2026-09-04 to 2020-01-01" in capsys.readouterr().err


def test_false_findings_stay_at_the_stated_rate() -> None:
    """200 weeks in which nothing moved: few reports name anything at all."""
    alarms = 0
    for seed in range(200):
        days = [
            replace(call, cost=UNKNOWN_COST, tags={"retrieval_score": call.tags["retrieval_score"]})
            for call in week(seed + 100, range(18), count=30)
        ]
        before = [call for call in days if call.started_at < (FIRST + 12) * DAY]
        now = [call for call in days if call.started_at >= (FIRST + 12) * DAY]
        alarms += any(each.drifted for each in compare(before, now))
    assert alarms <= 0.05 * 200 + 3 * (200 * 0.05 * 0.95) ** 0.5


def test_the_ledger_is_enough_and_too_few_questions_say_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for call in (*week(1, range(10), count=30), *week(2, range(10, 17), count=30, refuse=0.5)):
        ledger.record(call)
    ledger.flush()
    start = date.fromordinal(date(1970, 1, 1).toordinal() + FIRST)
    reference = Period(start, date.fromordinal(start.toordinal() + 9))
    current = Period(
        date.fromordinal(start.toordinal() + 10), date.fromordinal(start.toordinal() + 16)
    )
    assert drift(ledger, reference, current)[0].figure == "refusal share"
    with pytest.raises(Unmeasured, match="30 questions; 200 are needed"):
        drift(ledger, Period(start, start), current)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--days", "0"], "--days 0: give 1 to 36,500"),
        (["--days", "999999999999"], "give 1 to 36,500"),
        (["--from", "2026-10-10", "--to", "2026-10-01"],
         "2026-10-10 to 2026-10-01: a period has at least one day"),
        (["--from", "2026-01-01", "--to", "2999-01-01"], "shares days with the current period"),
        (["--rate", "2"], "rate=2: the share of false findings lies between 0 and 1"),
    ],
)  # fmt: skip
def test_periods_that_cannot_be_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], said: str,
) -> None:  # fmt: skip
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "drift", *words]) == 64
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_an_empty_ledger_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "drift"]) == 4
    err = capsys.readouterr().err
    assert "0 questions; 200 are needed to say that something moved, take a longer period" in err
    assert err.count("\n") == 1
    ledger = Ledger(tmp_path / ".genai" / "ledger.db")
    ledger.record(Call("c" * 28, "chain", time.time() - 3 * DAY, 0.1, "ok", "m"))
    ledger.flush()
    assert main(["report", "drift", "--days", "1"]) == 4
    assert ": 1 questions; 200 are needed" in capsys.readouterr().err


def test_what_helps_with_an_answer_is_never_taken_for_what_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter(tmp_path, terms="The notice period is 30 days.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    said = {
        "writer": "The notice period is 30 days [1].",
        "rewriter": "How long is the notice period?",
        "judge": json.dumps({"verdicts": [{"number": 1, "reason": "it is", "verdict": True}]}),
    }
    talk = [{"role": "user", "content": "What is a notice period?"},
            {"role": "assistant", "content": "The time before an end."},
            {"role": "user", "content": "How long is it?"}]  # fmt: skip
    with openai_server(answer=lambda body: said[body["model"]]) as (url, _):
        genai.Index().sync(tmp_path / "docs")
        chain = genai.load(
            model=f"openai/writer@{url}", chain__judge=f"openai/judge@{url}",
            chain__rewrite=f"openai/rewriter@{url}",
        )  # fmt: skip
        began = time.time()
        answer = chain(talk)
    ledger = genai.open_ledger()
    rows = {row.response_model: row for row in ledger.children(answer.call_id)}
    assert set(said) <= set(rows)
    (row,) = ledger.calls(kind="chain")
    assert row.ttft == rows["writer"].ttft
    (question,) = asked(ledger, began, time.time())
    assert question.tags["fingerprint"] == "writer"
    days = int(began // DAY), int(time.time() // DAY)
    assert list(read_facts(ledger, *days, 1).labels["fingerprint"]) == ["writer"]


def test_an_answer_that_was_tried_again_has_the_first_token_of_the_call_that_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter(tmp_path, terms="The notice period is 30 days.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with openai_server(text="The notice period is 30 days [1].", status=500) as (url, server):
        genai.Index().sync(tmp_path / "docs")
        chain = genai.load(model=f"openai/writer@{url}")

        def mended(tries: int, asked: float | None) -> float:  # between the two attempts
            server.status = 200
            return 0.0

        monkeypatch.setattr("genai.models.attempts.pause", mended)
        answer = chain("How long is the notice period?")
    ledger = genai.open_ledger()
    failed, gave = sorted(
        (row for row in ledger.children(answer.call_id) if row.kind == "model"),
        key=lambda row: row.attempt,
    )
    (row,) = ledger.calls(kind="chain")
    assert (failed.outcome, failed.ttft, gave.outcome) == ("error", None, "ok")
    assert gave.ttft is not None
    assert (row.ttft, row.itl_mean) == (gave.ttft, gave.itl_mean)


def test_a_question_that_names_no_prompt_has_its_newest_call(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    at = FIRST * DAY + 60.0
    ledger.record(Call("c" * 28, "chain", at, 1.0, "ok", "own"))
    for n, prompt in enumerate(("", "tone@1")):
        context = Context(parent_id="c" * 28, prompt_id=prompt)
        call = Call(f"{n:028}", "model", at + n, 0.1, "ok", "m", context, response_model=f"m-{n}")
        ledger.record(call)
    (question,) = asked(ledger, at, at + 60)
    assert question.tags["fingerprint"] == "m-1"
    assert list(read_facts(ledger, FIRST, FIRST, 1).labels["fingerprint"]) == ["m-1"]


def test_one_day_cannot_be_exchanged() -> None:
    assert stats.day_permutation([[1, 2]], [[3, 4], [5, 6]]) == 1.0
    assert stats.histogram([1, 1, 2, 9], [2.0, 5.0]) == [2, 1, 1]
    assert stats.edges([1.0] * 50) == []
    assert stats.edges([0.0, 1.0, 1.0]) == [0.5]


def test_ordered_bins_see_a_small_shift_of_everything() -> None:
    """Each bin moves a little and all in one direction: only the cumulative shares show it."""
    dice = random.Random(5)

    def days(count: int, shift: float) -> list[list[float]]:
        edges = [n / 2 - 2 for n in range(9)]
        found = []
        for _ in range(count):
            values = [dice.gauss(shift, 1) for _ in range(60)]
            found.append([float(n) for n in stats.histogram(values, edges)])
        return found

    pairs = [(days(14, 0), days(7, 0.22)) for _ in range(20)]
    hits = [
        sum(stats.day_permutation(*pair, ordered=way) <= 0.01 for pair in pairs)
        for way in (False, True)
    ]
    assert hits[1] >= 12
    assert hits[1] > hits[0] + 3
    null = [stats.day_permutation(days(14, 0), days(7, 0), ordered=True) for _ in range(60)]
    assert sum(p <= 0.05 for p in null) <= 9
