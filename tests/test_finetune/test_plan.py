"""A plan is measured and counted, held to the budget before a step of the run, and kept."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tuning
from training import demo_project, recipe_of

import genai
from genai.cli import main
from genai.errors import BudgetExceeded, InputError
from genai.evals import load_suite
from genai.finetune import load_recipe
from genai.finetune.calibrate import Shape, Times, flops, gib, plan_run
from genai.finetune.data import load_tokenizer, read_rows, render_all
from genai.finetune.hardware import look
from genai.finetune.job import build, prepare
from genai.finetune.plan import Plan, actual, hold, plan_path, read_plan, recipe_digest
from genai.project import Project

PLAN = Plan(
    name="quick-sft", recipe="0" * 12, machine="a processor", processes=1, rows=4000, steps=240,
    max_length=40, tokens=256_000, flops=7.8e11, parameters=506_368, trainable=506_368,
    step_seconds=0.2, cores=1.0, startup_seconds=6.0, eval_seconds=6.0, hours=0.0166, gib=1.03,
    cost=None, currency="USD", kwh=None,
    bands={"tokens": (255e3, 257e3), "flops": (7.7e11, 7.9e11), "hours": (0.0133, 0.02),
           "gib": (0.52, 1.55)},
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return demo_project(tmp_path_factory.mktemp("project"))


def test_a_plan_times_real_steps_and_leaves_nothing_behind(project: Project) -> None:
    budget = {"hourly_price": 2.0, "watts": 65.0}
    recipe = recipe_of("sft", budget=budget)
    found = plan_run(recipe, project)
    assert (found.rows, found.steps, found.max_length) == (4000, 200, 40)
    assert found.parameters == found.trainable == 506_368
    assert found.tokens == pytest.approx(200 * 32 * 33.4, rel=0.02)
    assert found.flops == 6 * 506_368 * found.tokens
    seconds = found.startup_seconds + 200 * found.step_seconds + found.eval_seconds
    assert found.hours == pytest.approx(seconds / 3600)
    assert found.step_seconds > 0
    assert set(found.bands) == {"tokens", "flops", "hours", "gib", "cost", "kwh"}
    for name, (low, high) in found.bands.items():
        assert low < getattr(found, name) < high, name
    assert found.bands["hours"][0] <= 0.8 * found.hours
    assert found.bands["hours"][1] >= 1.2 * found.hours
    assert found.bands["tokens"][1] < 1.02 * found.tokens  # 6,400 rows of much the same length
    assert found.bands["cost"] == pytest.approx([2 * each for each in found.bands["hours"]])
    for name in ("tokens", "FLOPs", "time", "memory", "money", "energy"):
        assert re.search(rf"^{name} .*\(.+ to .+\)", found.text(), re.M), name
    assert found.cost == pytest.approx(2 * found.hours)
    assert found.kwh == pytest.approx(0.065 * found.hours)
    left = sorted(each.name for each in (project.state / "finetune").iterdir())
    assert left == ["demo", "plans"]
    assert read_plan(recipe, project) == found
    assert read_plan(recipe_of("sft", max_length=64, budget=budget), project) is None


def test_a_plan_above_the_budget_ends_with_3_and_starts_no_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    path = project.root / "configs" / "small.yaml"
    text = (project.root / "configs" / "sft.yaml").read_text()
    path.write_text(text.replace("max_hours: 0.5", "max_hours: 0.0002"))
    recipe = load_recipe(path)
    kept = replace(PLAN, recipe=recipe_digest(recipe))
    plan_path(recipe, project).parent.mkdir(parents=True, exist_ok=True)
    plan_path(recipe, project).write_text(json.dumps(kept.as_dict()))
    assert main(["finetune", "plan", "small", "--json", str(tmp_path / "plan.json")]) == 3
    told = capsys.readouterr()
    assert "0.0166 hours, `budget.max_hours` is 0.0002" in told.err
    assert "money    unknown: set `budget.hourly_price`" in told.out
    assert (tmp_path / "plan.json").read_text() == json.dumps(kept.as_dict(), indent=1) + "\n"
    assert not (project.state / "finetune" / "runs").exists()


def test_a_run_above_its_budget_ends_with_3_before_its_start(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    text = (project.root / "configs" / "sft.yaml").read_text()
    path = project.root / "configs" / "dear.yaml"
    path.write_text(
        text.replace("max_hours: 0.5", "max_hours: 0.0001").replace("quick-sft", "dear")
    )
    assert main(["finetune", "run", "dear"]) == 3  # the plan is made on the way, and held
    assert "`budget.max_hours` is 0.0001" in capsys.readouterr().err
    assert plan_path(load_recipe(path), project).exists()
    assert not (project.state / "finetune" / "runs" / "dear").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_that_start_together_are_planned_by_one_on_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    scale = {"strategy": "ddp", "processes": 2}
    small = {"learning_rate": 0.001, "steps": 20, "batch": 4, "threads": 1}
    given = recipe_of("sft", name="both", scale=scale, training=small, budget={"max_hours": 1e-5})
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BudgetExceeded, match="both: the plan takes"):
        genai.train(given, checked=True)
    found = read_plan(given, project)
    assert found is not None
    assert (found.processes, found.steps) == (2, 20)
    assert found.tokens == pytest.approx(20 * 8 * 33.4, rel=0.1)
    assert found.bands["hours"][1] >= 2.4 * found.hours  # two may share what one had
    assert "each of 2 processes" in found.text()
    assert not (project.state / "finetune" / "runs" / "both").exists()


def test_actuals_stand_beside_the_plan(project: Project, tmp_path: Path) -> None:
    recipe = recipe_of("sft")
    elsewhere = Project(project.root, tmp_path / ".genai")
    assert actual(recipe, elsewhere) is None
    folder = elsewhere.state / "finetune" / "runs" / "quick-sft"
    folder.mkdir(parents=True)
    took = {"seconds": 70.0, "steps": 240, "tokens": 255_900, "gib": 1.21}
    (folder / "run.lock.json").write_text(json.dumps({"actual": took}))
    bands = {**PLAN.bands, "cost": (0.0266, 0.04), "kwh": (0.0008, 0.0012)}
    text = replace(PLAN, cost=0.0332, kwh=0.001, bands=bands).text(actual(recipe, elsewhere))
    assert "time     60 s (48 s to 72 s); actual 70 s, within the band" in text
    assert "actual 255,900, within the band" in text
    assert "memory   1.03 (0.52 to 1.55) GiB; actual 1.21, within the band" in text
    assert "money    0.0332 (0.0266 to 0.04) USD; actual 0.03889, within the band" in text
    assert "energy   0.001 (0.0008 to 0.0012) kWh; actual 0.001171, within the band" in text
    assert "actual" not in PLAN.text()
    text = PLAN.text({"seconds": 73.0, "steps": 240, "tokens": 254_999, "gib": None})
    assert "actual 73 s, above the band" in text
    assert "actual 254,999, below the band" in text
    assert "GiB; actual unknown" in text  # the system does not say
    assert "money    unknown: set `budget.hourly_price`" in text


def test_a_run_is_set_beside_its_plan_and_said_to_lie_in_its_bands_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    small = tuning.make_project(tmp_path)
    budget = {"hourly_price": 3.6, "watts": 50.0, "currency": "EUR"}
    given = tuning.recipe(budget=budget).model_dump(mode="json", exclude_unset=True)
    recipe = tmp_path / "configs" / "small.yaml"
    recipe.write_text(json.dumps(given))  # JSON is YAML
    for words in (["plan", "--json", "plan.json"], ["run", "--checked"]):
        monkeypatch.chdir(tmp_path)
        assert main(["finetune", words[0], str(recipe), *words[1:]]) == 0
    planned = json.loads((tmp_path / "plan.json").read_text())
    took = json.loads((small.state / "finetune/runs/small/run.lock.json").read_text())["actual"]
    capsys.readouterr()
    assert main(["finetune", "plan", str(recipe)]) == 0
    said = capsys.readouterr().out

    # 12 steps of 8 rows are each of the 24 rows four times
    tokenizer = load_tokenizer(str(tmp_path / "base"))
    rows = render_all(tokenizer, read_rows([tmp_path / "rows.jsonl"], "sft"), "completion")
    tokens = 4 * sum(len(form.ids) for forms in rows for form in forms)
    assert planned["tokens"] == took["tokens"] == tokens
    assert f"; actual {tokens:,}, within the band" in said
    assert "; actual 12" in said
    hours = took["seconds"] / 3600
    for line, name, value, shown in (
        ("time", "hours", hours, f"{took['seconds']:.0f} s"),
        ("memory", "gib", took["gib"], f"{took['gib']:.2f}"),
        ("money", "cost", hours * 3.6, f"{hours * 3.6:.4g}"),
        ("energy", "kwh", hours * 0.05, f"{hours * 0.05:.4g}"),
    ):
        low, high = planned["bands"][name]
        where = "below" if value < low else "above" if value > high else "within"
        wanted = rf"^{line} .*; actual {re.escape(shown)}, {where} the band$"
        assert re.search(wanted, said, re.M), (wanted, said)


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ({"max_hours": 0.016}, "0.0166 hours"),
        ({"max_gib": 1.0}, "1.03 GiB"),
        ({"max_cost": 1.0}, "no price is known"),
    ],
)
def test_each_limit_is_held(budget: dict[str, float], says: str) -> None:
    with pytest.raises(BudgetExceeded, match=says):
        hold(PLAN, recipe_of("sft", budget=budget))
    hold(PLAN, recipe_of("sft", budget={"max_hours": 0.017, "max_gib": 1.1}))


def test_money_is_held_in_its_currency() -> None:
    recipe = recipe_of("sft", budget={"max_cost": 1.0, "currency": "EUR", "hourly_price": 100})
    with pytest.raises(BudgetExceeded, match="1.66 EUR"):
        hold(replace(PLAN, cost=1.66), recipe)


def test_memory_and_arithmetic_follow_the_shape() -> None:
    eight = Shape(8 * 10**9, 8 * 10**9, 4096, 32, 128_256)
    small = Shape(8 * 10**9, 40 * 10**6, 4096, 32, 128_256)
    training = {"learning_rate": 1e-5, "steps": 10, "batch": 1, "precision": "bf16",
                "activation_checkpointing": True}  # fmt: skip
    full = recipe_of("sft", training=training)
    lora = recipe_of("dpo", training=training)
    qlora = recipe_of("dpo", training=training, tuning={"kind": "qlora"})
    activations = 1024 * 4096 * 32 * 2 / 2**30
    assert gib(full, eight, 1024, 1) == pytest.approx((128e9 / 2**30, activations, 1.0))
    assert gib(lora, small, 1024, 2) == pytest.approx((16.64e9 / 2**30, 2 * activations, 1.0))
    assert gib(qlora, small, 1024, 2)[0] < gib(lora, small, 1024, 2)[0] / 2
    bare = full.model_copy(
        update={"training": full.training.model_copy(update={"activation_checkpointing": False})}
    )
    assert gib(bare, eight, 1024, 1)[1] == pytest.approx(17 * activations)
    assert flops(bare, eight, 100) == 6 * 8e9 * 100
    assert flops(full, eight, 100) == 8 * 8e9 * 100
    assert flops(lora, small, 100) == (4 + 2 + 2) * 8e9 * 100  # checkpoints, and a reference
    reference = {"preference": {"precompute_reference": True}}
    assert flops(recipe_of("dpo", training=training, **reference), small, 100) == 6 * 8e9 * 100


def test_the_logits_that_orpo_holds_whole_are_in_its_plan() -> None:
    training = {"learning_rate": 1e-5, "steps": 10, "batch": 2, "precision": "bf16"}
    dpo, orpo = (recipe_of(method, training=training) for method in ("dpo", "orpo"))
    wide, none = (Shape(10**9, 10**6, 2048, 16, words) for words in (151_936, 0))
    whole = 2 * 2 * 1024 * 151_936 * 16 / 2**30  # two rows are four sequences
    assert gib(orpo, wide, 1024, 2)[1] - gib(orpo, none, 1024, 2)[1] == pytest.approx(whole)
    assert gib(dpo, wide, 1024, 2) == gib(dpo, none, 1024, 2)  # its head is computed in tiles


def test_a_full_preference_run_holds_its_reference_too() -> None:
    shape = Shape(10**9, 10**9, 8, 2, 320)
    training = {"learning_rate": 1e-5, "steps": 10, "precision": "fp32"}
    given: dict[str, Any] = {"training": training, "tuning": {"kind": "full"}}
    with_ = gib(recipe_of("dpo", **given), shape, 8, 2)[0]
    precomputed = recipe_of("dpo", **given, preference={"precompute_reference": True})
    assert with_ - gib(precomputed, shape, 8, 2)[0] == pytest.approx(4e9 / 2**30)


def test_the_machine_is_told_as_it_is() -> None:
    found = look()
    assert found.kind in ("cpu", "gpu")
    assert found.name
    assert found.cores >= 1
    assert found.gib is None or found.gib > 0.1


def test_one_step_is_too_few_to_be_timed(project: Project) -> None:
    recipe = recipe_of("sft", training={"learning_rate": 0.001, "steps": 1, "batch": 2})
    with pytest.raises(InputError, match="too few to be timed"):
        plan_run(recipe, project)


def test_dev_scores_during_the_run_are_in_the_plan(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Times((0.2,) * 5, 3.0, 1.0)
    monkeypatch.setattr("genai.finetune.calibrate.timed", lambda recipe, project: times)
    once = plan_run(recipe_of("sft"), project)
    home = ".genai/finetune/demo/quick"
    evals = {"suite": "finetune/demo/quick.yaml", "dev": f"{home}/dev.yaml"}
    four = plan_run(recipe_of("sft", evals={**evals, "every": 60}), project)
    few = plan_run(recipe_of("sft", evals={**evals, "limit": 50}), project)
    assert len(load_suite(project.root / home / "dev.yaml").cases) == 200
    assert four.eval_seconds == pytest.approx(4 * once.eval_seconds)
    assert few.eval_seconds == pytest.approx(once.eval_seconds / 4)
    # 200 steps of 32 rows are 1.6 times 4,000 rows
    training = {**recipe_of("sft").training.model_dump(), "steps": None, "epochs": 1.6}
    same = plan_run(recipe_of("sft", training=training, evals={**evals, "every": 60}), project)
    assert (same.steps, same.eval_seconds) == (four.steps, pytest.approx(four.eval_seconds))


def test_weights_in_4_bits_are_counted_as_what_they_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    import transformers

    class Params4bit(torch.nn.Parameter):
        """As bitsandbytes packs weights: two in a byte."""

    small = tuning.make_project(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path / "base")
    model = transformers.AutoModelForCausalLM.from_config(config)
    whole = sum(each.numel() for each in model.parameters())
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            packed = torch.zeros(layer.weight.numel() // 2, 1, dtype=torch.uint8)
            layer.weight = Params4bit(packed, requires_grad=False)
    model.is_loaded_in_4bit = True
    holds = SimpleNamespace(nn=SimpleNamespace(Params4bit=Params4bit))
    monkeypatch.setitem(sys.modules, "bitsandbytes", holds)
    load = transformers.AutoModelForCausalLM
    monkeypatch.setattr(load, "from_pretrained", lambda *_, **__: model)
    given = tuning.recipe(weights="pretrained")
    job = prepare(given, small, tmp_path)
    assert build(job)[1] == whole


def test_steps_that_vary_widely_plan_no_time_below_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Times((0.1, 0.1, 0.1, 0.1, 2.6), 3.0, 1.0)
    monkeypatch.setattr("genai.finetune.calibrate.timed", lambda recipe, project: times)
    found = plan_run(recipe_of("sft"), project)
    low, high = found.bands["hours"]
    assert 0 < low <= 0.8 * found.hours
    assert high == pytest.approx(13.5 * found.hours)
