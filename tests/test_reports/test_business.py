"""The business case: worked examples to the cent, ranges, hosting bands, sheets that recompute."""

import itertools
import json
import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import formulas
import numpy as np
import pytest
from worked import DRAWN, SINGLE, UNSTATED, inputs, said_by, settings, stated

import genai
from genai.cli import main
from genai.errors import ConfigError
from genai.ledger import Ledger
from genai.project import init
from genai.reports.business import (
    Input,
    business_report,
    days_of,
    inputs_of,
    load_business,
    measured,
    stamp,
)
from genai.reports.business.draws import outlook
from genai.reports.business.formula import case_of, crossings, irr, payback
from genai.reports.business.inputs import Hosting
from genai.types import UNKNOWN_COST, Call, Cost, CostStatus


def test_the_worked_example_is_met_to_the_cent() -> None:
    case = case_of(settings(), SINGLE | UNSTATED)
    assert case.cash_cost_per_case == pytest.approx(0.617, abs=1e-9)
    assert case.benefit_per_case == pytest.approx(2.7526, abs=1e-9)
    assert (round(case.months[0].net, 2), round(case.months[4].net, 2)) == (2010.40, 46052.0)
    assert round(case.npv, 2) == 713929.64
    assert round(case.pv_benefits, 2) == 1334093.70
    assert round(case.pv_costs, 2) == 620164.05
    assert (case.roi, case.bcr) == pytest.approx((1.151195, 2.151195), abs=1e-6)
    assert case.payback == pytest.approx(6.2995, abs=1e-4)
    assert case.payback_discounted == pytest.approx(6.4502, abs=1e-4)
    assert case.irr == pytest.approx(0.172527, abs=1e-6)
    assert case.break_even_volume == pytest.approx(3269.64, abs=0.01)
    assert case.cost_per_success == pytest.approx(0.0552632, abs=1e-7)


@pytest.mark.parametrize(
    ("cost", "success", "per_success", "fallback"),
    [(0.0006, 0.55, 0.001091, 3.2406), (0.0047, 0.76, 0.006184, 1.7327),
     (0.031, 0.86, 0.036047, 1.0390)],
)  # fmt: skip
def test_the_cheapest_model_is_the_dearest_with_people_behind_it(
    cost: float, success: float, per_success: float, fallback: float
) -> None:
    case = case_of(settings(), SINGLE | UNSTATED | {"cost": cost, "success": success})
    assert case.cost_per_success == pytest.approx(per_success, abs=1e-6)
    assert case.cost_with_fallback == pytest.approx(fallback, abs=1e-4)


def test_the_distribution_is_that_of_the_closed_form() -> None:
    found = outlook(settings(), inputs(**DRAWN), draws=200_000)
    assert found.mean == pytest.approx(705_382, abs=3 * 366_400 / math.sqrt(200_000))
    assert found.sd == pytest.approx(366_400, rel=0.02)
    assert (found.p10, found.p50, found.p90) == pytest.approx(
        (260_300, 671_300, 1_197_300), rel=0.02
    )
    assert found.positive == pytest.approx(0.99, abs=0.002)
    assert found.cvar5 == pytest.approx(63_300, rel=0.08)
    usual = outlook(settings(), inputs(**DRAWN))
    assert usual.draws == 10_000
    assert usual.mean == pytest.approx(705_382, abs=11_000)
    assert (usual.p10, usual.p50, usual.p90) == pytest.approx(
        (260_300, 671_300, 1_197_300), rel=0.03
    )
    assert usual.cvar5 == pytest.approx(63_300, rel=0.08)


