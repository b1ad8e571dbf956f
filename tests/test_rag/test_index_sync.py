"""A sync cannot lie: what it reports is there, what it did not do has not happened."""

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexes import cheap, current, hashed, many

from genai.errors import IndexUnusable, InputError, ModelError
from genai.models import Embedder, make_embedder
from genai.rag import Index


def texts(index: Index) -> set[str]:
    return {passage.text for passage in index.passages()}


def counting(calls: list[int]) -> Embedder:
    def embed(asked: Sequence[str]) -> Any:
        calls.append(len(asked))
        return hashed(asked)

    return Embedder("mine", embed)


# -- what is counted -------------------------------------------------------------------------------


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


def test_langchain_32612_a_second_sync_over_many_batches_embeds_and_writes_nothing(
    tmp_path: Path, monkeypatch: Any
) -> None:
    from genai.rag.index import sync

    monkeypatch.setattr(sync.time, "time_ns", lambda: 0)  # no stamp is old enough to be believed
    calls: list[int] = []
    index = Index(tmp_path / "i", counting(calls))
    documents = many(tmp_path / "documents", 300)
    assert index.sync(documents).added == 300
    assert len(calls) > 1  # more than one batch
    writes = current(index).store.get("writes")
    calls.clear()
    report = index.sync(documents)
    assert (report.unchanged, report.embedded, calls) == (300, 0, [])
    assert current(index).store.get("writes") == writes
    index.close()


def test_a_file_whose_stamp_is_known_is_not_even_read(
    index: Index, folder: Path, monkeypatch: Any
) -> None:
    from genai.rag.index import sync

    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(sync.time, "time_ns", lambda: later)
    writes = int(current(index).store.get("writes"))
    assert index.sync(folder).unchanged == 2  # old enough to trust: their stamps are noted
    assert int(current(index).store.get("writes")) == writes + 1
    monkeypatch.setattr(sync, "read_source", None)
    assert index.sync(folder).unchanged == 2
    assert int(current(index).store.get("writes")) == writes + 1


def test_a_change_that_keeps_size_and_time_is_seen(index: Index, folder: Path) -> None:
    path = folder / "birds.txt"
    os.utime(path, (1_000_000_000, 1_000_000_000))
    index.sync(folder)
    path.write_text(path.read_text().replace("Storks", "Cranes"))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert index.sync(folder).changed == 1
    assert index.search("cranes")[0].passage.text.startswith("Cranes")


def test_llama_index_22706_equal_text_in_two_files_goes_file_by_file(
    index: Index, folder: Path
) -> None:
    before = index.count()
    shutil.copyfile(folder / "birds.txt", folder / "copy.txt")
    shutil.copyfile(folder / "birds.txt", folder / "third.txt")
    index.sync(folder)
    assert index.count() > before
    (folder / "copy.txt").unlink()
    (folder / "third.txt").unlink()
    index.sync(folder)
    assert index.count() == before
    assert current(index).store.stray_vectors() == []
    assert index.search("Where do storks nest?")[0].passage.document == "birds.txt"


def test_one_file_renamed_is_one_out_and_one_in(index: Index, folder: Path) -> None:
    before = index.count()
    (folder / "birds.txt").rename(folder / "fowl.txt")
    report = index.sync(folder)
    assert (report.added, report.removed, report.unchanged) == (1, 1, 1)
    assert index.count() == before
    assert index.search("Where do storks nest?")[0].passage.document == "fowl.txt"
    assert index.verify().sound


# -- a very large table ---------------------------------------------------------------------------


def table(folder: Path, lines: int) -> Path:
    folder.mkdir()
    with (folder / "table.csv").open("w", encoding="utf-8") as file:
        file.write("id,name,value\n")
        file.writelines(f"{number},some name here,99.5\n" for number in range(lines))
    return folder


