"""Bases as the hub has them: several ends, templates by name, parts for images, the day's date."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import TEMPLATE, tiny_tokenizer
from training import asked, recipe_of, write_lines
from tuning import make_project, recipe

from genai.finetune.check import CheckReport, check_data
from genai.finetune.job import prepare
from genai.project import Project

TURN = "<|system|>"  # ends a turn where the tokenizer's own end is that of a text
OTHER_END = TEMPLATE.replace("+ eos_token }}{% endgen", f"+ '{TURN}' }}}}{{% endgen")


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
