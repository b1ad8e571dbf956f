"""The append-only spool: a row is on disk before the call that made it returns.

Each process writes its own file, one unbuffered write a row, so a kill loses nothing that was
acknowledged and writers never wait for each other. `drain.py` moves the files into the tables.
A request that leaves is noted in `underway.py`, or else by a `sent` line here; one that gets no
`call` line is a lost call.
"""

import errno
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from genai.ledger.disk import sync, sync_names
from genai.ledger.owner import is_written, make
from genai.ledger.underway import SUFFIX, Underway

_encode = msgspec.json.Encoder(decimal_format="string").encode
_PIECE = 2**18  # bytes read at once
_ROTATE = 64 * 2**20  # bytes of one file: a drained file is removed, so disk use stays bounded
_WAITING = 10_000  # rows kept in memory while the disk refuses them
_MOVED = b'{"t":"moved"}\n'  # the last line of a left file: what was under way is in a newer one


class Spool:
    """This process's spool file, made on the first row; a forked child makes its own.

    `durability="full"` waits for the disk after each row and each new name in a folder, so that
    rows survive power loss too.
    """

    def __init__(self, folder: Path, durability: str = "default") -> None:
        self.folder = folder
        self._full = durability == "full"
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)

    def _leave(self) -> None:
        """In a forked child: let the parent's files go, or their locks would outlive the parent."""
        self._underway.close()
        if self._file >= 0:
            os.close(self._file)
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._file, self._size = -1, 0
        self._path = self.folder
        self._underway = Underway(self.folder, _name())
        self._open: dict[str, bytes] = {}
        self._waiting: deque[bytes] = deque()
        self.accepted = self.dropped = 0
        self.trouble = ""
        self.holds_text = False

    @property
    def waiting(self) -> int:
        """Rows in memory only, because the disk refused them."""
        return len(self._waiting)

    def sent(self, row: dict[str, Any]) -> None:
        """Note that a request leaves now."""
        line = _line(row)
        with self._lock:
            if self._full or not self._underway.put(row["id"], line):
                self._put(line)
                self._open[row["id"]] = line

    def append(self, row: Any, call_id: str = "", *, text: bool = False) -> None:
        """Write one row. Where the disk refuses, it waits in memory and is tried again.

        `call_id` says that it is the row of this call, which is under way no longer, `text` that
        it holds what a person or a model said.
        """
        line = _line(row)
        with self._lock:
            self.holds_text = self.holds_text or text
            if call_id:
                self.accepted += 1
            if self._waiting and not self._retry():
                self._keep(line)
            elif not self._put(line):
                self._keep(line)
            if call_id:  # after its row, so that a kill between the two loses neither
                self._underway.clear(call_id)
                self._open.pop(call_id, None)

    def retry(self) -> None:
        """Try again to write what waits in memory."""
        with self._lock:
            self._retry()

    def _retry(self) -> bool:
        while self._waiting:
            if not self._put(self._waiting[0]):
                return False
            self._waiting.popleft()
        return True

    def _keep(self, line: bytes) -> None:
        if len(self._waiting) >= _WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(line)

    def _put(self, line: bytes) -> bool:
        try:
            if self._file < 0 or self._size >= _ROTATE:
                self._start()
            self._size += _write(self._file, line)
            if self._full:
                sync(self._file)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            return False
        self.trouble = ""
        return True

    def _start(self) -> None:
        """Go on in a new file, which holds what is under way before the old one says so."""
        holding = {self.folder, self.folder.parent}
        holding |= {each.parent for each in self.folder.parents if not each.exists()}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{_name()}.jsonl"
        new = make(path, os.O_WRONLY | os.O_APPEND)
        try:
            if self._full:
                for folder in holding:
                    sync_names(folder)
            size = self._carry_over(new)
            if self._file >= 0:
                _write(self._file, _MOVED)
        except OSError:
            path.unlink()  # while it is locked: nobody else may take it for one of the dead
            os.close(new)
            raise
        old, self._file = self._file, new  # in one step, for a fork may come between two
        self._size, self._path = size, path
        if old >= 0:
            os.close(old)

    def _carry_over(self, file: int) -> int:
        """Write what is under way into a file that is empty; give its bytes."""
        size = sum(_write(file, line) for line in self._open.values())
        if self._full and size:
            sync(file)
        return size

    @property
    def size(self) -> int:
        """Bytes in this process's file."""
        return self._size if self._file >= 0 else 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold all other threads' writers while the block runs."""
        with self._lock:
            yield

    @contextmanager
    def emptied(self) -> Iterator[Path | None]:
        """Hold all writers while the block settles this file, then empty it; None: do not."""
        with self._lock:
            if self._file < 0:
                yield None
                return
            path = self._path
            yield path
            try:
                os.ftruncate(self._file, 0)
                self._size, self.holds_text = 0, bool(self._waiting)
                self._size = self._carry_over(self._file)
            except OSError as error:
                self.trouble = error.strerror or str(error)

    def left_underway(self) -> list[Path]:
        """List the notes of processes that are gone."""
        return [path for path in self.folder.glob(f"*{SUFFIX}") if not is_written(path)]

    def files(self) -> list[Path]:
        """List every process's spool file, oldest first."""
        try:
            found = [(path.stat().st_mtime, path) for path in self.folder.glob("*.jsonl")]
        except FileNotFoundError:  # another process has just drained and removed one
            return self.files()
        return [path for _, path in sorted(found)]


def _write(file: int, line: bytes) -> int:
    written = os.write(file, line)
    if written != len(line):
        # take the torn line away, which needs no room: the next one would be written behind it
        os.ftruncate(file, os.fstat(file).st_size - written)
        raise OSError(errno.ENOSPC, "no space left on the disk")
    return written


def _name() -> str:
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def _line(row: Any) -> bytes:
    try:
        return _encode(row) + b"\n"
    except (UnicodeEncodeError, ValueError, TypeError):
        # a lone surrogate or another value JSON has no form for: keep the row, spoil the value
        if not isinstance(row, dict):
            given = msgspec.structs.asdict(row).items()
            row = {"t": "call"} | {name: value for name, value in given if value is not None}
        return _encode({key: _plain(value) for key, value in row.items()}) + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode()


def read_from(path: Path, offset: int) -> tuple[bytes, int]:
    """Read whole lines, about `_PIECE` bytes of them; give them and the new offset."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            lines = file.read(_PIECE)
            if len(lines) == _PIECE:
                lines += file.readline()
    except FileNotFoundError:  # drained and removed by another process
        return b"", offset
    lines = lines[: lines.rfind(b"\n") + 1]
    return lines, offset + len(lines)
