"""Moves spool files into the tables: one statement a batch, and the file's offset with it.

A line that cannot be stored is counted and set aside in `spool/failed.txt`; it blocks no other.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from genai.errors import LedgerUnusable
from genai.ledger import tables
from genai.ledger.database import Database
from genai.ledger.owner import is_written
from genai.ledger.row import context_of, from_pico, row_of
from genai.ledger.spool import Spool, read_from
from genai.ledger.underway import standing
from genai.types import Call, Cost, CostStatus

_decode = msgspec.json.Decoder(dict[str, Any]).decode_lines
_encode = msgspec.json.encode
_PIECES = 16  # of what is read at once, in one transaction: each rewrites pages of the indexes
_CALL = b'{"t":"call"'  # how the line of a call begins
_NOTES = ("sent", "moved")  # lines that are no rows
_FAILED = "failed.txt"  # lines that cannot be stored
_BEGAN = re.compile(rb'"(?:started_at|created_at)":(\d+(?:\.\d+)?)')
_KINDS = {"call": tables.calls, "feedback": tables.feedback, "content": tables.content}


@dataclass(slots=True)
class Drained:
    """What one pass did: rows `written`, lines `failed`, calls found `lost`."""

    written: int = 0
    failed: int = 0
    lost: int = 0


class _NotYet(Exception):
    """The file has lines that are not stored."""


class Drainer:
    """Drains one spool folder through transactions that `begin` opens."""

    def __init__(self, spool: Spool, begin: Any) -> None:
        self._spool = spool
        self._begin = begin

    def run(self) -> Drained:
        """Move every complete line; then settle what dead processes left."""
        done, finished = Drained(), []
        for path in self._spool.files():
            while self._batch(path, done):
                pass
            if not is_written(path):
                finished.append(path)
        for path in finished:  # after all files, since a call may be answered in a later one
            self._finish(path, done)
        for path in self._spool.left_underway():  # after their rows, which stand where both are
            self._book(path, done)
        return done

    def empty_own(self) -> None:
        """Empty this process's file once all of it is stored, so that no text stays behind.

        The offset is set back first: if the process dies between, rows are read again and found.
        Writers are held once the store has let this in: they never wait for another process.
        """
        with suppress(_NotYet), ExitStack() as until_committed:
            with self._begin() as db:
                path = until_committed.enter_context(self._spool.emptied())
                if path is not None:
                    if _claim(db, path.name).offset != self._spool.size:
                        raise _NotYet
                    update = tables.spool.update().where(tables.spool.c.file == path.name)
                    db.execute(update.values(offset=0))

    def _batch(self, path: Path, done: Drained) -> bool:
        """Store the next lines of a file; say whether there may be more."""
        with self._begin() as db:
            row = _claim(db, path.name)
            end, stored, broken, lines = row.offset, row.stored, row.failed, b""
            for _ in range(_PIECES):
                lines, end = read_from(path, end)
                if not lines:
                    break
                written, failed = _store(db, lines)
                if failed:
                    with (path.parent / _FAILED).open("ab") as file:
                        file.writelines(failed)
                        file.flush()
                        os.fsync(file.fileno())  # soon the only copy
                stored += _calls(lines) - sum(map(_calls, failed))
                broken += len(failed)
                done.written, done.failed = done.written + written, done.failed + len(failed)
            if end != row.offset:
                update = tables.spool.update().where(tables.spool.c.file == path.name)
                db.execute(update.values(offset=end, stored=stored, failed=broken))
        return bool(lines)

    def _finish(self, path: Path, done: Drained) -> None:
        """Book what a dead process had sent and never heard of, then remove the file it left."""
        with self._begin() as db:
            row = _claim(db, path.name)
            if read_from(path, row.offset)[0]:
                return  # it grew since; the next pass takes it
            end = row.offset
            written, _ = _store(db, b"".join(map(_line_of, _lost(path))))
            torn = 0
            with suppress(FileNotFoundError):
                torn = int(path.stat().st_size > end)  # a line cut by the kill
            done.lost, done.failed = done.lost + written, done.failed + torn
            _count(db, row.stored + written, row.failed + torn)
            db.execute(tables.spool.delete().where(tables.spool.c.file == path.name))
        path.unlink(missing_ok=True)

    def _book(self, path: Path, done: Drained) -> None:
        """Book the requests a dead process left under way, then remove its notes."""
        lost = [_lost_call(row) for note in standing(path) for row in _rows(note)]
        if lost:
            with self._begin() as db:
                written, _ = _store(db, b"".join(map(_line_of, lost)))
                _count(db, written, 0)
            done.lost += written
        path.unlink(missing_ok=True)


def _count(db: sa.Connection, stored: int, failed: int) -> None:
    """Add to the counts of files that are gone."""
    total = _claim(db, "*")
    update = tables.spool.update().where(tables.spool.c.file == "*")
    db.execute(update.values(stored=total.stored + stored, failed=total.failed + failed))


def _claim(db: sa.Connection, file: str) -> Any:
    """Lock and give a file's row, made on first sight."""
    values = {"file": file, "offset": 0}
    db.execute(insert_for(db, tables.spool).values(values).on_conflict_do_nothing())
    query = tables.spool.select().where(tables.spool.c.file == file).with_for_update()
    return db.execute(query).one()


