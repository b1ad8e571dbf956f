"""A sync that is killed at any step leaves an index that answers, and the next one ends it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from indexes import hashed

from genai.config import IndexSettings
from genai.models import Embedder
from genai.rag import Index

# a clean process forks one child a step: a fork of the test process would copy its threads
KILLED = """
import os, shutil, sys
from pathlib import Path
import indexes
from genai.config import IndexSettings
from genai.models import Embedder
from genai.rag import Index
from genai.rag.index.generations import Generations
from genai.rag.store import Store

before, whole, folder, chars = *map(Path, sys.argv[1:4]), int(sys.argv[4])

def opened(path):
    return Index(path, Embedder("mine", indexes.hashed), IndexSettings(max_chars=chars))

def state(index):
    return index.passages(), index.revision, index.generation

def child(path, step):
    count = 0
    def tick():
        nonlocal count
        count += 1
        if count == step: os.kill(os.getpid(), 9)
    def dying(function):
        def wrapped(*args, **kwargs):
            tick()
            result = function(*args, **kwargs)
            tick()
            return result
        return wrapped
    for owner, names in ((Store, "replace remove put put_vectors drop_vectors settle"),
                         (Generations, "switch remove tidy")):
        for name in names.split(): setattr(owner, name, dying(getattr(owner, name)))
    opened(path).sync(folder)

wanted = state(opened(whole))
for step in range(1, 1000):
    path = before.with_name(f"killed-{step}")
    shutil.copytree(before, path)
    pid = os.fork()
    if not pid:
        child(path, step)
        os._exit(0)
    died = os.waitpid(pid, 0)[1]
    index = opened(path)
    assert index.search("storks"), step  # the old version or the new one answers
    index.sync(folder)
    assert state(index) == wanted, step
    assert index.verify().sound, step
    index.close()
    shutil.rmtree(path)
    if not died: break
print(step)
"""


@pytest.mark.parametrize("chars", [1000, 400], ids=["in place", "a new generation beside"])
def test_a_kill_at_any_step_ends_in_the_same_index_after_the_next_sync(
    tmp_path: Path, folder: Path, chars: int
) -> None:
    first = Index(tmp_path / "before", Embedder("mine", hashed))
    first.sync(folder)
    first.close()
    (folder / "birds.txt").write_text("Storks moved to the lake.", encoding="utf-8")
    (folder / "budgets.md").unlink()
    settings = IndexSettings(max_chars=chars)
    whole = Index(tmp_path / "whole", Embedder("mine", hashed), settings)
    whole.sync(folder)
    whole.close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "before", tmp_path / "whole", folder, str(chars)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=200, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 10  # steps
