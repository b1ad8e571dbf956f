"""Adaptive concurrency: as many requests at once as a provider's account will bear.

Slow start, then additive growth and a cut on each 429, as congestion control does it. Threads and
processes of this machine share the limit through `board.py`.
"""

import asyncio
import hashlib
import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from genai.models.board import Board, Law

_START, _MAX = 20, 100
_POLL = 0.02  # seconds between looks of the first in line at slots that other processes hold
_LOOK = 2.0  # seconds without a look of the first, after which one further back looks too
_log = logging.getLogger("genai.models")


class _Turn:
    """A place in the line; `come` is set from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.come = asyncio.Event()


class Gate:
    """Lets requests of one account through, `limit` at a time over the whole machine.

    `fixed` turns the law off. `folder` is where processes meet; None keeps to this process.
    """

    def __init__(self, account: str, folder: Path | None = None, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._folder = folder
        self._name = hashlib.sha256(account.encode()).hexdigest()[:16]
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Turn] = deque()
        self._seen = 0.0  # when the first in line looked last
        self._board: Board | None = None
        self.changes: deque[tuple[float, int, int, str]] = deque(maxlen=200)

    def _shared(self) -> "Board":
        if self._board is None:
            path = None if self._folder is None else self._folder / f"{self._name}.limit"
            law = Law(self._fixed or _START, most=self._fixed or _MAX)
            try:
                self._board = Board(path, law)
            except OSError as error:
                _log.warning(
                    "%s: cannot be used (%s), so calls are limited in this process alone; check"
                    " the folder's permissions and the room on its disk",
                    path,
                    error.strerror or error,
                )
                self._board = Board(None, law)
        return self._board

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        with self._lock:
            return self._fixed or self._shared().limit

    async def acquire(self) -> None:
        """Wait for a slot, in the order of arrival within this process but for one case.

        Where the first has not looked for `_LOOK` seconds, whoever looks next takes a slot that is
        free: a line whose first has gone does not stand. Between processes there is no order.
        """
        if not self._waiting and self._take():
            return
        turn = _Turn()
        if not self._waiting:
            self._seen = time.monotonic()
        self._waiting.append(turn)
        try:
            while True:
                # another process may free a slot without a word, so look again now and then
                wait = _POLL if self._waiting[0] is turn else _LOOK
                # `wait_for` of Python 3.11 forgets a cancellation where a slot comes free with it
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await turn.come.wait()
                turn.come.clear()
                now = time.monotonic()
                if self._waiting[0] is turn:
                    self._seen = now
                elif now - self._seen <= _LOOK:
                    continue
                if self._take():
                    return
        finally:
            with suppress(ValueError):
                self._waiting.remove(turn)
            if self._waiting:
                self._call_first()

    def _call_first(self) -> None:
        with suppress(IndexError):
            while True:
                turn = self._waiting[0]
                try:
                    turn.loop.call_soon_threadsafe(turn.come.set)
                    return
                except RuntimeError:  # its loop has ended
                    with suppress(ValueError):
                        self._waiting.remove(turn)

    def _take(self) -> bool:
        with self._lock:
            board = self._shared()
            return board.enter(self._fixed or board.limit)

    def release(
        self, kind: str = "", retried: bool = False, retry_after: float | None = None
    ) -> None:
        """Give a slot back and tell the law how the request ended; "" is a success."""
        with self._lock:
            board = self._shared()
            in_flight = board.leave()
            if self._fixed is None:
                self._learn(board, kind, in_flight, retried, retry_after)
        if self._waiting:
            self._call_first()

    def _learn(
        self,
        board: "Board",
        kind: str,
        in_flight: int,
        retried: bool,
        retry_after: float | None,
    ) -> None:
        now = time.monotonic()  # the same for all processes, and no clock that is set moves it
        if not kind and not retried and board.counted(now, in_flight):
            return  # the usual case: one more success of a round
        with board.law() as law:
            old = law.limit
            if kind == "rate_limited":
                law.throttled(now, retry_after)
            elif kind in ("server", "timeout", "network"):
                law.disturbed()
            elif not kind:
                law.succeeded(now, in_flight, retried)
            if law.limit != old:
                self.changes.append((now, old, law.limit, kind or "clean round"))


_gates: dict[tuple[str, Path | None, int | None], Gate] = {}
_gates_lock = threading.Lock()


def gate_for(account: str, folder: Path | None, fixed: int | None) -> Gate:
    """Give the one gate of an account in this process."""
    with _gates_lock:
        key = (account, folder, fixed)
        if key not in _gates:
            _gates[key] = Gate(account, folder, fixed)
        return _gates[key]
