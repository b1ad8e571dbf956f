"""Documents in, exact spans, a search that joins two lists, answers that can be re-checked."""

import dataclasses
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai.errors import IndexUnusable, InputError, ModelError
from genai.models import Embedder, make_embedder
from genai.rag import Index
from genai.rag.search import fuse, standardise
from genai.types import Citation

MARKDOWN = """# Budgets

A budget is a limit on money. It is set in `configs/genai.yaml`.

## Alerts

- An alert fires at 80 % of the budget.
- Nobody is paged at night.

| who | limit |
|---|---|
| a team | 40 euros |
"""


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return make_embedder("static")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "budgets.md").write_text(MARKDOWN, encoding="utf-8")
    (documents / "birds.txt").write_text(
        "Storks nest on chimneys.\n\nThe heron fishes at dawn.\n", encoding="utf-8"
    )
    return documents


@pytest.fixture
def index(tmp_path: Path, folder: Path, embedder: Embedder) -> Iterator[Index]:
    made = Index(tmp_path / "indexes" / "t", embedder)
    made.sync(folder)
    yield made
    made.close()


# -- sync ------------------------------------------------------------------------------------------


def test_an_unchanged_sync_does_nothing_and_changes_are_counted(index: Index, folder: Path) -> None:
    again = index.sync(folder)
    assert (again.added, again.changed, again.removed, again.embedded) == (0, 0, 0, 0)
    assert again.unchanged == 2
    (folder / "birds.txt").write_text("Storks left.\n", encoding="utf-8")
    (folder / "new.txt").write_text("A new page.\n", encoding="utf-8")
    report = index.sync(folder)
    assert (report.added, report.changed, report.unchanged) == (1, 1, 1)
    (folder / "new.txt").unlink()
    report = index.sync(folder)
    assert (report.removed, report.passages) == (1, index.count())
    assert "new.txt" not in index.documents()
    assert index.search("heron")[0].passage.text != "The heron fishes at dawn."


def test_equal_text_in_two_files_stays_two_passages(index: Index, folder: Path) -> None:
    before = index.count()
    shutil.copyfile(folder / "birds.txt", folder / "copy.txt")
    index.sync(folder)
    assert index.count() > before
    (folder / "copy.txt").unlink()
    index.sync(folder)
    assert index.count() == before
    assert index.search("Where do storks nest?")[0].passage.document == "birds.txt"


def test_a_file_that_fails_keeps_its_old_version_and_is_named(index: Index, folder: Path) -> None:
    (folder / "birds.txt").write_bytes(b"\x00\x01\x02" * 100)
    (folder / "fine.txt").write_text("Fine text.", encoding="utf-8")
    report = index.sync(folder)
    assert [name for name, _ in report.failed] == ["birds.txt"]
    assert "is binary" in report.failed[0][1]
    assert report.added == 1
    assert index.search("Where do storks nest?")[0].passage.document == "birds.txt"


def test_a_too_large_file_and_a_link_out_of_the_folder_are_refused(
    tmp_path: Path, folder: Path, embedder: Embedder
) -> None:
    with (folder / "large.txt").open("wb") as file:
        file.truncate(200_000_000)
    (tmp_path / "outside.txt").write_text("secret", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "dangling.txt").symlink_to(folder / "gone.txt")  # as if it vanished
    report = Index(tmp_path / "i", embedder).sync(folder)
    said = dict(report.failed)
    assert "200 MB is over the limit of 50 MB" in said["large.txt"]
    assert "link to outside" in said["link.txt"]
    assert "vanished during the sync" in said["dangling.txt"]
    assert report.added == 2


def test_no_folder_and_an_emptied_folder_remove_nothing(index: Index, folder: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        index.sync(folder / "nowhere")
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="nothing was removed"):
        index.sync(folder)
    assert index.count() > 0


def test_another_embedder_is_refused_until_a_rebuild(index: Index, folder: Path) -> None:
    other = Index(folder.parent / "indexes" / "t", Embedder("other", hashed), max_chars=1000)
    with pytest.raises(IndexUnusable, match=r"built by embedder static.*say other"):
        other.search("storks")
    with pytest.raises(IndexUnusable, match="--rebuild"):
        other.sync(folder)
    assert index.search("storks")
    index.close()
    assert other.sync(folder, rebuild=True).added == 2
    other.close()


