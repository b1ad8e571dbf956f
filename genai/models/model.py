"""A Model: one name behind the one door, with its sync and async faces."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from genai import bridge
from genai.models.attempts import Route
from genai.models.base import Prompted, as_messages
from genai.types import Context, Message, Reply


class Model:
    """One model behind the one door. Call it, stream it, await it; each attempt is a ledger row.

    `params` of a call go to the provider as they are: `temperature`, `tools`, `max_tokens`.
    `schema` (a pydantic class or a JSON schema) makes the reply's `parsed`.
    """

    def __init__(self, name: str, route: Route) -> None:
        self.name = name
        self.label = route.label or name
        self.route = route

    @property
    def identity(self) -> str:
        """What shapes the replies, as text: models, servers, parameters."""
        return self.route.identity

    @property
    def remote(self) -> bool:
        """Whether a request leaves this process."""
        return self.route.remote

    @property
    def fields(self) -> frozenset[str] | None:
        """What somebody outside may set of a request; None: whatever goes into its body."""
        return self.route.fields

    @property
    def concurrency(self) -> int:
        """How many calls to have in flight at the most; the door limits them further."""
        return 105 if self.remote else 8

    def __call__(self, prompt: Prompted, *, schema: Any = None, **params: Any) -> Reply:
        """Give the whole reply. Raises `ModelError`."""
        return bridge.run(self.acall(prompt, schema=schema, **params))

    def stream(self, prompt: Prompted, **params: Any) -> bridge.Stream[str | Reply]:
        """Give text pieces as they arrive, then the Reply; closing the iterator ends the call."""
        return bridge.Stream(self.astream(prompt, **params))

    async def acall(
        self,
        prompt: Prompted,
        *,
        schema: Any = None,
        context: Context | None = None,
        **params: Any,
    ) -> Reply:
        """Give the whole reply, in async code."""
        messages = as_messages(prompt)
        if schema is not None:
            from genai.models.structured import structured

            return await structured(self._whole, messages, schema, context, params)
        return await self._whole(messages, context, params)

    async def _whole(
        self, messages: Sequence[Message], context: Context | None, params: Mapping[str, Any]
    ) -> Reply:
        plan = self.route.plan(messages, params, context, stream=False)
        if plan.hedge_after:
            from genai.models.hedge import hedged

            return await hedged(plan)
        reply: Reply = await plan.whole(await plan.begin())
        return reply

    async def astream(
        self, prompt: Prompted, *, context: Context | None = None, **params: Any
    ) -> AsyncGenerator[str | Reply, None]:
        """Give text pieces as they arrive, then the Reply, in async code."""
        plan = self.route.plan(as_messages(prompt), params, context, stream=True)
        while True:
            attempt = await plan.begin()
            try:
                async with aclosing(attempt.pieces()) as pieces:
                    async for text in pieces:
                        yield text
                reply = attempt.close("ok")
            except (GeneratorExit, asyncio.CancelledError):
                attempt.close("cancelled")
                raise
            except Exception as error:
                await plan.failed(attempt, error)
            else:
                yield reply
                return
