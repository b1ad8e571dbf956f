"""The one way from sync to async, and back.

A sync call of the main thread drives a loop of its own there, with no thread to wake; where a loop
runs already (Jupyter), or in another thread (Streamlit), it waits for a background loop.
"""

import asyncio
import atexit
import contextvars
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")
_IDLE = 0.25  # seconds after which the other side may have closed a kept connection
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_main: asyncio.AbstractEventLoop | None = None
_last_used = 0.0
_leaked: list[object] = []


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="genai-loop", daemon=True)
            _thread.start()
        return _loop


def _forget() -> None:
    """In a forked child the loops are the parent's: kept, unused, so that nothing closes them."""
    global _lock, _loop, _main
    _leaked.extend((_loop, _main))
    _lock, _loop, _main = threading.Lock(), None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def _end() -> None:
    """Close what the loops hold open, connections above all."""
    global _loop, _main
    background, own, _loop, _main = _loop, _main, None, None
    if own is not None and not own.is_running():
        own.run_until_complete(own.shutdown_asyncgens())
        own.close()
    if background is not None and background.is_running() and _thread is not None:
        ended = asyncio.run_coroutine_threadsafe(background.shutdown_asyncgens(), background)
        with suppress(TimeoutError):
            ended.result(2)
        background.call_soon_threadsafe(background.stop)
        _thread.join(2)
        if not background.is_running():
            background.close()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from sync code; an interrupt cancels it.

    Raises:
        RuntimeError: called from async code on the background loop, which would wait for itself.
    """
    if threading.current_thread() is threading.main_thread():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return _run_here(coroutine)
    return _run_there(coroutine, contextvars.copy_context())


def _run_here(coroutine: Coroutine[Any, Any, T]) -> T:
    global _main, _last_used
    if _main is None or _main.is_closed():
        _main = asyncio.new_event_loop()
    if time.monotonic() - _last_used > _IDLE:
        _main.run_until_complete(_look_round())
    task = _main.create_task(coroutine)
    try:
        return _main.run_until_complete(task)
    except BaseException:
        if not task.done():  # interrupted: let it end its call and leave its row
            task.cancel()
            with suppress(asyncio.CancelledError):
                _main.run_until_complete(task)
        raise
    finally:
        _last_used = time.monotonic()


async def _look_round() -> None:
    """Let the loop see which connections the other side has closed while it stood still."""
    for _ in range(3):
        await asyncio.sleep(0)


async def aside(work: Callable[[], T]) -> T:
    """Run sync code that waits for others in a thread of its own, in async code.

    The loop's own pool has a few threads, and work that waits in all of them holds up every other.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    done: asyncio.Future[T] = loop.create_future()

    def settle(settling: Callable[[Any], None], value: Any) -> None:
        if not done.done():  # else its caller was cancelled meanwhile
            settling(value)

    def run() -> None:
        try:
            told: tuple[Any, Any] = done.set_result, context.run(work)
        except StopIteration as error:  # no future takes one, and its caller would wait for ever
            told = done.set_exception, RuntimeError(f"StopIteration: {error}".rstrip(": "))
        except BaseException as error:
            told = done.set_exception, error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, *told)

    threading.Thread(target=run, name="genai-aside", daemon=True).start()
    return await done


def _run_there(coroutine: Coroutine[Any, Any, T], context: contextvars.Context) -> T:
    loop = _background_loop()
    if threading.current_thread() is _thread:
        coroutine.close()
        raise RuntimeError("a sync call inside async code would never end; await the a-form of it")
    waiting = _Waiting(coroutine, context)
    loop.call_soon_threadsafe(waiting.start)
    try:
        waiting.done.acquire()
    except BaseException:
        loop.call_soon_threadsafe(waiting.cancel)
        raise
    if waiting.task is None:
        raise RuntimeError("the background loop has ended")
    return cast(T, waiting.task.result())


class _Waiting:
    """One sync caller and the task it waits for; a bare lock is the quickest wait there is."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context) -> None:
        self.done = threading.Lock()
        self.done.acquire()
        self.task: asyncio.Task[Any] | None = None
        self._coroutine = coroutine
        self._context = context

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(self._coroutine, context=self._context)
        self.task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[Any]") -> None:
        self.done.release()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class Stream(Generic[T], Iterator[T]):
    """An async generator's items for sync code. Closing it ends the work behind it at once."""

    def __init__(self, pieces: AsyncGenerator[T, None]) -> None:
        self._pieces = pieces
        self._next: asyncio.Future[T] | None = None
        self._context = contextvars.copy_context()

    def __next__(self) -> T:
        """Wait for the next item."""
        try:
            while (item := _run_there(self._wait(None), self._context)) is None:
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
            return _run_there(self._wait(seconds), self._context)
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End the source; a call that is under way is cancelled, not waited for."""
        _run_there(self._end(), self._context)

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
