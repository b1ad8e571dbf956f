"""A sync or a repair that is killed at any step leaves an index that the next one makes whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from indexes import by_name, current, hashed, many

from genai.config import IndexSettings
from genai.rag import Index, vectors

# a clean process forks one child to be killed and one to look, for each step: a fork of the test
# process would copy its threads, and the forking one never opens Chroma, which has threads too
KILLED = """
import functools, json, os, shutil, sys, traceback
from pathlib import Path
import indexes
from genai.config import IndexSettings
from genai.errors import IndexUnusable
from genai.rag import Index, vectors
from genai.rag.index import embed
from genai.rag.index.generations import Generations
from genai.rag.index.opened import Opened
from genai.rag.store import Store
from genai.rag.vectors.chroma import Chroma

asked = json.loads(sys.argv[1])
before, folder, how = Path(asked["before"]), Path(asked["folder"]), asked["how"]
vectors.EXACT_BELOW = asked["exact_below"]
embed.BATCH = 8  # passages, so that there are several parts
if asked["graph"]: import chromadb  # once, for all children

def opened(path):
    settings = IndexSettings(max_chars=asked["chars"])
    return Index(path, indexes.by_name("mine"), settings, open_embedder=indexes.by_name)

def work(path):
    index = opened(path)
    if how == "repair":
        index.verify(repair=True)
    else:
        index.sync(folder, rebuild=how == "rebuild", workers=how == "workers")

def instrument(step):
    count = 0
    def tick(statement="COMMIT"):  # a transaction is all or nothing, so its end is looked at
        nonlocal count
        if statement.startswith(("COMMIT", "DROP", "CREATE VIRTUAL")):
            count += 1
            if count == step: os.kill(os.getpid(), 9)
    def dying(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            tick()
            result = function(*args, **kwargs)
            tick()
            return result
        return wrapped
    for owner, names in (
        (Store, "put_vectors settle close"), (Generations, "switch remove"),
        (Opened, "drop_graph"), (Chroma, "__init__ upsert delete drop close"),
    ):
        for name in names.split(): setattr(owner, name, dying(getattr(owner, name)))
    connect = Store._db
    def traced(self):
        db = connect(self)
        db.set_trace_callback(tick)
        return db
    Store._db = traced
    return lambda: count

def forked(job):
    pid = os.fork()
    if not pid:
        try:
            job()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def state(index):
    return index.passages(), index.revision, index.generation

def look(path, step):
    index = opened(path)
    try:
        assert index.search("storks nest")  # the old version or the new one answers
    except IndexUnusable as error:
        assert how in ("first", "workers", "repair") and "genai index sync" in str(error), error
    if how == "repair":
        assert index.verify(repair=True).sound
    index.sync(folder)
    assert state(index) == state(opened(Path(asked["whole"])))
    found = index.verify()
    assert found.sound, found.problems()
    assert (found.recall is not None) == asked["graph"]

def copied(name):
    path = before.with_name(name)
    shutil.copytree(before, path) if before.exists() else None
    return path

def count(path):
    steps = instrument(0)
    work(path)
    path.with_name("steps").write_text(str(steps()))

def killed(path, step):
    instrument(step)
    work(path)

assert forked(lambda: count(copied("counted"))) == 0
steps, most = int(before.with_name("steps").read_text()), asked["most"]
chosen = sorted({1 + number * (steps - 1) // (most - 1) for number in range(most)})
for step in chosen:  # the first and the last among them
    path = copied(f"killed-{step}")
    assert forked(lambda: killed(path, step)) == -9, step
    assert forked(lambda: look(path, step)) == 0, step
    shutil.rmtree(path)
print(steps)
"""


def harm(index: Index) -> None:
    """Damage a bit of everything that a repair mends."""
    opened = current(index)
    some = [(key,) for key in sorted(opened.store.ids())[:3]]
    opened.store.write("DELETE FROM vector WHERE id = ?", some)
    opened.store.write("DELETE FROM fulltext_data WHERE id > 10 AND ?", [(1,)])
    opened.store.write("UPDATE document SET text = 'other' WHERE path = ?", [("0003.md",)])
    if opened.has_graph():
        ids = sorted(opened.graph().ids())
        opened.graph().upsert(ids, -hashed(ids))  # every vector another one: it is built anew


HOW = ("changes", "beside", "first", "rebuild", "repair")
ALL = 1000  # more steps than there are


@pytest.mark.parametrize(
    ("how", "graph", "most"),
    [
        *[(how, False, ALL) for how in HOW],
        *[(how, True, 6) for how in ("changes", "first", "repair")],
        *[pytest.param(how, True, ALL, marks=pytest.mark.slow) for how in HOW],
        ("workers", False, 3),
    ],
)
def test_a_kill_at_any_step_ends_in_the_same_index_after_the_next_sync(
    tmp_path: Path,
    folder: Path,
    how: str,
    graph: bool,
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vectors, "EXACT_BELOW", 4 if graph else 50_000)
    many(folder, 8)
    settings = IndexSettings(max_chars=400 if how == "beside" else 1000)
    if how not in ("first", "workers"):
        first = Index(tmp_path / "before", by_name("mine"))
        first.sync(folder)
        if how == "repair":
            harm(first)
        else:
            many(folder, 20)  # more than one part is new
            (folder / "birds.txt").write_text("Storks moved and nest at the lake.")
            (folder / "budgets.md").unlink()
        first.close()
    whole = Index(tmp_path / "whole", by_name("mine"), settings)
    whole.sync(folder)
    whole.close()
    asked = {
        "before": tmp_path / "before", "whole": tmp_path / "whole", "folder": folder, "how": how,
        "chars": settings.max_chars, "exact_below": vectors.EXACT_BELOW, "graph": graph,
        "most": most,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, json.dumps(asked, default=str)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=200, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= 10  # steps
