"""Runs: the same weights again, on after any stop, the reference, and what a trainer must know."""

import copy
import gc
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tuning
from tuning import make_project, preference, recipe

from genai.errors import ConfigError, InputError
from genai.extras import QUIET
from genai.finetune import Recipe
from genai.finetune import dpo as preferences
from genai.finetune.job import prepare, rendered
from genai.finetune.lock import read_lock
from genai.finetune.train import Options, Outcome, run
from genai.finetune.watch import COUNT
from genai.models import open_model
from genai.models.weights import read_manifest
from genai.project import Project

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def trained(project: Project) -> Outcome:
    return run(recipe(training__steps=40), project, Options())


def short(project: Project, given: Recipe, **options: object) -> Outcome:
    return run(given, project, Options(**{"score": False, **options}))  # type: ignore[arg-type]


def test_a_run_learns_and_keeps_what_it_saw(trained: Outcome) -> None:
    losses = [each["loss"] for each in trained.curves if "loss" in each]
    assert losses[-1] < losses[0] / 5
    assert trained.score is not None
    assert trained.score > 0.2
    assert trained.tokens > 5000
    lines = (trained.folder / "curves.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines if '"loss"' in line] == losses
    names = {each.name for each in trained.model.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names
    assert not {"training_args.bin", "README.md"} & names


@pytest.mark.parametrize("steps", [6, 7])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(project: Project, steps: int) -> None:
    # 24 rows by 8: an epoch is 3 steps, so the stop lies on its edge, or within it and unlogged
    whole = short(project, recipe(name=f"whole{steps}", evals__every=2))
    given = recipe(name=f"parts{steps}", evals__every=2)
    first = short(project, given, stop_at=steps)
    held = (first.folder / "checkpoints" / f"checkpoint-{steps}" / "watch.json").read_text()
    second = short(project, given)
    assert (first.steps, second.steps) == (steps, 12)
    assert first.weights != second.weights == whole.weights
    assert second.tokens == whole.tokens  # both starts count
    assert second.seconds > json.loads(held)["spent"]["seconds"] > 0
    assert [c["step"] for c in second.curves if "loss" in c] == [1, 2, 4, 6, 8, 10, 12]


def test_scoring_on_the_way_does_not_change_the_weights(project: Project) -> None:
    plain = short(project, recipe(name="plain"))
    scored = run(recipe(name="scored", evals__every=3, evals__limit=6), project, Options())
    last = scored.folder / "checkpoints" / "checkpoint-12" / "model.safetensors"
    assert last.read_bytes() == (plain.model / "model.safetensors").read_bytes()
    assert len([each for each in scored.curves if "dev/exact" in each]) == 4


def test_the_weights_that_the_dev_set_likes_best_are_kept(project: Project) -> None:
    # trained far, then destroyed by a rate that grows: the best lies before the end
    given = recipe(
        name="best", training={"learning_rate": 0.01, "steps": 40, "batch": 8, "threads": 1},
        evals__every=10, evals__patience=2, evals__metric="json_valid",
    )  # fmt: skip
    found = run(given, project, Options())
    scores = {c["step"]: c["dev/json_valid"] for c in found.curves if "dev/json_valid" in c}
    assert found.score == max(scores.values())
    assert found.best_step == min(n for n, score in scores.items() if score == found.score)
    kept = (found.folder / "best" / "model.safetensors").read_bytes()
    assert (found.model / "model.safetensors").read_bytes() == kept


def test_patience_ends_a_run_that_gains_nothing(project: Project) -> None:
    given = recipe(name="idle", evals__every=2, evals__patience=2, training__learning_rate=1e-6)
    found = run(given, project, Options())
    assert found.steps == 6  # scored at 2, no gain at 4 and 6
    assert found.best_step == 2
    assert run(given, project, Options(stop_at=5, fresh=True)).steps == 5
    found = run(given, project, Options())
    assert (found.steps, found.best_step) == (6, 2)  # the score at 4 was without a gain too


def test_a_loss_that_is_no_number_ends_the_run_with_the_cure(
    project: Project, trained: Outcome
) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(trained.model, project.root / "broken")
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"][0] = float("inf")
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    given = recipe(name="nan", base="broken", weights="pretrained")
    with pytest.raises(InputError, match=r"nan: loss is nan at step 1; lower `training.learning_"):
        short(project, given)


def test_another_recipe_of_the_same_name_is_refused_until_told(project: Project) -> None:
    short(project, recipe(name="twice"))
    other = recipe(name="twice", training__steps=13)
    with pytest.raises(InputError, match="other recipe; give --fresh"):
        short(project, other)
    assert short(project, other, fresh=True).steps == 13


@pytest.mark.parametrize("method", ["dpo", "kto", "orpo"])
def test_preferences_train_an_adapter_bound_to_its_base(
    project: Project, trained: Outcome, method: str
) -> None:
    found = run(preference(method), project, Options())
    assert read_manifest(found.model)["base_weights"] == trained.weights
    config = json.loads((found.model / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == ""
    assert found.score is not None
    assert (found.tokens is None) == (method == "orpo")  # its trainer counts none
    if method == "orpo":
        return  # its margin is of the policy alone and need not grow within six steps
    first, last = (
        [c for c in found.curves if "rewards/margins" in c][place] for place in (0, -1)
    )  # fmt: skip
    assert last["rewards/margins"] > first["rewards/margins"]


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("precomputed", [False, True])
def test_a_full_model_is_measured_against_itself_before_training(
    project: Project, trained: Outcome, method: str, precomputed: bool
) -> None:
    given = preference(
        method, name=f"full-{method}-{precomputed}", tuning={"kind": "full"},
        preference__precompute_reference=precomputed,
    )  # fmt: skip
    found = short(project, given)
    assert next(c for c in found.curves if "rewards/chosen" in c)["rewards/chosen"] == 0


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_another_reference_than_the_model_stops_the_run(
    project: Project, trained: Outcome, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    # what the trainer itself does with a changed model in memory: the reference comes from disk
    def from_disk(model: object, given: Recipe) -> object:
        changed = copy.deepcopy(model)
        for each in changed.parameters():  # type: ignore[attr-defined]
            each.data.mul_(1.2)
        return changed

    monkeypatch.setattr(preferences, "reference", from_disk)
    with pytest.raises(InputError, match=r"eval_rewards/chosen is -?\d+\.\d+ before the"):
        short(project, preference(method, name=f"strange-{method}", tuning={"kind": "full"}))
    left = project.state / f"finetune/runs/strange-{method}"
    assert not [*left.glob("checkpoints/*"), *left.glob("model")]


def test_kto_keeps_two_answers_to_one_prompt_apart(project: Project, trained: Outcome) -> None:
    rows = prepare(preference("kto"), project, project.state).rows
    order = preferences.kto_order(rows, 8, 0)
    assert sorted(order) == list(range(len(rows)))
    assert order != list(range(len(rows)))
    batches = [order[n : n + 8] for n in range(0, len(order), 8)]
    for batch in batches[:-1]:
        assert len({rows[n].prompt for n in batch}) == len(batch)
    assert preferences.kto_order(rows, 8, 0) == order != preferences.kto_order(rows, 8, 1)


def test_dora_trains_an_adapter_that_answers(project: Project, trained: Outcome) -> None:
    adapter = {"kind": "dora", "rank": 8, "alpha": 16}
    found = short(project, preference(name="dora", tuning=adapter, training__steps=2,
                                      training__warmup_steps=1))  # fmt: skip
    assert found.steps == 2
    assert json.loads((found.model / "adapter_config.json").read_text())["use_dora"] is True
    reply = open_model(f"local/{found.model}")(tuning.QUESTIONS[0], max_tokens=16)
    assert reply.text


def test_what_is_forced_on_a_processor_is_told_and_done(project: Project) -> None:
    lines: list[str] = []
    given = recipe(name="dear", training__precision="bf16", training__steps=3,
                   training__activation_checkpointing=True)  # fmt: skip
    found = short(project, given, say=lines.append)
    for words in ("`training.precision: bf16` on a CPU", "`training.activation_checkpointing: tr"):
        assert any(words in note for note in found.notes)
        assert any(words in line for line in lines[:2])  # before the first step
    assert read_lock(found.folder)["recipe"]["training"]["precision"] == "bf16"


def test_progress_says_where_the_run_is_how_fast_and_how_long(project: Project) -> None:
    lines: list[str] = []
    run(recipe(name="told"), project, Options(say=lines.append))
    steps = [line for line in lines if "loss" in line]
    assert re.fullmatch(r"step 1 of 12, loss \d+\.\d{4}", steps[0])
    assert re.fullmatch(r"step 6 of 12, loss \d+\.\d{4}, [\d,]+ tokens/s, \d+ s left", steps[3])
    assert steps[-1].endswith(" 0 s left")
    assert re.fullmatch(r"step 12: exact \d\.\d{3} on dev", lines[-2])


def test_what_scored_a_run_that_is_over_ends(project: Project) -> None:
    before = set(threading.enumerate())
    run(recipe(name="over", training__steps=2, training__warmup_steps=0), project, Options())
    gc.collect()  # a trainer and what follows it hold each other
    for each in set(threading.enumerate()) - before:
        if each.name == "genai-local":
            each.join(30)
            assert not each.is_alive()


ASKED = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from tuning import preference
from genai.finetune.train import Options, run
from genai.project import Project

root = pathlib.Path.cwd()
run(preference(name="asked"), Project(root, root / ".genai"), Options(score=False))
"""


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("door", ["command", "python"])
def test_a_training_tells_nobody_of_itself(project: Project, trained: Outcome, door: str) -> None:
    """TRL tells the hub of every trainer; a name outside that is looked up fails any test here."""
    given = preference(name="quiet").model_dump(mode="json", exclude_unset=True)
    (project.root / "configs" / "quiet.yaml").write_text(json.dumps(given))  # JSON is YAML
    words = ["-m", "genai", "finetune", "run", "configs/quiet.yaml", "--checked", "--yes"]
    if door == "python":
        words = ["-W", "ignore", "-c", ASKED, str(TESTS)]
    ours = {"HF_HUB_OFFLINE", "OMP_WAIT_POLICY", *QUIET}  # a user's shell has none of them
    bare = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, *words], cwd=project.root, env={**bare, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    if sys.platform == "linux":  # torch's own library says so: a thread that waits sleeps
        assert "GOMP_SPINCOUNT = '0'" in done.stderr


def test_an_id_in_the_hubs_cache_is_a_base_offline(
    project: Project, trained: Outcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit, home = "a" * 40, tmp_path / "models--org--small"
    shutil.copytree(trained.model, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    other = "b" * 40  # a branch that the hub has moved to since; its weights are cut short
    shutil.copytree(trained.model, home / "snapshots" / other)
    (home / "snapshots" / other / "model.safetensors").write_bytes(b"")
    for revision in ("", commit):
        if revision:
            (home / "refs" / "main").write_text(other)
        given = preference(name=f"hub{revision[:1]}", base="org/small", revision=revision)
        found = short(project, given)
        held = read_manifest(found.model)
        assert held["base"] == ("org/small@" + commit if revision else "org/small")
        assert held["base_weights"] == trained.weights
        config = json.loads((found.model / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "org/small"
        assert read_lock(found.folder)["base"]["revision"] == revision
        assert open_model(f"local/{found.model}")(tuning.QUESTIONS[0], max_tokens=16).text


def test_an_adapter_as_a_base_is_refused_with_the_way_out(
    project: Project, trained: Outcome
) -> None:
    short(project, preference(name="first"))
    with pytest.raises(ConfigError, match="is an adapter; merge it first"):
        short(project, preference(name="second", base=".genai/finetune/runs/first/model"))


@pytest.mark.parametrize(("run_", "asked"), [(2, 1), (1, 2)])
def test_another_number_of_processes_fails_in_the_first_second(
    project: Project, monkeypatch: pytest.MonkeyPatch, run_: int, asked: int
) -> None:
    # `accelerate launch --cpu --num_processes 2` starts one process and says nothing
    monkeypatch.setenv("WORLD_SIZE", str(run_))
    scale = {"strategy": "ddp", "processes": 2} if asked == 2 else {}
    with pytest.raises(ConfigError, match=f"{run_} processes run where `scale` asks for {asked}"):
        short(project, recipe(name="two", scale=scale))


def test_two_processes_train_as_one_does(project: Project) -> None:
    one = short(project, recipe(name="one", training__log_every=1))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import pathlib\n"
        "from tuning import recipe\n"
        "from genai.project import Project\n"
        "from genai.finetune.train import Options, run\n"
        "root = pathlib.Path(sys.argv[2])\n"
        "given = recipe(name='both', training__batch=4, training__log_every=1,"
        " scale__strategy='ddp', scale__processes=2)\n"
        "run(given, Project(root, root / '.genai'), Options(stop_at=6))\n"
        "run(given, Project(root, root / '.genai'), Options())\n"
    )
    path = project.root / "both.py"
    path.write_text(program)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
        str(path), str(TESTS), str(project.root),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (project.state / "finetune/runs/both/curves.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if '"loss"' in line]
    assert steps == list(range(1, 13))  # the second start did none of the first's steps again
    held = json.loads((project.state / "finetune/runs/both/run.lock.json").read_text())
    assert held["machine"]["world_size"] == 2
    mine = {str(c["step"]): c["loss"] for c in one.curves if "loss" in c}
    assert list(held["losses"]) == list(mine)
    for place, (step, loss) in enumerate(mine.items()):  # sums are rounded in another order
        assert held["losses"][step] == pytest.approx(loss, rel=1e-5 if place < 5 else 1e-3)


# -- what the pinned trainers must know ----------------------------------------------------------


@pytest.mark.parametrize("method", ["sft", "dpo", "kto", "orpo"])
def test_every_name_that_we_give_a_trainer_is_one_it_knows(
    project: Project, trained: Outcome, method: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from dataclasses import fields

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    import trl
    from trl.experimental.orpo import ORPOConfig

    from genai.finetune.sft import sft_arguments

    given = recipe() if method == "sft" else preference(method)
    job = prepare(given, project, tmp_path)
    kinds = {"sft": trl.SFTConfig, "dpo": trl.DPOConfig, "kto": trl.KTOConfig, "orpo": ORPOConfig}
    make = sft_arguments if method == "sft" else preferences.preference_arguments
    assert set(make(job)) <= {each.name for each in fields(kinds[method])}


@pytest.mark.parametrize("name", ["SFTTrainer", "DPOTrainer", "KTOTrainer", "ORPOTrainer"])
def test_the_trainers_take_what_we_hand_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    import trl
    from trl.experimental import orpo

    trainer = getattr(orpo if name == "ORPOTrainer" else trl, name)
    known = set(inspect.signature(trainer.__init__).parameters)
    wanted = {"model", "args", "train_dataset", "processing_class", "callbacks", "peft_config"}
    assert (COUNT in inspect.getsource(trainer)) == (name != "ORPOTrainer")
    if name == "ORPOTrainer":  # it has no reference, and reads the rows as they stand
        assert wanted <= known
        assert "ref_model" not in known
        return
    assert wanted | ({"ref_model", "eval_dataset"} if name != "SFTTrainer" else set()) <= known
    # ours hands it rows as tokens in place of this method
    assert list(inspect.signature(trainer._prepare_dataset).parameters)[1] == "dataset"


def test_the_tokens_that_are_trained_are_those_that_serving_sees(project: Project) -> None:
    from genai.models.local import encode

    job = prepare(recipe(), project, project.state)
    for row, given in zip(rendered(job), tuning.QUESTIONS, strict=True):
        prompt = encode(job.tokenizer, [{"role": "user", "content": given}])
        assert row["input_ids"][: len(prompt)] == prompt == row["prompt_ids"]
        assert row["labels"][: len(prompt)] == [-100] * len(prompt)
        assert row["labels"][len(prompt) :] == row["input_ids"][len(prompt) :]
        assert row["input_ids"][-1] == job.tokenizer.eos_token_id
