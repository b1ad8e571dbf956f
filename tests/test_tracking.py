"""MLflow gets every run whole, or later; the work that is recorded never waits for it."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from suites import right, suite, wrong_below
from tuning import make_project, recipe

import genai
from genai import tracking
from genai.cli import main
from genai.config import load_config
from genai.errors import ConfigError, MissingExtra
from genai.project import Project, init
from genai.prompts.labels import set_label
from genai.tracking import Record, Store, Version, deliver, log, mirror, waiting
from genai.wiring import tracked
from genai.wiring.experiments import difference, experiments

AT = 1_790_000_000.0
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
RECORD = Record(
    "eval/sums/r1", "sums", "r1", {"prompt_hash": "ba286c04d1f7", "seed": "3"},
    {"genai.kind": "eval"}, [("exact", 0.5, 0, AT), ("exact.low", 0.4, 0, AT)],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliver when a test says so, so that no process outlives it."""
    monkeypatch.setattr("genai.tracking.queue._wake", lambda store: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "mlflow")


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(store.folder / "mlflow.db") as db:
        return db.execute(query).fetchall()


class Server:
    """A real MLflow server on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port",
            str(self.port), "--workers", "1", "--backend-store-uri",
            f"sqlite:///{self.folder / 'server.db'}", "--artifacts-destination",
            str(self.folder / "artifacts"),
        ]  # fmt: skip
        with (self.folder / "server.log").open("ab") as said:
            self.process = subprocess.Popen(
                command, env={**os.environ, **QUIET}, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(30)
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "server")
    yield found
    found.stop()


# -- the store -----------------------------------------------------------------------------------


def test_a_run_a_prompt_and_an_adapter_stand_in_the_store_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.json").write_text("{}")
    weights = tmp_path / "adapter" / "sub"
    weights.mkdir(parents=True)
    (weights / "adapter.bin").write_bytes(b"x" * 10)
    files = [tmp_path / "report.json", tmp_path / "absent.html"]
    log(store, Record(**{**_fields(RECORD), "files": files, "status": "RUNNING"}))
    log(store, Record("k", "", "nameless"))
    log(store, RECORD)
    log(store, Record("grid/sums/g", "sums", "g", children=["eval/sums/r1"]))
    turns = [("system", "Be brief."), ("user", "{{question}}")]
    mirror(store, Version("prompt", "rag/answer", "ba286c04d1f7", ["production"], turns))
    mirror(store, Version("prompt", "rag/answer", "ba286c04d1f7", ["staging"], turns))
    mirror(store, Version("prompt", "rag/answer", "0123456789ab", ["production"], turns))
    adapter = Version("adapter", "support", "cafe01234567", ["serving"], root=tmp_path / "adapter",
                      files=[weights / "adapter.bin"], run="eval/sums/r1")  # fmt: skip
    mirror(store, adapter)
    mirror(store, adapter)
    mirror(store, Version("adapter", "stray", "cafe01234567"))
    assert waiting(store).queued == 10
    said = _quiet(tmp_path, monkeypatch)
    assert deliver(store) == tracking.Waiting(0, 1)  # an experiment without a name is refused

    [why] = (store.folder / "refused").glob("*/why.txt")
    assert why.read_text()
    assert sorted(rows(store, "SELECT name, status FROM runs")) == [
        ("g", "FINISHED"), ("r1", "FINISHED"), ("stray", "FINISHED"),
    ]  # fmt: skip
    params = dict(rows(store, "SELECT key, value FROM params"))
    assert params == {"prompt_hash": "ba286c04d1f7", "seed": "3"}
    assert dict(rows(store, "SELECT key, value FROM latest_metrics")) == {
        "exact": 0.5, "exact.low": 0.4,
    }  # fmt: skip
    tags = rows(store, "SELECT key, value FROM tags")
    assert ("not_copied", "absent.html") in tags
    run = dict(rows(store, "SELECT name, run_uuid FROM runs"))
    assert ("mlflow.parentRunId", run["g"]) in tags
    kept = {path.name for path in (store.folder / "artifacts").rglob("*") if path.is_file()}
    assert {"report.json", "adapter.bin"} <= kept

    versions = rows(store, "SELECT name, version FROM model_versions")
    assert sorted(versions) == [("rag.answer", 1), ("rag.answer", 2), ("stray", 1), ("support", 1)]
    aliases = rows(store, "SELECT name, alias, version FROM registered_model_aliases")
    assert {
        ("rag.answer", "production", 2), ("rag.answer", "staging", 1),
        ("rag.answer", "sha-ba286c04d1f7", 1), ("support", "serving", 1),
    } <= set(aliases)  # fmt: skip
    # telemetry has no client, prices are not fetched, litellm is not even loaded
    assert json.loads(said.read_text()) == [True, "True", False]


def _quiet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the process that delivers tell at its end what it had loaded."""
    for name in ("PYTEST_CURRENT_TEST", "CI", *QUIET):
        monkeypatch.delenv(name, raising=False)
    said, hook = folder / "said.json", folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import atexit, json, os, sys\n"
        "def tell():\n"
        "    if 'mlflow' not in sys.modules: return\n"
        "    from mlflow.telemetry import get_telemetry_client\n"
        f"    open({str(said)!r}, 'w').write(json.dumps([get_telemetry_client() is None,\n"
        "        os.environ['LITELLM_LOCAL_MODEL_COST_MAP'], 'litellm' in sys.modules]))\n"
        "atexit.register(tell)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hook))
    return said


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def test_a_disk_that_refuses_loses_the_record_and_not_the_work(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.folder.parent.mkdir(exist_ok=True)
    store.folder.write_text("a file where the folder should be")
    assert not log(store, RECORD)
    assert "r1 is not tracked" in capsys.readouterr().err


def test_logging_takes_no_time_and_no_mlflow(store: Store) -> None:
    log(store, RECORD)
    start = time.perf_counter()
    for _ in range(50):
        log(store, RECORD)
    assert (time.perf_counter() - start) / 50 < 0.05
    code = "import sys, genai.wiring.tracked; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_server_that_is_down_keeps_the_queue_and_gets_it_later(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "report.json").write_text('{"a": 1}')
    store = Store(tmp_path / "mlflow", server.url)
    server.start()
    log(store, Record(**{**_fields(RECORD), "files": [tmp_path / "report.json"]}))
    mirror(store, Version("prompt", "rag/answer", "ba286c04d1f7", ["production"], [("user", "x")]))
    assert deliver(store) == tracking.Waiting(0, 0)
    query = f"{server.url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=sums"
    with urllib.request.urlopen(query, timeout=10) as reply:
        assert json.loads(reply.read())["experiment"]["name"] == "sums"
    kept = [path.name for path in (server.folder / "artifacts").rglob("*") if path.is_file()]
    assert kept == ["report.json"]

    server.stop()
    log(store, Record("eval/sums/r2", "sums", "r2"))
    found = deliver(store)
    assert found.queued == 1
    assert "cannot be reached" in found.trouble
    assert server.url in str(found)
    server.start()
    assert deliver(store) == tracking.Waiting(0, 0)
    with sqlite3.connect(server.folder / "server.db") as db:
        assert sorted(db.execute("SELECT name FROM runs")) == [("r1",), ("r2",)]


# -- the project ---------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return genai.find_project()


@pytest.fixture
def on(project: Project, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GENAI_TRACKING_ENABLED", "true")
    return Store(project.state / "mlflow")


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


def test_a_training_is_logged_while_it_runs_and_goes_on_as_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path)
    (tmp_path / "configs").mkdir()
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
    assert last["params"]["data"] == lock["rows"]["sha256"]
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
    (before.folder / "facts.json").unlink()
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
    assert main(["exp", "ui"]) == 64
    assert "which has these pages: http://127.0.0.1:9" in capsys.readouterr().err
    monkeypatch.delenv("GENAI_TRACKING_URL")
    monkeypatch.setattr(
        "genai.tracking.queue.subprocess.call",
        lambda *_, env: int(not QUIET.items() <= env.items()),
    )
    assert main(["exp", "ui"]) == 0
    monkeypatch.delenv("GENAI_TRACKING_ENABLED")
    assert main(["exp", "push"]) == 64
    assert "tracking is off" in capsys.readouterr().err
