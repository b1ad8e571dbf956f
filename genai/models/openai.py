"""Any OpenAI-compatible server: OpenAI, Ollama, vLLM, llama.cpp, a LiteLLM proxy, your own client.

The network call is the `openai` package's; it is imported on the first call.
"""

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from genai import extras
from genai.errors import ModelError
from genai.models.base import Delta
from genai.types import Message, Usage

_KINDS = {
    "AuthenticationError": ("key", "the server refused the key in {key}; set a valid one"),
    "PermissionDeniedError": ("key", "the key in {key} may not use this model; use another"),
    "NotFoundError": ("unknown_model", "the server at {url} has no such model; check its name"),
    "RateLimitError": ("rate_limited", "the server at {url} limits the rate; wait and try again"),
    "APITimeoutError": ("timeout", "the server at {url} did not answer in time; try again"),
    "APIConnectionError": ("network", "no connection to {url}; check that it runs and the network"),
}
# an async client belongs to the event loop it was first used in, and is shared within it
_clients: weakref.WeakKeyDictionary[Any, dict[tuple[str | None, str | None], Any]] = (
    weakref.WeakKeyDictionary()
)


class OpenAI:
    """Streams chat completions from one server.

    `client` is a user's own `openai.OpenAI` or `openai.AsyncOpenAI`; it is used as it is.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key_env: str | None = None,
        client: object | None = None,
    ) -> None:
        self._name = name
        self._url = base_url
        self._key_env = api_key_env or "OPENAI_API_KEY"
        self._own = client

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        openai = extras.load("openai", "gateway")
        request: dict[str, Any] = {
            "model": self._name,
            "messages": [{"role": m.role, "content": m.text} for m in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **params,
        }
        try:
            client = self._client(openai)
            read = _from_sync if isinstance(client, openai.OpenAI) else _from_async
            finished = False
            async for delta in read(client, request):
                finished = finished or bool(delta.finish_reason)
                yield delta
            if not finished:
                raise ValueError("the stream ended early")
        except openai.OpenAIError as error:
            raise self._named(error) from error
        except (ValueError, TypeError, AttributeError) as error:  # malformed or cut short
            raise ModelError(
                f"model openai/{self._name}: the server at {self._where()} sent a reply that is"
                f" not a whole chat completion ({type(error).__name__}); check the URL, try again",
                "bad_reply",
            ) from error
        except Exception as error:  # the SDK lets httpx's own errors through in a stream
            if not type(error).__module__.startswith("httpx"):
                raise
            raise ModelError(
                f"model openai/{self._name}: the connection to {self._where()} broke off in the"
                f" middle ({type(error).__name__}); try again",
                "network",
            ) from error

    def _client(self, openai: Any) -> Any:
        if self._own is not None:
            return self._own
        clients = _clients.setdefault(asyncio.get_running_loop(), {})
        key = os.environ.get(self._key_env)
        if (self._url, key) not in clients:
            if key is None and self._url is None and "OPENAI_BASE_URL" not in os.environ:
                raise ModelError(
                    f"model openai/{self._name}: {self._key_env} is not set;"
                    f" export {self._key_env}=... or choose another model in configs/genai.yaml",
                    "key",
                )
            clients[self._url, key] = openai.AsyncOpenAI(
                base_url=self._url, api_key=key or "none", max_retries=0
            )
        return clients[self._url, key]

    def _named(self, error: Exception) -> ModelError:
        kind, text = "server", "the server at {url} failed ({error})"
        for cls in type(error).__mro__:
            if cls.__name__ in _KINDS:
                kind, text = _KINDS[cls.__name__]
                break
        status = getattr(error, "status_code", None) or type(error).__name__
        said = text.format(key=self._key_env, url=self._where(), error=status)
        return ModelError(f"model openai/{self._name}: {said}", kind)

    def _where(self) -> str:
        url = self._url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        return str(getattr(self._own, "base_url", url))


def read_chunk(chunk: Any) -> Delta:
    """Read one chunk of an OpenAI-shaped stream."""
    text, finish = "", ""
    if chunk.choices:
        text = chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or ""
    usage = getattr(chunk, "usage", None)
    if usage is None:
        return Delta(text, finish_reason=finish)
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    counts = Usage(usage.prompt_tokens, usage.completion_tokens, cached, "provider")
    return Delta(text, counts, finish)


async def _from_async(client: Any, request: dict[str, Any]) -> AsyncIterator[Delta]:
    response = await client.chat.completions.create(**request)
    try:
        async for chunk in response:
            yield read_chunk(chunk)
    finally:
        await response.close()


async def _from_sync(client: Any, request: dict[str, Any]) -> AsyncIterator[Delta]:
    """Read a sync client's stream in threads, so the loop is never blocked."""
    response = await asyncio.to_thread(client.chat.completions.create, **request)
    chunks = iter(response)
    try:
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield read_chunk(chunk)
    finally:
        response.close()
