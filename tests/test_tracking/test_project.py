"""Runs, grids and trainings of a project are tracked with all they depend on."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflows import QUIET, rows
from servers import free_port
from suites import right, suite, wrong_below
from tuning import make_project, recipe

import genai
from genai import tracking
from genai.cli import main
from genai.config import load_config
from genai.errors import ConfigError, MissingExtra
from genai.evals import load_suite
from genai.project import Project
from genai.prompts.labels import set_label
from genai.tracking import Store, deliver
from genai.wiring import tracked
from genai.wiring.experiments import difference, experiments


def test_it_is_off_by_default_and_a_run_leaves_no_trace(project: Project) -> None:
    report = genai.evaluate(suite(project.root), right)
    assert not (project.state / "mlflow").exists()
    assert tracked.read_facts(report.folder)["suite"] == report.dataset


def test_turning_it_on_changes_no_hash(project: Project) -> None:
    path = project.root / "configs" / "genai.yaml"
    plain = load_config(path)
    assert load_config(path, tracking__enabled=True).hash == plain.hash
    assert load_config(path, chain__top_k=3).hash != plain.hash


@pytest.mark.parametrize("url", ["sqlite:///x.db", "http://me:secret@127.0.0.1:5000"])
def test_a_wrong_address_is_refused_and_a_password_not_repeated(project: Project, url: str) -> None:
    with pytest.raises(ConfigError, match=r"tracking\.url|`url`") as caught:
        load_config(project.root / "configs" / "genai.yaml", tracking__url=url)
    assert "secret" not in str(caught.value)


def test_without_mlflow_the_run_does_not_begin(
    project: Project, on: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai.tracking.queue.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'genai-workbench\[tracking\]'"):
        genai.evaluate(suite(project.root), right)
    assert not (project.state / "runs").exists()


def test_runs_a_grid_and_their_prompt_are_logged_with_hashes_and_intervals(
    project: Project, on: Store
) -> None:
    set_label("production", "rag/answer", genai.prompt("rag/answer").hash, project.root / "prompts")
    grid = genai.grid("handbook", vary={"chain__top_k": ["2", "6"]}, limit=6)
    assert deliver(on) == tracking.Waiting(0, 0)
    runs = rows(on, "SELECT name, run_uuid FROM runs")
    assert len(runs) == 3
    params = dict(
        rows(on, "SELECT p.key, p.value FROM params p JOIN runs r USING (run_uuid)"
                 f" WHERE r.name = '{grid.entries[0].run}'")
    )  # fmt: skip
    chain = genai.load()
    assert params["prompt"] == "rag/answer"
    assert params["prompt_hash"] == chain.prompt.hash
    assert params["index_revision"] == chain.index.revision
    assert len(params["config"]) == 12
    assert params["chain.top_k"] in ("2", "6")
    assert {"suite", "dataset", "model", "model_hash", "guards", "variant"} <= params.keys()
    names = {name for (name,) in rows(on, "SELECT DISTINCT key FROM metrics")}
    metric = grid.metric
    assert {metric, f"{metric}.low", f"{metric}.high", f"{metric}.n", "cost"} <= names
    kept = {path.name for path in (on.folder / "artifacts").rglob("*") if path.is_file()}
    assert {"report.json", "scorecard.jsonl", "report.html", "grid.svg"} <= kept
    parents = rows(on, "SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId'")
    assert parents == [(2,)]
    aliases = rows(on, "SELECT name, alias FROM registered_model_aliases")
    assert {("rag.answer", f"sha-{chain.prompt.hash}"), ("rag.answer", "production")} <= {*aliases}


def test_what_people_asked_stays_here_where_an_online_eval_is_tracked(
    project: Project, on: Store
) -> None:
    genai.evaluate(replace(load_suite(suite(project.root)), name="online"), right)
    assert deliver(on) == tracking.Waiting(0, 0)
    assert rows(on, "SELECT count(*) FROM runs") == [(1,)]
    kept = {path.name for path in (on.folder / "artifacts").rglob("*") if path.is_file()}
    assert kept == {tracked.FACTS}


def test_a_training_is_logged_while_it_runs_and_goes_on_as_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path)
    (tmp_path / "configs" / "genai.yaml").write_text("tracking: {enabled: true}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracked, "_PAUSE", 0.0)
    store = Store(project.state / "mlflow")
    given = recipe(training__steps=60, evals__every=30)

    def interrupted(line: str) -> None:
        if line.startswith("step 6 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        genai.train(given, checked=True, say=interrupted)
    outcome = genai.train(given, checked=True)
    items = [json.loads(path.read_text()) for path in sorted(store.queue.glob("*/item.json"))]
    assert len({each["key"] for each in items}) == 1
    states = [each["status"] for each in items]
    assert (states[0], states[-1], states.count("FAILED")) == ("RUNNING", "FINISHED", 1)
    last, steps = items[-1], [m[2] for i in items for m in i["metrics"] if m[0] == "loss"]
    assert (steps[:3], steps[-1]) == ([1, 2, 4], 60)
    lock = json.loads((outcome.folder / "run.lock.json").read_text())
    assert last["params"]["data_hash"] == lock["rows"]["sha256"]
    assert last["params"]["seed"] == "0"
    assert last["params"]["training.learning_rate"] == "0.01"
    assert last["tags"]["weights"] == outcome.weights
    dev = ("dev/exact", "score")
    assert [m[2] for i in items for m in i["metrics"] if m[0] in dev] == [30, 60, 60]
    assert "run.lock.json" in last["files"]

    genai.judge(outcome.folder)
    item = json.loads(sorted(store.queue.glob("*/item.json"))[-1].read_text())
    assert (item["key"], item["files"]) == (last["key"], ["gate.json"])
    assert item["tags"]["gate/random weights"] == "IMPROVED"
    assert "gate/random weights/exact.low" in {name for name, *_ in item["metrics"]}
    placed = genai.promote(outcome.folder, "fruit")
    item = json.loads(sorted(store.queue.glob("*/item.json"))[-1].read_text())
    assert item["name"] == placed.name == "fruit"
    assert item["run"] == last["key"]
    assert item["aliases"] == ["serving"]
    assert item["sha"] == outcome.weights[:12]
    assert "model.safetensors" in item["files"]

    assert deliver(store) == tracking.Waiting(0, 0)
    [(run, name, status)] = rows(store, "SELECT run_uuid, name, status FROM runs")
    assert (name, status) == (given.name, "FINISHED")
    curve = rows(store, "SELECT step, value FROM metrics WHERE key = 'loss' ORDER BY step")
    assert [step for step, _ in curve][-1] == 60
    params = dict(rows(store, "SELECT key, value FROM params"))
    assert (params["data_hash"], params["seed"]) == (lock["rows"]["sha256"], "0")
    tags = dict(rows(store, "SELECT key, value FROM tags"))
    assert tags["weights"] == outcome.weights
    assert tags["gate/random weights"] == "IMPROVED"
    versions = rows(store, "SELECT name, run_id FROM model_versions")
    assert versions == [("fruit", run)]
    kept = {path.name for path in (store.folder / "artifacts").rglob("*") if path.is_file()}
    assert {"run.lock.json", "curves.jsonl", "gate.json", "model.safetensors"} <= kept


def test_two_runs_are_held_against_each_other_in_pairs(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = suite(project.root)
    before = genai.evaluate(path, right)
    after = genai.evaluate(path, wrong_below(20))
    found = difference(before.run, after.run)
    assert str(found.decision.word) == "REGRESSION"
    assert found.decision.comparisons[0].n == 60
    assert main(["exp", "diff", before.run, after.run]) == 1
    out = capsys.readouterr().out
    assert "exact" in out
    assert "-0.333" in out
    assert [each.name for each in experiments()] == [after.run, before.run]
    assert main(["exp", "list"]) == 0
    assert capsys.readouterr().out.index(after.run) > 0
    assert main(["exp", "diff", before.run, "nothing"]) == 64
    for damaged in ("[]", "{", None):
        if damaged is None:
            (before.folder / "facts.json").unlink()
        else:
            (before.folder / "facts.json").write_text(damaged)
        assert "was not kept" in difference(before.run, after.run).text()


def test_what_differs_between_two_runs_is_named(project: Project) -> None:
    runs = []
    for top_k in (2, 6):
        chain = genai.load(chain__top_k=top_k)
        chain.index.sync(project.root / "docs", wait=120)
        runs.append(genai.evaluate("handbook", chain, limit=4).run)
    changed = {name: (old, new) for name, old, new in difference(*runs).changed}
    assert changed["chain.top_k"] == ("2", "6")
    assert set(changed) == {"chain.top_k", "config"}


def test_push_says_what_waits_for_a_server_that_is_away(
    project: Project, on: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_TRACKING_URL", "http://127.0.0.1:9")
    report = genai.evaluate(suite(project.root), right)
    assert (report.ok, main(["exp", "push"])) == (True, 4)
    assert "records wait for MLflow: http://127.0.0.1:9 cannot be reached" in (
        capsys.readouterr().out
    )
    assert main(["exp", "list"]) == 0
    assert "deliver them: genai exp push" in capsys.readouterr().out
    assert main(["exp", "ui", "--port", "0"]) == 64
    assert "which has these pages: http://127.0.0.1:9" in capsys.readouterr().err
    monkeypatch.delenv("GENAI_TRACKING_URL")
    monkeypatch.setattr(
        "genai.tracking.queue.subprocess.call",
        lambda *_, env: int(not QUIET.items() <= env.items()),
    )
    assert main(["exp", "ui", "--port", "0"]) == 0
    monkeypatch.delenv("GENAI_TRACKING_ENABLED")
    assert main(["exp", "push"]) == 64
    assert "tracking is off" in capsys.readouterr().err


@pytest.mark.slow
def test_plain_mlflow_ui_lists_the_runs_of_the_store(project: Project, on: Store) -> None:
    """`genai exp ui` is `mlflow ui` on the store; its REST interface gives runs and figures."""
    report = genai.evaluate(suite(project.root), wrong_below(20))
    assert deliver(on) == tracking.Waiting(0, 0)
    with pages(project) as url:
        found = ask(url, "experiments/search", {"max_results": 10})["experiments"]
        ids = [each["experiment_id"] for each in found if each["name"] == report.suite]
        [run] = ask(url, "runs/search", {"experiment_ids": ids})["runs"]
    assert run["info"]["run_name"] == report.run
    figures = {each["key"]: each["value"] for each in run["data"]["metrics"]}
    assert figures["exact"] == pytest.approx(report.metric("exact").value)
    assert {"exact.low", "exact.high", "exact.n"} <= figures.keys()
    assert {"suite", "dataset"} <= {each["key"] for each in run["data"]["params"]}


@contextmanager
def pages(project: Project) -> Iterator[str]:
    """Run `genai exp ui` until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "genai", "exp", "ui", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with (project.state / "ui.log").open("ab") as said:
        process = subprocess.Popen(command, cwd=project.root, stdout=said, stderr=said,
                                   start_new_session=True)  # fmt: skip
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, (project.state / "ui.log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def ask(url: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask MLflow's REST interface."""
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/{what}", json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=60) as reply:
        found: dict[str, Any] = json.loads(reply.read())
        return found
