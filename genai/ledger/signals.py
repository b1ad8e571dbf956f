"""Flush when the process is asked to end, then let it end as it would have."""

import os
import signal
import threading
from collections.abc import Callable

_ASKED = ("SIGTERM", "SIGHUP")  # SIGINT is an exception in Python, and then a normal exit
_PAUSE = 1.0  # seconds the interrupted thread stands still
_PATIENCE = 5.0  # seconds until the process ends whatever the store says
_flushes: list[Callable[[], None]] = []


def flush_on_signals(flush: Callable[[], None]) -> None:
    """Call `flush` before a signal ends the process, beside what was given before.

    A signal that the program handles or ignores is left alone: it ends in a normal exit or not.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if flush not in _flushes:
        _flushes.append(flush)
    for name in _ASKED:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, frame: object) -> None:
    """Flush in another thread: the interrupted one may hold a lock that flushing needs."""
    signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once

    def leave() -> None:
        for flush in _flushes:
            flush()
        os.kill(os.getpid(), number)

    last = threading.Thread(target=leave, daemon=True)
    limit = threading.Timer(_PATIENCE, os.kill, (os.getpid(), number))
    limit.daemon = True
    last.start()
    limit.start()
    last.join(_PAUSE)  # then go on, and give back what this thread holds
