"""Hedged requests: where a whole reply is late, a second request is sent; the first answer wins."""

import asyncio
from typing import TYPE_CHECKING

from genai.types import Reply

if TYPE_CHECKING:
    from genai.models.attempts import Plan
    from genai.models.meter import Attempt


async def hedged(plan: "Plan") -> Reply:
    """Give the reply of a call, with one more request after `plan.hedge_after` seconds.

    The loser is cancelled and keeps its row, with the cost of what it may have used. A second one
    that finds no budget, or no slot before the reply, is not sent. Raises what the last failing
    attempt raised.
    """
    running: list[asyncio.Task[Reply]] = []
    running.append(asyncio.create_task(_race(plan, running, await plan.begin())))
    try:
        done, _ = await asyncio.wait(running, timeout=plan.hedge_after)
        if not done:
            running.append(asyncio.create_task(_race(plan, running)))
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.remove(task)
                if task.cancelled():
                    continue
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


async def _race(
    plan: "Plan", running: list[asyncio.Task[Reply]], attempt: "Attempt | None" = None
) -> Reply:
    reply = await plan.whole(attempt or await plan.begin())
    for task in running:  # at once, for the slot that is free now calls the one that waits
        if task is not asyncio.current_task():
            task.cancel()
    return reply
