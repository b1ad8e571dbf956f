"""The append-only spool: a row is on disk before the call that made it returns.

Each process writes its own file, one unbuffered write a row, so a kill loses nothing that was
acknowledged and writers never wait for each other. `store.py` drains the files into the tables.
"""

import json
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genai.errors import LedgerUnusable


class Spool:
    """This process's spool file, made on the first row; a forked child makes its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._file = -1
        self.accepted = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock, self._file, self.accepted = threading.Lock(), -1, 0

    def append(self, row: dict[str, Any]) -> None:
        """Write one row. Raises `LedgerUnusable` when the disk refuses it."""
        text = json.dumps(row, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        line = text.encode() + b"\n"
        try:
            with self._lock:
                if self._file < 0:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    name = f"{os.getpid()}-{secrets.token_hex(4)}.jsonl"
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                    self._file = os.open(self.folder / name, flags, 0o600)
                written = os.write(self._file, line)
                if written != len(line):
                    os.write(self._file, b"\n")  # close the torn line, so that others survive it
                    raise OSError(28, "no space left")
                self.accepted += 1
        except OSError as error:
            raise LedgerUnusable(
                f"{self.folder}: a call cannot be recorded ({error.strerror}); free some space or"
                " make the folder writable"
            ) from error

    def files(self) -> list[Path]:
        """List every process's spool file, oldest first."""
        try:
            found = [(path.stat().st_mtime, path) for path in self.folder.glob("*.jsonl")]
        except FileNotFoundError:  # another process has just drained and removed one
            return self.files()
        return [path for _, path in sorted(found)]


def read_from(path: Path, offset: int, most: int) -> tuple[list[dict[str, Any]], int, int]:
    """Read up to `most` complete lines; give the rows, the new offset and how many were broken."""
    rows, broken = [], 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for line in _complete(file.readline, most):
                offset += len(line)
                try:
                    row = json.loads(line)
                except ValueError:
                    broken += bool(line.strip())
                else:
                    rows.append(row)
    except FileNotFoundError:  # drained and removed by another process
        return [], offset, 0
    return rows, offset, broken


def _complete(readline: Any, most: int) -> Iterator[bytes]:
    for _ in range(most):
        line = readline()
        if not line.endswith(b"\n"):
            return
        yield line


def owner_is_alive(path: Path) -> bool:
    """Say whether the process that writes this file still runs."""
    try:
        os.kill(int(path.name.partition("-")[0]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
