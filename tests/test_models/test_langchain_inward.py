"""LangChain's models as ours: the limit of a whole reply, and why one ended."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableGenerator, RunnableLambda

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models import open_model
from genai.types import Reply


def test_a_whole_reply_of_theirs_keeps_to_the_total() -> None:
    async def hangs(messages: Any) -> str:
        await asyncio.Event().wait()
        return "never"

    limits = ModelSettings(total_timeout=0.1)
    model = open_model("langchain/x:y", settings=limits, provider=RunnableLambda(hangs))
    with pytest.raises(ModelError, match="no whole reply within 0.1 s"):
        model("Hello")


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ({"stop_reason": "max_tokens", "stop_sequence": None}, "length"),  # Anthropic
        ({"stop_reason": "end_turn"}, "stop"),
        ({"finish_reason": "MAX_TOKENS", "safety_ratings": []}, "length"),  # Gemini
        ({"finish_reason": "SAFETY"}, "content_filter"),
        ({"stopReason": "tool_use"}, "tool_calls"),  # Bedrock
        ({"done_reason": "length", "done": True}, "length"),  # Ollama
        ({"finish_reason": "of-its-own"}, "of-its-own"),
        ({}, "stop"),
    ],
)
def test_why_a_reply_ended_is_said_in_the_words_of_the_protocol(
    said: dict[str, Any], finish: str
) -> None:
    """A reply that was cut is then not asked for again, and not shown as whole."""

    async def stream(given: Any) -> AsyncIterator[AIMessageChunk]:
        yield AIMessageChunk(content="a")
        yield AIMessageChunk(content="b", response_metadata=said)

    model = open_model("langchain/x:y", provider=RunnableGenerator(stream))
    *_, last = model.stream("hi")
    assert isinstance(last, Reply)
    assert (last.text, last.finish_reason) == ("ab", finish)
    assert model("hi").finish_reason == finish
