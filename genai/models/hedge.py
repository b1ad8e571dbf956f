"""Hedged requests: where a reply is late, a second request is sent and the first answer wins."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from genai.errors import GenaiError
from genai.types import Reply

if TYPE_CHECKING:
    from genai.models.attempts import Plan


async def hedged(plan: "Plan") -> Reply:
    """Give the reply of a call, with one more request after `plan.hedge_after` seconds.

    The loser is cancelled and keeps its row, with the cost of what it may have used. Raises what
    the last failing attempt raised.
    """
    running = [asyncio.ensure_future(plan.whole(await plan.begin()))]
    try:
        done, _ = await asyncio.wait(running, timeout=plan.hedge_after)
        if not done:
            with suppress(GenaiError):  # no budget or no slot for a second one: the first goes on
                running.append(asyncio.ensure_future(plan.whole(await plan.begin())))
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.remove(task)
                if task.exception() is None:
                    return task.result()
                error = task.exception()
            if not running and error is not None:
                raise error
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    raise AssertionError("unreachable: one task has ended or raised")
