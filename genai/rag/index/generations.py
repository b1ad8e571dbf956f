"""The generations of one index: a folder each, one of them current, switched in one step.

    handbook/
        CURRENT            which folder answers, and which one did before
        write.lock         held by the one process that writes
        3f2a9c81d04e-1/    a generation: index.db, and a graph where it is large
        b7710c55aa12-1/    the one before, kept to go back to

A generation is the hash of splitter, embedder and parameters. It is built beside the current one
and becomes current when it is whole; what a killed build left is gone on with, or removed.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from genai import extras
from genai.errors import IndexUnusable

_FILE = "index.db"


@dataclass(frozen=True, slots=True)
class Current:
    """Which folder answers. `back_from` is the generation that a roll back left behind."""

    folder: str = ""
    previous: str = ""
    back_from: str = ""


class Generations:
    """The folders of one index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    def current(self) -> Current:
        """Read which folder answers; empty before the first sync.

        Raises:
            IndexUnusable: the file is damaged, or the index is of an older genai.
        """
        try:
            return Current(**json.loads((self.path / "CURRENT").read_bytes()))
        except FileNotFoundError:
            return Current()
        except (OSError, ValueError, TypeError) as error:
            raise IndexUnusable(
                f"{self.name}/CURRENT: is damaged ({error}); run `genai index sync --rebuild`"
            ) from error

    def file(self, folder: str) -> Path:
        """Give the database of a folder."""
        return self.path / folder / _FILE

    def folders(self) -> list[str]:
        """List the folders of generations, the one made last at the end."""
        if not self.path.is_dir():
            return []
        found = [each for each in self.path.iterdir() if (each / _FILE).is_file()]
        return [each.name for each in sorted(found, key=lambda each: (_made(each), each.name))]

    def unfinished(self, generation: str, current: str) -> str:
        """Give the folder in which a generation was kept or begun; '' if there is none."""
        for folder in reversed(self.folders()):
            if folder.rpartition("-")[0] == generation and folder != current:
                return folder
        return ""

    def fresh(self, generation: str) -> str:
        """Name a new folder for a generation."""
        taken = {each.name for each in self.path.iterdir()} if self.path.is_dir() else set()
        number = 1
        while f"{generation}-{number}" in taken:
            number += 1
        return f"{generation}-{number}"

    def switch(self, current: Current) -> None:
        """Make a folder the current one; a crash leaves the old one or the new one."""
        self.path.mkdir(parents=True, exist_ok=True)
        beside = self.path / "CURRENT.new"
        text = json.dumps({name: getattr(current, name) for name in Current.__slots__})
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path / "CURRENT")
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def remove(self, folder: str) -> None:
        """Remove one folder; its database goes first, so a half removed one is none."""
        with suppress(FileNotFoundError):
            self.file(folder).unlink()
        shutil.rmtree(self.path / folder, ignore_errors=True)

    @contextmanager
    def lock(self, wait: float = 0.0) -> Iterator[None]:
        """Be the one writer.

        Raises:
            IndexUnusable: another process is, and still was after `wait` seconds.
        """
        filelock = extras.load("filelock", "rag")
        self.path.mkdir(parents=True, exist_ok=True)
        owner = self.path / "write.pid"
        lock = filelock.FileLock(self.path / "write.lock", timeout=wait)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            pid = owner.read_text() if owner.exists() else "unknown"
            raise IndexUnusable(
                f"index {self.name}: process {pid} is writing it; wait until it ends, then sync"
            ) from error
        try:
            owner.write_text(str(os.getpid()))
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()


def _made(folder: Path) -> float:
    try:
        return (folder / _FILE).stat().st_ctime
    except FileNotFoundError:  # removed meanwhile
        return 0.0
