"""Bases as the hub has them: several ends, templates by name, parts for images, the day's date."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import TEMPLATE, tiny_tokenizer
from training import asked, recipe_of, write_lines
from tuning import make_project, recipe

from genai.config import text_hash
from genai.errors import ConfigError, InputError
from genai.finetune.calibrate import Times, plan_run, shape_of
from genai.finetune.check import CheckReport, check_data
from genai.finetune.job import adapter_config, prepare
from genai.finetune.launch import serving_commands
from genai.finetune.lock import read_lock
from genai.finetune.train import run
from genai.models import open_model
from genai.models.engine import Engine
from genai.models.weights import template_digest
from genai.project import Project

TURN = "<|system|>"  # ends a turn where the tokenizer's own end is that of a text
OTHER_END = TEMPLATE.replace("+ eos_token }}{% endgen", f"+ '{TURN}' }}}}{{% endgen")

NO_THOUGHT = "'<think>\\n\\n</think>\\n\\n'"
THINKS = TEMPLATE.replace(
    "{{ m['content'] + eos_token }}{% endgen",
    "{{ " + NO_THOUGHT + " + m['content'] + eos_token }}{% endgen",
).replace(
    "{{ '<|assistant|>' }}{% endif %}",
    "{{ '<|assistant|>' }}{% if enable_thinking is defined and not enable_thinking %}{{ "
    + NO_THOUGHT
    + " }}{% endif %}{% endif %}",
)  # as those of Qwen 3 and SmolLM 3


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


def base_of(project: Project, template: str = TEMPLATE, ends: object = 2) -> Path:
    """Write a tokenizer as a base, with the tokens at which generation stops."""
    folder = project.root / "other"
    tiny_tokenizer(template).save_pretrained(folder)
    shutil.copy(project.root / "base" / "config.json", folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    return folder


def checked(project: Project, base: str) -> CheckReport:
    rows = [asked(f"which bird is number {n}", f"the {n}th one") for n in range(8)]
    write_lines(project.state / "rows.jsonl", rows)
    held = {"path": ".genai/rows.jsonl", "licence": "MIT", "source": "tests",
            "consent": "synthetic", "pii": "none"}  # fmt: skip
    evals = {"suite": "suite.yaml", "dev": "dev.yaml"}
    return check_data(recipe_of(data=[held], check={}, base=base, evals=evals), project)


def found(report: CheckReport) -> dict[str, str]:
    names = ("stop token", "end trained", "end lost", "template")
    return {name: report.finding(name).state for name in names}


PASSED = {"stop token": "pass", "end trained": "pass", "end lost": "pass", "template": "pass"}


def test_each_end_that_generation_knows_ends_a_turn(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = tiny_tokenizer().convert_tokens_to_ids(TURN)
    folder = base_of(project, OTHER_END, [2, turn])
    assert found(checked(project, str(folder))) == PASSED
    home = project.state / "hub" / "models--org--gemma"
    shutil.copytree(folder, home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(project.state / "hub"))
    assert found(checked(project, "org/gemma")) == PASSED
    base_of(project, OTHER_END, 2)  # it would answer on and on
    assert found(checked(project, str(folder))) == {**PASSED, "end trained": "fail"}
    base_of(project, OTHER_END, turn)
    report = checked(project, str(folder))
    assert found(report) == {**PASSED, "stop token": "fail"}
    assert f"stops at {turn}, the tokenizer ends with 2" in report.finding("stop token").message


def test_random_weights_stop_where_their_base_says(project: Project) -> None:
    path = project.root / "base" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [5, 2]}))
    model = prepare(recipe(), project, project.state).model
    assert model.generation_config.eos_token_id == [2, 5]


def test_a_template_that_writes_the_date_is_a_warning(project: Project) -> None:
    folder = base_of(project, "{{ strftime_now('%d %b %Y') }}" + TEMPLATE)
    report = checked(project, str(folder))
    assert found(report) == PASSED
    assert report.finding("date").state == "warn"
    assert "the template writes the day's date" in report.text()


def test_a_template_among_several_is_the_default_one(project: Project) -> None:
    folder = base_of(project)
    (folder / "chat_template.jinja").unlink()
    settings = folder / "tokenizer_config.json"
    named = [{"name": "default", "template": TEMPLATE},
             {"name": "tool_use", "template": "{{ tools }}" + TEMPLATE}]  # fmt: skip
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "chat_template": named}))
    assert found(checked(project, str(folder))) == PASSED
    assert template_digest(folder) == text_hash(TEMPLATE)
    outcome = run(recipe(base="other", training__steps=2, training__warmup_steps=0), project)
    assert read_lock(outcome.folder)["template"] == text_hash(TEMPLATE)
    assert open_model(f"local/{outcome.model}")("colour red fruit fig", max_tokens=4).usage
    settings.write_text(settings.read_text().replace('"default"', '"other"'))
    with pytest.raises(InputError, match="its tokenizer has no chat template"):
        checked(project, str(folder))


def test_a_base_that_takes_images_too_is_planned_by_its_texts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    folder = base_of(project)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    texts = {**size, "num_hidden_layers": 3, "num_key_value_heads": 1, "head_dim": 16,
             "vocab_size": 320, "max_position_embeddings": 500}  # fmt: skip
    images = {**size, "num_hidden_layers": 1, "image_size": 28, "patch_size": 14}
    config = transformers.Gemma3Config(text_config=texts, vision_config=images)
    config.save_pretrained(folder)
    times = Times((0.2,) * 5, 3.0, 1.0)
    monkeypatch.setattr("genai.finetune.calibrate.timed", lambda recipe, project: times)
    given = recipe(base="other")
    assert plan_run(given, project).parameters > 3 * 3 * 32 * 48
    own = transformers.AutoModelForCausalLM.from_config(config)
    assert Engine(own, tiny_tokenizer()).room == 500
    (folder / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(InputError, match=r"other: its config.json makes no model of texts \(Unrec"):
        plan_run(given, project)


def test_a_base_that_can_think_is_trained_and_asked_to_answer(project: Project) -> None:
    folder = base_of(project, THINKS)
    assert found(checked(project, str(folder))) == PASSED
    outcome = run(recipe(base="other", training__steps=40), project)
    assert outcome.score is not None
    assert outcome.score > 0.2  # its thoughts stood before each answer, and it scored 0
    assert "think" not in open_model(f"local/{outcome.model}")("colour red fruit fig").text
    commands = serving_commands(outcome.model, recipe())
    assert """kwargs '{"enable_thinking": false}'""" in commands["vllm"]
    assert "transformers" not in commands


@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize("modules", ["all-linear", "c_attn", ["attn.c_proj", "c_fc"]])
def test_the_layers_that_a_recipe_names_are_trained_and_counted(
    project: Project, kind: str, modules: object
) -> None:
    import transformers
    from peft import get_peft_model

    folder = base_of(project)
    config = transformers.GPT2Config(
        vocab_size=320, n_embd=16, n_layer=2, n_head=2, n_positions=64, eos_token_id=2
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    given = recipe(base="other", weights="pretrained",
                   tuning={"kind": kind, "rank": 8, "modules": modules})  # fmt: skip
    plain = prepare(given, project, project.state).model
    with pytest.warns(UserWarning, match="fan_in_fan_out"):  # it turns the matrices by itself
        model = get_peft_model(plain, adapter_config(given))
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    assert shape_of(given, str(folder)).trainable == trained > 0
    wrong = recipe(base="other", weights="pretrained",
                   tuning={"kind": kind, "rank": 8, "modules": ["c_attn", "q_proj"]})  # fmt: skip
    said = r"`tuning.modules`: 'q_proj' is no layer of the base; it has wte, wpe, ln_1, c_attn,"
    with pytest.raises(ConfigError, match=said):
        prepare(wrong, project, project.state)
