"""The demo task: always the same sets, no message twice, and a base of the size that is claimed."""

import json
from pathlib import Path

import pytest
from training import ROOT, demo_project, recipe_of

from genai.errors import InputError
from genai.evals import Case, load_suite
from genai.evals.trial import Trial
from genai.finetune import load_recipe
from genai.finetune.calibrate import shape_of
from genai.finetune.data import load_tokenizer, read_rows, render
from genai.finetune.demo import PRESETS, Generator, city, write_demo
from genai.finetune.demo import recipe as demo_recipe
from genai.finetune.demo.files import write_suite
from genai.finetune.recipe import Recipe
from genai.project import Project


@pytest.mark.parametrize("preset", PRESETS)
def test_the_frozen_test_set_is_what_the_generator_gives(preset: str, tmp_path: Path) -> None:
    made = Generator(preset)
    write_suite(made.preset, "test", made.test, tmp_path / f"{preset}.yaml")
    for suffix in ("yaml", "jsonl"):
        frozen = ROOT / "finetune" / "demo" / f"{preset}.{suffix}"
        assert (tmp_path / f"{preset}.{suffix}").read_bytes() == frozen.read_bytes()


@pytest.mark.parametrize(
    ("preset", "sizes", "present"),
    [("quick", (200, 200, 4000, 600), 96), ("support", (400, 400, 12000, 1500), 278)],
)
def test_the_sets_have_the_sizes_told_and_share_no_message(
    preset: str, sizes: tuple[int, ...], present: int
) -> None:
    made = Generator(preset)
    sft, pairs = made.sft(), made.pairs()
    assert (len(made.test), len(made.dev), len(sft), len(pairs)) == sizes
    messages = [each.message for each in (*made.test, *made.dev)]
    messages += [row.prompt[0].content for row in (*sft, *pairs)]
    assert len(set(messages)) == len(messages)
    there = [each for each in made.test if each.values[made.preset.field] is not None]
    assert len(there) == present


def test_three_in_five_sft_answers_invent_what_is_not_stated_and_no_pair_does() -> None:
    made = Generator("support")
    rows = [row for row in made.sft() if not any(c.isdigit() for c in row.prompt[0].content)]
    invented = [row for row in rows if json.loads(row.answers[0])["order"] is not None]
    assert 0.27 < len(rows) / 12_000 < 0.33
    assert 0.57 < len(invented) / len(rows) < 0.63
    absent = 0
    for row in made.pairs():
        stated = [word for word in row.prompt[0].content.split() if word.isdigit()]
        chosen, rejected = json.loads(row.chosen), json.loads(row.rejected)
        assert chosen["order"] == (stated[0] if stated else None)
        assert rejected["order"] != chosen["order"]
        assert {**rejected, "order": 0} == {**chosen, "order": 0}
        absent += not stated
    assert absent == 750


@pytest.mark.parametrize(
    ("preset", "parameters", "longest"), [("quick", 506_368, 40), ("support", 935_040, 64)]
)
def test_the_base_is_tiny_and_its_tokenizer_ends_turns(
    preset: str, parameters: int, longest: int, tmp_path: Path
) -> None:
    folder = tmp_path / "finetune" / "demo"
    folder.mkdir(parents=True)
    (folder / f"{preset}.yaml").write_text("suite: x\n")
    home = write_demo(preset, Project(tmp_path, tmp_path / ".genai"))
    base = str(home / "base")
    assert shape_of(recipe_of("sft"), base).parameters == parameters
    lora = Recipe.model_validate(demo_recipe(preset, "dpo"))
    assert shape_of(lora, base).trainable == {"quick": 81_920, "support": 163_840}[preset]
    tokenizer = load_tokenizer(base)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4, 5]) == [
        "<pad>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
    ]  # fmt: skip
    rows = read_rows([home / "sft.jsonl"], "sft")
    found = [render(tokenizer, row)[0] for row in rows[:200]]
    assert max(len(each.ids) for each in found) <= longest
    assert all(each.ids[-1] == 2 and each.prefix for each in found)
    assert tokenizer.tokenize("1234") == ["1", "2", "3", "4"]


def test_the_demo_is_written_alike_twice_and_its_recipes_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = demo_project(tmp_path / "a"), demo_project(tmp_path / "b")
    names = sorted(p.relative_to(one.state) for p in one.state.rglob("*") if p.is_file())
    assert len(names) == 11
    for name in names:
        assert (one.state / name).read_bytes() == (two.state / name).read_bytes(), name
    for method in ("sft", "dpo"):
        written = load_recipe(one.state / "finetune" / "demo" / "quick" / f"{method}.yaml")
        assert written == Recipe.model_validate(demo_recipe("quick", method))
    dev = load_suite(one.state / "finetune" / "demo" / "quick" / "dev.yaml")
    test = load_suite(one.root / "finetune" / "demo" / "quick.yaml")
    assert not {case.input for case in dev.cases} & {case.input for case in test.cases}


def test_an_unknown_preset_and_a_missing_test_set_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'big' is no demo; use quick or support"):
        Generator("big")
    with pytest.raises(InputError, match="quick.yaml: the frozen test set is missing"):
        write_demo("quick", Project(tmp_path, tmp_path / ".genai"))


@pytest.mark.parametrize(
    ("said", "right"),
    [('{"city":"rome"}', True), ('{"city":"oslo"}', False), ("rome", False), ("[]", False)],
)
def test_the_city_is_a_slice_of_its_own(said: str, right: bool) -> None:
    case = Case(id="a", input="x", expected='{"city":"rome"}')
    assert city(Trial(unit="a.0", case_id="a", text=said, case=case)) is right
