"""The manifest, the passages and the full text of an index: one SQLite file, the truth of it.

A document's new passages replace its old ones in one transaction, so a reader sees the old version
or the new one. Vectors live beside it (`vectors.py`) and are looked up by passage id.
"""

import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from genai.errors import IndexUnusable
from genai.rag.documents import Document
from genai.text.terms import TOKENIZER, words
from genai.types import Passage

SCHEMA_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS document (
    path TEXT PRIMARY KEY, source_hash TEXT NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS passage (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER);
CREATE INDEX IF NOT EXISTS passage_document ON passage (document);
CREATE TABLE IF NOT EXISTS sentence_vectors (id TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS fulltext USING fts5(heading, text, tokenize='{TOKENIZER}');
CREATE VIRTUAL TABLE IF NOT EXISTS vocabulary USING fts5vocab(fulltext, 'row');
"""
_COLUMNS = 'p.id, p.document, p.start, p."end", f.text, f.heading, p.page'
_FROM = "FROM passage p JOIN fulltext f ON f.rowid = p.row"


class Store:
    """Reads and writes one index file; safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named():
            db = self._db()
            db.executescript(_SCHEMA)
        version = int(self.get("version") or SCHEMA_VERSION)
        if version > SCHEMA_VERSION:
            raise IndexUnusable(
                f"{path}: written by a newer genai (index version {version}); upgrade genai"
            )

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is not None and self._local.file != self._path.stat().st_ino:
            self.close()  # a rebuild has put another file in this one's place
            db = None
        if db is None:
            db = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            self._local.db = db
            self._local.file = self._path.stat().st_ino
        return db

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turn SQLite's errors into one sentence that names the file."""
        try:
            yield
        except FileNotFoundError as error:
            raise IndexUnusable(
                f"{self._path}: was removed while in use; run `genai index sync`"
            ) from error
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                said = "is locked by another program; close it and try again"
            elif "readonly" in str(error) or "unable to open" in str(error):
                said = "cannot be written; check the folder's permissions"
            elif "full" in str(error):
                said = "cannot grow, the disk is full; free some space"
            else:
                said = f"failed ({error}); run `genai index sync --rebuild`"
            raise IndexUnusable(f"{self._path}: {said}") from error
        except sqlite3.DatabaseError as error:
            raise IndexUnusable(
                f"{self._path}: is damaged ({error}); nothing was changed; move it away and run"
                " `genai index sync`"
            ) from error

    def get(self, key: str) -> str | None:
        """Read one line of the index's own facts."""
        with self._named():
            found = self._db().execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def put(self, **values: str) -> None:
        """Write lines of the index's own facts."""
        with self._named():
            sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = ?"
            self._db().executemany(sql, [(key, value, value) for key, value in values.items()])

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

    def ids(self, document: str | None = None) -> set[str]:
        """Give the passage ids of one document, or of all."""
        sql = "SELECT id FROM passage" + (" WHERE document = ?" if document is not None else "")
        with self._named():
            rows = self._db().execute(sql, () if document is None else (document,))
            return {row[0] for row in rows}

    def replace(self, changed: Iterable[tuple[Document, Sequence[Passage]]]) -> None:
        """Put new versions of documents in the place of old ones, all or none of them."""
        with self._named(), self._transaction() as db:
            for document, passages in changed:
                _remove(db, document.path)
                db.execute(
                    "INSERT INTO document VALUES (?, ?, ?, ?, ?)",
                    (
                        document.path,
                        document.source_hash,
                        document.hash,
                        document.kind,
                        document.text,
                    ),
                )
                for p in passages:
                    row = db.execute(
                        'INSERT INTO passage (id, document, start, "end", page)'
                        " VALUES (?, ?, ?, ?, ?)",
                        (p.id, p.document, p.start, p.end, p.page),
                    ).lastrowid
                    db.execute(
                        "INSERT INTO fulltext (rowid, heading, text) VALUES (?, ?, ?)",
                        (row, p.heading, p.text),
                    )

    def remove(self, documents: Iterable[str]) -> None:
        """Forget documents, with their passages."""
        with self._named(), self._transaction() as db:
            for path in documents:
                _remove(db, path)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def put_vectors(self, packed: Mapping[str, bytes]) -> None:
        """Keep the packed sentence vectors of passages, by passage id."""
        with self._named(), self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO sentence_vectors VALUES (?, ?)", packed.items())

    def vectors(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Give the packed sentence vectors of these passages."""
        marks = ",".join("?" * len(ids))
        with self._named():
            sql = f"SELECT id, data FROM sentence_vectors WHERE id IN ({marks})"
            return dict(self._db().execute(sql, ids))

    def vector_ids(self) -> set[str]:
        """Give the ids that have sentence vectors."""
        with self._named():
            return {row[0] for row in self._db().execute("SELECT id FROM sentence_vectors")}

    def drop_vectors(self, ids: Iterable[str]) -> None:
        """Forget the sentence vectors of passages that are gone."""
        with self._named(), self._transaction() as db:
            db.executemany("DELETE FROM sentence_vectors WHERE id = ?", [(key,) for key in ids])

    def passages(self, ids: Sequence[str]) -> dict[str, Passage]:
        """Look passages up by id; unknown ids are left out."""
        marks = ",".join("?" * len(ids))
        with self._named():
            rows = self._db().execute(f"SELECT {_COLUMNS} {_FROM} WHERE p.id IN ({marks})", ids)
            return {row[0]: Passage(*row) for row in rows}

    def all_passages(self, document: str | None = None) -> Iterator[Passage]:
        """Walk the passages, of one document or of all, in order."""
        where = "" if document is None else "WHERE p.document = ?"
        with self._named():
            sql = f"SELECT {_COLUMNS} {_FROM} {where} ORDER BY p.document, p.start"
            rows = self._db().execute(sql, () if document is None else (document,))
            yield from (Passage(*row) for row in rows)

    def match(self, question: str, limit: int) -> dict[str, float]:
        """Full-text search: passage id -> BM25 score, larger is better, best first."""
        terms = ['"' + word.replace('"', '""') + '"' for word in words(question)]
        if not terms:
            return {}
        sql = f"SELECT p.id, -f.rank {_FROM} WHERE fulltext MATCH ? ORDER BY f.rank, p.id LIMIT ?"
        query = " OR ".join(dict.fromkeys(terms)).encode("utf-8", "replace").decode()
        with self._named():
            return dict(self._db().execute(sql, (query, limit)))

    def count(self) -> int:
        """Count passages."""
        with self._named():
            return int(self._db().execute("SELECT COUNT(*) FROM passage").fetchone()[0])

    def idf(self, stem: str) -> float:
        """Give a stem's inverse document frequency, as BM25 weighs it; an unknown one is rarest."""
        with self._named():
            sql = "SELECT doc FROM vocabulary WHERE term = ?"
            found = self._db().execute(sql, (stem,)).fetchone()
        n, seen = self.count(), found[0] if found else 0
        return math.log(1 + (n - seen + 0.5) / (seen + 0.5))

    def close(self) -> None:
        """Close this thread's connection."""
        db = getattr(self._local, "db", None)
        if db is not None:
            db.close()
            self._local.db = None


def _remove(db: sqlite3.Connection, path: str) -> None:
    db.execute(
        "DELETE FROM fulltext WHERE rowid IN (SELECT row FROM passage WHERE document = ?)", (path,)
    )
    db.execute("DELETE FROM passage WHERE document = ?", (path,))
    db.execute("DELETE FROM document WHERE path = ?", (path,))
