"""Filters and tenants where the graph searches: nobody sees another's, and few are looked at."""

from pathlib import Path
from typing import Any

import pytest
from indexes import cheap

from genai.config import IndexSettings
from genai.models import Embedder
from genai.rag import Index, vectors
from genai.rag.search import Between, Where
from genai.rag.vectors.chroma import Chroma
from genai.types import Hit

MANY = 100  # passages, for all tests but the one at the true size


def rows(path: Path, count: int, year: int = 0) -> None:
    """Write a table of so many rows, each a passage of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{path.parent.name},{path.stem}x{number}\n" for number in range(count))
    path.write_text(f"who,number\n{lines}")
    if year:
        path.with_name(f"{path.name}.meta.yaml").write_text(f"year: {year}\n")


def synced(path: Path, documents: Path) -> Index:
    settings = IndexSettings(splitter="tables", tenants=True)
    index = Index(path, Embedder("mine", cheap), settings)
    index.sync(documents)
    return index


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many passages each question to the graph asks for."""
    calls: list[int] = []
    whole = Chroma.nearest

    def nearest(self: Chroma, vector: Any, limit: int) -> list[str]:
        calls.append(limit)
        return whole(self, vector, limit)

    monkeypatch.setattr(Chroma, "nearest", nearest)
    return calls


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[int]) -> Index:
    """Two tenants: ann just has so many that the graph is asked, bob has one less."""
    monkeypatch.setattr(vectors, "EXACT_BELOW", MANY)
    rows(tmp_path / "documents" / "ann" / "old.csv", MANY // 2, 2001)
    rows(tmp_path / "documents" / "ann" / "new.csv", MANY // 2, 2024)
    rows(tmp_path / "documents" / "bob" / "old.csv", MANY - 2, 2001)
    rows(tmp_path / "documents" / "bob" / "new.csv", 1, 2024)
    index = synced(tmp_path / "i", tmp_path / "documents")
    asked.clear()
    return index


def both(index: Index, monkeypatch: pytest.MonkeyPatch, question: str, **rest: Any) -> list[Hit]:
    """Search, and hold it to what a look at every vector gives."""
    found = index.search(question, 20, **rest)
    with monkeypatch.context() as only:
        only.setattr(vectors, "EXACT_BELOW", 10**9)
        exact = index.search(question, 20, **rest)
    assert [(h.passage.id, h.dense) for h in found] == [(h.passage.id, h.dense) for h in exact]
    return found


def test_the_graph_is_asked_from_the_boundary_on_and_not_below(
    shared: Index, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert both(shared, monkeypatch, "a river", tenant="ann")
    assert len(asked) == 1  # 100 of 199 remain
    assert both(shared, monkeypatch, "a river", tenant="bob")
    assert len(asked) == 1  # 99 of 199 remain: each is looked at
    span = Where(metadata={"year": Between(2000, 2030)})
    assert both(shared, monkeypatch, "a river", tenant="ann", where=span)
    assert len(asked) == 2
    assert both(shared, monkeypatch, "a river", tenant="ann", where=Where(metadata={"year": 2024}))
    assert len(asked) == 2
    shared.close()


def test_a_tenant_never_finds_anothers_by_the_graph(shared: Index, asked: list[int]) -> None:
    theirs = [p.text for p in shared.passages() if p.document.startswith("bob/")]
    for number in range(300):
        for hit in shared.search(theirs[number % len(theirs)][number % 5 :], 20, tenant="ann"):
            assert hit.passage.document.startswith("ann/")
    assert len(asked) == 300
    assert shared.search("river", tenant="an") == []
    assert shared.search("river", tenant="ann", where=Where(path="bob/")) == []
    shared.close()


def test_a_filter_that_the_graphs_nearest_do_not_pass_is_looked_at_passage_by_passage(
    shared: Index, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = shared.search("a river", 20, tenant="ann")
    calls = len(asked)
    kept = Chroma.nearest
    # as if all that lies near were another tenant's
    monkeypatch.setattr(Chroma, "nearest", lambda self, vector, limit: [
        key for key in kept(self, vector, 10**6) if key in {
            p.id for p in shared.passages() if p.document.startswith("bob/")}][:limit])  # fmt: skip
    assert shared.search("a river", 20, tenant="ann") == everything
    assert len(asked) == calls + 1
    shared.close()


def test_at_the_true_size_50000_after_the_filter_ask_the_graph_and_49999_do_not(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vectors.EXACT_BELOW == 50_000
    rows(tmp_path / "documents" / "ann" / "a.csv", 49_999)
    rows(tmp_path / "documents" / "ann" / "b.csv", 1)
    rows(tmp_path / "documents" / "bob" / "c.csv", 500)
    index = synced(tmp_path / "i", tmp_path / "documents")
    asked.clear()
    for hit in both(index, monkeypatch, "who: bob; number: cx17", tenant="ann"):
        assert hit.passage.document.startswith("ann/")
    assert len(asked) == 1
    both(index, monkeypatch, "who: bob; number: cx17", tenant="ann", where=Where(path="ann/a"))
    assert len(asked) == 1
    best = index.search("who: bob; number: cx17", tenant="bob")[0].passage
    assert best.text == "who: bob; number: cx17"
    assert len(asked) == 1
    index.close()
