"""Reads and writes of one generation's file, the truth of an index.

A document's new passages replace its old ones in one transaction, with their vectors, so a reader
sees the old version or the new one.
"""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genai.rag.documents import Document
from genai.rag.store.connection import Connection
from genai.types import Passage

_COLUMNS = 'p.id, p.document, p.start, p."end", f.text, p.heading, p.page'
_FROM = "FROM passage p JOIN fulltext f ON f.rowid = p.row"
Packed = tuple[str, bytes, bytes]  # passage id, its vector, its sentences' vectors
Metadata = Mapping[str, Sequence[tuple[str, float | None, str | None]]]  # kind, number, text


@dataclass(frozen=True, slots=True)
class Entry:
    """A document on its way into the store, with all that is kept of it."""

    document: Document
    passages: Sequence[Passage]
    source_hash: str
    stamp: str
    tenant: str
    metadata: Metadata
    quarantined: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the manifest knows of a file: the hash of its bytes, and its stamp on disk."""

    source_hash: str
    stamp: str


class Store(Connection):
    """Reads and writes one index file; safe to use from any thread."""

    # -- the manifest ----------------------------------------------------------------------------

    def seen(self) -> dict[str, Seen]:
        """Map each document to what the manifest knows of its file."""
        with self._named():
            sql = "SELECT path, source_hash, stamp FROM document"
            return {path: Seen(*rest) for path, *rest in self._db().execute(sql)}

    def documents(self) -> dict[str, str]:
        """Map each document to the hash of the file it was read from."""
        with self._named():
            return dict(self._db().execute("SELECT path, source_hash FROM document"))

    def document(self, path: str) -> tuple[str, str] | None:
        """Give a document's (text, hash)."""
        with self._named():
            sql = "SELECT text, hash FROM document WHERE path = ?"
            found: tuple[str, str] | None = self._db().execute(sql, (path,)).fetchone()
        return found

    def texts(self) -> Iterator[tuple[str, str, str]]:
        """Walk (path, text, hash) of every document."""
        for path in sorted(self.documents()):
            found = self.document(path)
            if found:
                yield path, *found

    def metadata(self, document: str) -> dict[str, list[float | str | None]]:
        """Give a document's own metadata."""
        found: dict[str, list[float | str | None]] = {}
        with self._named():
            sql = "SELECT key, number, text FROM metadata WHERE document = ? ORDER BY rowid"
            for key, number, text in self._db().execute(sql, (document,)):
                found.setdefault(key, []).append(number if text is None else text)
        return found

    def kinds(self) -> dict[str, set[str]]:
        """Map each metadata key to the kinds of value that it has."""
        found: dict[str, set[str]] = {}
        with self._named():
            for key, kind in self._db().execute("SELECT DISTINCT key, kind FROM metadata"):
                found.setdefault(key, set()).add(kind)
        return found

    def replace(self, entries: Iterable[Entry]) -> None:
        """Put new versions of documents in the place of old ones, all or none of them."""
        with self._transaction() as db:
            for entry in entries:
                _remove(db, entry.document.path)
                _insert(db, entry)

    def restamp(self, stamps: Mapping[str, str]) -> None:
        """Note files that were touched without a change."""
        if stamps:
            with self._transaction() as db:
                sql = "UPDATE document SET stamp = ? WHERE path = ?"
                db.executemany(sql, [(stamp, path) for path, stamp in stamps.items()])

    def remove(self, documents: Iterable[str]) -> None:
        """Forget documents, with their passages."""
        names = list(documents)
        if names:
            with self._transaction() as db:
                for path in names:
                    _remove(db, path)

    # -- passages --------------------------------------------------------------------------------

    def ids(self) -> set[str]:
        """Give the ids of all passages."""
        with self._named():
            return {row[0] for row in self._db().execute("SELECT id FROM passage")}

    def at(self, rows: Sequence[int]) -> dict[int, Passage]:
        """Look passages up by row; rows that are gone are left out."""
        with self._named():
            sql = f"SELECT p.row, {_COLUMNS} {_FROM} WHERE p.row IN ({_marks(rows)})"
            return {row: Passage(*rest) for row, *rest in self._db().execute(sql, rows)}

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Give the row of each passage id that there is, in the order of the ids."""
        with self._named():
            sql = f"SELECT id, row FROM passage WHERE id IN ({_marks(ids)})"
            found = dict(self._db().execute(sql, ids))
        return {key: found[key] for key in ids if key in found}

    def ids_at(self, rows: Sequence[int]) -> dict[int, str]:
        """Give the passage id of each row that there is."""
        with self._named():
            sql = f"SELECT row, id FROM passage WHERE row IN ({_marks(rows)})"
            return dict(self._db().execute(sql, rows))

    def passages(self, ids: Sequence[str]) -> dict[str, Passage]:
        """Look passages up by id; unknown ids are left out."""
        with self._named():
            sql = f"SELECT {_COLUMNS} {_FROM} WHERE p.id IN ({_marks(ids)})"
            return {row[0]: Passage(*row) for row in self._db().execute(sql, ids)}

    def all_passages(
        self, document: str | None = None, *, quarantined: bool = False
    ) -> Iterator[Passage]:
        """Walk the passages in order, of one document or of all, or the quarantined alone."""
        terms = (["p.document = ?"] if document is not None else []) + (
            ["p.quarantined"] if quarantined else []
        )
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        with self._named():
            sql = f"SELECT {_COLUMNS} {_FROM} {where} ORDER BY p.document, p.start, p.row"
            rows = self._db().execute(sql, () if document is None else (document,))
            yield from (Passage(*row) for row in rows)

    def quarantine(self, ids: Iterable[str]) -> None:
        """Make these passages, and no others, quarantined."""
        with self._transaction() as db:
            db.execute("UPDATE passage SET quarantined = 0 WHERE quarantined")
            sql = "UPDATE passage SET quarantined = 1 WHERE id = ?"
            db.executemany(sql, [(key,) for key in ids])

    def count(self, *, quarantined: bool = False) -> int:
        """Count passages, or the quarantined ones."""
        where = "WHERE quarantined" if quarantined else ""
        return int(self.value(f"SELECT COUNT(*) FROM passage {where}"))

    def idf(self, stem: str) -> float:
        """Give a stem's inverse document frequency, as BM25 weighs it; an unknown one is rarest."""
        n = self.count()
        seen = int(self.value("SELECT MAX(doc) FROM vocabulary WHERE term = ?", (stem,)) or 0)
        return math.log(1 + (n - seen + 0.5) / (seen + 0.5))

    # -- vectors ---------------------------------------------------------------------------------

    def put_vectors(self, packed: Iterable[Packed]) -> None:
        """Keep the vectors of passages, by passage id."""
        rows = list(packed)
        with self._transaction() as db:
            sql = "INSERT OR REPLACE INTO vector VALUES (?, ?)"
            db.executemany(sql, [(key, whole) for key, whole, _ in rows])
            sql = "INSERT OR REPLACE INTO sentence_vectors VALUES (?, ?)"
            db.executemany(sql, [(key, cut) for key, _, cut in rows])

    def vectors(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Give the packed vectors of these passages."""
        with self._named():
            sql = f"SELECT id, data FROM vector WHERE id IN ({_marks(ids)})"
            return dict(self._db().execute(sql, ids))

    def sentence_vectors(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Give the packed sentence vectors of the passages in these rows."""
        with self._named():
            sql = (
                "SELECT p.row, s.data FROM passage p JOIN sentence_vectors s ON s.id = p.id"
                f" WHERE p.row IN ({_marks(rows)})"
            )
            return dict(self._db().execute(sql, rows))

    def have_vectors(self, ids: Sequence[str]) -> set[str]:
        """Give those of the ids that have both kinds of vectors."""
        found: set[str] = set()
        with self._named():
            for first in range(0, len(ids), 10_000):
                part = ids[first : first + 10_000]
                sql = (
                    "SELECT v.id FROM vector v JOIN sentence_vectors s ON s.id = v.id"
                    f" WHERE v.id IN ({_marks(part)})"
                )
                found.update(row[0] for row in self._db().execute(sql, part))
        return found

    def without_vectors(self) -> list[str]:
        """Give the ids of passages that lack a vector."""
        sql = (
            "SELECT id FROM passage p WHERE NOT EXISTS (SELECT 1 FROM vector v WHERE v.id = p.id)"
            " OR NOT EXISTS (SELECT 1 FROM sentence_vectors s WHERE s.id = p.id) ORDER BY id"
        )
        with self._named():
            return [row[0] for row in self._db().execute(sql)]

    def stray_vectors(self) -> list[str]:
        """Give the ids of vectors whose passage is gone."""
        sql = (
            "SELECT id FROM vector WHERE id NOT IN (SELECT id FROM passage) UNION"
            " SELECT id FROM sentence_vectors WHERE id NOT IN (SELECT id FROM passage)"
        )
        with self._named():
            return [row[0] for row in self._db().execute(sql)]

    def drop_vectors(self, ids: Iterable[str]) -> None:
        """Forget vectors."""
        keys = [(key,) for key in ids]
        if keys:
            with self._transaction() as db:
                db.executemany("DELETE FROM vector WHERE id = ?", keys)
                db.executemany("DELETE FROM sentence_vectors WHERE id = ?", keys)

    # -- for readers with questions of their own --------------------------------------------------

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read with a statement of our own making; values go in as values, never as text."""
        with self._named():
            return self._db().execute(sql, values).fetchall()

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Read one value; None if there is none."""
        found = self.rows(sql, values)
        return found[0][0] if found else None

    def write(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        """Write rows with a statement of our own making, all or none of them."""
        with self._transaction() as db:
            db.executemany(sql, values)


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


def _insert(db: sqlite3.Connection, entry: Entry) -> None:
    document = entry.document
    db.execute(
        "INSERT INTO document (path, source_hash, stamp, hash, kind, tenant, text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            document.path, entry.source_hash, entry.stamp, document.hash, document.kind,
            entry.tenant, document.text,
        ),
    )  # fmt: skip
    db.executemany(
        "INSERT INTO metadata VALUES (?, ?, ?, ?, ?)",
        [(document.path, key, *each) for key, values in entry.metadata.items() for each in values],
    )
    for p in entry.passages:
        row = db.execute(
            'INSERT INTO passage (id, document, start, "end", heading, page, quarantined)'
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (p.id, p.document, p.start, p.end, p.heading, p.page, p.id in entry.quarantined),
        ).lastrowid
        db.execute(
            "INSERT INTO fulltext (rowid, heading, text) VALUES (?, ?, ?)", (row, p.heading, p.text)
        )


def _remove(db: sqlite3.Connection, path: str) -> None:
    db.execute(
        "DELETE FROM fulltext WHERE rowid IN (SELECT row FROM passage WHERE document = ?)", (path,)
    )
    db.execute("DELETE FROM passage WHERE document = ?", (path,))
    db.execute("DELETE FROM metadata WHERE document = ?", (path,))
    db.execute("DELETE FROM document WHERE path = ?", (path,))
