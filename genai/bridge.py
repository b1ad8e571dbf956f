"""The one way from sync to async: a background event loop that sync faces call into.

Works where a loop already runs (Streamlit, Jupyter), because the loop is always another thread's.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

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


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from sync code; an interrupt cancels it."""
    future = asyncio.run_coroutine_threadsafe(coroutine, _background_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _next(pieces: AsyncGenerator[T, None]) -> T:
    return await anext(pieces)


def iterate(pieces: AsyncGenerator[T, None]) -> Iterator[T]:
    """Give an async generator's items to sync code; closing the iterator closes the source."""
    try:
        while True:
            try:
                item = run(_next(pieces))
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(pieces.aclose())
