"""Passages embedded by processes and by Ray: the same index, and nothing done twice."""

import os
import pickle
import secrets
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from indexes import by_name, current, hashed, many

import genai
from genai import project
from genai.cli import main
from genai.errors import GenaiError, IndexUnusable, InputError
from genai.models import Embedder, make_embedder
from genai.rag import Index
from genai.rag.index import Workers, embed
from genai.wiring import parts


def another(name: str) -> Embedder:
    return Embedder(name, hashed, identity=f"{name}-2")


def noted(folder: Path, fail_after: int, name: str) -> Embedder:
    """Give an embedder that writes down each part it does, and fails after some."""

    def encode(texts: Any) -> Any:
        done = len(list(folder.iterdir()))
        if done >= fail_after:
            raise InputError("the embedder's server went away")
        (folder / f"{done}-{os.getpid()}-{len(texts)}").touch()
        return hashed(texts)

    return Embedder(name, encode)


def state(index: Index) -> Any:
    opened = current(index)
    sql = "SELECT v.id, v.data, s.data FROM vector v JOIN sentence_vectors s USING (id) ORDER BY 1"
    return index.passages(), index.revision, opened.store.rows(sql)


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(embed, "BATCH", 16)
    return many(tmp_path / "documents", 40)


def wanted(tmp_path: Path, documents: Path) -> Any:
    alone = Index(tmp_path / "alone", Embedder("mine", hashed))
    alone.sync(documents)
    return state(alone)


def test_processes_make_the_same_index(tmp_path: Path, documents: Path) -> None:
    index = Index(tmp_path / "i", Embedder("mine", hashed), open_embedder=by_name)
    report = index.sync(documents, workers=2)
    assert report.embedded == report.passages > 32
    assert state(index) == wanted(tmp_path, documents)
    assert index.sync(documents, workers=2).embedded == 0
    index.close()


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_makes_the_same_index(tmp_path: Path, documents: Path, embedder: Embedder) -> None:
    alone = Index(tmp_path / "alone", embedder)
    alone.sync(documents)
    index = Index(tmp_path / "i", embedder)
    report = index.sync(documents, workers=Workers(2, ray=""))
    assert report.embedded == report.passages
    assert state(index) == state(alone)
    index.close()
    alone.close()


def test_an_interrupted_sync_goes_on_where_it_stopped(tmp_path: Path, documents: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    opener = partial(noted, notes, 2)
    index = Index(tmp_path / "i", Embedder("mine", hashed), open_embedder=opener)
    with pytest.raises(GenaiError, match="went away"):
        index.sync(documents, workers=1)
    assert index.count() == 0  # nothing answers before it is whole
    done = len(list(notes.iterdir()))
    assert done == 2
    index = Index(tmp_path / "i", Embedder("mine", hashed), open_embedder=by_name)
    report = index.sync(documents, workers=1)
    assert report.embedded == report.passages - done * 16
    assert state(index) == wanted(tmp_path, documents)
    index.close()


def test_a_worker_with_another_embedder_is_refused(tmp_path: Path, documents: Path) -> None:
    index = Index(tmp_path / "i", Embedder("mine", hashed), open_embedder=another)
    with pytest.raises(IndexUnusable, match="a worker has mine-2, this process mine"):
        index.sync(documents, workers=1)
    index.close()


def test_an_embedder_that_no_process_can_open_is_named(tmp_path: Path, documents: Path) -> None:
    index = Index(tmp_path / "i", Embedder("mine", hashed), open_embedder=lambda _: by_name("mine"))
    with pytest.raises(InputError, match="cannot be sent to a process"):
        index.sync(documents, workers=1)
    index.close()


def test_the_shipped_embedder_opens_in_a_worker(tmp_path: Path, documents: Path) -> None:
    index = Index(tmp_path / "i", make_embedder("static"))
    assert index.sync(documents, workers=1).embedded == index.count()
    index.close()


# -- the command line ------------------------------------------------------------------------------

CLUSTER = """
import ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the address of a Ray cluster that another process holds; it asks for a token."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CLUSTER], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("\n", timeout=60)


def test_the_command_line_embeds_in_processes_and_on_a_cluster(
    tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.init(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    ways = {"alone": [], "processes": ["--workers", "2"], "cluster": ["--ray", cluster]}
    found = {}
    for name, words in ways.items():
        line = [sys.executable, "-m", "genai", "index", "sync", "--name", name, *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        index = genai.Index(name)
        assert f" {index.count()} passages embedded" in done.stdout
        found[name] = state(index)
        index.close()
    assert found["processes"] == found["alone"]
    assert found["cluster"] == found["alone"]


def test_a_worker_opens_its_embedder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.init(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    opened, make = [], parts.embedder

    def counted(*given: Any) -> Embedder:
        opened.append(given)
        return make(*given)

    monkeypatch.setattr("genai.wiring.chain.embedder", counted)
    index = genai.Index()
    opener, embedder = index._open_embedder, index.embedder
    opened.clear()
    part = embed.Part(("a",), ("A river.",), ("A river.",), embedder.address, embedder.id, opener)
    for _ in range(3):  # as parts come to a worker
        embed.embed_part(pickle.loads(pickle.dumps(part)))
    assert len(opened) == 1


def test_a_cluster_that_is_not_there_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.init(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    assert main(["index", "sync", "--ray", "127.0.0.1:9"]) == 64
    assert "no Ray cluster at '127.0.0.1:9'" in capsys.readouterr().err
    assert genai.Index().count() == 0
