"""Who writes a file: its writer keeps a lock on it, which the system drops when the writer ends.

A process id says less: another container does not see it, and a later process can bear the same.
"""

import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP}  # what a file system without locks says


def make(path: Path, flags: int) -> int:
    """Make a file and lock it; give its descriptor, whose copies hold the lock too.

    Raises:
        OSError: the disk refuses the file or its lock; nothing is left of it.
    """
    if fcntl is None:
        return os.open(path, flags | os.O_CREAT, 0o600)
    hidden = path.with_name(f"{path.name}.new")  # whoever looks for owners finds it locked only
    file = os.open(hidden, flags | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        hidden.rename(path)
    except OSError:
        hidden.unlink(missing_ok=True)
        os.close(file)
        raise
    return file


def is_written(path: Path) -> bool:
    """Say whether more may come into this file: its writer lives and has not left it."""
    if fcntl is None:
        return _runs(path)
    try:
        asked = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(asked, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:  # mostly: it is locked
        return error.errno not in _NO_LOCKS or _runs(path)
    finally:
        os.close(asked)
    return False


def _runs(path: Path) -> bool:
    """Say whether a process with the number in this file's name runs."""
    try:
        os.kill(int(path.name.partition("-")[0]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
