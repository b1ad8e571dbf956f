"""MLflow gets every run whole, or later; the work that is recorded never waits for it."""

import json
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificate, serving
from faults import faulty, reply
from mlflows import AT, QUIET, RECORD, Server, front, rows

from genai import tracking
from genai.tracking import Record, Store, Version, deliver, log, mirror, queue, waiting


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


def test_a_run_has_the_times_of_its_work_and_not_of_its_delivery(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Record("finetune/small/1", "finetune", "small", started=AT)
    judged = Record("finetune/small/1", "finetune", "small", tags={"gate/base": "PASS"})
    for record, hours in ((trained, 1), (judged, 25), (Record("grid/sums/g", "sums", "g"), 25)):
        monkeypatch.setattr("genai.tracking.queue.time.time", lambda hours=hours: AT + hours * 3600)
        log(store, record)
    monkeypatch.undo()
    assert deliver(store) == tracking.Waiting(0, 0)
    times = rows(store, "SELECT name, start_time, end_time FROM runs ORDER BY name")
    hour, at = 3_600_000, int(AT * 1000)
    assert times == [("g", at + 25 * hour, at + 25 * hour), ("small", at, at + hour)]
    assert ("gate/base", "PASS") in rows(store, "SELECT key, value FROM tags")


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


def test_logging_waits_for_nothing_and_loads_no_mlflow(store: Store) -> None:
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


def test_a_file_that_the_server_does_not_take_holds_no_other_record_up(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("a large one")
    server.start()
    with front(server.url, artefacts=False) as url:
        store = Store(tmp_path / "mlflow", url)
        log(store, Record("eval/sums/big", "sums", "big", files=[tmp_path / "report.html"]))
        log(store, RECORD)
        found = deliver(store)
        assert found.queued == 1
        assert found.trouble.startswith("big: 413 Client Error")
    with sqlite3.connect(server.folder / "server.db") as db:
        runs = db.execute("SELECT name, status FROM runs ORDER BY name").fetchall()
    assert runs == [("big", "RUNNING"), ("r1", "FINISHED")]


@pytest.mark.parametrize(
    "way", ["HTTP_PROXY", "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_INSECURE_TLS"]
)
def test_a_server_is_reached_as_mlflow_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """By a proxy that alone knows its name, or over TLS with a certificate that nobody knows."""
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    certificate = None if way == "HTTP_PROXY" else make_certificate(tmp_path)
    says = reply(400, body=b'{"error_code": "BAD_REQUEST", "message": "something is there"}')
    with faulty(says, tls=certificate and serving(certificate)) as (address, found):
        address = address.removesuffix("/v1")
        url = address if certificate else "http://mlflow.invalid"
        ways = {"HTTP_PROXY": address, "MLFLOW_TRACKING_SERVER_CERT_PATH": str(certificate)}
        monkeypatch.setenv(way, ways.get(way, "true"))
        store = Store(tmp_path / "mlflow", url)
        log(store, RECORD)
        assert "something is there" in deliver(store).trouble
    asked = [request.split()[1].decode() for request in found.requests]
    before = "" if certificate else url
    assert asked[0] == f"{before}/health"
    assert asked[1].startswith(f"{before}/api/")


def test_a_server_that_hangs_holds_nobody_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and never answers: the record waits, and says why."""
    monkeypatch.undo()  # a real delivery in the background
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = Store(store.folder, f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.perf_counter()
        assert log(away, RECORD)
        assert time.perf_counter() - began < 2
        for child in queue._children:
            assert child.wait(60) == 1
        assert "cannot be reached (timed out)" in waiting(away).trouble
        assert waiting(away).queued == 1
        began = time.perf_counter()
        found = deliver(away, timeout=1.0)
        assert time.perf_counter() - began < 20
        assert found.queued == 1
        assert "did not take everything within 1 s" in found.trouble
