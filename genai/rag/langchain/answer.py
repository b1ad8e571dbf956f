"""A Chain as a LangChain runnable."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableGenerator

from genai.errors import InputError
from genai.models.langchain.outward import usage_metadata
from genai.rag.chain import Chain
from genai.types import Answer, Refusal


def chain_runnable(chain: Chain) -> RunnableGenerator[Any, AIMessageChunk]:
    """Give a Chain as a runnable that streams judged sentences as message pieces.

    It takes a question, messages, or a mapping with `question` or `input`. The last piece holds
    the Answer or Refusal as `additional_kwargs["outcome"]`, and its tokens and cost.
    """

    def pieces(given: Iterator[Any]) -> Iterator[AIMessageChunk]:
        for piece in chain.stream(_question(_only(list(given)))):
            yield AIMessageChunk(content=piece) if isinstance(piece, str) else _outcome(piece)

    async def apieces(given: AsyncIterator[Any]) -> AsyncGenerator[AIMessageChunk, None]:
        asked = _question(_only([each async for each in given]))
        async with aclosing(chain.astream(asked)) as source:
            async for piece in source:
                yield AIMessageChunk(content=piece) if isinstance(piece, str) else _outcome(piece)

    return RunnableGenerator(pieces, apieces, name="genai_chain")


def _only(given: list[Any]) -> Any:
    """Join a question that came in pieces."""
    if len(given) > 1 and all(isinstance(each, str) for each in given):
        return "".join(given)
    total = given[0]
    for each in given[1:]:
        total = total + each
    return total


def _question(given: Any) -> Any:
    if isinstance(given, Mapping):
        given = given.get("question", given.get("input"))
    if isinstance(given, PromptValue):
        given = given.to_messages()
    if isinstance(given, BaseMessage):
        given = [given]
    if isinstance(given, str):
        return given
    if not isinstance(given, list) or not given:
        raise InputError(
            "a chain takes a question, messages, or a mapping with `question` or `input`, not"
            f" {type(given).__name__}"
        )
    return convert_to_openai_messages(given)


def _outcome(outcome: Answer | Refusal) -> AIMessageChunk:
    refused = isinstance(outcome, Refusal)
    said = {"model_name": outcome.model, "call_id": outcome.call_id}
    amount = outcome.cost.amount
    return AIMessageChunk(
        content=outcome.message if isinstance(outcome, Refusal) else "",
        additional_kwargs={"outcome": outcome},
        response_metadata={
            **said,
            "finish_reason": outcome.reason if isinstance(outcome, Refusal) else "stop",
            "refused": refused,
            "cost": None if amount is None else str(amount),
            "cost_status": str(outcome.cost.status),
        },
        usage_metadata=usage_metadata(outcome.usage),
        chunk_position="last",
    )
