"""A graph in Chroma, in the generation's own folder.

Chroma would download a model when given no function and would build a stored one when its
configuration is read, so this file passes vectors only and reads `configuration_json` alone.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.errors import IndexUnusable

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix

# measured at 100,000 passages of the shipped embedder, recall@10 of sentences and of questions, and
# processor time a query: ef 800 .984 .993 4.9 ms, 1600 .991 .996 6.8 ms, 2400 .994 .997 9.2 ms
HNSW = {"space": "cosine", "max_neighbors": 32, "ef_construction": 200, "ef_search": 2400}

# as hnswlib writes it: version, offset, rows there is room for, rows, bytes a row
_HEADER = struct.Struct("<iQQQQ")


class Chroma:
    """One collection on disk; nobody else may write there."""

    def __init__(self, path: Path) -> None:
        chromadb = extras.load("chromadb", "rag")
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        try:
            self._client = chromadb.PersistentClient(str(path), settings=settings)
            self._collection: Any = self._client.get_or_create_collection(
                "passages", configuration={"hnsw": HNSW}, embedding_function=None
            )
        except Exception as error:  # Chroma raises many kinds for a foreign or damaged folder
            said = (str(error).splitlines() or [""])[0]
            raise IndexUnusable(
                f"{path}: Chroma cannot open it ({type(error).__name__}: {said}); nothing was"
                " changed; run `genai index verify --repair`"
            ) from error
        refuse_foreign(self._collection.configuration_json, str(path))

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

    def count(self) -> int:
        """Count the vectors."""
        return int(self._collection.count())

    def nearest(self, vector: "Matrix", limit: int) -> list[str]:
        """Give the ids of the nearest passages, best first."""
        limit = min(limit, self._collection.count())
        if limit == 0:
            return []
        found = self._collection.query(query_embeddings=[vector], n_results=limit, include=[])
        return list(found["ids"][0])

    def drop(self) -> None:
        """Remove the collection."""
        self._client.delete_collection("passages")

    def close(self) -> None:
        """Let go of the files; without it a later client may write to a removed folder."""
        self._client.close()


def blank(path: Path) -> None:
    """Write zeros over the room for rows that no row has taken, in a collection's files.

    hnswlib writes it as it got it from the system, so it may hold whatever the process held
    before: passages that were removed, or keys.
    """
    for header in path.rglob("header.bin"):
        _, _, room, rows, each = _HEADER.unpack(header.read_bytes()[: _HEADER.size])
        for name, size in (("data_level0.bin", each), ("length.bin", 4)):
            file = header.with_name(name)
            if file.stat().st_size == room * size:
                with file.open("r+b") as opened:
                    opened.seek(rows * size)
                    opened.write(bytes((room - rows) * size))
                    opened.flush()
                    os.fsync(opened.fileno())


def refuse_foreign(stored: Mapping[str, Any], place: str) -> None:
    """Look at a collection's configuration before it is used.

    Raises:
        IndexUnusable: it names an embedding function, or does not measure by cosine.
    """
    if stored.get("embedding_function") not in (None, {"type": "legacy"}):
        raise IndexUnusable(
            f"{place}: names an embedding function, which this project never stores;"
            " do not use an index from an unknown source"
        )
    if (stored.get("hnsw") or {}).get("space") != "cosine":
        raise IndexUnusable(
            f"{place}: was not built by cosine, or by another version of Chroma; run"
            " `genai index verify --repair`"
        )