def insert_for(db: sa.Connection, table: sa.Table) -> Any:
    """Give the dialect's INSERT, which knows `on_conflict_do_nothing`."""
    # the engine has loaded this one, and nobody needs the other
    return import_module(f"sqlalchemy.dialects.{db.dialect.name}").insert(table)


def _store(db: sa.Connection, lines: bytes) -> tuple[int, list[bytes]]:
    """Store lines; give how many rows are new, and the lines that could not be stored."""
    written = _try(db, lines)
    if written is not None:
        return written, []
    total, failed = 0, []
    for line in lines.split(b"\n"):  # one of them is broken: find it
        written = _try(db, line)
        if written is None:  # PostgreSQL takes no NUL
            written = _try(db, line.replace(b"\\u0000", b"\\ufffd"))
        if written is None:
            failed.append(line + b"\n")
        total += written or 0
    return total, failed


def _try(db: sa.Connection, lines: bytes) -> int | None:
    """Store lines in one savepoint; None where one of them is broken."""
    try:
        groups = _by_columns(_decode(lines))
        with db.begin_nested():
            return sum(
                _insert(db, _KINDS[kind], names, rows)
                for (kind, *names), rows in groups.items()
                if kind not in _NOTES
            )
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    except (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.InterfaceError, OverflowError):
        return None
    except sa.exc.ProgrammingError as error:
        if db.dialect.name == "sqlite" and "type" in str(error.orig):
            return None
        raise


