"""What went wrong in other libraries, by their public issues, and does not here.

Where the library is installed it runs beside, so that the day it is mended is seen too.
"""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from indexes import by_name, cheap, current, many
from langchain_classic.retrievers import EnsembleRetriever
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter
from spans import check, document

from genai.config import IndexSettings
from genai.models import Embedder
from genai.rag import Index, vectors
from genai.rag.split import Splitting, split

PARTS = [Document(page_content=f"part {n}", metadata={"source": "a"}) for n in range(10)]


class Theirs:
    """LangChain's `index()` over its own store and record manager."""

    def __init__(self, cleanup: str) -> None:
        self.store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
        self._records = InMemoryRecordManager("peer")
        self._options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "source"}
        self._options |= {"key_encoder": "sha256", "batch_size": 4}

    def sync(self, documents: list[Document]) -> dict[str, int]:
        """Give what it reports: added, deleted, skipped."""
        found = index(documents, self._records, self.store, **self._options)
        return {name.removeprefix("num_"): int(count) for name, count in found.items()}  # type: ignore[call-overload]


def ours(tmp_path: Path, **options: Any) -> Index:
    return Index(tmp_path / "i", Embedder("mine", cheap), IndexSettings(**options))


# -- a sync ----------------------------------------------------------------------------------------


def test_a_source_of_more_parts_than_a_batch_is_not_written_again(tmp_path: Path) -> None:
    """LangChain #32612: cleanup runs a batch, so a second run embeds and deletes 6 of 10."""
    theirs = Theirs("incremental")
    theirs.sync(PARTS)
    again = theirs.sync(PARTS)
    assert (again["added"], again["deleted"]) == (6, 6)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.csv").write_text("part\n" + "".join(f"{n}\n" for n in range(2000)))
    made = ours(tmp_path, splitter="tables")
    assert made.sync(tmp_path / "d").passages == 2000
    report = made.sync(tmp_path / "d")
    assert (report.embedded, report.removed, report.unchanged) == (0, 0, 1)
    made.close()


def test_vectors_that_are_gone_are_noticed(tmp_path: Path) -> None:
    """LangChain #39937, #40226: 5 lost of 10, and the next run reports 10 skipped."""
    theirs = Theirs("full")
    theirs.sync(PARTS)
    theirs.store.delete([*theirs.store.store][:5])
    assert theirs.sync(PARTS)["skipped"] == 10
    assert len(theirs.store.store) == 5
    made = ours(tmp_path)
    made.sync(many(tmp_path / "d", 10))
    opened = current(made)
    opened.store.drop_vectors(sorted(opened.store.ids())[:5])
    assert len(made.verify().no_vector) == 5
    assert made.sync(tmp_path / "d").embedded == 5
    assert made.verify().sound
    made.close()


def test_a_vanished_file_goes_without_a_mode_for_it(tmp_path: Path) -> None:
    """LangChain `cleanup="incremental"` keeps a source that is gone for ever, Haystack each."""
    theirs = Theirs("incremental")
    gone = Document(page_content="gone", metadata={"source": "b"})
    theirs.sync([*PARTS, gone])
    theirs.sync(PARTS)
    assert "gone" in {each["text"] for each in theirs.store.store.values()}
    made = ours(tmp_path)
    made.sync(many(tmp_path / "d", 4))
    (tmp_path / "d" / "0002.md").unlink()
    assert made.sync(tmp_path / "d").removed == 1
    assert "0002.md" not in made.documents()
    assert made.verify().sound
    made.close()


def test_every_passage_of_a_changed_document_is_kept(tmp_path: Path) -> None:
    """LlamaIndex #22133: an upsert kept the last chunk of each document and dropped the others."""
    made = ours(tmp_path, max_chars=200)
    documents = many(tmp_path / "d", 3)
    made.sync(documents)
    (documents / "0001.md").write_text("\n\n".join(f"Sentence {n} of many. " * 8 for n in range(9)))
    made.sync(documents)
    held = made.passages("0001.md")
    assert len(held) == 9
    assert {f"Sentence {n}" for n in range(9)} == {each.text[:10] for each in held}
    made.close()


def test_a_sync_without_a_graph_changes_nothing_for_those_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LlamaIndex #20823: one run without a vector store turned upserts off for all later runs."""
    made = ours(tmp_path)
    documents = many(tmp_path / "d", 10)
    made.sync(documents)
    monkeypatch.setattr(vectors, "EXACT_BELOW", 10)
    for text in ("The river is new.", "The river is newer."):
        (documents / "0001.md").write_text(text)
        assert made.sync(documents).changed == 1
        opened = current(made)
        assert opened.graph().ids() == {each.id for each in made.passages()}
        assert [each.text for each in made.passages("0001.md")] == [text]
    made.close()


