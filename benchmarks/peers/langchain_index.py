"""The peer: LangChain's `index()` with its SQL record manager, over Chroma on disk."""

from pathlib import Path

from protocol import Encoder, run


class Peer:
    """LangChain as its indexing guide uses it."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        from langchain_chroma import Chroma
        from langchain_classic.indexes import SQLRecordManager
        from langchain_core.embeddings import Embeddings
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        class Static(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return encoder(texts)

            def embed_query(self, text: str) -> list[float]:
                return encoder([text])[0]

        self._splitter = RecursiveCharacterTextSplitter(
            chunk_size=1000, chunk_overlap=200, add_start_index=True
        )
        self._store = Chroma("reading", Static(), persist_directory=str(folder / "chroma"))
        self._records = SQLRecordManager("reading", db_url=f"sqlite:///{folder / 'records.db'}")
        self._records.create_schema()

    def sync(self, articles: dict[str, str]) -> int:
        """Cut the articles and bring the store into step."""
        from langchain_core.indexing import index

        documents = self._splitter.create_documents(
            list(articles.values()), [{"name": name} for name in articles]
        )
        index(
            documents, self._records, self._store, cleanup="full", source_id_key="name",
            key_encoder="sha256", batch_size=1000,
        )  # fmt: skip
        return len(self._store.get(include=[])["ids"])

    def search(self, question: str) -> list[tuple[str, int, int]]:
        """Give the ten nearest passages."""
        found = [(h.metadata, h.page_content) for h in self._store.similarity_search(question, 10)]
        return [(m["name"], m["start_index"], m["start_index"] + len(text)) for m, text in found]


run(Peer)