def _by_columns(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """Put rows of one kind with the same columns together; the key is the kind and the columns."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        kind = row.pop("t")
        if kind == "call":
            row["day"] = int(row["started_at"] // 86_400)
        groups.setdefault((kind, *row), []).append(row)
    return groups


def _insert(
    db: sa.Connection, table: sa.Table, names: list[str], rows: list[dict[str, Any]]
) -> int:
    """Insert rows that are not there yet; give how many were new."""
    if db.dialect.name == "postgresql":
        text = _encode(rows).decode()
        return max(db.exec_driver_sql(_postgres_insert(table), (text,)).rowcount, 0)
    for name in {"tags", "fees"}.intersection(names):
        for row in rows:
            row[name] = _encode(row[name]).decode()
    written = 0
    # many rows a statement: a busy thread gets the interpreter lock back once, not per row
    most = 32_000 // len(names)
    for start in range(0, len(rows), most):
        batch = rows[start : start + most]
        values = tuple(chain.from_iterable(row.values() for row in batch))
        statement = _sqlite_insert(table, tuple(names), len(batch))
        written += max(db.exec_driver_sql(statement, values).rowcount, 0)
    return written


@lru_cache(maxsize=32)
def _sqlite_insert(table: sa.Table, names: tuple[str, ...], rows: int) -> str:
    if unknown := set(names) - {column.name for column in table.c}:
        raise KeyError(min(unknown))
    columns = ", ".join(f'"{name}"' for name in names)
    one = f"({', '.join('?' * len(names))})"
    values = ", ".join([one] * rows)
    return f'INSERT INTO "{table.name}" ({columns}) VALUES {values} ON CONFLICT DO NOTHING'


@lru_cache(maxsize=8)
def _postgres_insert(table: sa.Table) -> str:
    """Build INSERT ... SELECT over JSON, which the server reads in its own process."""
    dialect: Any = import_module("sqlalchemy.dialects.postgresql").dialect
    names = ", ".join(f'"{column.name}"' for column in table.c)
    kinds = {column.name: str(column.type.compile(dialect())) for column in table.c}
    defaults = {
        c.name: c.server_default.arg if isinstance(c.server_default, sa.DefaultClause) else None
        for c in table.c
    }
    values = ", ".join(
        f"r.\"{name}\"" if default is None
        else f"coalesce(r.\"{name}\", CAST('{default}' AS {kinds[name]}))"
        for name, default in defaults.items()
    )  # fmt: skip
    types = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
    source = f"jsonb_to_recordset(CAST(%s AS jsonb)) AS r({types})"
    return (
        f'INSERT INTO "{table.name}" ({names}) SELECT {values} FROM {source} ON CONFLICT DO NOTHING'
    )


def _lost(path: Path) -> list[Call]:
    """Make the rows of requests that were sent and never heard of again."""
    sent: dict[str, dict[str, Any]] = {}
    for line in _lines(path):
        for row in _rows(line):
            if row.get("t") == "sent":
                sent[row["id"]] = row
            elif row.get("t") == "call":
                sent.pop(str(row.get("id")), None)
            elif row.get("t") == "moved":  # its process went on to a newer file, with all of them
                sent.clear()
    return [_lost_call(row) for row in sent.values()]


def _lines(path: Path) -> Iterator[bytes]:
    """Give a file's lines a batch at a time: a file may be large."""
    offset = 0
    while True:
        lines, offset = read_from(path, offset)
        if not lines:
            return
        yield from lines.split(b"\n")


def _rows(line: bytes) -> list[dict[str, Any]]:
    """Give the row of a line; none where it is broken."""
    with suppress(msgspec.DecodeError):
        return _decode(line)
    return []


def _lost_call(row: dict[str, Any]) -> Call:
    reserved = from_pico(row.get("reserved"))
    status = CostStatus.UNPRICED if reserved is None else CostStatus.ESTIMATED
    return Call(
        id=row["id"],
        kind=row.get("kind", "model"),
        started_at=row["started_at"],
        seconds=0.0,
        outcome="lost",
        model=row.get("model", ""),
        provider=row.get("provider", ""),
        context=context_of(row),
        cost=Cost(reserved, status, "the process died before the reply"),
        reason="lost",
    )


def _line_of(call: Call) -> bytes:
    return _encode(row_of(call, call.context.user)) + b"\n"


def counts(database: Database, spool: Spool) -> tuple[int, int, int]:
    """Give the rows stored, failed and still in spool files."""
    rows = {}
    with suppress(LedgerUnusable), database.begin(write=False) as db:
        rows = {row.file: row for row in db.execute(tables.spool.select())}
    pending = 0
    for path in spool.files():
        end = rows[path.name].offset if path.name in rows else 0
        while (lines := read_from(path, end))[0]:
            end = lines[1]
            pending += _calls(lines[0])
    failed = sum(row.failed for row in rows.values())
    return sum(row.stored for row in rows.values()), failed, pending


def set_aside(folder: Path, since: float) -> int:
    """Count the lines that were set aside since: a line says when it began, unless it is torn."""
    path = folder / _FAILED
    try:
        newest = path.stat().st_mtime  # when the last line came
        if newest < since:
            return 0
        with path.open("rb") as file:
            began = [_BEGAN.search(line) for line in file]
    except FileNotFoundError:
        return 0
    times = [float(each[1]) if each else newest for each in began[:-1]]
    return sum(at >= since for at in [*times, newest])


def _calls(lines: bytes) -> int:
    return lines.startswith(_CALL) + lines.count(b"\n" + _CALL)
