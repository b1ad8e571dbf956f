"""Any OpenAI-compatible server, straight over HTTP: OpenAI, Ollama, vLLM, llama.cpp, a proxy.

Chat and embeddings only; what else the `openai` package covers is served by it, in `sdk.py`.
"""

import copy
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import msgspec

from genai.errors import ModelError
from genai.ledger.usage import openai_usage
from genai.models import address, http, wire
from genai.models.base import BEGUN, Delta
from genai.types import Message, Usage

_FAULTS = (http.Fault, wire.ServerSaid, ValueError)
_PUBLIC = "https://api.openai.com/v1"


class OpenAI:
    """Chat completions and embeddings from one server."""

    remote = True

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key_env: str | None = None,
        provider: str = "openai",
        connect: float = 10.0,
        total: float = 600.0,
    ) -> None:
        self.name = provider
        self._model = name
        self._label = f"{provider}/{name}"
        self._url = base_url
        self._key_env = api_key_env or "OPENAI_API_KEY"
        self._limits = (connect, total)
        self._ready: tuple[str, str, dict[str, str]] | None = None

    @property
    def host(self) -> str:
        """Host and port of the server, for the ledger."""
        return urlsplit(self._where()).netloc

    @property
    def identity(self) -> str:
        """What tells its replies from those of another server: the whole address."""
        return self._where()

    @property
    def account(self) -> str:
        """What shares one rate limit: the server and the key."""
        return f"{self._where()} {address.key(self._key_env)}"

    def within(self, total: float) -> "OpenAI":
        """Give the same with another limit for a whole reply, in seconds."""
        found = copy.copy(self)
        found._limits = (self._limits[0], total)
        return found

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        options = {"include_usage": True, **(params.get("stream_options") or {})}
        body = self._body(messages, {**params, "stream": True, "stream_options": options})
        url, headers = self._address()
        finished = begun = False
        try:
            source = http.events(url + "/chat/completions", body, headers, *self._limits)
            async with aclosing(source) as events:
                async for data in events:
                    if isinstance(data, tuple):
                        raise self._refused(*data)
                    if data == http.DONE:
                        continue  # it ends by itself, and its connection is kept
                    if data:
                        begun = True
                        delta = wire.read(data)
                        finished = finished or bool(delta.finish_reason)
                        yield delta
                    else:
                        yield BEGUN
            if not begun:
                raise ValueError("no event in it")
            if not finished:
                raise http.Broken("the stream ended early")
        except (*_FAULTS, msgspec.DecodeError) as error:
            raise self._named(error) from error

    async def complete(self, messages: Sequence[Message], params: Mapping[str, Any]) -> Delta:
        """Give the whole reply."""
        content = await self._post("/chat/completions", self._body(messages, params))
        try:
            delta = wire.read(content)
            if not (delta.finish_reason or delta.text or delta.tools or delta.refusal):
                raise ValueError("no choice in it")
        except (*_FAULTS, msgspec.DecodeError) as error:
            raise self._named(error, content) from error
        return delta

    async def embed(
        self, texts: Sequence[str], params: Mapping[str, Any]
    ) -> tuple[list[list[float]], Usage]:
        """Give one vector a text, in order, and the tokens used."""
        body = wire.encode(wire.vectors_request(self._model, texts, params))
        content = await self._post("/embeddings", body)
        try:
            found = wire.decode_vectors(content)
            vectors = [wire.floats(each) for each in sorted(found.data, key=lambda e: e.index)]
            if len(vectors) != len(texts):
                raise ValueError(f"{len(vectors)} vectors for {len(texts)} texts")
            return vectors, Usage() if found.usage is None else openai_usage(found.usage)
        except (ValueError, msgspec.DecodeError) as error:
            raise self._named(error, content) from error

    async def _post(self, path: str, body: bytes) -> bytes:
        url, headers = self._address()
        try:
            status, said, content = await http.post(url + path, body, headers, *self._limits)
        except _FAULTS as error:
            raise self._named(error) from error
        if status >= 300:
            raise self._refused(status, said, content)
        return content

    def _body(self, messages: Sequence[Message], params: Mapping[str, Any]) -> bytes:
        try:
            return wire.encode(wire.request(self._model, messages, params))
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"model {self._label}: the request cannot be written as JSON"
                f" ({type(error).__name__}); remove NaN, lone surrogates and objects from it",
                "bad_request",
                sent=False,
            ) from error

    def _named(self, error: Exception, body: bytes = b"") -> ModelError:
        """Say a fault of the network or of the reply in one sentence, and keep what arrived."""
        found = self._said(error)
        body = body or getattr(error, "received", b"")
        found.received = wire.partial(body) if body else None
        return found

    def _said(self, error: Exception) -> ModelError:
        name, where = self._label, self._where()
        if isinstance(error, http.Late):
            return ModelError(
                f"model {name}: no whole reply within {self._limits[1]:g} s; raise"
                f" `models.{name}.total_timeout` or check the server",
                "timeout",
            )
        if isinstance(error, http.Untrusted):
            return http.not_trusted(name, where, str(error))
        if isinstance(error, http.NotSent):
            return ModelError(
                f"model {name}: no connection to {where} ({error}); check that it runs, the URL"
                " and the network",
                "network",
                sent=False,
            )
        if isinstance(error, http.Broken):
            return ModelError(
                f"model {name}: the connection to {where} broke off before the reply was whole"
                f" ({error}); try again",
                "network",
            )
        if isinstance(error, wire.ServerSaid):
            return ModelError(
                f"model {name}: the server at {where} reported an error instead of a reply"
                f" ({error}); try again"
            )
        said = str(error) if isinstance(error, http.TooLarge) else type(error).__name__
        return ModelError(
            f"model {name}: the server at {where} sent a reply that is not a whole chat completion"
            f" ({said}); check the URL, try again",
            "bad_reply",
        )

    def _refused(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        try:
            said = msgspec.json.decode(body)
        except (ValueError, msgspec.DecodeError):
            said = None
        code, wait = wire.short(said), http.retry_after(headers)
        param = wire.refused_param(said) if status in (400, 422) else ""
        where, key = self._where(), self._key_env
        return http.wrong_status(self._label, where, status, code, key, wait, param)

    def _address(self) -> tuple[str, dict[str, str]]:
        key = address.key(self._key_env)
        if self._ready is None or self._ready[0] != key:
            if not key and self._url is None and "OPENAI_BASE_URL" not in os.environ:
                raise ModelError(
                    f"model {self._label}: {self._key_env} is not set;"
                    f" export {self._key_env}=... or choose another model in configs/genai.yaml",
                    "key",
                    sent=False,
                )
            headers = {
                "Accept": "application/json",
                "Content-Type": "application/json",
                "User-Agent": "genai-workbench",
            }
            url = self._given().rstrip("/")
            if urlsplit(url).username is None:  # else aiohttp signs in with what stands there
                headers["Authorization"] = f"Bearer {key or 'none'}"
            self._ready = (key, url, headers)
        return self._ready[1], self._ready[2]

    def _given(self) -> str:
        return self._url or os.environ.get("OPENAI_BASE_URL") or _PUBLIC

    def _where(self) -> str:
        return address.bare(self._given())
