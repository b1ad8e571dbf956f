"""The peer: LangChain's stock splitter and in-memory vector store, as its tutorial uses them."""

import json
import statistics
import sys
import time

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter
from model2vec import StaticModel


class Static(Embeddings):
    """The same embedder as ours, so that the store is what differs."""

    def __init__(self, path: str) -> None:
        self._model = StaticModel.from_pretrained(path)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Give one vector a text."""
        vectors = self._model.encode(texts, show_progress_bar=False)
        return [[float(x) for x in row] for row in vectors]

    def embed_query(self, text: str) -> list[float]:
        """Give the vector of a question."""
        return self.embed_documents([text])[0]


def main() -> None:
    """Read articles and questions, print spans, rate and median query time as JSON."""
    given = json.load(sys.stdin)
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=1000, chunk_overlap=200, add_start_index=True
    )
    store = InMemoryVectorStore(Static(given["model"]))
    store.embedding.embed_query("warm")
    start = time.process_time()
    documents = splitter.create_documents(
        list(given["articles"].values()), [{"name": name} for name in given["articles"]]
    )
    store.add_documents(documents)
    rate = len(documents) / (time.process_time() - start)
    found, took = [], []
    for question in given["questions"]:
        start = time.process_time()
        hits = store.similarity_search(question, k=10)
        took.append((time.process_time() - start) * 1000)
        found.append(
            [
                (h.metadata["name"], h.metadata["start_index"],
                 h.metadata["start_index"] + len(h.page_content))
                for h in hits
            ]
        )  # fmt: skip
    print(json.dumps({"found": found, "passages_per_second": rate, "ms": statistics.median(took)}))


main()
