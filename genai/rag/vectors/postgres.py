"""A graph in PostgreSQL with pgvector: one table a generation, under the index's name."""

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.errors import IndexUnusable

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix

_MOST = 2000  # columns that pgvector's graph takes
_EF = 1000  # the most that pgvector takes
_BATCH = 5000


class Postgres:
    """One table of vectors with its graph; made on the first write, when the columns are known."""

    def __init__(self, url: str, name: str) -> None:
        self._package = extras.load("psycopg", "server")
        self._errors = self._package.Error
        self._url = url
        self._shown = re.sub(r"://[^@/]*@", "://", url).partition("?")[0]
        # a name of PostgreSQL has 63 bytes at most, and the whole of ours has to count
        short = re.sub(r"[^a-z0-9_]", "_", name.lower())[:40]
        self._table = f"genai_{short}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        self._connect()

    def _connect(self) -> None:
        try:
            self._db = self._package.connect(self._url, autocommit=True, connect_timeout=5)
            self._db.execute("SET application_name = 'genai index'")
            self._db.execute(f"SET hnsw.ef_search = {_EF}")
        except self._errors as error:
            raise self._named(error) from error

    def upsert(self, ids: Sequence[str], vectors: "Matrix") -> None:
        """Add or replace vectors, all or none of them."""
        if not len(ids):
            return
        self._make(vectors.shape[1])
        sql = (
            f"INSERT INTO {self._table} VALUES (%s, %s::vector) ON CONFLICT (id)"
            " DO UPDATE SET embedding = excluded.embedding"
        )
        try:
            with self._db.transaction(), self._db.cursor() as cursor:
                cursor.executemany(
                    sql, [(key, _text(row)) for key, row in zip(ids, vectors, strict=True)]
                )
        except self._errors as error:
            raise self._named(error) from error

    def delete(self, ids: Sequence[str]) -> None:
        """Remove vectors; unknown ids are ignored."""
        if self._there():
            self._run(f"DELETE FROM {self._table} WHERE id = ANY(%s)", (list(ids),))

    def ids(self) -> set[str]:
        """Give every id that has a vector."""
        return {row[0] for row in self._run(f"SELECT id FROM {self._table}")} if self._there() \
            else set()  # fmt: skip

    def count(self) -> int:
        """Count the vectors."""
        return int(self._run(f"SELECT count(*) FROM {self._table}")[0][0]) if self._there() else 0

    def nearest(self, vector: "Matrix", limit: int) -> list[str]:
        """Give the ids of the nearest passages, best first."""
        if not self._there():
            return []
        sql = f"SELECT id FROM {self._table} ORDER BY embedding <=> %s::vector LIMIT %s"
        return [row[0] for row in self._run(sql, (_text(vector), limit))]

    def drop(self) -> None:
        """Remove the table."""
        self._run(f"DROP TABLE IF EXISTS {self._table}")

    def close(self) -> None:
        """End the connection."""
        self._db.close()

    def _there(self) -> bool:
        return bool(self._run("SELECT to_regclass(%s) IS NOT NULL", (self._table,))[0][0])

    def _make(self, dimension: int) -> None:
        if self._there():
            return
        self._run("CREATE EXTENSION IF NOT EXISTS vector")
        self._run(f"SET hnsw.ef_search = {_EF}")
        self._run(
            f"CREATE TABLE {self._table} (id text PRIMARY KEY, embedding vector({dimension}))"
        )
        if dimension <= _MOST:  # wider vectors are looked at one by one
            self._run(
                f"CREATE INDEX ON {self._table} USING hnsw (embedding vector_cosine_ops)"
                " WITH (m = 32, ef_construction = 200)"
            )

    def _run(self, sql: str, values: Sequence[Any] = (), *, last: bool = False) -> list[Any]:
        try:
            cursor = self._db.execute(sql, values)
            return cursor.fetchall() if cursor.description else []
        except self._errors as error:
            if last or not self._db.closed:
                raise self._named(error) from error
        self._db.close()
        self._connect()  # the server ended the connection, as it does when it starts again
        return self._run(sql, values, last=True)

    def _named(self, error: Exception) -> IndexUnusable:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        cure = "look at the server and its URL in GENAI_INDEX_SERVER"
        if "extension" in said:
            cure = "install pgvector there (Debian: postgresql-NN-pgvector)"
        return IndexUnusable(f"{self._shown}: PostgreSQL said {said!r}; {cure}")


def _text(row: "Matrix") -> str:
    return "[" + ",".join(f"{value:.7g}" for value in row.tolist()) + "]"