def test_every_line_of_a_long_csv_can_be_found(tmp_path: Path) -> None:
    documents = table(tmp_path / "documents", 50_000)
    index = Index(tmp_path / "i", Embedder("mine", cheap))
    report = index.sync(documents)
    assert report.failed == ()
    assert report.embedded == report.passages > 2000
    index.dense_weight = 0.0
    for number in (0, 17, 25_000, 49_999):
        (hit,) = [h for h in index.search(f"id {number}", 50) if f"id: {number};" in h.passage.text]
        assert hit.passage.text in (index.document("table.csv") or ("", ""))[0]
    assert index.sync(documents).embedded == 0
    index.close()


MILLION = """
import resource, sys
from pathlib import Path
from indexes import by_name, cheap, small
from genai.models import Embedder
from genai.rag import Index
index = Index(Path(sys.argv[1]), Embedder("mine", cheap))
index.sync(small(Path(sys.argv[1] + "-warm")))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = index.sync(sys.argv[2], prune=True)
more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
index.dense_weight = 0.0
found = any("id: 999999;" in hit.passage.text for hit in index.search("id 999999", 50))
print(len(report.failed), report.passages == report.embedded, found, more < 500)
"""


@pytest.mark.slow
def test_a_csv_of_a_million_lines_is_indexed_in_bounded_memory(tmp_path: Path) -> None:
    documents = table(tmp_path / "documents", 1_000_000)  # 27 MB
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MILLION, tmp_path / "i", documents],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.stdout.split() == ["0", "True", "True", "True"]


# -- what fails ------------------------------------------------------------------------------------


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


def test_files_of_kinds_that_are_not_read_are_counted(
    tmp_path: Path, index: Index, folder: Path
) -> None:
    for name in ("a.xlsx", "b.XLSX", "mail.eml", "Makefile", ".hidden", "birds.txt.meta.yaml"):
        (folder / name).write_text("{}", encoding="utf-8")
    found = index.sync(folder)
    assert found.unread == {".xlsx": 2, ".eml": 1, "Makefile": 1}
    assert found.failed == ()
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "plan.xlsx").touch()
    with pytest.raises(InputError, match=r"can be read; 1 \.xlsx are of kinds that are not read"):
        Index(tmp_path / "other", Embedder("mine", hashed)).sync(tmp_path / "sheets")


def test_no_folder_and_an_emptied_folder_remove_nothing(index: Index, folder: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        index.sync(folder / "nowhere")
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="nothing was removed"):
        index.sync(folder)
    assert index.count() > 0


def test_a_folder_that_lost_most_of_its_files_is_asked_about(tmp_path: Path) -> None:
    index = Index(tmp_path / "i", Embedder("mine", hashed))
    documents = many(tmp_path / "documents", 20)
    index.sync(documents)
    for number in range(12):
        (documents / f"{number:04}.md").unlink()
    with pytest.raises(InputError, match=r"12 of 20 documents are gone.*--prune"):
        index.sync(documents)
    assert len(index.documents()) == 20
    assert index.sync(documents, prune=True).removed == 12
    index.close()


def test_llama_index_22639_an_embedder_that_fails_leaves_the_old_version_answering(
    tmp_path: Path, folder: Path
) -> None:
    broken = False

    def embed(asked: Sequence[str]) -> Any:
        return np.full((len(asked), 8), np.nan) if broken else hashed(asked)

    index = Index(tmp_path / "i", Embedder("mine", embed))
    index.sync(folder)
    broken = True
    (folder / "birds.txt").write_text("All birds flew away.", encoding="utf-8")
    with pytest.raises(ModelError, match="embedder mine: gave NaN"):
        index.sync(folder)
    broken = False
    found = [hit.passage.text for hit in index.search("storks nest chimneys")]
    assert any("Storks nest" in text for text in found)
    assert index.sync(folder).changed == 1
    index.close()


