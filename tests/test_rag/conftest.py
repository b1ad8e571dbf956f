"""What the tests of the index share: a folder, the shipped embedder, an index of the folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from indexes import small

from genai.models import Embedder, make_embedder
from genai.rag import Index


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return make_embedder("static")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small(tmp_path / "documents")


@pytest.fixture
def index(tmp_path: Path, folder: Path, embedder: Embedder) -> Iterator[Index]:
    made = Index(tmp_path / "indexes" / "t", embedder)
    made.sync(folder)
    yield made
    made.close()
