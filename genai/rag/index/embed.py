"""Embed passages: here, in processes of this machine, or on a Ray cluster.

A part of the work is a few hundred passages. Its vectors are stored when it ends, before any
passage that needs them, so an interrupted sync embeds only what it had not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from genai import compute
from genai.errors import IndexUnusable
from genai.models import Embedder
from genai.rag.vectors import pack
from genai.text.sentences import sentences
from genai.types import Passage

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix
BATCH = 512  # passages a part
Open = Callable[[str], Embedder]


@dataclass(frozen=True, slots=True)
class Workers:
    """Who embeds: this process, so many processes, or a Ray cluster by its address."""

    count: int = 0
    ray: str | None = None

    @property
    def some(self) -> bool:
        """Say whether other processes work."""
        return bool(self.count) or self.ray is not None


@dataclass(frozen=True, slots=True)
class Part:
    """Passages for one worker: their texts, and the embedder by address and identity."""

    ids: tuple[str, ...]
    whole: tuple[str, ...]
    texts: tuple[str, ...]
    embedder: str
    identity: str
    open: Open


@dataclass(frozen=True, slots=True)
class Embedded:
    """What came of a part: id, vector and sentence vectors of each passage."""

    rows: list[tuple[str, bytes, bytes]]
    dimension: int


def embed(
    passages: Sequence[Passage], embedder: Embedder, workers: Workers, opener: Open
) -> Iterator[Embedded]:
    """Give the vectors of all passages, part by part, in the order in which they end.

    Raises:
        IndexUnusable: a worker opened another embedder than this process has.
        ModelError: the embedder failed.
    """
    parts = (passages[first : first + BATCH] for first in range(0, len(passages), BATCH))
    if not workers.some:
        for part in parts:
            yield _rows(
                embedder, [p.id for p in part], [_titled(p) for p in part], [p.text for p in part]
            )
        return
    jobs = [
        Part(
            tuple(p.id for p in part), tuple(_titled(p) for p in part),
            tuple(p.text for p in part), embedder.address, embedder.id, opener,
        )
        for part in parts
    ]  # fmt: skip
    yield from compute.scatter(embed_part, jobs, workers=workers.count, ray=workers.ray)


def embed_part(part: Part) -> Embedded:
    """Do one part in this process, a worker."""
    return _rows(_opened(part.open, part.embedder, part.identity), part.ids, part.whole, part.texts)


@lru_cache(maxsize=1)
def _opened(opener: Open, name: str, identity: str) -> Embedder:
    embedder = opener(name)
    if embedder.id != identity:
        raise IndexUnusable(
            f"embedder {name}: a worker has {embedder.id}, this process {identity}; install the"
            " same version on every machine"
        )
    return embedder


def _titled(passage: Passage) -> str:
    return f"{passage.heading}\n{passage.text}"


def _rows(
    embedder: Embedder, ids: Sequence[str], whole: Sequence[str], texts: Sequence[str]
) -> Embedded:
    cut = [[text[start:end] for start, end in sentences(text)] or [text] for text in texts]
    vectors: Matrix = embedder.embed([*whole, *(each for sentence in cut for each in sentence)])
    rows, at = [], len(whole)
    for number, (key, each) in enumerate(zip(ids, cut, strict=True)):
        rows.append((key, pack(vectors[number]), pack(vectors[at : at + len(each)])))
        at += len(each)
    return Embedded(rows, int(vectors.shape[1]))
