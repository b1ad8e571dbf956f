"""The one way from sync to async: a background event loop that sync faces call into.

Works where a loop already runs (Streamlit, Jupyter), because the loop is always another thread's.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="genai-loop", daemon=True).start()
        return _loop


def _forget() -> None:
    """In a forked child the loop's thread is gone, so the next call makes a new one."""
    global _lock, _loop
    _lock, _loop = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from sync code; an interrupt cancels it."""
    future = asyncio.run_coroutine_threadsafe(coroutine, _background_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


class Stream(Generic[T], Iterator[T]):
    """An async generator's items for sync code. Closing it ends the work behind it at once."""

    def __init__(self, pieces: AsyncGenerator[T, None]) -> None:
        self._pieces = pieces
        self._next: asyncio.Future[T] | None = None

    def __next__(self) -> T:
        """Wait for the next item."""
        try:
            while (item := run(self._wait(None))) is None:
                pass
        except StopAsyncIteration:
            raise StopIteration from None
        return item

    def poll(self, seconds: float) -> T | None:
        """Wait at most so long for the next item; None when there is none yet.

        Raises:
            StopIteration: there is no further item.
        """
        try:
            return run(self._wait(seconds))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End the source; a call that is under way is cancelled, not waited for."""
        run(self._end())

    async def _wait(self, seconds: float | None) -> T | None:
        if self._next is None:
            self._next = asyncio.ensure_future(_anext(self._pieces))
        done, _ = await asyncio.wait({self._next}, timeout=seconds)
        if not done:
            return None
        finished, self._next = self._next, None
        return finished.result()

    async def _end(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})
            self._next = None
        await self._pieces.aclose()

    def __del__(self) -> None:
        """Close what was left open, as a generator does."""
        if _loop is not None and not _loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._end(), _loop)


async def _anext(pieces: AsyncGenerator[T, None]) -> T:
    return await anext(pieces)
