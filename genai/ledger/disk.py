"""Waiting for the disk, so that what is written survives the loss of power."""

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def sync(file: int) -> None:
    """Put what was written into a file on the disk."""
    whole = getattr(fcntl, "F_FULLFSYNC", None)  # macOS leaves it in the drive's memory without
    if whole is not None:
        with suppress(OSError):  # a drive in the network knows no such order
            fcntl.fcntl(file, whole)
            return
    getattr(os, "fdatasync", os.fsync)(file)


def sync_names(folder: Path) -> None:
    """Put the names in a folder on the disk; without it a file can be whole and yet not found."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
