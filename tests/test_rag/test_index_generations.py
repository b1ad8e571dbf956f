"""Generations: other settings build beside, the switch is whole, one command goes back."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexes import hashed, many, starter

import genai
from genai.config import IndexSettings
from genai.errors import ConfigError, IndexUnusable, InputError, ModelError
from genai.models import Embedder
from genai.rag import Index
from genai.rag.index.generations import Current, Generations


def shifted(texts: Sequence[str]) -> Any:
    return hashed([f"other {text}" for text in texts])


def opened(path: Path, name: str = "mine", **options: Any) -> Index:
    def by_name(wanted: str) -> Embedder:
        return Embedder(wanted, {"mine": hashed, "other": shifted}[wanted])

    return Index(path, by_name(name), IndexSettings(**options), open_embedder=by_name)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    return many(tmp_path / "documents", 6)


def test_a_changed_setting_is_never_ignored(tmp_path: Path, documents: Path) -> None:
    first = opened(tmp_path / "i")
    before = first.sync(documents)
    first.close()
    second = opened(tmp_path / "i", max_chars=300)
    assert second.search("river")  # the old passages answer until the sync
    assert "ask for another generation" in second.state()
    after = second.sync(documents)
    assert after.generation != before.generation
    assert after.passages > before.passages
    assert max(len(p.text) for p in second.passages()) <= 300
    assert second.state() == "up to date"
    assert [(g.current, g.max_chars) for g in second.generations()] == [(False, 1000), (True, 300)]
    second.close()


@pytest.mark.parametrize(
    "options", [{"splitter": "sentences"}, {"splitter": "sentences", "overlap": 50}, {"tenants": 1}]
)
def test_whatever_cuts_or_divides_makes_a_generation(tmp_path: Path, options: Any) -> None:
    folder = many(tmp_path / "documents" / "ann", 3).parent
    index = opened(tmp_path / "i")
    first = index.sync(folder).generation
    assert opened(tmp_path / "i", **options).sync(folder).generation != first
    assert opened(tmp_path / "i", dense_weight=2).wanted() == first  # this one only ranks
    index.close()


def test_a_kept_generation_is_taken_up_again_and_embeds_nothing(
    tmp_path: Path, documents: Path
) -> None:
    opened(tmp_path / "i").sync(documents)
    opened(tmp_path / "i", max_chars=300).sync(documents)
    (documents / "0001.md").write_text("Only this is new.")
    back = opened(tmp_path / "i")
    report = back.sync(documents)
    assert (report.changed, report.unchanged, report.embedded) == (1, 5, 1)
    back.dense_weight = 0
    assert "Only this is new." in {hit.passage.text for hit in back.search("only new")}
    back.close()


def test_only_the_one_before_is_kept(tmp_path: Path, documents: Path) -> None:
    for chars in (1000, 300, 400, 500):
        index = opened(tmp_path / "i", max_chars=chars)
        index.sync(documents)
        index.close()
    assert [g.max_chars for g in index.generations()] == [400, 500]
    index.close()


def test_rollback_answers_by_the_old_generation_until_the_settings_ask_for_another(
    tmp_path: Path, documents: Path
) -> None:
    old = opened(tmp_path / "i").sync(documents).generation
    index = opened(tmp_path / "i", max_chars=300)
    new = index.sync(documents).generation
    assert index.rollback().id == old
    assert index.generation == old
    assert max(len(p.text) for p in index.passages()) > 300
    assert "rolled back" in index.state()
    (documents / "new.md").write_text("A newcomer arrives.")
    report = index.sync(documents)  # goes on with the old one: a sync does not undo a roll back
    assert (report.generation, report.added) == (old, 1)
    assert "new.md" in index.documents()
    assert index.rollback().id == new  # and forward again
    assert index.state() == "up to date"
    assert index.sync(documents).generation == new
    index.rollback()
    assert index.sync(documents, rebuild=True).generation == new  # a rebuild leaves it too
    index.rollback()
    index.close()
    third = opened(tmp_path / "i", max_chars=500)
    assert third.sync(documents).generation not in (old, new)
    third.close()


def test_rollback_over_a_change_of_embedder_is_one_command_too(
    tmp_path: Path, documents: Path
) -> None:
    first = opened(tmp_path / "i")
    first.sync(documents)
    wanted = [hit.passage.id for hit in first.search("river bridge")]
    index = opened(tmp_path / "i", "other")
    with pytest.raises(IndexUnusable, match=r"built by embedder mine .*the settings say other"):
        index.search("river bridge")
    index.sync(documents)
    index.rollback()
    assert [hit.passage.id for hit in index.search("river bridge")] == wanted
    assert index.sync(documents).embedded == 0
    stranger = Index(tmp_path / "i", Embedder("third", hashed))
    with pytest.raises(IndexUnusable, match=r"built by embedder mine .* say third"):
        stranger.search("river bridge")
    index.close()


def test_rollback_says_when_there_is_nothing_to_go_back_to(tmp_path: Path, documents: Path) -> None:
    index = opened(tmp_path / "i")
    index.sync(documents)
    with pytest.raises(InputError, match="no generation before this one is kept; kept: none"):
        index.rollback()
    with pytest.raises(InputError, match="no generation abc is kept"):
        index.rollback("abc")
    index.close()


def test_a_rebuild_that_fails_keeps_the_old_index_and_readers_see_the_new_one(
    tmp_path: Path, documents: Path
) -> None:
    broken = True

    def embed(texts: Sequence[str]) -> Any:
        return np.full((len(texts), 8), np.nan) if broken and len(texts) > 1 else hashed(texts)

    path = tmp_path / "i"
    reader = Index(path, Embedder("mine", hashed))
    reader.sync(documents)
    (documents / "new.txt").write_text("The zebra has stripes.", encoding="utf-8")
    writer = Index(path, Embedder("mine", embed))
    with pytest.raises(ModelError, match="NaN"):
        writer.sync(documents, rebuild=True)
    assert reader.search("river")
    assert not any("zebra" in hit.passage.text for hit in reader.search("zebra"))
    broken = False
    assert writer.sync(documents, rebuild=True).added == 7
    assert any("zebra" in hit.passage.text for hit in reader.search("zebra"))
    reader.close()
    writer.close()


def test_a_reader_searches_all_through_a_switch(tmp_path: Path, documents: Path) -> None:
    import threading

    path = tmp_path / "i"
    opened(path).sync(documents)
    reader, failed, done = opened(path), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                if len(reader.search("river bridge lamp", 5)) != 5:
                    failed.append("few")
            except Exception as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for chars in (300, 400, 1000, 500):
        writer = opened(path, max_chars=chars)
        (documents / "0002.md").write_text(f"River bridge lamp of {chars}.")
        writer.sync(documents)
        writer.close()
    done.set()
    for thread in threads:
        thread.join()
    assert not failed, failed[:3]
    reader.close()


def test_a_reader_asks_again_which_generation_answers_where_a_sync_took_it_away(
    tmp_path: Path, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path / "i").sync(documents)
    reader, writer, read = opened(tmp_path / "i"), [opened(tmp_path / "i")], Generations.current

    def current(home: Generations) -> Current:
        found = read(home)
        if writer:  # between the look at the file and its use
            writer.pop().sync(documents, erase=True)
        return found

    monkeypatch.setattr(Generations, "current", current)
    assert len(reader.search("river bridge lamp", 5)) == 5
    reader.close()


def test_an_index_of_an_older_layout_says_so_and_is_built_anew(
    tmp_path: Path, index: Index, folder: Path, embedder: Embedder
) -> None:
    home, made = tmp_path / "indexes" / "t", index.generation
    index.close()
    with closing(sqlite3.connect(home / f"{made}-1" / "index.db")) as db, db:
        db.execute("UPDATE meta SET value = '2' WHERE key = 'version'")
    (home / f"{made}-1").rename(home / "0ld-1")
    (home / "CURRENT").write_text('{"folder": "0ld-1", "previous": "", "back_from": ""}')
    later = Index(home, embedder)
    with pytest.raises(IndexUnusable, match="written by an older genai; run `genai index sync`"):
        later.search("storks")
    assert later.sync(folder).embedded > 0
    assert later.search("storks")
    assert not (home / "0ld-1").exists()
    with pytest.raises(InputError, match="no generation before this one is kept"):
        later.rollback()


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", "a\\b"])
def test_an_index_keeps_to_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(starter(tmp_path))
    with pytest.raises(ConfigError, match=r"`chain.index`: must be a name, not a path"):
        genai.Index(name)


@pytest.mark.parametrize("name", ["x" * 300, "\u00fc" * 101, "two\nlines", "nul\0", "half \ud800"])
def test_an_index_whose_name_is_no_name_of_a_folder_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(starter(tmp_path))
    with pytest.raises(ConfigError, match=r"`chain.index`: must be a ") as caught:
        genai.Index(name)
    assert str(caught.value).isprintable()
