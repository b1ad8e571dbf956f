"""The vectors of an index: passages in Chroma, their sentences packed beside the text.

A passage is found by its own vector and scored by its nearest sentence: a long passage's mean
blurs what one of its sentences says (measured: recall@1 .31 by sentence, .21 by passage).

Chroma would download a model when given no function and would build a stored one when its
configuration is read, so this file passes vectors only and reads `configuration_json` alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.errors import IndexUnusable

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix

_HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 500}


def pack(vectors: "Matrix") -> bytes:
    """Store unit rows as float16: half the bytes, and cosine changes in the fourth digit."""
    return bytes(vectors.astype("float16").tobytes())


def best_match(vector: "Matrix", packed: bytes) -> float:
    """Give the cosine similarity of the nearest packed row."""
    np = extras.load("numpy", "rag")
    rows = np.frombuffer(packed, "float16").reshape(-1, len(vector)).astype("float32")
    return float((rows @ vector).max())


class Vectors:
    """One Chroma collection on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        chromadb = extras.load("chromadb", "rag")
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        try:
            self._client = chromadb.PersistentClient(str(path), settings=settings)
            self._collection: Any = self._client.get_or_create_collection(
                "passages", configuration={"hnsw": _HNSW}, embedding_function=None
            )
        except Exception as error:  # Chroma raises many kinds for a foreign or damaged folder
            raise IndexUnusable(
                f"{path}: Chroma cannot open it ({type(error).__name__}: {error}); nothing was"
                " changed; run `genai index sync --rebuild`"
            ) from error
        stored = self._collection.configuration_json
        function = stored.get("embedding_function")
        if function not in (None, {"type": "legacy"}):
            raise IndexUnusable(
                f"{path}: names an embedding function, which this project never stores;"
                " do not use an index from an unknown source"
            )
        if stored.get("hnsw", {}).get("space") != "cosine":
            raise IndexUnusable(f"{path}: was not built by cosine; `genai index sync --rebuild`")

    def upsert(self, ids: Sequence[str], vectors: "Matrix") -> None:
        """Add or replace vectors, in batches that Chroma takes."""
        step = self._client.get_max_batch_size()
        for first in range(0, len(ids), step):
            self._collection.upsert(
                ids=list(ids[first : first + step]), embeddings=vectors[first : first + step]
            )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove vectors; unknown ids are ignored."""
        step = self._client.get_max_batch_size()
        for first in range(0, len(ids), step):
            self._collection.delete(ids=list(ids[first : first + step]))

    def ids(self) -> set[str]:
        """Give every id that has a vector."""
        return set(self._collection.get(include=[])["ids"])

    def nearest(self, vector: "Matrix", limit: int) -> list[str]:
        """Give the ids of the nearest passages, best first."""
        limit = min(limit, self._collection.count())
        if limit == 0:
            return []
        found = self._collection.query(query_embeddings=[vector], n_results=limit, include=[])
        return list(found["ids"][0])

    def close(self) -> None:
        """Let go of the files; without it a later client may write to a removed folder."""
        self._client.close()
