"""The run lock: what a run is made from, and that it can be made again."""

import json
import re
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from tuning import make_project, recipe

from genai.errors import InputError
from genai.finetune.lock import read_lock
from genai.finetune.train import Options, Outcome, run
from genai.finetune.verify import verify
from genai.project import Project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    project = make_project(tmp_path_factory.mktemp("project"))
    return project, run(recipe(), project, Options(plan={"hours": 0.01}))


def copied(made: tuple[Project, Outcome], folder: Path) -> tuple[Project, Path]:
    shutil.copytree(made[0].root, folder, dirs_exist_ok=True)
    return Project(folder, folder / ".genai"), folder / ".genai/finetune/runs/small"


def test_the_lock_holds_all_that_the_run_depended_on(made: tuple[Project, Outcome]) -> None:
    held = read_lock(made[1].folder)
    assert held["recipe"]["max_length"] == 48  # settled, not `auto`
    assert held["recipe"]["training"]["precision"] == "fp32"
    assert held["engine"] == "trl"
    assert len(held["data"]["rows.jsonl"]["sha256"]) == len(held["template"]) == 64
    assert held["rows"]["count"] == 24
    assert held["base"]["weights"].startswith("random:")
    assert {"torch", "trl", "transformers", "peft"} <= set(
        filter(held["packages"].get, _names(held))
    )
    assert held["machine"]["threads"] == 1
    assert held["weights"] == made[1].weights
    assert set(held["weights_at"]) == {"3", "6", "9", "12"}
    assert held["plan"] == {"hours": 0.01}
    took = {name: getattr(made[1], name) for name in ("seconds", "steps", "tokens", "gib")}
    assert held["actual"] == took
    assert took["steps"] == 12
    assert 0.2 < took["gib"] < 20  # the process held torch and trl, whatever ran in it before


def _names(held: dict) -> list[str]:
    return list(held["packages"])


def test_words_and_limits_of_a_recipe_are_changed_without_training_anew(
    made: tuple[Project, Outcome], tmp_path: Path
) -> None:
    project, _ = copied(made, tmp_path)
    again = run(recipe(card__contact="somebody", budget={"max_hours": 9}), project)
    assert (again.weights, again.score) == (made[1].weights, made[1].score)
    held = read_lock(again.folder)
    assert held["recipe"]["card"]["contact"] == "somebody"
    assert (again.steps, held["actual"]["steps"]) == (12, 12)


@pytest.mark.parametrize("steps", [None, 9])
def test_a_run_is_made_again_to_the_bit(made: tuple[Project, Outcome], steps: int | None) -> None:
    found = verify(made[1].folder, made[0], steps)
    assert found.ok
    assert found.same is True
    assert found.steps == (steps or 3)
    assert not list(made[1].folder.glob("verify-*"))


def test_weights_that_do_not_come_out_again_are_said(
    made: tuple[Project, Outcome], tmp_path: Path
) -> None:
    project, folder = copied(made, tmp_path)
    held = read_lock(folder)
    held["weights_at"]["3"] = "0" * 64
    (folder / "run.lock.json").write_text(json.dumps(held))
    found = verify(folder, project)
    assert not found.ok
    assert found.same is False
    assert "are not those of the run" in found.words


def test_another_machine_is_held_to_the_losses(
    made: tuple[Project, Outcome], tmp_path: Path
) -> None:
    project, folder = copied(made, tmp_path)
    held = read_lock(folder)
    held["weights_at"]["3"] = "0" * 64
    held["machine"]["name"] = "another processor"
    (folder / "run.lock.json").write_text(json.dumps(held))
    found = verify(folder, project)
    assert found.ok
    assert found.same is None
    assert "not bit-comparable" in found.words
    held["losses"] = {step: loss * 1.01 for step, loss in held["losses"].items()}
    (folder / "run.lock.json").write_text(json.dumps(held))
    assert not verify(folder, project).ok