def test_metadata_that_is_gone_from_a_file_is_gone_from_the_index(tmp_path: Path) -> None:
    """Chroma's upsert merges: old keys stay, and a text that is left out stays the old one."""
    import chromadb

    client = chromadb.PersistentClient(str(tmp_path / "theirs"))
    held = client.create_collection("held", embedding_function=None)
    held.upsert(ids=["a"], embeddings=[[1.0, 0.0]], metadatas=[{"owner": "ann"}], documents=["old"])
    held.upsert(ids=["a"], embeddings=[[1.0, 0.0]], metadatas=[{"year": 2024}])
    found = held.get(ids=["a"])
    client.close()
    assert found["metadatas"] == [{"owner": "ann", "year": 2024}]
    assert found["documents"] == ["old"]
    (tmp_path / "d").mkdir()
    page = tmp_path / "d" / "a.md"
    page.write_text("---\nowner: ann\n---\nA lamp.\n")
    made = ours(tmp_path)
    made.sync(tmp_path / "d")
    page.write_text("---\nyear: 2024\n---\nA lamp.\n")
    made.sync(tmp_path / "d")
    assert made.metadata("a.md") == {"year": [2024.0]}
    made.close()


# -- spans -----------------------------------------------------------------------------------------


OWN = {
    "structure": Splitting(300),
    "sentences": Splitting(300, "sentences", overlap=80),
    "tokens": Splitting(300, "tokens", max_tokens=40, overlap=10, tokenizer="static"),
}
TEXTS = {
    "langchain 21475": "chunk chunk " * 60,
    "langchain 17642": "Any text can stand here if parts share words; it will not work. " * 20,
    "haystack 11710": "This is sentence one. This is sentence two. This is sentence three. " * 12,
    "haystack 11986": "The sky is blue. The grass is green. " * 20,
    "llama_index 9101": "# A\n\nOne table.\n\n# B\n\nOne table.\n\n" * 20,
    "llama_index 10686": "A page ends in the middle of \n\n\x0ca sentence that goes on. " * 12,
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("issue", TEXTS)
def test_where_a_passage_stands_is_known_and_right(issue: str, name: str) -> None:
    """The start was wrong (LangChain #21475, #17642, Haystack #11710) or missing (the others).

    LangChain looks a chunk's text up, so a repeated one is found too early and an overlap counted
    in tokens too late; Haystack took words for characters; LlamaIndex and one of Haystack's
    splitters gave no start.
    """
    read = document(TEXTS[issue], "a.md")
    check(read, split(read, OWN[name]), 640)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("chunk chunk", {"chunk_size": 5, "chunk_overlap": 5, "separators": [" ", ""]}),
        (TEXTS["langchain 17642"], {"chunk_size": 20, "chunk_overlap": 10,
                                    "length_function": lambda text: len(text.split())}),
    ],
    ids=["21475", "17642"],
)  # fmt: skip
def test_langchain_still_looks_its_chunks_up_and_the_adapter_finds_where_they_stand(
    text: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """LangChain #21475, #17642: `start_index` of a substring, and of an overlap in words."""
    splitter = RecursiveCharacterTextSplitter(add_start_index=True, **options)
    found = [(d.metadata["start_index"], d.page_content) for d in splitter.create_documents([text])]
    ends = [start + len(piece) for start, piece in found]
    exact = all(text[start:end] == piece for (start, piece), end in zip(found, ends, strict=True))
    assert not (exact and ends[-1] == len(text.rstrip()))
    monkeypatch.setitem(sys.modules, "peer", SimpleNamespace(splitter=splitter))
    read = document(text)
    for passage in split(read, Splitting(splitter="peer:splitter")):
        assert read.text[passage.start : passage.end] == passage.text


def test_a_citation_has_its_place_through_every_step(tmp_path: Path) -> None:
    """LlamaIndex sets the start and end of its citation nodes to None."""
    from genai.rag.langchain import IndexRetriever

    made = ours(tmp_path, max_chars=200)
    made.sync(many(tmp_path / "d", 4))
    found = IndexRetriever(index=made, k=5).invoke("river")
    assert len(found) == 5
    for each in found:
        text = (made.document(each.metadata["source"]) or ("", ""))[0]
        assert text[each.metadata["start"] : each.metadata["end"]] == each.page_content
    made.close()


OFFLINE = """
import socket, sys
def refuse(*words): raise AssertionError("asked the network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from genai.rag.documents import parse
from genai.rag.split import Splitting, split
read = parse("a.txt", b"Dr. Ann left. She came back at 3.15 p.m. today. " * 40)
assert len(split(read, Splitting(200, "sentences"))) > 5
print("nltk" in sys.modules)
"""


def test_sentences_are_cut_without_a_download() -> None:
    """Haystack's recursive splitter downloads `punkt_tab` first, and fails without a network."""
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


# -- a search --------------------------------------------------------------------------------------


class Given(BaseRetriever):
    """A retriever of theirs that gives one document."""

    source: str

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(page_content="The lamp is green.", metadata={"source": self.source})]


def test_one_text_in_two_documents_is_two_hits(tmp_path: Path) -> None:
    """LangChain's EnsembleRetriever merges by text: of two sources one citation is lost."""
    both: list[Any] = [Given(source="a"), Given(source="b")]
    merged = EnsembleRetriever(retrievers=both, weights=[0.5, 0.5]).invoke("lamp")
    assert [each.metadata["source"] for each in merged] == ["a"]
    (tmp_path / "d").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "d" / name).write_text("The lamp is green.")
    made = Index(tmp_path / "i", by_name("mine"))
    made.sync(tmp_path / "d")
    assert {hit.passage.document for hit in made.search("lamp")} == {"a.txt", "b.txt"}
    made.close()
