"""The peer: LlamaIndex's ingestion pipeline with its document store, over Chroma on disk."""

from pathlib import Path
from typing import Any

from protocol import Encoder, batches, run


def _embedding(encoder: Encoder) -> Any:
    from llama_index.core.embeddings import BaseEmbedding

    class Static(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return encoder([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return encoder(texts)

        def _get_query_embedding(self, query: str) -> list[float]:
            return encoder([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return encoder([query])[0]

    return Static(embed_batch_size=1000)


class Peer:
    """LlamaIndex as its ingestion guide uses it."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        import chromadb
        from llama_index.core import VectorStoreIndex
        from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
        from llama_index.core.node_parser import SentenceSplitter
        from llama_index.core.storage.docstore import SimpleDocumentStore
        from llama_index.vector_stores.chroma import ChromaVectorStore

        client = chromadb.PersistentClient(str(folder / "chroma"))
        self._collection = client.get_or_create_collection("reading")
        store, embedding = ChromaVectorStore(self._collection), _embedding(encoder)
        self._kept = str(folder / "pipeline")
        self._pipeline = IngestionPipeline(
            transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=50), embedding],
            vector_store=store,
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS,
        )
        index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
        self._retriever = index.as_retriever(similarity_top_k=10)

    def sync(self, articles: dict[str, str]) -> int:
        """Run the pipeline over the articles and keep its state."""
        from llama_index.core import Document

        for part in batches(articles):
            self._pipeline.run(documents=[Document(text=t, id_=name) for name, t in part.items()])
        self._pipeline.persist(self._kept)
        return self._collection.count()

    def search(self, question: str) -> list[tuple[str, int, int]]:
        """Give the ten nearest passages."""
        nodes = [each.node for each in self._retriever.retrieve(question)]
        return [(node.ref_doc_id, node.start_char_idx, node.end_char_idx) for node in nodes]


run(Peer)