def test_a_gpu_is_held_to_the_losses(
    made: tuple[Project, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, folder = copied(made, tmp_path)
    held = read_lock(folder)
    held["weights_at"]["3"] = "0" * 64
    held["machine"]["kind"] = "gpu"
    monkeypatch.setattr("genai.finetune.lock._machine", lambda job: held["machine"])
    (folder / "run.lock.json").write_text(json.dumps(held))
    found = verify(folder, project)
    assert (found.ok, found.same) == (True, None)
    assert found.words.startswith("a GPU, so not bit-comparable")
    held["losses"] = {step: loss * 1.01 for step, loss in held["losses"].items()}
    (folder / "run.lock.json").write_text(json.dumps(held))
    assert not verify(folder, project).ok


def test_a_template_that_writes_the_date_is_named_on_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Day(datetime):
        today = 3

        @classmethod
        def now(cls, tz: object = None) -> "Day":
            return cls(2026, 11, cls.today)

    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Day)
    project = make_project(tmp_path / "project")
    path = project.root / "base" / "chat_template.jinja"
    path.write_text("{{ strftime_now('%d %b') }}" + path.read_text())
    given = recipe(training__steps=4)
    folder = run(given, project, Options(score=False)).folder
    assert verify(folder, project).same is True
    Day.today = 4
    with pytest.raises(InputError, match="small: tokens has changed since the run"):
        verify(folder, project)
    with pytest.raises(InputError, match="small: an earlier run of this name had other tokens"):
        run(given, project, Options(score=False))


@pytest.mark.parametrize("what", ["rows.jsonl", "template", "tokenizer"])
def test_what_has_changed_since_is_named(
    made: tuple[Project, Outcome], tmp_path: Path, what: str
) -> None:
    project, folder = copied(made, tmp_path)
    if what == "rows.jsonl":
        path = project.root / "rows.jsonl"
        path.write_text(path.read_text().replace("colour red", "colour rot", 1))
    elif what == "template":
        path = project.root / "base" / "chat_template.jinja"
        path.write_text(path.read_text() + "{# #}")
    else:
        path = project.root / "base" / "tokenizer.json"
        held = json.loads(path.read_text())
        held["model"]["merges"].pop()
        path.write_text(json.dumps(held))
    with pytest.raises(InputError, match=f"{what} has changed since the run"):
        verify(folder, project)


def test_a_base_that_has_changed_since_is_named(
    made: tuple[Project, Outcome], tmp_path: Path
) -> None:
    project, _ = copied(made, tmp_path)
    on = recipe(name="on", base=".genai/finetune/runs/small/model", weights="pretrained",
                training__steps=4)  # fmt: skip
    folder = run(on, project, Options(score=False)).folder
    assert verify(folder, project).same is True
    path = project.state / "finetune/runs/small/model/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="on: base has changed since the run; restore it, or"):
        verify(folder, project)


def test_other_packages_are_held_to_the_losses_and_named(
    made: tuple[Project, Outcome], tmp_path: Path
) -> None:
    project, folder = copied(made, tmp_path)
    held = read_lock(folder)
    held["weights_at"]["3"] = "0" * 64
    held["packages"] |= {"torch": "1.0", "trl": "0.1"}
    (folder / "run.lock.json").write_text(json.dumps(held))
    found = verify(folder, project)
    assert (found.ok, found.same) == (True, None)
    assert re.search(r"other packages \(torch 1\.0 then, \d\S+ now; trl 0\.1 then", found.words)


def test_a_model_that_was_changed_after_the_run_is_found(
    made: tuple[Project, Outcome], tmp_path: Path
) -> None:
    project, folder = copied(made, tmp_path)
    path = folder / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="other weights than its lock says"):
        verify(folder, project)


def test_a_run_without_a_lock_has_not_finished(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the run has not finished"):
        read_lock(tmp_path)
    (tmp_path / "run.lock.json").write_text("{")
    with pytest.raises(InputError, match="the run has not finished"):
        read_lock(tmp_path)


def test_a_step_that_the_lock_does_not_hold_is_refused(made: tuple[Project, Outcome]) -> None:
    with pytest.raises(InputError, match="choose one of 3, 6, 9, 12"):
        verify(made[1].folder, made[0], 4)
