"""Vectors of passages: packed in the store, and in a graph to search where there are many.

A passage is found by its own vector and scored by its nearest sentence: a long passage's mean
blurs what one of its sentences says (measured: recall@1 .31 by sentence, .21 by passage).

The store holds every vector, and below 50,000 passages a search looks at each. Above that, or
where a server is named, a graph (HNSW) finds the nearest; it is made from the store and can always
be made again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from genai import extras

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix

EXACT_BELOW = 50_000  # passages; to look at each is as fast until there, and misses nothing


class Graph(Protocol):
    """An approximate search over passage vectors, by passage id."""

    def upsert(self, ids: Sequence[str], vectors: "Matrix") -> None:
        """Add or replace vectors."""

    def delete(self, ids: Sequence[str]) -> None:
        """Remove vectors; unknown ids are ignored."""

    def ids(self) -> set[str]:
        """Give every id that has a vector."""

    def count(self) -> int:
        """Count the vectors."""

    def nearest(self, vector: "Matrix", limit: int) -> list[str]:
        """Give the ids of the nearest passages, best first."""

    def drop(self) -> None:
        """Remove the whole of it."""

    def close(self) -> None:
        """Let go of files and connections."""


def open_graph(server: str, folder: Path, name: str) -> Graph:
    """Open the graph of a generation: in its folder, or on a server under its name.

    Raises:
        IndexUnusable: it cannot be opened, or is not to be trusted.
        InputError: the address has no known form.
    """
    if server.startswith(("postgresql://", "postgres://")):
        from genai.rag.vectors.postgres import Postgres

        return Postgres(server, name)
    if server:
        from genai.rag.vectors.served import ServedChroma

        return ServedChroma(server, name)
    from genai.rag.vectors.chroma import Chroma

    return Chroma(folder)


def pack(vectors: "Matrix") -> bytes:
    """Store unit rows as float16: half the bytes, and cosine changes in the fourth digit."""
    return bytes(vectors.astype("float16").tobytes())


def unpack(packed: Sequence[bytes], dimension: int) -> "Matrix":
    """Give packed vectors back as rows."""
    np = extras.load("numpy", "rag")
    rows: Matrix = np.frombuffer(b"".join(packed), "float16").reshape(-1, dimension)
    return rows.astype("float32")


def best_matches(vector: "Matrix", packed: Mapping[int, bytes]) -> dict[int, float]:
    """Give, for each key, the cosine similarity of its nearest packed row."""
    np = extras.load("numpy", "rag")
    if not packed:
        return {}
    near = unpack(list(packed.values()), len(vector)) @ vector
    counts = [len(data) // (2 * len(vector)) for data in packed.values()]
    starts = np.cumsum([0, *counts[:-1]])
    return dict(zip(packed, np.maximum.reduceat(near, starts).tolist(), strict=True))
