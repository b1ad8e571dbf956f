"""Use cases: the worked example, hard stops, ranges, bad files, plans before and figures after."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

import genai
from genai.cli import main
from genai.errors import ConfigError, InputError
from genai.governance.score import hard_stops, rank, ranking, score
from genai.governance.usecase import UseCase, business_inputs, load_usecase, load_usecases
from genai.project import Project, init
from genai.reports.business import load_business
from genai.types import Call, Cost, CostStatus
from genai.wiring.business import as_launched, planned_business

PLAIN: dict[str, Any] = {
    "id": "plain", "owner": "lead", "user": "agents", "decision": "what is quoted",
    "intended_purpose": "find a sentence",
    "today": {"volume_per_year": 12000, "minutes_per_task": 12, "wage_per_hour": 40,
              "cost_per_error": 25},
    "baseline": {"baseline": "search", "p_baseline": 0.55},
    "evidence": {"smoke_cases": 30, "n_success": 26},
    "failure_modes": [{"name": "wrong", "probability": 0.1, "source": "smoke", "cost": 25,
                       "detectability": 0.7, "reversibility": "reversible"}],
    "oversight": {"review_mode": "review_each", "t_review": 0.03},
    "law": {"compliance_cost_per_year": 5000},
    "money": {"currency": "USD", "c_run": 0.05, "build_cost": 30000, "run_fixed_per_year": 6000,
              "discount_rate": 0.1},
    "kill_criteria": [{"metric": "use", "threshold": ">= 40 %", "date": "2027-03-31"}],
}  # fmt: skip
GUESS = {
    "id": "idea", "owner": "lead", "user": "agents", "decision": "d", "intended_purpose": "p",
    "baseline": {"baseline": "search"},
    "guess": {"value": 4, "feasibility": 3, "data": 2, "risk": 3},
}  # fmt: skip


def case(**changes: Any) -> UseCase:
    return UseCase.model_validate({**PLAIN, **changes})


def within(section: str, **changes: Any) -> UseCase:
    return case(**{section: {**PLAIN[section], **changes}})


def test_the_worked_example() -> None:
    found = score(case())
    assert found.gate is not None
    assert found.point is not None
    assert found.gate.p == pytest.approx(0.7340, abs=5e-5)
    assert found.gate.task == pytest.approx(2.6265, abs=5e-5)
    assert found.gate.net == pytest.approx(20_517.67, abs=0.01)
    assert found.gate.npv == pytest.approx(21_024.41, abs=0.01)
    assert found.point.task == pytest.approx(4.6833, abs=5e-5)
    assert found.point.net == pytest.approx(45_200, abs=0.01)
    assert found.point.npv == pytest.approx(82_405.71, abs=0.01)


def test_the_range_has_only_the_success_share_in_it_where_nothing_else_is_open() -> None:
    found = score(case(), draws=100_000).spread
    assert found is not None
    assert found.positive == pytest.approx(0.983, abs=0.005)
    assert (found.p10, found.p50, found.p90) == pytest.approx((32_500, 75_200, 106_800), rel=0.02)
    assert [name for name, *_ in found.swings] == ["success"]
    assert score(case()).spread == score(case()).spread


def test_the_inputs_that_move_the_value_most_are_named() -> None:
    wide = within("today", minutes_per_task=[6, 12, 30], volume_per_year=[11_900, 12_000, 12_100])
    found = score(wide).spread
    assert found is not None
    assert [name for name, *_ in found.swings][:2] == ["minutes_per_task", "success"]
    assert all(low < high for _, low, high in found.swings)


@pytest.mark.parametrize(
    ("wins", "n", "bound"), [(26, 30, 0.7340), (24, 30, 0.6575), (30, 30, 0.9173), (15, 30, 0.3562)]
)
def test_the_gate_is_wilsons_lower_bound(wins: int, n: int, bound: float) -> None:
    found = score(case(evidence={"smoke_cases": n, "n_success": wins})).gate
    assert found is not None
    assert found.p == pytest.approx(bound, abs=5e-5)


IRREVERSIBLE = [{**PLAIN["failure_modes"][0], "reversibility": "irreversible"}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"law": {"class_interval": ["limited", "prohibited"]}}, "Article 5"),
        ({"law": {"automated_decision": True}}, "Article 22"),
        ({"owner": ""}, "nobody owns it"),
        ({"baseline": {"p_baseline": 0.5}}, "no baseline"),
        ({"failure_modes": IRREVERSIBLE}, "irreversible, and nobody approves"),
        ({"evidence": {"smoke_cases": 30, "n_success": 15}}, "no better than the baseline"),
    ],
)  # fmt: skip
def test_hard_stops(changes: dict[str, Any], said: str) -> None:
    found = score(case(**changes))
    assert found.word == "stop"
    assert len(found.stops) == 1
    assert said in found.stops[0]
    assert not hard_stops(case())
    approved = {"review_mode": "approve_each"}
    assert not hard_stops(case(failure_modes=IRREVERSIBLE, oversight=approved))
    assert not hard_stops(case(law={"automated_decision": True, "gateway": "contract"}))


def test_guesses_stand_apart_and_stopped_cases_last() -> None:
    idea = score(UseCase.model_validate(GUESS))
    assert idea.guess == pytest.approx((2 * 4 + 3 + 2) * (1 - 3 / 6))
    poor = score(within("money", build_cost=82_000))
    stopped = score(case(owner=""))
    figures, guesses = rank([idea, stopped, poor, score(case())])
    assert [each.word for each in figures] == ["go", "wait", "stop"]
    assert [each.word for each in guesses] == ["guess"]
    text = ranking([idea, poor])
    assert "guesses, not to be compared with the above" in text
    assert text.index("wait") < text.index("6.50 of 16.67")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"today": {**PLAIN["today"], "minutes_per_task": [12, 8, 20]}}, "low, likely, high"),
        ({"today": {**PLAIN["today"], "minutes_per_task": -1}}, "must not be negative"),
        ({"today": {**PLAIN["today"], "error_rate_now": 1.5}}, "is a share"),
        ({"evidence": {"smoke_cases": 10, "n_success": 11}}, "cannot be"),
        ({"money": None}, "`money` is missing"),
        ({"guess": GUESS["guess"]}, "not both"),
        ({"ownr": "x"}, "did you mean `owner`"),
        ({"id": "other"}, "give it the name of its file"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = tmp_path / "usecases" / "plain.yaml"
    path.parent.mkdir()
    data = {key: each for key, each in {**PLAIN, **changes}.items() if each is not None}
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=said) as caught:
        load_usecase(path)
    assert "usecases/plain.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no use case"):
        load_usecases(tmp_path)
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(PLAIN))
    with pytest.raises(InputError, match="did you mean `plain`"):
        load_usecases(tmp_path, ["plan"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return genai.find_project()


def test_the_command_ranks_and_feeds_the_business_case(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["usecase", "score"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("handbook: go")
    assert "P(NPV > 0)" in out
    chapter = (project.root / "docs" / "use-cases.md").read_text(encoding="utf-8")
    assert ("2.63 dollars" in chapter, "2.63 USD a task" in out) == (True, True)
    code = main(["report", "business", "--usecase", "handbook", "--draws", "500"])
    assert code in (0, 1)
    out = capsys.readouterr().out
    assert "find and quote the sentence" in out
    assert ("a likely loss there" in chapter, "net present value USD -" in out) == (True, True)
    folder = project.root / "configs" / "usecases"
    (folder / "plain.yaml").write_text(yaml.safe_dump({**PLAIN, "owner": ""}))
    assert main(["usecase", "score", "plain"]) == 1
    assert "nobody owns it" in capsys.readouterr().out


def test_a_use_case_gives_a_business_case_its_inputs(project: Project) -> None:
    said = business_inputs(case())
    assert said["volume"]["mode"] == 1000
    assert said["undetected"]["mode"] == pytest.approx(4 / 30 * 0.3)
    assert said["fixed"]["mode"] == pytest.approx(6_000 / 12)
    assert said["compliance"]["mode"] == pytest.approx(5_000 / 12)
    stated = load_business(project.root / "configs" / "business.yaml")
    held = stated.model_dump(mode="json", exclude_none=True)
    held["inputs"]["cost"] = {"measured": True}
    found = planned_business(type(stated).model_validate(held), "handbook", project)
    assert found.inputs["minutes"].mode == 12
    assert found.inputs["cost"].measured
    assert found.inputs["realisation"].mode == stated.inputs["realisation"].mode
    with pytest.raises(InputError, match="holds a guess"):
        business_inputs(UseCase.model_validate(GUESS))


def test_after_the_launch_the_ledger_replaces_the_plan(project: Project) -> None:
    launched = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400 * 2))
    planned = case(launched=launched)
    assert "holds no question yet" in as_launched(planned, project)[1][0]
    ledger = genai.open_ledger()
    for n in range(40):
        cost = Cost(Decimal("0.01"), CostStatus.PRICED)
        ledger.record(Call(f"c{n:027x}", "chain", time.time(), 0.1, "ok", "m", cost=cost))
        ledger.record(Call(f"m{n:027x}", "model", time.time(), 0.1, "ok", "m", cost=cost))
    found, lines = as_launched(planned, project)
    assert found.money is not None
    assert found.money.c_run == pytest.approx(0.01)
    assert any("c_run planned 0.05, measured 0.01 (n 40)" in line for line in lines)
    folder = project.root / "configs"
    (folder / "usecases" / "plain.yaml").write_text(yaml.safe_dump(planned.model_dump(mode="json")))
    stated = load_business(folder / "business.yaml")
    inputs = planned_business(stated, "plain", project).inputs
    assert [name for name, each in inputs.items() if each.measured] == [
        "volume", "cost", "escalated",
    ]  # fmt: skip
    euros = found.model_copy(update={"money": found.money.model_copy(update={"currency": "EUR"})})
    kept, lines = as_launched(euros, project)
    assert kept.money is not None
    assert kept.money.c_run == euros.money.c_run  # type: ignore[union-attr]
    assert any("`c_run` in EUR stays as planned" in line for line in lines)
