"""The SQLite file of one generation: its tables, its transactions, and its errors in words."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from genai.errors import IndexUnusable, InputError, shown
from genai.text.terms import TOKENIZER

SCHEMA_VERSION = 3
# rows and numbers are never used twice: what a reader remembers is still that, or gone
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    number INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE,
    source_hash TEXT NOT NULL, stamp TEXT NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL,
    tenant TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metadata (
    document TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, number REAL, text TEXT);
CREATE INDEX IF NOT EXISTS metadata_document ON metadata (document);
CREATE INDEX IF NOT EXISTS metadata_number ON metadata (key, number, document);
CREATE INDEX IF NOT EXISTS metadata_text ON metadata (key, text, document);
CREATE TABLE IF NOT EXISTS passage (
    row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, heading TEXT NOT NULL, page INTEGER,
    quarantined INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS passage_document ON passage (document);
CREATE INDEX IF NOT EXISTS passage_quarantined ON passage (row) WHERE quarantined;
CREATE TABLE IF NOT EXISTS vector (id TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sentence_vectors (id TEXT PRIMARY KEY, data BLOB NOT NULL);
"""
_FULL_TEXT = f"""
CREATE VIRTUAL TABLE IF NOT EXISTS fulltext USING fts5(heading, text, tokenize='{TOKENIZER}');
CREATE VIRTUAL TABLE IF NOT EXISTS vocabulary USING fts5vocab(fulltext, 'row');
CREATE VIRTUAL TABLE IF NOT EXISTS instances USING fts5vocab(fulltext, 'instance')
"""


class OldIndex(IndexUnusable):
    """The file was written by an older genai; only a new one is of use."""


class Connection:
    """One connection a thread to one file; every error names the file and the next step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = shown(path, 3)  # the index, its generation, the file
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._db().executescript(_SCHEMA + _FULL_TEXT)
        version = int(self.get("version") or SCHEMA_VERSION)
        if version > SCHEMA_VERSION:
            raise IndexUnusable(
                f"{self._name}: written by a newer genai (index version {version}); upgrade genai"
            )
        if version < SCHEMA_VERSION:
            raise OldIndex(f"{self._name}: written by an older genai; run `genai index sync`")

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA cache_size=-64000")
            self._local.db = db
        return db

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turn SQLite's errors into one sentence that names the file, or what it cannot hold."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                said = "is locked by another program; close it and try again"
            elif "readonly" in str(error) or "unable to open" in str(error):
                said = "cannot be written; check the folder's permissions"
            elif "full" in str(error):
                said = "cannot grow, the disk is full; free some space"
            else:
                said = f"failed ({error}); run `genai index sync --rebuild`"
            raise IndexUnusable(f"{self._name}: {said}") from error
        except sqlite3.DatabaseError as error:
            raise IndexUnusable(
                f"{self._name}: is damaged ({error}); nothing was changed; run"
                " `genai index sync --rebuild`"
            ) from error
        except UnicodeEncodeError as error:
            raise InputError(
                f"{error.object!r}: holds half a character (a lone surrogate), which no document"
                " has; remove it"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing, and count the write so that readers look again."""
        with self._named():
            db = self._db()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute(
                    "INSERT INTO meta VALUES ('writes', '1') ON CONFLICT(key)"
                    " DO UPDATE SET value = CAST(value AS INTEGER) + 1"
                )
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let every read inside see the file as it is at the first of them."""
        with self._named():
            db = self._db()
            db.execute("BEGIN")
            try:
                yield
            finally:
                db.execute("COMMIT")

    def get(self, key: str) -> str | None:
        """Read one line of the index's own facts."""
        with self._named():
            found = self._db().execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(found[0]) if found else None

    def put(self, **values: str) -> None:
        """Write lines of the index's own facts, all or none of them."""
        with self._transaction() as db:
            sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = ?"
            db.executemany(sql, [(key, value, value) for key, value in values.items()])

    def renew_full_text(self, rows: Iterable[tuple[int, str, str]]) -> None:
        """Write the full text anew, whatever state it is in: (row, heading, text) of passages."""
        with self._transaction() as db:
            for name in ("instances", "vocabulary", "fulltext"):
                db.execute(f"DROP TABLE IF EXISTS {name}")
            for statement in _FULL_TEXT.split(";"):
                db.execute(statement)
            db.executemany("INSERT INTO fulltext (rowid, heading, text) VALUES (?, ?, ?)", rows)

    def settle(self) -> None:
        """Have everything written so far survive a loss of power."""
        with self._named():
            self._db().execute("PRAGMA wal_checkpoint(FULL)")

    def close(self) -> None:
        """Close this thread's connection."""
        db = getattr(self._local, "db", None)
        if db is not None:
            db.close()
            self._local.db = None
