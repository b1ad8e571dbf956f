"""The database behind the ledger: SQLite in a file, or PostgreSQL by URL, one schema."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.errors import LedgerUnusable, shown

if TYPE_CHECKING:
    import sqlalchemy as sa
# file systems on which SQLite's shared memory, and so its write-ahead log, does not work
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"}
_PATIENCE = 5.0  # seconds to wait for another program that writes
_TURN = 30.0  # seconds a thread waits for the others of its process to write
_parents: list[Any] = []  # kept, never closed: they belong to the process that forked


class Database:
    """Opens transactions; every failure is one sentence that names the file or the server.

    `durable` says that what is committed survives the loss of power.
    """

    def __init__(self, path: Path, url: str = "", *, durable: bool = False) -> None:
        self.name = hide(url) or shown(path)
        self._path = path
        self._url = url
        self._durable = durable
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._engine: sa.Engine | None = None
        self._held: Any = None

    @contextmanager
    def begin(self, *, write: bool = True, check: bool = True) -> Iterator["sa.Connection"]:
        """Open a transaction. Raises `LedgerUnusable`."""
        # the package first: two threads that begin at different parts of it break its import
        import sqlalchemy as sa

        try:
            engine = self._open(check)
            with self._turn(write), engine.execution_options(genai_write=write).begin() as db:
                yield db
        except sa.exc.DBAPIError as error:
            raise LedgerUnusable(f"{self.name}: {_words(str(error.orig))}") from error
        except (sa.exc.ArgumentError, ValueError) as error:  # it may quote a password
            if self._engine is not None:
                raise
            raise LedgerUnusable(
                f"{self.name}: is no URL of a server; mend GENAI_LEDGER_URL, and write @ : / # in"
                " its password as %40 %3A %2F %23"
            ) from error
        except OSError as error:
            raise LedgerUnusable(
                f"{self.name}: cannot be opened ({error.strerror}); check the folder"
            ) from error

    @contextmanager
    def _turn(self, write: bool) -> Iterator[None]:
        """Let this process's threads write one after another: SQLite lets waiters starve."""
        if not write or not self.is_sqlite:
            yield
            return
        if not self._writing.acquire(timeout=_TURN):
            raise LedgerUnusable(f"{self.name}: {_words('locked')}")
        try:
            yield
        finally:
            self._writing.release()

    def hold(self) -> None:
        """Keep a connection to a SQLite file open while there is much to do.

        Who closes the last one moves the whole log into the file and waits for the disk: with one
        kept, a transaction takes a fifth of the time.
        """
        import sqlite3

        with self._lock, suppress(sqlite3.Error):
            if self.is_sqlite and self._held is None and self._engine is not None:
                self._held = sqlite3.connect(self._path, check_same_thread=False)
                self._held.execute("SELECT count(*) FROM meta").fetchall()

    def let_go(self) -> None:
        """Close what `hold` keeps open."""
        with self._lock:
            if self._held is not None:
                self._held.close()
            self._held = None

    def forget(self) -> None:
        """Drop the connections; a forked child must never use its parent's."""
        if self._engine is not None:
            self._engine.dispose(close=False)  # the sockets are the parent's
        if self._held is not None:
            _parents.append(self._held)
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._engine, self._held = None, None

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is a file of this machine."""
        return not self._url

    def dispose(self) -> None:
        """Close the connections that are kept open."""
        if self._engine is not None:
            self._engine.dispose()

    def upgrade(self) -> int:
        """Migrate an older database; give the number of steps. Raises `LedgerUnusable`."""
        from genai.ledger import tables

        steps = 0
        with self.begin(check=False) as db:
            for number in range(_version(db) + 1, tables.VERSION + 1):
                for statement in tables.MIGRATIONS[number]:
                    if statement == "{create}":
                        tables.metadata.create_all(db)
                    else:
                        db.exec_driver_sql(statement)
                steps += 1
            if steps:
                update = tables.meta.update().where(tables.meta.c.key == "version")
                db.execute(update.values(value=str(tables.VERSION)))
        return steps

    def _open(self, check: bool) -> "sa.Engine":
        with self._lock:
            if self._engine is None:
                if self._url:
                    engine = _postgres(self._url, self._durable)
                else:
                    engine = _sqlite(self._path, self._durable)
                self._prepare(engine, check)
                if not check:
                    return engine
                self._engine = engine
            return self._engine

    def _prepare(self, engine: "sa.Engine", check: bool) -> None:
        import sqlalchemy as sa

        from genai.ledger import tables

        with engine.begin() as db:
            if db.dialect.name == "postgresql":  # two processes may come first at once
                db.execute(sa.text("SELECT pg_advisory_xact_lock(4711)"))
            if not sa.inspect(db).has_table("meta"):
                tables.metadata.create_all(db)
                db.execute(tables.meta.insert().values(key="version", value=str(tables.VERSION)))
            version = _version(db)
        if version > tables.VERSION:
            raise LedgerUnusable(
                f"{self.name}: was written by a newer genai (version {version}); upgrade genai"
            )
        if check and version < tables.VERSION:
            raise LedgerUnusable(f"{self.name}: is of an older version; run `genai upgrade`")


def _version(db: "sa.Connection") -> int:
    from genai.ledger import tables

    return int(db.execute(tables.meta.select().where(tables.meta.c.key == "version")).one().value)


def _sqlite(path: Path, durable: bool) -> "sa.Engine":
    import sqlalchemy as sa
    from sqlalchemy import event

    path.parent.mkdir(parents=True, exist_ok=True)
    kind = _file_system(path.parent)
    if kind in _NETWORK:
        raise LedgerUnusable(
            f"{path}: lies on a network file system ({kind}), where SQLite loses rows; set"
            " `ledger.url` to a PostgreSQL server or move the project's .genai folder"
        )
    engine = sa.create_engine(
        f"sqlite:///{path}", poolclass=sa.pool.NullPool, connect_args={"timeout": _PATIENCE}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL waits for the disk at every commit, NORMAL only before pages leave the log
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        if durable:
            connection.execute("PRAGMA fullfsync=ON")  # macOS: past the drive's own memory
        connection.execute("PRAGMA secure_delete=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        write = connection.get_execution_options().get("genai_write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgres(url: str, durable: bool) -> "sa.Engine":
    import sqlalchemy as sa
    from sqlalchemy import event

    extras.load("psycopg", "server")
    _, _, rest = url.partition("://")
    engine = sa.create_engine(
        f"postgresql+psycopg://{rest}", pool_size=2, pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "prepare_threshold": None},
    )  # fmt: skip
    if "@" in (engine.url.host or ""):  # the end of a password, which no name server shall see
        raise ValueError("@")

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        if durable:  # what a server sets above `on` stays
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            connection.commit()

    return engine


def hide(url: str) -> str:
    """Give a URL without its password, and without its options, which may hold one too."""
    head, at, tail = url.rpartition("@")
    tail = tail.partition("?")[0]
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{tail}" if at else tail


def _file_system(folder: Path) -> str:
    """Give the type of the file system a folder lies on; "" where nobody says."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    where = str(folder.resolve())
    for line in mounts:
        _, point, found, *_ = line.split(" ")
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def _words(problem: str) -> str:
    problem = problem.strip().partition("\n")[0]  # PostgreSQL quotes values further down
    said = {
        ("locked", "busy"): "is locked by another program; close it and try again; no call was"
        " lost",
        ("malformed", "not a database"): "is damaged; it was not changed; move it away, and the"
        " next call starts a new one",
        ("readonly", "unable to open"): "cannot be written; check the folder's permissions",
        ("full", "No space"): "cannot grow, the disk is full; free some space; calls wait in the"
        " spool",
        ("connection", "authentication", "host"): "cannot be reached; check that the server runs"
        " and the name, password and host in GENAI_LEDGER_URL; calls wait in the spool",
    }
    for words, sentence in said.items():
        if any(word in problem for word in words):
            return sentence
    return f"failed ({problem[:200]}); run `genai check`"