def test_a_dear_build_says_what_to_measure_first() -> None:
    dear = inputs(**DRAWN, build=Input("build", "fixed", 700_000))
    found = outlook(settings(), dear, draws=100_000)
    assert found.mean == pytest.approx(185_400, abs=5_000)
    assert found.positive == pytest.approx(0.667, abs=0.006)
    assert found.evpi == pytest.approx(65_800, rel=0.04)
    worth = {each.name: each.worth for each in found.swings}
    assert worth["minutes"] == pytest.approx(27_500, rel=0.08)
    assert worth["realisation"] == pytest.approx(27_500, rel=0.08)
    assert worth["cost"] < 500
    assert {each.name for each in found.swings[:2]} == {"minutes", "realisation"}
    assert sum(each.share for each in found.swings) == pytest.approx(1)


def test_own_gpus_are_cheaper_in_every_band_of_the_staircase() -> None:
    hosting = Hosting(
        tokens_per_second=1800, utilisation=0.6, peak_to_mean=3, tokens_per_request=400,
        per_hour=2.5, overhead=1500, api_per_request=0.001125,
    )  # fmt: skip
    bands = crossings(hosting, 12e6)
    assert [round(start) for start, _ in bands] == [4577778, 6200000, 7822222]
    assert [end for _, end in bands] == pytest.approx([4730400, 7095600, math.inf])
    dear = hosting.model_copy(update={"api_per_request": 0.00001})
    assert crossings(dear, 12e6) == []
    slow = hosting.model_copy(update={"tokens_per_second": 1e-6})  # no counting of its GPUs
    assert crossings(slow, 1e12) == []
    assert crossings(slow.model_copy(update={"api_per_request": 1e9}), 1e12)[-1][1] == math.inf


