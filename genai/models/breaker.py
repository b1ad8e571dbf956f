"""A circuit breaker: a model that keeps failing is left alone for a while, then probed once."""

import threading
import time

_OPENS_AT, _REST = 8, 30.0  # failures in a row; seconds
_COUNTS = {"server", "network", "timeout"}


class Breaker:
    """Counts failures in a row of one model; safe between threads."""

    def __init__(self, opens_at: int = _OPENS_AT, rest: float = _REST) -> None:
        self.failures = 0
        self._opens_at = opens_at
        self._rest = rest
        self._until = 0.0
        self._lock = threading.Lock()

    def lets_through(self) -> bool:
        """Say whether a request may go; after the rest exactly one may, until it has ended."""
        if self.failures < self._opens_at:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._until:
                return False
            self._until = now + self._rest
            return True

    def seconds_left(self) -> float:
        """Seconds until the next probe."""
        return max(self._until - time.monotonic(), 0.0)

    def saw(self, kind: str) -> None:
        """Note how a request ended: "" is a success, else the kind of its error."""
        if not kind:
            self.failures = 0
        elif kind in _COUNTS:
            with self._lock:
                self.failures += 1
                if self.failures >= self._opens_at:
                    self._until = time.monotonic() + self._rest
