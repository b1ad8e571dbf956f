"""The peer: Haystack's indexing pipeline over Chroma on disk."""

import logging
from pathlib import Path
from typing import Any

from protocol import Encoder, batches, run


def _embedder(encoder: Encoder) -> Any:
    from dataclasses import replace

    from haystack import Document, component

    @component
    class Static:
        @component.output_types(documents=list[Document])
        def run(self, documents: list[Document]) -> dict[str, list[Document]]:
            vectors = encoder([each.content or "" for each in documents])
            pairs = zip(documents, vectors, strict=True)
            return {"documents": [replace(each, embedding=vector) for each, vector in pairs]}

    return Static()


logging.disable(logging.WARNING)  # one for every passage


class Peer:
    """Haystack as its indexing guide uses it."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        from haystack import Pipeline
        from haystack.components.preprocessors import DocumentSplitter
        from haystack.components.writers import DocumentWriter
        from haystack.document_stores.types import DuplicatePolicy
        from haystack_integrations.components.retrievers.chroma import ChromaEmbeddingRetriever
        from haystack_integrations.document_stores.chroma import ChromaDocumentStore

        self._encode = encoder
        self._store = ChromaDocumentStore("reading", persist_path=str(folder / "chroma"))
        self._pipeline = Pipeline()
        splitter = DocumentSplitter(split_by="word", split_length=150, split_overlap=30)
        writer = DocumentWriter(self._store, policy=DuplicatePolicy.OVERWRITE)
        for name, part in (
            ("split", splitter),
            ("embed", _embedder(encoder)),
            ("write", writer),
        ):
            self._pipeline.add_component(name, part)
        self._pipeline.connect("split.documents", "embed.documents")
        self._pipeline.connect("embed.documents", "write.documents")
        self._retriever = ChromaEmbeddingRetriever(self._store, top_k=10)

    def sync(self, articles: dict[str, str]) -> int:
        """Run the pipeline over the articles."""
        from haystack import Document

        for part in batches(articles):
            documents = [Document(content=t, meta={"name": name}) for name, t in part.items()]
            self._pipeline.run({"split": {"documents": documents}})
        return self._store.count_documents()

    def search(self, question: str) -> list[tuple[str, int, int]]:
        """Give the ten nearest passages."""
        found = self._retriever.run(query_embedding=self._encode([question])[0])["documents"]
        starts = [(each.meta["name"], each.meta["split_idx_start"], each.content) for each in found]
        return [(name, start, start + len(text)) for name, start, text in starts]


run(Peer)