def test_an_embedder_of_another_width_is_refused_and_nothing_changes(
    tmp_path: Path, folder: Path
) -> None:
    path = tmp_path / "i"
    index = Index(path, Embedder("mine", hashed))
    index.sync(folder)
    before = texts(index)
    index.close()
    (folder / "birds.txt").write_text("All birds flew away.", encoding="utf-8")
    wide = Index(path, Embedder("mine", lambda asked: np.ones((len(asked), 16), np.float32)))
    with pytest.raises(IndexUnusable, match="gave 16 dimensions, the index has 8"):
        wide.sync(folder)
    assert texts(wide) == before
    with pytest.raises(IndexUnusable, match="gave 16 dimensions, the index has 8"):
        wide.search("storks")
    wide.close()


def test_langchain_39937_vectors_lost_behind_our_back_are_found_and_rebuilt(
    index: Index, folder: Path
) -> None:
    lost = sorted(p.id for p in index.passages())[:2]
    current(index).store.drop_vectors(lost)
    assert index.sync(folder).embedded == 2
    assert current(index).store.without_vectors() == []


# -- one writer, many readers ----------------------------------------------------------------------


def hold_lock(path: Path, ready: Any, release: Any) -> None:
    index = Index(path, Embedder("mine", hashed))
    with index._home.lock():
        ready.set()
        release.wait(30)


def test_a_second_writer_is_refused_with_the_first_ones_process(index: Index, folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    path = folder.parent / "indexes" / "t"
    other = context.Process(target=hold_lock, args=(path, ready, release))
    other.start()
    try:
        assert ready.wait(200)  # a busy machine takes long to start a process
        with pytest.raises(IndexUnusable, match=f"process {other.pid} is writing it"):
            index.sync(folder)
        assert index.search("storks")
    finally:
        release.set()
        other.join(30)
    assert index.sync(folder).unchanged == 2


SYNC = (
    "import sys; from pathlib import Path; from genai.models import make_embedder\n"
    "from genai.rag import Index\n"
    "Index(Path(sys.argv[1]), make_embedder('static')).sync(sys.argv[2])"
)


def test_a_reader_sees_what_another_process_wrote(index: Index, folder: Path) -> None:
    index.search("storks")
    (folder / "zebra.txt").write_text("The zebra has stripes.", encoding="utf-8")
    path = folder.parent / "indexes" / "t"
    subprocess.run([sys.executable, "-c", SYNC, path, folder], check=True, timeout=120)
    best = index.search("zebra stripes")[0]
    assert best.passage.document == "zebra.txt"
    assert best.dense is not None


def test_a_locked_index_says_so(index: Index, folder: Path) -> None:
    (folder / "birds.txt").write_text("Changed.", encoding="utf-8")
    store = current(index).store
    other = sqlite3.connect(store._path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        store._db().execute("PRAGMA busy_timeout=100")
        with pytest.raises(IndexUnusable, match="is locked by another program"):
            index.sync(folder)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert index.sync(folder).changed == 1


def test_a_damaged_index_is_named_and_left_alone_until_a_rebuild(
    index: Index, folder: Path, embedder: Embedder
) -> None:
    file = current(index).store._path
    index.close()
    for extra in file.parent.glob("index.db-*"):
        extra.unlink()
    file.write_bytes(b"this is not a database, it only was one " * 300)
    before = file.read_bytes()
    other = Index(folder.parent / "indexes" / "t", embedder)
    with pytest.raises(IndexUnusable, match="is damaged") as caught:
        other.search("storks")
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == before
    assert other.sync(folder, rebuild=True).added == 2
    assert other.search("storks")
    assert [each.current for each in other.generations()] == [True]
    other.close()


def test_searching_before_the_first_sync_says_what_to_do(
    tmp_path: Path, embedder: Embedder
) -> None:
    with pytest.raises(IndexUnusable, match="run `genai index sync` first"):
        Index(tmp_path / "none", embedder).search("x")
    assert not (tmp_path / "none").exists()
    assert make_embedder("static").id == embedder.id
