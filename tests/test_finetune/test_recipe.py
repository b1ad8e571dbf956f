"""A recipe is typed: every mistake is one line, and the machine settles what is left open."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from training import ROOT, recipe_of

from genai.errors import ConfigError
from genai.finetune import Recipe, base_of, find_recipe, load_recipe, located
from genai.finetune.demo import recipe as demo_recipe
from genai.finetune.hardware import Hardware, costly
from genai.finetune.schema import recipe_schema
from genai.project import Project
from genai.prompts.schema import misfit

CPU = Hardware("cpu", "a processor", 1, 2, 8.0, False, False, False, True)
GPU = Hardware("gpu", "a card", 1, 16, 80.0, True, True, True, True)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_the_shipped_recipes_are_those_of_the_quick_demo(method: str) -> None:
    shipped = load_recipe(ROOT / "configs" / f"{method}.yaml")
    assert shipped == Recipe.model_validate(demo_recipe("quick", method))


@pytest.mark.parametrize(
    ("line", "key", "cure"),
    [
        ("max_seq_length: 512", "max_seq_length", "max_length"),
        ("gradient_checkpointing: true", "gradient_checkpointing", "activation_checkpointing"),
        ("rpo_alpha: 1", "rpo_alpha", "preference.losses"),
        ("maks: all", "maks", "mask"),
        ("training: {learning_rte: 0.1, steps: 1}", "learning_rte", "learning_rate"),
        ("training: {learning_rate: 0.1, max_steps: 1}", "max_steps", "training.steps"),
        ("preference: {beta: 0.1}", "preference", "does nothing for `sft`; take it out"),
    ],
)
def test_a_wrong_key_is_one_line_with_its_cure(
    tmp_path: Path, line: str, key: str, cure: str
) -> None:
    path = tmp_path / "configs" / "sft.yaml"
    path.parent.mkdir()
    shipped = yaml.safe_load((ROOT / "configs" / "sft.yaml").read_text())
    path.write_text(yaml.safe_dump({**shipped, **yaml.safe_load(line)}))
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("configs/sft.yaml: ")
    assert f"`{key}`" in message
    assert cure in message


def test_reading_a_recipe_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom genai.finetune import load_recipe\n"
        "load_recipe(Path('configs/sft.yaml'))\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'datasets', 'numpy', 'tokenizers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mask": None}, "mask"),
        ({"tuning": {"kind": "lora"}}, "random weights learns nothing"),
        ({"weights": "pretrained", "tuning": {"kind": "lora", "rank": 12}}, "vLLM"),
        ({"weights": "pretrained", "tuning": {"kind": "lora", "modules": ["lm_head"]}}, "lm_head"),
        ({"training": {"learning_rate": 0.1, "steps": 5, "epochs": 1}}, "exactly one"),
        ({"training": {"learning_rate": 0.1, "steps": 5, "warmup_steps": 5}}, "warmup_steps"),
        ({"scale": {"strategy": "ddp"}}, "`single` is one process"),
        ({"preference": {"losses": {"exo_pair": 1}}}, "label_smoothing"),
        ({"preference": {"losses": {"sigmoyd": 1}}}, "sigmoyd"),
        ({"max_length": 4}, "at least 8"),
        ({"evals": {"suite": "a.yaml", "dev": "a.yaml"}}, "cannot be the `suite` that gates"),
        ({"data": []}, "data"),
    ],
)
def test_what_cannot_work_is_refused_when_read(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        recipe_of("sft", **changes)


def test_a_method_that_compares_needs_a_trained_base_its_mask_and_two_rows() -> None:
    with pytest.raises(ConfigError, match="run `sft` first"):
        recipe_of("dpo", weights="random", tuning={"kind": "full"})
    with pytest.raises(ConfigError, match="mask: completion"):
        recipe_of("dpo", mask="all")
    with pytest.raises(ConfigError, match="batch` of 2"):
        recipe_of("kto", training={"learning_rate": 0.1, "steps": 5, "batch": 1})


def test_a_cpu_trains_in_fp32_and_a_gpu_in_bf16_with_packing() -> None:
    open_ = recipe_of("sft")
    cpu = open_.settled(CPU, max_length=48, parameters=10**6)
    assert cpu.max_length == 48
    assert cpu.training.precision == "fp32"
    assert cpu.training.activation_checkpointing is False
    assert cpu.training.packing is False
    assert cpu.training.engine == "trl"
    gpu = open_.settled(GPU, max_length=48, parameters=8 * 10**9)
    assert gpu.training.precision == "bf16"
    assert gpu.training.activation_checkpointing is True
    assert gpu.training.packing is True
    small = open_.settled(GPU, max_length=48, parameters=10**8)
    assert small.training.activation_checkpointing is False
    assert "auto" not in str(gpu.model_dump())


def test_what_is_given_is_never_overruled() -> None:
    given = {"learning_rate": 0.1, "steps": 5, "precision": "bf16", "packing": False}
    found = recipe_of("sft", training=given, max_length=64).settled(
        CPU, max_length=48, parameters=1
    )
    assert (found.training.precision, found.training.packing) == ("bf16", False)
    assert found.max_length == 64


def test_the_machine_chooses_the_adapter_where_it_is_left_open() -> None:
    bare = replace(GPU, bitsandbytes=False)
    adapter = recipe_of("dpo", tuning={})
    kinds = [adapter.settled(each, max_length=8, parameters=1).tuning.kind
             for each in (CPU, bare, GPU)]  # fmt: skip
    assert kinds == ["lora", "lora", "qlora"]
    assert recipe_of("sft", tuning={"kind": "auto"}).fitted(GPU).tuning.kind == "full"  # random
    with pytest.raises(ConfigError, match="lacks bitsandbytes; run: pip install bitsandbytes"):
        recipe_of("dpo", tuning={"kind": "qlora"}).fitted(bare)


def test_what_is_dear_on_a_processor_is_told_when_it_is_forced() -> None:
    for given in (("auto", "auto"), ("fp32", False)):
        assert costly(CPU, *given) == []
    found = costly(CPU, "bf16", True)
    assert "`training.precision: bf16` on a CPU" in found[0]
    assert "7.8 times" in found[0]
    assert "`training.activation_checkpointing: true` on a CPU" in found[1]
    assert costly(GPU, "bf16", True) == []


def test_the_schema_that_editors_read_is_that_of_recipes() -> None:
    schema = json.loads((ROOT / "configs" / "schema" / "recipe.json").read_text())
    assert schema == recipe_schema()  # else: python -m genai.finetune.schema configs/schema
    for method in ("sft", "dpo"):
        text = (ROOT / "configs" / f"{method}.yaml").read_text()
        assert text.startswith("# yaml-language-server: $schema=schema/recipe.json\n")
        given = yaml.safe_load(text)
        assert misfit(schema, given) == ""
        assert misfit(schema, {**given, "maks": "all"}) == "the top breaks `additionalProperties`"
        given["tuning"] = {"kind": "loro"}
        assert misfit(schema, given) == "tuning.kind breaks `enum`"


def test_what_the_machine_cannot_do_is_refused() -> None:
    small = recipe_of("dpo", tuning={"kind": "qlora"})
    with pytest.raises(ConfigError, match="needs a GPU and bitsandbytes; .* lacks a GPU"):
        small.settled(CPU, max_length=8, parameters=1)
    packed = {"learning_rate": 0.1, "steps": 5, "packing": True}
    with pytest.raises(ConfigError, match="flash attention"):
        recipe_of("sft", training=packed).settled(CPU, max_length=8, parameters=1)


def test_steps_follow_from_epochs_rows_and_processes() -> None:
    training = {"learning_rate": 0.1, "epochs": 2, "batch": 4, "accumulation": 2}
    scale = {"strategy": "ddp", "processes": 2, "nodes": 2}
    found = recipe_of("sft", training=training, scale=scale)
    assert (found.world_size, found.rows_per_step) == (4, 32)
    assert found.steps_for(100) == 8


def test_paths_are_of_the_project_or_its_state(tmp_path: Path) -> None:
    project = Project(tmp_path / "content", tmp_path / "elsewhere" / ".genai")
    assert located(project, ".genai/finetune/x") == project.state / "finetune" / "x"
    assert located(project, "configs/sft.yaml") == project.root / "configs" / "sft.yaml"
    assert located(project, "/data/rows.jsonl") == Path("/data/rows.jsonl")
    assert find_recipe(Project(ROOT, ROOT / ".genai"), "dpo") == ROOT / "configs" / "dpo.yaml"


def test_a_base_is_a_folder_or_an_id(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path / ".genai")
    with pytest.raises(ConfigError, match="is no folder; run the recipe that makes it"):
        base_of(recipe_of("sft", base=".genai/finetune/runs/none/model"), project)
    with pytest.raises(ConfigError, match="is no folder; write it: `genai finetune data demo quic"):
        base_of(recipe_of("sft", base=".genai/finetune/demo/quick/base"), project)
    assert base_of(recipe_of("sft", base="org/model"), project) == "org/model"
    (tmp_path / ".genai" / "mine").mkdir(parents=True)
    assert base_of(recipe_of("sft", base=".genai/mine"), project) == str(tmp_path / ".genai/mine")


def test_a_recipe_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match="must be a mapping"):
        load_recipe(tmp_path / "list.yaml")
