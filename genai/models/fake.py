"""A scripted model for tests. It says so: its name begins with `fake/`.

`fake/echo` repeats the last user turn; `fake/<anything>` with a script gives its lines in turn.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from genai.models.base import Delta
from genai.types import Message


class Fake:
    """Gives scripted replies; an exception in the script is raised."""

    def __init__(self, script: Iterable[str | Exception] | None = None, delay: float = 0.0) -> None:
        self._script = None if script is None else iter(script)
        self._delay = delay

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        line: str | Exception = messages[-1].text
        if self._script is not None:
            line = next(self._script, "the script of this fake model has ended")
        if isinstance(line, Exception):
            raise line
        for piece in re.findall(r"\s*\S+|\s+$", line):
            if self._delay:
                await asyncio.sleep(self._delay)
            yield Delta(piece)
        yield Delta(finish_reason="stop")
