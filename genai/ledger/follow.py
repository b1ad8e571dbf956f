"""Calls as they come: each once, when its row is there, however long ago it began."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from genai.ledger.store import Ledger
from genai.types import Call

_LONGEST = 2 * 3600.0  # seconds of a call that is still seen
_PAUSE = 0.5  # seconds between two looks
_LATE = 30.0  # seconds after its end in which a row is there


class Follower:
    """Gives the calls that came since it was made, as they come.

    A row is written when its call ends, so a slow one comes after quick ones that began later.
    `equal` are columns, as for `Ledger.calls`.
    """

    def __init__(self, ledger: Ledger, **equal: Any) -> None:
        self._ledger = ledger
        self._equal = equal
        self._looked = time.time()
        self._seen: set[str] = set()
        self.new()

    def new(self) -> list[Call]:
        """Give the calls that came since the last look, oldest first. Raises `LedgerUnusable`."""
        now = time.time()
        found = self._ledger.calls(
            limit=10**9, since=now - _LONGEST, ended=self._looked - _LATE, **self._equal
        )
        came = [call for call in found[::-1] if call.id not in self._seen]
        self._looked, self._seen = now, {call.id for call in found}
        return came

    def calls(self, shown: Iterable[Call] = ()) -> Iterator[Call]:
        """Give call after call without end, but those that were shown already."""
        known, wait = {call.id for call in shown}, _PAUSE
        while True:
            time.sleep(wait)
            began = time.perf_counter()
            came = self.new()
            # a large store has others to serve
            wait = max(_PAUSE, 4 * (time.perf_counter() - began))
            yield from (call for call in came if call.id not in known)