def test_users_are_resampled_as_they_stand() -> None:
    costs, successes = (1.2, 0.8, 3.0, 0.5, 2.0), (4, 3, 5, 1, 6)
    blocks = tuple(zip(costs, map(float, successes), strict=True))
    given = Input("cost", "blocks", 0.0, blocks=blocks)
    assert given.central == pytest.approx(0.394737, abs=1e-6)
    every = [
        sum(costs[n] for n in pick) / sum(successes[n] for n in pick)
        for pick in itertools.product(range(5), repeat=5)
    ]
    assert sum(every) / len(every) == pytest.approx(0.393723, abs=1e-6)
    import numpy as np

    assert np.quantile(every, [0.025, 0.975]) == pytest.approx([0.294737, 0.535], abs=1e-6)

    from genai.reports.business.draws import _quantiles

    drawn = _quantiles(np, None, given, np.zeros(100_000), np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(0.393723, abs=0.001)
    assert drawn.std() == pytest.approx(0.064707, abs=0.001)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([0.294737, 0.535], rel=0.01)


def test_ranges_and_shares_are_drawn_from_their_own_distributions() -> None:
    import numpy as np
    from scipy import special

    from genai.reports.business.draws import _quantiles

    ranks = (np.arange(100_000) + 0.5) / 100_000
    for given, mean, var, quantiles in (
        (Input("minutes", "pert", 8, 12, 20), 12.6667, 4.8889, (9.8363, 12.5098, 15.7335)),
        (Input("success", "beta", 190, 250), 0.757937, None, (0.722968, 0.758620, 0.792022)),
    ):
        drawn = _quantiles(np, special, given, ranks, None)
        assert drawn.mean() == pytest.approx(mean, rel=1e-5)
        assert var is None or drawn.var() == pytest.approx(var, rel=1e-4)
        assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx(quantiles, rel=1e-5)


def test_the_same_seed_gives_the_same_text_and_another_does_not() -> None:
    one, two = (business_report(settings(), inputs(**DRAWN)).json() for _ in "ab")
    assert one == two
    assert business_report(settings(), inputs(**DRAWN), seed=2).json() != one
    assert json.loads(one)["case"]["npv"] == pytest.approx(713929.64, abs=0.01)


def test_correlated_inputs_widen_the_range_and_contradictions_are_named() -> None:
    alone = outlook(settings(), inputs(**DRAWN), draws=20_000)
    together = settings(correlations={"minutes realisation": 0.8})
    assert outlook(together, inputs(**DRAWN), draws=20_000).sd > 1.1 * alone.sd
    for pair in ("minutes", "minutes minutes"):
        with pytest.raises(ConfigError, match="must be two inputs"):
            outlook(settings(correlations={pair: 0.5}), inputs(**DRAWN), draws=10)
    contrary = {"minutes realisation": 1, "minutes volume": 1, "realisation volume": -1}
    with pytest.raises(ConfigError, match="contradict each other"):
        outlook(settings(correlations=contrary), inputs(**DRAWN), draws=10)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": {k: v for k, v in stated().items() if k != "loss"}},
         "`inputs.loss` is missing (loss per undetected error)"),
        ({"inputs": stated(volum=said_by(value=1))}, "did you mean `volume`?"),
        ({"inputs": stated(minutes=said_by(low=20, mode=12, high=8))},
         "low <= mode <= high does not hold"),
        ({"inputs": stated(minutes=said_by(low=8, high=20))},
         "a range needs `low`, `mode` and `high`"),
        ({"inputs": stated(minutes={"value": 12})}, "needs `source` and `owner`"),
        ({"inputs": stated(escalated=said_by(value=22))},
         "`inputs.escalated` is a share: 22.0 is not in 0..1"),
        ({"inputs": stated(minutes=said_by(value=-12))},
         "`inputs.minutes` is handling time of a person for one case: -12.0 is below 0"),
        ({"inputs": stated(loss=said_by(low=-5, mode=20, high=30))}, "-5.0 is below 0"),
        ({"correlations": {"minutes wage": 1.5}}, "`correlations.minutes wage`"),
        ({"kill": [{"figure": "npv"}]}, "`npv` needs `min` or `max`: which line must it keep?"),
        ({"ramp": [2]}, "`ramp` holds shares"),
        ({"ramp": []}, "`ramp`: List should have at least 1 item"),
        ({"discont": 0.1}, "did you mean `discount`?"),
        ({"inputs": stated(minutes=said_by(value=math.nan))}, "`inputs.minutes.value`"),
    ],
)  # fmt: skip
def test_an_impossible_assumption_is_named(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    import yaml

    path = tmp_path / "configs" / "business.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"inputs": stated(), **changes}))
    with pytest.raises(ConfigError) as caught:
        load_business(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith("configs/business.yaml")


def test_what_cannot_be_drawn_or_judged_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "configs" / "business.yaml"
    for words in (["--draws", "0"], ["--seed", "-1"], ["--draws", "-5"]):
        assert main(["report", "business", *words]) == 64
        assert "draws are at least 1, a seed at least 0\n" in capsys.readouterr().err
        assert main(["usecase", "score", *words]) == 64
        assert "draws are at least 1, a seed at least 0\n" in capsys.readouterr().err
    assert main(["report", "business", "--draws", "1", "--folder", "out"]) == 0
    assert main(["report", "business", "--draws", "2", "--folder", "/proc/none"]) == 64
    assert "genai: /proc/none: cannot be written (" in capsys.readouterr().err
    shipped = path.read_text()
    for text, said in (
        (shipped.replace("figure: payback", "figure: paybak"), "did you mean `payback`?"),
        ("inputs: [", "is not valid YAML"),
        ("", "`inputs`"),
    ):
        path.write_text(text)
        assert main(["report", "business", "--draws", "50"]) == 64
        err = capsys.readouterr().err
        assert said in err
        assert err.startswith("genai: configs/business.yaml: ")
        assert err.count("\n") == 1
    path.unlink()
    assert main(["report", "business"]) == 64
    assert "is missing" in capsys.readouterr().err


def rows(ledger: Ledger, count: int, *, cost: str | None = "0.05", refused: int = 0) -> None:
    for n in range(count):
        money = UNKNOWN_COST if cost is None else Cost(Decimal(cost), CostStatus.PRICED)
        at = 1_790_000_000.0 + 86_400 * (n % 10)
        outcome = "refusal" if n < refused else "ok"
        ledger.record(Call(f"{n:028x}", "chain", at, 0.1, outcome, "m"))
        ledger.record(Call(f"{n + 10**6:028x}", "model", at, 0.1, "ok", "m", cost=money))
    ledger.flush()


def test_the_ledger_replaces_guesses_and_says_where_it_cannot(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    assert measured(ledger) == ({}, ["the ledger holds no question yet"])
    rows(ledger, 200, refused=30)
    found, warnings = measured(ledger)
    assert warnings == []
    assert found["cost"].central == pytest.approx(0.05)
    assert len(found["cost"].blocks) == 10
    assert (found["escalated"].central, found["escalated"].n) == (0.15, 200)
    assert found["volume"].central == pytest.approx(200 / 10 * 30.4)
    for n, at in enumerate((5.0, 1_790_000_000.0 + 86_400 * 5000)):  # 1970, and years ahead
        ledger.record(Call(f"f{n:027x}", "chain", at, 0.1, "ok", "m"))
    ledger.flush()
    again = measured(ledger)[0]
    assert again["volume"].central == found["volume"].central
    assert again["escalated"].central == found["escalated"].central
    assert again["volume"].source == "ledger, 10 days, 2 questions with a wrong date left out"
    wanted = settings(inputs=stated(cost={"measured": True}))
    assert inputs_of(wanted, found)["cost"].kind == "blocks"
    with pytest.raises(ConfigError, match="`inputs.cost` is marked as measured"):
        inputs_of(wanted, {})


def test_no_headline_where_money_or_cases_are_missing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    rows(ledger, 12, cost=None)
    found, warnings = measured(ledger)
    assert any("not known for sure" in each for each in warnings)
    assert any("12 questions are recorded; 30 are needed" in each for each in warnings)
    report = business_report(settings(), inputs(**DRAWN), draws=100, warnings=warnings)
    assert "NO HEADLINE" in report.text()
    assert "chance of a gain" not in report.text()


def test_one_call_and_another_currency_give_no_headline_or_say_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    rows(ledger, 1)
    found, warnings = measured(ledger)
    assert found["cost"].central == pytest.approx(0.05)
    assert warnings == ["1 questions are recorded; 30 are needed for a share"]
    euros = settings(inputs=stated(cost={"measured": True}), currency="EUR")
    with pytest.raises(ConfigError, match="`inputs.cost` is measured in USD and the case counts"):
        inputs_of(euros, found)


def test_calls_booked_in_another_currency_are_no_dollars_and_stop_the_headline(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    rows(ledger, 40)
    alone = measured(ledger)[0]["cost"].central
    [newest] = ledger.calls(limit=1)
    euros = Cost(Decimal(1000), CostStatus.PRICED, currency="EUR")
    for n in range(20):
        at = newest.started_at
        ledger.record(Call(f"e{n:027x}", "model", at, 0.1, "ok", "m", cost=euros))
    ledger.flush()
    found, warnings = measured(ledger)
    assert found["cost"].central == pytest.approx(alone)
    assert warnings == ["the cost of 33% of the calls is not known for sure"]


def test_money_of_days_without_a_question_is_paid_by_the_questions(tmp_path: Path) -> None:
    """A sync on days on which nobody asks, one of them priced by nobody."""
    ledger = Ledger(tmp_path / "ledger.db")
    rows(ledger, 40)
    before, pace = days_of(ledger), measured(ledger)[0]["volume"]
    for n, money in enumerate((Cost(Decimal(3), CostStatus.PRICED), UNKNOWN_COST)):
        at = 1_790_000_000.0 - 86_400 * (n + 1)
        ledger.record(Call(f"s{n:027x}", "embedding", at, 0.1, "ok", "m", cost=money))
    ledger.flush()
    days = days_of(ledger)
    found, warnings = measured(ledger, days=days)
    assert measured(ledger) == (found, warnings)
    assert found["cost"].central == pytest.approx((40 * 0.05 + 3) / 40)
    assert found["cost"].blocks[:2] == ((0.0, 0.0), (3.0, 0.0))
    assert found["volume"] == pace  # the pace is that of questions
    said = stamp(ledger, days)
    assert (said["coverage"], said["period"]) == ("97.6% of calls", "2026-09-19 to 2026-09-30")
    assert said["ledger"] != stamp(ledger, before)["ledger"]


def test_days_that_hold_no_question_are_never_drawn_alone() -> None:
    import numpy as np

    from genai.reports.business.draws import _quantiles

    given = Input("cost", "blocks", 0.0, blocks=((1.0, 10.0), (4.0, 0.0), (4.0, 0.0)))
    drawn = _quantiles(np, None, given, np.zeros(20_000), np.random.default_rng(1))
    # one, two or three days of three with questions: 12, 6 and 1 of 19 draws
    assert sorted({round(float(each), 6) for each in drawn}) == [0.1, 0.3, 0.9]
    assert drawn.mean() == pytest.approx((12 * 0.9 + 6 * 0.3 + 0.1) / 19, abs=0.01)


def test_an_input_can_be_set_and_a_wrong_one_is_named() -> None:
    report = genai.business_case({"minutes": 6}, draws=200)
    assert report.case.npv < genai.business_case(draws=200).case.npv - 400_000
    with pytest.raises(ConfigError, match="`minute` is not an input"):
        genai.business_case({"minute": 6})
    with pytest.raises(ConfigError, match="`escalated` is a share: 22 is not"):
        genai.business_case({"escalated": 22})
    with pytest.raises(ConfigError, match="-1 is below 0"):
        genai.business_case({"wage": -1})


def test_odd_flows_have_no_rate_and_no_payback() -> None:
    assert irr([100.0, 10.0]) is None
    assert payback([-100.0, 10.0, 10.0]) is None
    assert payback([-100.0, 150.0, -80.0, 40.0]) == pytest.approx(2.75)
    assert payback([0.0, 1.0]) == 0.0
    assert irr([-100.0, 110.0]) == pytest.approx(0.10, abs=1e-9)


@pytest.mark.parametrize("months", [161, 162, 240])
def test_a_case_of_many_years_has_the_rate_of_return_of_its_sheet(months: int) -> None:
    case = business_report(settings(months=months), inputs(), draws=100).case
    flows = np.array([[-SINGLE["build"], *(each.net for each in case.months)]]).T
    sheet = formulas.Parser().ast(f"=IRR(G2:G{months + 2},0.01)")[1].compile()
    assert case.irr == pytest.approx(float(sheet(flows)), abs=1e-9)


def test_the_shipped_assumptions_work_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = Path(genai.__file__).parent.parent / "configs" / "business.yaml"
    found = load_business(shipped)
    assert all(
        each.date is None or each.date <= date(2026, 12, 31) for each in found.inputs.values()
    )
    assert main(["report", "business", "--draws", "2000", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "chance of a gain 99%" in said
    assert "kill criterion payback at most 12: 6.3, kept" in said
    line = {"min": 0.9999, "by": date(2027, 3, 31)}
    strict = found.model_copy(update={"kill": [found.kill[0].model_copy(update=line)]})
    report = business_report(strict, inputs_of(strict, {}), draws=2000)
    assert report.kill[0][2] is False
    assert "kill criterion positive at least 0.9999 by 2027-03-31: 0.992, BROKEN" in report.text()
    assert "<td>positive at least 0.9999 by 2027-03-31</td>" in report.html()
    assert json.loads(report.json())["kill"][0]["by"] == "2027-03-31"


def test_a_price_that_falls_is_worth_something() -> None:
    base = case_of(settings(), SINGLE | UNSTATED)
    falling = case_of(settings(price_decline=0.5), SINGLE | UNSTATED)
    assert falling.npv > base.npv
    assert replace(falling, months=()).months == ()
