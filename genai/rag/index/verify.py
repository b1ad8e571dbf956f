"""Compare what an index says it holds with what it holds, and mend it from what is whole.

The documents and their passages' spans are the truth. Full text, vectors and graph are made from
them, so each of those can be made again; a document whose own text is damaged is forgotten, and
the next sync reads its file anew.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from genai.config import text_hash
from genai.errors import IndexUnusable
from genai.rag.index.graph import ALARM_BELOW, keep, recall
from genai.rag.index.opened import Opened
from genai.rag.store import Store
from genai.types import Passage


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check found, each a list of ids or names; `sound` if there is nothing to mend.

    `damaged` documents have another text than their hash says, or passages that are not where they
    say. `recall` is of the graph, None where there is none; `repaired` says a repair was made.
    """

    passages: int
    damaged: tuple[str, ...] = ()
    no_text: tuple[str, ...] = ()
    stray_text: int = 0
    full_text: str = ""
    no_vector: tuple[str, ...] = ()
    stray_vectors: int = 0
    no_graph: tuple[str, ...] = ()
    stray_graph: tuple[str, ...] = ()
    graph: str = ""
    recall: float | None = None
    repaired: bool = False

    @property
    def sound(self) -> bool:
        """Say whether manifest, full text, vectors and graph agree."""
        return not self.problems()

    def problems(self) -> list[str]:
        """Give what is wrong, a sentence each."""
        low = self.recall is not None and self.recall < ALARM_BELOW
        found = [
            (self.damaged, _said(self.damaged, "documents with a damaged text")),
            (self.no_text, _said(self.no_text, "passages missing from the full text")),
            (self.stray_text, f"{self.stray_text} rows of the full text without a passage"),
            (self.full_text, f"the full text is not sound: {self.full_text}"),
            (self.no_vector, _said(self.no_vector, "passages without a vector")),
            (self.stray_vectors, f"{self.stray_vectors} vectors without a passage"),
            (self.graph, f"the graph cannot be opened: {self.graph}"),
            (self.no_graph, _said(self.no_graph, "passages missing from the graph")),
            (self.stray_graph, _said(self.stray_graph, "vectors in the graph without a passage")),
            (low, f"the graph finds {self.recall or 0:.1%} of the nearest passages,"
                  f" {ALARM_BELOW:.0%} is wanted"),
        ]  # fmt: skip
        return [sentence for there, sentence in found if there]


def verify(opened: Opened) -> Findings:
    """Look at everything a generation holds; nothing is changed."""
    store, graph, refused = opened.store, None, ""
    try:
        graph = opened.graph() if opened.wants_graph() else None
    except IndexUnusable as error:
        refused = str(error)
    held, wanted = (graph.ids(), store.ids()) if graph else (set[str](), set[str]())
    return Findings(
        passages=store.count(),
        damaged=tuple(_damaged(store)),
        no_text=tuple(_no_text(store)),
        stray_text=int(store.value(
            "SELECT COUNT(*) FROM fulltext_docsize WHERE id NOT IN (SELECT row FROM passage)"
        )),
        full_text=_full_text(store),
        no_vector=tuple(store.without_vectors()) + tuple(_wrong_size(store)),
        stray_vectors=len(store.stray_vectors()),
        no_graph=tuple(sorted(wanted - held)),
        stray_graph=tuple(sorted(held - wanted)),
        graph=refused,
        recall=recall(store, graph) if graph and held else None,
    )  # fmt: skip


def mend(opened: Opened, found: Findings, embed: Callable[[Sequence[Passage]], None]) -> None:
    """Mend a generation. `embed` gives passages their vectors in the store."""
    store = opened.store
    store.remove(found.damaged)
    if found.no_text or found.stray_text or found.full_text:
        store.renew_full_text(_texts(store))
    store.drop_vectors(_wrong_size(store))
    missing = store.without_vectors()
    for first in range(0, len(missing), 5000):
        embed(list(store.passages(missing[first : first + 5000]).values()))
    store.drop_vectors(store.stray_vectors())
    if found.graph or (found.recall is not None and found.recall < ALARM_BELOW):
        opened.drop_graph()
    keep(opened, store.get("revision") or "")


def _damaged(store: Store) -> Iterable[str]:
    """Give documents whose text is not what its hash says, or whose passages are not in it."""
    for path, text, stored in store.texts():
        found = text_hash(text)
        rows = store.rows(
            'SELECT p.start, p."end", f.text FROM passage p LEFT JOIN fulltext f ON f.rowid = p.row'
            " WHERE p.document = ?",
            (path,),
        )
        inside = all(0 <= start < end <= len(text) for start, end, _ in rows)
        same = all(piece is None or text[start:end] == piece for start, end, piece in rows)
        if found != stored or not rows or not inside or not same:
            yield path
    lost = "SELECT DISTINCT document FROM passage WHERE document NOT IN (SELECT path FROM document)"
    yield from (path for (path,) in store.rows(lost))


def _no_text(store: Store) -> Iterable[str]:
    sql = (
        "SELECT id FROM passage WHERE row NOT IN (SELECT id FROM fulltext_docsize)"
        " OR row NOT IN (SELECT rowid FROM fulltext) ORDER BY id"
    )
    return (key for (key,) in store.rows(sql))


def _full_text(store: Store) -> str:
    """Have FTS5 compare its postings with its texts; '' if they agree."""
    try:
        store.write("INSERT INTO fulltext(fulltext, rank) VALUES ('integrity-check', ?)", [(1,)])
    except IndexUnusable as error:
        cause = error.__cause__
        return str(cause) if isinstance(cause, sqlite3.DatabaseError) else str(error)
    return ""


def _texts(store: Store) -> Iterator[tuple[int, str, str]]:
    """Give row, heading and text of every passage, from the documents and the passages' spans."""
    for path, text, _ in store.texts():
        sql = 'SELECT row, heading, start, "end" FROM passage WHERE document = ?'
        for row, heading, start, end in store.rows(sql, (path,)):
            yield row, heading, text[start:end]


def _wrong_size(store: Store) -> list[str]:
    """Give the vectors that have another number of columns than the index."""
    size = 2 * int(store.get("dimension") or 0)
    if not size:
        return []
    sql = (
        "SELECT id FROM vector WHERE length(data) != ? UNION"
        " SELECT id FROM sentence_vectors WHERE length(data) % ? != 0 OR length(data) = 0"
    )
    return [key for (key,) in store.rows(sql, (size, size))]


def _said(items: Sequence[str], what: str) -> str:
    return f"{len(items)} {what}: {', '.join(items[:3])}{', ...' if len(items) > 3 else ''}"
