"""Incidents are found day by day, named by their cause and costed; quiet days stay quiet."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genai.cli import main
from genai.errors import Unmeasured
from genai.ledger import Ledger
from genai.reports.incidents import Incident, incidents, text
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus, Usage

DAY = 86_400
FIRST = 20_700


def month(
    seed: int = 1, *, bad_from: int = 99, bad: float = 0.3, dear_from: int = 99, days: int = 20,
    priced: bool = True, release_from: int = 99,
) -> Iterator[Call]:  # fmt: skip
    """Two features and two models; a new prompt that refuses, or a dearer model, from some day."""
    dice = random.Random(seed)
    for day in range(days):
        mood = dice.gauss(0, 0.1)
        for n in range(150):
            feature, model = dice.choice(["chat", "mail"]), dice.choice(["big", "small"])
            new = feature == "mail" and day >= bad_from
            refused = dice.random() < 0.06 * (1 + mood) + bad * new
            tokens = int(dice.lognormvariate(6.5, 0.3))
            price = {"big": 3e-6, "small": 4e-7}[model] * (
                1.5 if model == "small" and day >= dear_from else 1
            )
            cost = Cost(Decimal(str(round(tokens * price, 9))), CostStatus.PRICED)
            context = Context(
                prompt_id=f"{feature}@{2 if new else 1}", feature=feature,
                release="r2" if day >= release_from else "r1",
            )  # fmt: skip
            yield Call(
                f"{day:010x}{n:018x}", "chain", (FIRST + day) * DAY + n * 300.0,
                dice.lognormvariate(0.5, 0.4), "refusal" if refused else "ok", model, context,
                Usage(tokens, 100, source="provider"), cost if priced else UNKNOWN_COST,
            )  # fmt: skip


def found(tmp_path: Path, **changes: Any) -> list[Incident]:
    ledger = Ledger(tmp_path / "ledger.db")
    for call in month(**changes):
        ledger.record(call)
    ledger.flush()
    return incidents(ledger, FIRST, FIRST + 19)


def test_a_worse_prompt_is_named_and_its_lost_answers_are_counted(tmp_path: Path) -> None:
    (each,) = found(tmp_path, bad_from=13, release_from=12)
    assert each.cause == ("prompt_id", "mail@2")
    assert (each.first, each.last) == ("2026-09-17", "2026-09-23")
    assert each.moved[0].figure == "refusal share of mail"
    assert each.lost == pytest.approx(0.3 * 7 * 75, rel=0.25)
    assert each.money(7.0) == pytest.approx((each.dollars or 0) + each.lost * 7)
    assert "prompt_id mail@2; $" in text([each], per_lost=7.0)


def test_a_dearer_price_is_named_by_its_model(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for call in month(dear_from=14):
        ledger.record(replace(call, tags={"odd": math.inf}))  # which JSON does not know
    ledger.flush()
    (each,) = incidents(ledger, FIRST, FIRST + 19)
    assert each.cause == ("model", "small")
    assert each.dollars == pytest.approx(0.5 * 4e-7 * 700 * 6 * 75, rel=0.2)
    assert "dollars per 1,000 tokens" in text([each])
    lines = text([each]).splitlines()
    hostile = replace(each, cause=("model", "small\r\n\x1b[2J"))
    assert text([hostile]).splitlines() == [
        lines[0].replace("small", "small   [2J"), *lines[1:]
    ]  # fmt: skip


def test_quiet_months_stay_quiet(tmp_path: Path) -> None:
    alarms = [
        each
        for seed in range(8)
        for each in found(tmp_path / str(seed), seed=seed + 50, release_from=13)
    ]
    assert len(alarms) <= 3
    assert text([]).startswith("no incident")


def test_unknown_money_is_said_to_be_unknown(tmp_path: Path) -> None:
    (each,) = found(tmp_path, bad_from=13, priced=False)
    assert each.dollars is None
    assert each.money(7.0) is None
    assert "cost unknown" in text([each])
    ledger = Ledger(tmp_path / "euros" / "ledger.db")
    for call in month(bad_from=13):
        ledger.record(replace(call, cost=replace(call.cost, currency="EUR")))
    ledger.flush()
    (other,) = incidents(ledger, FIRST, FIRST + 19)
    assert (other.cause, other.dollars) == (each.cause, None)


def test_too_short_a_reference_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    with pytest.raises(Unmeasured, match="has 0 days with questions; 5 are needed"):
        incidents(ledger, FIRST, FIRST + 19)
    ledger.record(next(month()))
    ledger.flush()
    with pytest.raises(Unmeasured, match="has 1 days"):
        incidents(ledger, FIRST, FIRST + 19)


def test_a_clock_that_jumps_moves_no_other_day(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for call in month(bad_from=13):
        ledger.record(call)
    for n, at in enumerate((5.0, (FIRST + 5000) * DAY + 1.0)):  # 1970, and years ahead
        ledger.record(Call(f"f{n:027x}", "chain", at, 1.0, "error", "big"))
    ledger.flush()
    assert [each.cause for each in incidents(ledger, FIRST, FIRST + 19)] == [
        ("prompt_id", "mail@2")
    ]


def test_the_verb_prints_incidents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "incidents"]) == 4
    assert "5 are needed" in capsys.readouterr().err
    for words, said in (
        (["--from", "2026-10-10", "--to", "2026-10-01"], "needs a day of reference and a day"),
        (["--reference", "0"], "with 0 days of reference"),
        (["--reference", "40"], "with 40 days of reference"),
        (["--alarms", "-1"], "alarms=-1: the false findings accepted are more than 0"),
        (["--alarms", "nan"], "alarms=nan: the false findings accepted are more than 0"),
        (["--from", "2026-01-01", "--to", "9999-12-31"], "a period has at most 3,660 days"),
    ):
        assert main(["report", "incidents", *words]) == 64
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    for words, said in (
        (["--to", "0001-01-02"], "--to: '0001-01-02' is no day since 1970, such as 2026-11-30"),
        (["--from", "2026-11-99"], "--from: '2026-11-99' is no day since 1970"),
        (["--per-lost", "-1"], "--per-lost: '-1' is no number from 0 to 1,000,000"),
        (["--per-lost", "nan"], "--per-lost: 'nan' is no number from 0"),
    ):
        with pytest.raises(SystemExit, match="64"):
            main(["report", "incidents", *words])
        assert f"\ngenai: argument {said}" in capsys.readouterr().err
    ledger = Ledger(tmp_path / ".genai" / "ledger.db")
    for call in month(bad_from=13):
        ledger.record(call)
    ledger.flush()
    wanted = ["report", "incidents", "--from", "2026-09-04", "--to", "2026-09-23"]
    assert main([*wanted, "--per-lost", "7"]) == 1
    assert "2026-09-17 to 2026-09-23: prompt_id mail@2" in capsys.readouterr().out
    assert main([*wanted[:-1], "2026-09-16"]) == 0
    assert "no incident" in capsys.readouterr().out
