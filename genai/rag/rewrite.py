"""A conversation in, a question that stands alone out; and other wordings of a question.

What a model writes is text of nobody we trust: the chain guards it as it guards a question.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from genai.errors import InputError
from genai.rag.aide import Aide
from genai.types import Context

Talk = str | Sequence[Mapping[str, Any]]
Turns = tuple[tuple[str, str], ...]
TURNS = 6  # before a question that are read with it
_CHARS, _LONGEST = 2000, 1000
_LABEL = re.compile(r"^(?:\d{1,2}[.)]|[-*])\s+")


def read_talk(given: Talk) -> tuple[str, Turns]:
    """Give the last question, and the turns before it as (role, text).

    A system turn is left out: the chain's prompt makes its own. A broken character is a `?`.

    Raises:
        InputError: the conversation is empty, malformed, or does not end with a user's turn.
    """
    if isinstance(given, str):
        return _whole(given), ()
    if not isinstance(given, list | tuple):
        raise InputError(
            f"a chain takes a question or a list of turns, not {type(given).__name__}; give a text"
        )
    turns = [_turn(number, turn) for number, turn in enumerate(given, start=1)]
    if not turns or turns[-1][0] != "user":
        raise InputError("a conversation must end with a turn whose `role` is `user`; add it")
    return turns[-1][1], tuple(turn for turn in turns[:-1] if turn[0] != "system")


def _turn(number: int, turn: Mapping[str, Any]) -> tuple[str, str]:
    role = turn.get("role") if isinstance(turn, Mapping) else None
    if role not in ("system", "user", "assistant"):
        raise InputError(
            f"conversation: turn {number} has the role {role!r}; use user, assistant or system"
        )
    content = turn.get("content")
    if not isinstance(content, str):
        raise InputError(f"conversation: turn {number}: `content` must be text; give a string")
    return role, _whole(content)


def _whole(text: str) -> str:
    """Give a text without halves of a pair, which JSON can hold and no provider takes."""
    return text.encode("utf-8", "replace").decode()


async def standalone(aide: Aide, earlier: Turns, question: str, context: Context) -> str:
    """Write a follow-up so that it can be understood, and searched, without what came before.

    A reply that is empty or too long to be a question leaves the question as it was asked.

    Raises:
        ModelError: the model failed.
    """
    talk = "\n".join(f"{role}: {text[:_CHARS]}" for role, text in earlier[-TURNS:])
    said = await aide.text(context, conversation=talk, question=question)
    written = " ".join(said.split()).strip("\"'`")
    return written if 0 < len(written) <= _LONGEST else question


async def wordings(aide: Aide, question: str, count: int, context: Context) -> list[str]:
    """Give up to `count` other wordings of a question, one a line of the reply.

    Raises:
        ModelError: the model failed.
    """
    said = await aide.text(context, question=question, count=str(count))
    lines = (" ".join(_LABEL.sub("", line.strip()).split()) for line in said.splitlines())
    found = [line for line in lines if line and len(line) <= _LONGEST and line != question]
    return list(dict.fromkeys(found))[:count]
