"""The peer: LangChain's `index()` with its SQL record manager into a Chroma on disk."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from langchain_chroma import Chroma
from langchain_classic.indexes import SQLRecordManager, index
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from model2vec import StaticModel


class Static(Embeddings):
    """The same embedder as ours, so that the rest is what differs."""

    def __init__(self, path: str) -> None:
        self._model = StaticModel.from_pretrained(path)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Give one vector a text."""
        vectors = self._model.encode(texts, show_progress_bar=False)
        return [[float(x) for x in row] for row in vectors]

    def embed_query(self, text: str) -> list[float]:
        """Give the vector of a question."""
        return self.embed_documents([text])[0]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Give wall and processor seconds."""
    wall, own = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - own


def main() -> None:
    """Sync a folder twice; print seconds and the passages held as JSON."""
    documents, model, folder = map(Path, sys.argv[1:4])
    folder.mkdir(parents=True)
    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=0)
    store = Chroma("passages", Static(str(model)), persist_directory=str(folder))
    store.embeddings.embed_query("warm")
    records = SQLRecordManager("chroma/passages", db_url=f"sqlite:///{folder}/records.db")
    records.create_schema()

    def sync() -> None:
        found = [
            Document(path.read_text(encoding="utf-8"), metadata={"source": str(path)})
            for path in sorted(documents.rglob("*.md"))
        ]
        pieces = splitter.split_documents(found)
        index(
            pieces, records, store, cleanup="full", source_id_key="source", batch_size=1000,
            key_encoder="sha256",
        )  # fmt: skip

    first, again = timed(sync), timed(sync)
    held = store._collection.count()
    print(json.dumps({
        "wall": first[0], "cpu": first[1], "wall_again": again[0], "cpu_again": again[1],
        "passages": held,
    }))  # fmt: skip


main()
