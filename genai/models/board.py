"""What processes share of one account's limit: the law's state, and who has how much in flight.

A small mapped file: entering and leaving are plain stores, so the usual request makes no system
call. Only a change of the limit takes the file's lock. A process that dies leaves its count
behind; whoever finds no slot looks for such counts and clears them. A process is alive as long as
it holds the lock of its own bytes: its number may be another's in another container, and its
own after a restart of one.
"""

import errno
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: shared by threads only
    fcntl = None  # type: ignore[assignment]
_MIN, _START, _MAX = 10, 20, 100
_COOLDOWN = 15.0  # seconds after a cut in which nothing counts
_LONGEST = 3600.0  # that a server may ask for; what is further off was written before a boot
_FIELDS, _PROCESSES, _STALE = 8, 128, 1200.0
_SIZE = 8 * (_FIELDS + 2 * _PROCESSES)
_ours: set[tuple[int, Path | None, int]] = set()  # a lock does not tell a process of its own ones


@dataclass(slots=True)
class Law:
    """The law: after a clean round the limit grows, after a 429 it is cut.

    A clean round is `max(limit, 4)` successes in a row with none retried, and with at least 80 %
    of the limit in use at its peak. Before the first cut the limit doubles, after it it grows by
    5 %. Limits above 10 are multiples of 5.
    """

    limit: int = _START
    cut_before: int = 0
    successes: int = 0
    peak: int = 0
    most: int = _MAX
    cooldown_until: float = 0.0

    def succeeded(self, now: float, in_flight: int, retried: bool) -> None:
        """Note a success with so many requests in flight."""
        if now < self.cooldown_until:
            return
        self.peak = max(self.peak, in_flight)
        if retried:
            self._restart()
            return
        self.successes += 1
        if self.successes < max(self.limit, 4):
            return
        if self.peak >= 0.8 * self.limit:
            grown = self.limit + max(1, round(self.limit * 0.05)) if self.cut_before else 0
            self.limit = min(_step(grown, up=True) if grown else self.limit * 2, self.most)
        self._restart()

    def throttled(self, now: float, retry_after: float | None) -> None:
        """Note a 429; one cut an episode."""
        if now < self.cooldown_until:
            return
        least = min(_MIN, self.most)
        self.limit = max(_step(int(self.limit * 0.8), up=False), least)
        self.cut_before = 1
        self.cooldown_until = now + min(max(_COOLDOWN, retry_after or 0.0), _LONGEST)
        self._restart()

    def disturbed(self) -> None:
        """Note a server error or a time-out: no cut, but the round is not clean."""
        self._restart()

    def _restart(self) -> None:
        self.successes = self.peak = 0


def _step(limit: int, *, up: bool) -> int:
    if limit <= 10:
        return limit
    return -(-limit // 5) * 5 if up else limit // 5 * 5


class Board:
    """The shared state of one account; `path` None keeps it in this process.

    Doubles in a row: the law's fields, then for each process what it has in flight, and when it
    last entered. Raises `OSError` where the file cannot be used.
    """

    def __init__(self, path: Path | None, law: Law) -> None:
        self._file, self._path = -1, path
        if path is None or fcntl is None:
            self._cells = memoryview(bytearray(_SIZE)).cast("d")
            self._write(law)
            self._mine = _FIELDS
            _ours.add(self._own(self._mine))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with self._locked():
                self._map(law)
        except BaseException:
            os.close(self._file)
            raise

    def _map(self, law: Law) -> None:
        if os.fstat(self._file).st_size != _SIZE:
            if os.pwrite(self._file, bytes(_SIZE), 0) != _SIZE:  # a hole would kill who fills it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.ftruncate(self._file, _SIZE)
        self._cells = memoryview(mmap.mmap(self._file, _SIZE)).cast("d")
        if self._cells[0] < 1 or self._cells[5] > time.monotonic() + _LONGEST:
            self._write(law)
        self._mine = self._register()

    @property
    def limit(self) -> int:
        """How many requests may be in flight now, on this machine."""
        return int(self._cells[0])

    def enter(self, limit: int) -> bool:
        """Count one more request of this process if the limit allows it."""
        cells, own = self._cells, self._mine
        if self._total() >= limit and (not self._clear_dead() or self._total() >= limit):
            return False
        cells[own] += 1
        if self._total() > limit:  # another process was as quick; both step back
            cells[own] -= 1
            return False
        cells[own + 1] = time.monotonic()
        return True

    def leave(self) -> int:
        """Count one request less; give how many were in flight with it, on this machine."""
        total = self._total()
        self._cells[self._mine] = max(self._cells[self._mine] - 1, 0)
        return total

    def counted(self, now: float, in_flight: int) -> bool:
        """Note a success in the middle of a round; False where the round ends with it."""
        cells = self._cells
        if now < cells[5]:
            return True
        if cells[2] + 1 >= max(cells[0], 4):
            return False
        cells[2] += 1
        cells[3] = max(cells[3], in_flight)
        return True

    @contextmanager
    def law(self) -> Iterator[Law]:
        """Change the law's state, alone on this machine."""
        with self._locked():
            cells = self._cells
            limit, cut_before, successes, peak, most = (int(cells[n]) for n in range(5))
            law = Law(limit, cut_before, successes, peak, most, cells[5])
            yield law
            self._write(law)

    def _write(self, law: Law) -> None:
        for n, value in enumerate(astuple(law)):
            self._cells[n] = value

    def _total(self) -> int:
        if self._cells[6] <= 1:
            return int(self._cells[_FIELDS])
        return int(sum(self._cells[_FIELDS : _FIELDS + 2 * self._used() : 2]))

    def _used(self) -> int:
        return int(self._cells[6]) or 1

    def _register(self) -> int:
        for n in range(_PROCESSES):
            at = _FIELDS + 2 * n
            if self._take(at):
                self._cells[at], self._cells[at + 1] = 0, 0
                self._cells[6] = max(self._cells[6], n + 1)
                _ours.add(self._own(at))
                return at
        return _FIELDS + 2 * (os.getpid() % _PROCESSES)  # more processes than cells: they share

    def _clear_dead(self) -> bool:
        """Clear the counts of processes that died or have been silent for very long."""
        found, now = False, time.monotonic()
        for at in range(_FIELDS, _FIELDS + 2 * self._used(), 2):
            if not self._cells[at]:
                continue
            dead = self._take(at)
            # far in the future is what was written before a boot
            if dead or abs(now - self._cells[at + 1]) > _STALE:
                self._cells[at] = 0
                found = True
            if dead:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 8, 8 * at)
        return found

    def _own(self, at: int) -> tuple[int, Path | None, int]:
        return os.getpid(), self._path, at

    def _take(self, at: int) -> bool:
        """Lock the cell of no living process; the lock ends with ours."""
        if self._own(at) in _ours:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, 8 * at)
        except (BlockingIOError, PermissionError):
            return False
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._file < 0:
            yield
            return
        fcntl.lockf(self._file, fcntl.LOCK_EX, 8)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 8)
