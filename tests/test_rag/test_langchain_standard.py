"""LangChain's own standard tests: our Index is a vector store and a retriever."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_tests.integration_tests import (
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)

from genai.models import make_embedder
from genai.rag import Index
from genai.rag.langchain import IndexRetriever, IndexStore


class TestStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[IndexStore]:
        index = Index(tmp_path / "index", make_embedder("static"))
        yield IndexStore(index, tmp_path / "documents")
        index.close()


class TestRetriever(RetrieversIntegrationTests):
    retriever_constructor = IndexRetriever
    retriever_query_example = "Which drink has milk?"

    @pytest.fixture(autouse=True)
    def index(self, tmp_path: Path) -> Iterator[None]:
        folder = tmp_path / "documents"
        folder.mkdir()
        for name, text in {"a": "Tea is hot.", "b": "Cocoa has milk.", "c": "Wine is red."}.items():
            (folder / f"{name}.txt").write_text(text)
        self.opened = Index(tmp_path / "index", make_embedder("static"))
        self.opened.sync(folder)
        yield
        self.opened.close()

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": self.opened}
