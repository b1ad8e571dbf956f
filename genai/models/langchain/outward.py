"""Our models and embedders as LangChain's."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    UsageMetadata,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from pydantic import ConfigDict, PrivateAttr, model_validator

from genai.models.attempts import Target
from genai.models.base import as_messages
from genai.models.door import open_model
from genai.models.embed import Embedder
from genai.models.model import Model
from genai.types import Message, Reply, Usage


class ChatGenai(BaseChatModel):
    """A Model as a LangChain chat model: streams, binds tools, gives structured output.

    Every call keeps the Model's budgets and limits and is a row of its ledger. Keywords of a call
    go to the provider as they are; `model=` of a call names another model for it, which is reached
    at its usual address. `with_structured_output` checks each reply, mends it, and asks again.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: Model
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    timeout: float | None = None
    max_retries: int | None = None
    streaming: bool = False
    _asked: Model = PrivateAttr()

    @model_validator(mode="after")
    def _limit(self) -> "ChatGenai":
        self._asked = _limited(self.model, self.timeout, self.max_retries)
        return self

    @property
    def _llm_type(self) -> str:
        return "genai"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model.identity, **self._params(None, {})}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        name = kwargs.pop("model", None) or self.model.name
        stop = stop or self.stop
        return super()._get_ls_params(stop=stop, model=name, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chosen = self._choose(kwargs)
        return _result(chosen(_ours(messages), **self._params(stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chosen = self._choose(kwargs)
        return _result(await chosen.acall(_ours(messages), **self._params(stop, kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        chosen, params = self._choose(kwargs), self._params(stop, kwargs)
        if "schema" in params:  # a reply that may be asked for again cannot be sent in pieces
            yield _last(chosen(_ours(messages), **params), whole=True)
            return
        for piece in chosen.stream(_ours(messages), **params):
            yield _text(piece) if isinstance(piece, str) else _last(piece)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        chosen, params = self._choose(kwargs), self._params(stop, kwargs)
        if "schema" in params:
            yield _last(await chosen.acall(_ours(messages), **params), whole=True)
            return
        async with aclosing(chosen.astream(_ours(messages), **params)) as pieces:
            async for piece in pieces:
                yield _text(piece) if isinstance(piece, str) else _last(piece)

    def _choose(self, kwargs: dict[str, Any]) -> Model:
        name = kwargs.pop("model", None)
        if name is None or name == self.model.name:
            return self._asked
        other = open_model(name, hooks=self.model.route.hooks)
        return _limited(other, self.timeout, self.max_retries)

    def _params(self, stop: list[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
        own = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": stop or self.stop or None,
        }
        every = {**own, **given}
        every.pop("stream", None)  # says how LangChain reads, nothing to the provider
        return {name: value for name, value in every.items() if value is not None}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Give the model with tools it may call; `tool_choice` is a name, or `any` for some."""
        written = [convert_to_openai_tool(each, strict=strict) for each in tools]
        choice: Any = "required" if tool_choice in ("any", True) else tool_choice or None
        if isinstance(choice, str) and choice not in ("auto", "none", "required"):
            choice = {"type": "function", "function": {"name": choice}}
        return self.bind(tools=written, tool_choice=choice, **kwargs)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Give a runnable of checked values: a pydantic class gives its objects, others mappings.

        `method` is `json_schema` (the default: checked, mended, asked for again),
        `function_calling` or `json_mode`. A reply that never fits raises `ModelError`.
        """
        method = kwargs.pop("method", None) or "json_schema"
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        kwargs.pop("strict", None)  # every reply is checked against the whole schema
        said = {"kwargs": {"method": method}, "schema": schema}
        if method == "json_mode":
            form: dict[str, Any] = {"response_format": {"type": "json_object"}}
            parse: Runnable[Any, Any] = (
                PydanticOutputParser(pydantic_object=schema)
                if isinstance(schema, type) and hasattr(schema, "model_validate")
                else JsonOutputParser()
            )
        else:
            own = isinstance(schema, type) and hasattr(schema, "model_validate")
            form = {"schema": schema if own else convert_to_json_schema(schema)}
            parse = RunnableLambda(_parsed(None if own else getattr(schema, "parse_obj", None)))
        asked = self.bind(**form, ls_structured_output_format=said, **kwargs)
        if not include_raw:
            return asked | parse
        return RunnableMap(raw=asked) | RunnableMap(
            raw=lambda got: got["raw"],
            parsed=RunnableLambda(lambda got: got["raw"]) | parse,
            parsing_error=lambda _: None,
        )


def _parsed(make: Callable[[Any], Any] | None) -> Callable[[AIMessage], Any]:
    """Give what takes the checked value out of a message; `make` builds a pydantic v1 object."""

    def take(message: AIMessage) -> Any:
        value = message.additional_kwargs["parsed"]
        return value if make is None else make(value)

    return take


def _limited(model: Model, timeout: float | None, retries: int | None) -> Model:
    """Give the model with other limits: seconds for a whole reply, and further attempts."""
    if timeout is None and retries is None:
        return model

    def limit(target: Target) -> Target:
        if timeout is not None:
            first = min(timeout, target.timeouts.first)
            limits = replace(target.timeouts, first=first, total=float(timeout))
            within = getattr(target.provider, "within", None)  # keeps to its own time
            provider = within(float(timeout)) if within else target.provider
            target = replace(target, timeouts=limits, provider=provider)
        if retries is not None and hasattr(target.provider, "account"):
            target = replace(target, retries=retries)
        return target

    route = model.route
    targets = [(weight, limit(target)) for weight, target in route.targets]
    fallbacks = [limit(target) for target in route.fallbacks]
    return Model(model.name, replace(route, targets=targets, fallbacks=fallbacks))


def _ours(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """Give their messages as ours; an assistant's turn keeps its text and its tool calls only."""
    written = convert_to_openai_messages(list(messages))
    for each in written:
        if each["role"] == "assistant" and isinstance(each["content"], list):
            each["content"] = [
                piece for piece in each["content"] if piece.get("type") in ("text", "refusal")
            ]
    return as_messages(written)


def _result(reply: Reply) -> ChatResult:
    message = AIMessage(content=reply.text, **_calls(reply), **_facts(reply))
    return ChatResult(generations=[ChatGeneration(message=message)])


def _text(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


def _last(reply: Reply, *, whole: bool = False) -> ChatGenerationChunk:
    """Give the end of a stream, which says what the reply took; `whole` holds the text too."""
    chunks = [
        tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=n)
        for n, call in enumerate(reply.tool_calls)
    ]
    message = AIMessageChunk(
        content=reply.text if whole else "", tool_call_chunks=chunks, chunk_position="last",
        **_facts(reply),
    )  # fmt: skip
    return ChatGenerationChunk(message=message)


def _facts(reply: Reply) -> dict[str, Any]:
    """Give what is known beside the text: tokens, model, cost, the ledger row, a parsed value."""
    cost = None if reply.cost.amount is None else str(reply.cost.amount)
    said = {
        "model_name": reply.model,
        "finish_reason": reply.finish_reason,
        "call_id": reply.call_id,
        "cost": cost,
        "cost_status": str(reply.cost.status),
    }
    parsed = {} if reply.parsed is None else {"parsed": reply.parsed}
    return {
        "response_metadata": said,
        "usage_metadata": usage_metadata(reply.usage),
        "additional_kwargs": parsed,
    }


def _calls(reply: Reply) -> dict[str, Any]:
    good, bad = [], []
    for call in reply.tool_calls:
        try:
            given = json.loads(call.arguments or "{}")
            if not isinstance(given, dict):
                raise ValueError("arguments are no object")
        except ValueError as error:
            bad.append({"name": call.name, "args": call.arguments, "id": call.id,
                        "error": str(error), "type": "invalid_tool_call"})  # fmt: skip
        else:
            good.append({"name": call.name, "args": given, "id": call.id, "type": "tool_call"})
    return {"tool_calls": good, "invalid_tool_calls": bad}


def usage_metadata(usage: Usage) -> UsageMetadata | None:
    """Give tokens in their form; None where nobody counted."""
    if usage.source == "none":
        return None
    inward = {
        "audio": usage.audio_input_tokens,
        "cache_read": usage.cached_tokens,
        "cache_creation": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
    }
    outward = {"audio": usage.audio_output_tokens, "reasoning": usage.reasoning_tokens}
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        input_token_details=cast(InputTokenDetails, {k: n for k, n in inward.items() if n}),
        output_token_details=cast(OutputTokenDetails, {k: n for k, n in outward.items() if n}),
    )


class GenaiEmbeddings(Embeddings):
    """An Embedder as LangChain embeddings: unit rows, each call a row of the ledger."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Give a vector a text."""
        found: list[list[float]] = self._embedder.embed(texts).tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        """Give the vector of a question."""
        return self.embed_documents([text])[0]