def test_a_rebuild_that_fails_keeps_the_old_index_and_readers_see_the_new_one(
    tmp_path: Path, folder: Path
) -> None:
    broken = True

    def embed(texts: Sequence[str]) -> Any:
        return np.full((len(texts), 8), np.nan) if broken and len(texts) > 1 else hashed(texts)

    path = tmp_path / "i"
    reader = Index(path, Embedder("mine", hashed))
    reader.sync(folder)
    (folder / "new.txt").write_text("The zebra has stripes.", encoding="utf-8")
    writer = Index(path, Embedder("mine", embed))
    with pytest.raises(ModelError, match="NaN"):
        writer.sync(folder, rebuild=True)
    assert any("Storks" in hit.passage.text for hit in reader.search("storks"))
    broken = False
    assert writer.sync(folder, rebuild=True).added == 3
    assert any("zebra" in hit.passage.text for hit in reader.search("zebra"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["documents", "i"]
    reader.close()
    writer.close()


def hashed(texts: Sequence[str]) -> Any:
    rng = [np.random.default_rng(abs(hash(text)) % 2**32).normal(size=8) for text in texts]
    return np.asarray(rng, dtype=np.float32)


def test_an_embedder_that_fails_leaves_the_old_version_answering(
    tmp_path: Path, folder: Path
) -> None:
    broken = False

    def embed(texts: Sequence[str]) -> Any:
        return np.full((len(texts), 8), np.nan) if broken else hashed(texts)

    index = Index(tmp_path / "i", Embedder("mine", embed))
    index.sync(folder)
    broken = True
    (folder / "birds.txt").write_text("All birds flew away.", encoding="utf-8")
    with pytest.raises(ModelError, match="embedder mine: gave NaN"):
        index.sync(folder)
    broken = False
    texts = [hit.passage.text for hit in index.search("storks nest chimneys")]
    assert any("Storks nest" in text for text in texts)
    assert index.sync(folder).changed == 1
    index.close()


def test_vectors_lost_behind_our_back_are_found_and_rebuilt(index: Index, folder: Path) -> None:
    vectors = index._open_vectors()
    vectors.delete(sorted(vectors.ids())[:2])
    assert index.sync(folder).embedded == 2
    assert index._open_vectors().ids() == {p.id for p in index.passages()}


def hold_lock(path: Path, folder: Path, ready: Any, release: Any) -> None:
    index = Index(path, make_embedder("static"))
    with index._lock():
        ready.set()
        release.wait(30)


def test_a_second_writer_is_refused_with_the_first_ones_process(index: Index, folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    path = folder.parent / "indexes" / "t"
    other = context.Process(target=hold_lock, args=(path, folder, ready, release))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(IndexUnusable, match=f"process {other.pid} is writing it"):
            index.sync(folder)
        assert index.search("storks")
    finally:
        release.set()
        other.join(30)
    assert index.sync(folder).unchanged == 2


def test_a_reader_sees_what_another_process_wrote(index: Index, folder: Path) -> None:
    index.search("storks")
    (folder / "zebra.txt").write_text("The zebra has stripes.", encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from genai.models import make_embedder\n"
        "from genai.rag import Index\n"
        "Index(Path(sys.argv[1]), make_embedder('static')).sync(sys.argv[2])"
    )
    path = folder.parent / "indexes" / "t"
    subprocess.run([sys.executable, "-c", code, path, folder], check=True, timeout=120)
    best = index.search("zebra stripes")[0]
    assert best.passage.document == "zebra.txt"
    assert best.dense is not None


KILLED = """
import os, sys
from pathlib import Path
from genai.models import make_embedder
from genai.rag import Index, index as module
from genai.rag.store import Store
from genai.rag.vectors import Vectors
step = int(sys.argv[3]); count = 0
def dying(function):
    def wrapped(*args, **kwargs):
        global count
        count += 1
        if count == step: os._exit(9)
        result = function(*args, **kwargs)
        count += 1
        if count == step: os._exit(9)
        return result
    return wrapped
for owner, names in ((Store, ["replace", "remove", "put", "put_vectors", "drop_vectors"]),
                     (Vectors, ["upsert", "delete"])):
    for name in names: setattr(owner, name, dying(getattr(owner, name)))
Index(Path(sys.argv[1]), make_embedder("static")).sync(sys.argv[2])
"""


@pytest.mark.parametrize("step", [1, 3, 5, 6, 8, 10, 12])
def test_a_kill_at_any_step_ends_in_the_same_index_after_the_next_sync(
    tmp_path: Path, folder: Path, embedder: Embedder, step: int
) -> None:
    path = tmp_path / "i"
    index = Index(path, embedder)
    index.sync(folder)
    index.close()
    (folder / "birds.txt").write_text("Storks moved to the lake.", encoding="utf-8")
    (folder / "budgets.md").unlink()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, folder, str(step)], timeout=120, check=False
    )
    assert done.returncode in (0, 9)
    index = Index(path, embedder)
    assert index.search("storks")  # the old version or the new one answers
    index.sync(folder)
    assert [p.text for p in index.passages()] == ["Storks moved to the lake."]
    assert index._open_vectors().ids() == {p.id for p in index.passages()}
    index.close()


@pytest.mark.parametrize("name", ["index.db", "chroma-*/chroma.sqlite3"])
def test_a_damaged_index_is_named_and_left_alone(
    tmp_path: Path, folder: Path, embedder: Embedder, name: str
) -> None:
    path = tmp_path / "damaged"
    code = (
        "import sys; from pathlib import Path; from genai.models import make_embedder\n"
        "from genai.rag import Index\n"
        "Index(Path(sys.argv[1]), make_embedder('static')).sync(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, path, folder], check=True, timeout=120)
    file = next(path.glob(name))
    for extra in file.parent.glob(f"{file.name}-*"):
        extra.unlink()
    file.write_bytes(b"this is not a database, it only was one " * 300)
    before = file.read_bytes()
    with pytest.raises(IndexUnusable) as caught:
        Index(path, embedder).search("storks")
    assert "damaged" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == before


def test_a_locked_index_says_so(index: Index, folder: Path, monkeypatch: Any) -> None:
    (folder / "birds.txt").write_text("Changed.", encoding="utf-8")
    other = sqlite3.connect(folder.parent / "indexes" / "t" / "index.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        index._store._db().execute("PRAGMA busy_timeout=100")
        with pytest.raises(IndexUnusable, match="is locked by another program"):
            index.sync(folder)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert index.sync(folder).changed == 1


# -- search and citations --------------------------------------------------------------------------


def test_fusion_adds_standardised_scores_and_breaks_ties_by_id() -> None:
    assert standardise({"a": 1.0, "b": 1.0}) == {"a": 0.0, "b": 0.0}
    fused = fuse({"a": 3.0, "b": 1.0}, {"b": 0.9, "c": 0.1}, 0.5)
    assert fused == {"a": 0.5, "b": -0.5, "c": -1.5}
    assert [*fuse({"z": 1.0, "y": 1.0}, {}, 0.5)] == ["y", "z"]
    assert fuse({}, {}, 0.5) == {}


@given(st.text(max_size=60))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_question_is_safe_to_search(index: Index, question: str) -> None:
    for hit in index.search(question, 3):
        assert hit.passage.document in {"budgets.md", "birds.txt"}


@pytest.mark.parametrize("question", ['"', "a OR", "col:x", "e-mail", "C++", "NEAR(", "*", "\x00"])
def test_operators_of_the_full_text_language_are_only_words(index: Index, question: str) -> None:
    assert isinstance(index.search(question, 3), list)


def test_a_citation_is_checked_character_for_character(index: Index) -> None:
    passage = index.search("Where do storks nest?")[0].passage
    found = index.document(passage.document)
    assert found is not None
    good = Citation(
        1, passage.document, found[1], passage.id, passage.start, passage.end, passage.text
    )
    assert index.check(good)
    for change in (
        {"quote": passage.text.upper()},
        {"start": passage.start + 1},
        {"document_hash": "0" * 64},
        {"document": "other.txt"},
        {"end": 10**6},
        {"quote": "", "start": 0, "end": 0},
    ):
        assert not index.check(dataclasses.replace(good, **change)), change


def test_searching_before_the_first_sync_says_what_to_do(
    tmp_path: Path, embedder: Embedder
) -> None:
    with pytest.raises(IndexUnusable, match="run `genai index sync` first"):
        Index(tmp_path / "none", embedder).search("x")
    assert os.listdir(tmp_path / "none")
