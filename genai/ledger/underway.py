"""Requests under way: a note of each on disk, without a system call for it.

A mapped file of fixed slots, one a request. What is stored in it outlives the process, as a
written line would, but storing is a copy in memory. A note is cleared when its call is recorded;
one that still stands when the process is gone is a lost call, which `drain.py` books.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from genai.ledger.owner import make

_SLOT = 1024  # bytes; a longer note does not fit
_BLOCK = 64  # slots mapped at once
_SIZE = _SLOT * _BLOCK
SUFFIX = ".underway"


class Underway:
    """The notes of one process, in a file made on the first of them. Its caller holds a lock."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}{SUFFIX}"
        self._file = -1
        self._blocks: list[mmap.mmap] = []
        self._free: list[tuple[mmap.mmap, int]] = []
        self._taken: dict[str, tuple[mmap.mmap, int]] = {}

    def put(self, call_id: str, note: bytes) -> bool:
        """Note a request; False where the note does not fit or the disk refuses."""
        if len(note) > _SLOT or (not self._free and not self._grow()):
            return False
        slot = self._taken[call_id] = self._free.pop()
        block, at = slot
        block[at + 1 : at + len(note)] = note[1:]
        block[at] = note[0]  # last, so that no kill leaves half a note
        return True

    def clear(self, call_id: str) -> None:
        """Forget a request: its call is recorded, or it was never noted here."""
        slot = self._taken.pop(call_id, None)
        if slot is not None:
            block, at = slot
            block[at] = 0
            self._free.append(slot)

    def close(self) -> None:
        """Let the file go; each mapped block holds it, and its lock, too."""
        for block in self._blocks:
            block.close()
        if self._file >= 0:
            os.close(self._file)

    def _grow(self) -> bool:
        try:
            if self._file < 0:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = make(self._path, os.O_RDWR | os.O_APPEND)
            # written, not only claimed: a full disk says so here and not in the middle of a copy
            if os.write(self._file, bytes(_SIZE)) != _SIZE:
                os.ftruncate(self._file, len(self._blocks) * _SIZE)
                return False
            block = mmap.mmap(self._file, _SIZE, offset=len(self._blocks) * _SIZE)
        except OSError:
            return False
        self._blocks.append(block)
        self._free += ((block, at) for at in range(0, _SIZE, _SLOT))
        return True


def standing(path: Path) -> Iterator[bytes]:
    """Give the notes in a file that were not cleared."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        while slot := file.read(_SLOT):
            if slot[0]:
                yield slot.partition(b"\n")[0]
