"""Every provider that LiteLLM knows and we do not serve ourselves."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from genai import extras
from genai.errors import ModelError
from genai.ledger.usage import openai_usage
from genai.models import address, wire
from genai.models.base import Delta
from genai.models.sdk import package, read_chunk
from genai.types import Message, Usage

# LiteLLM leaves out what a provider does not take; without these a reply is another thing
_MATTERS = ("tools", "functions", "response_format", "logprobs", "stop")
_UNTRUSTED = re.compile(r"certificate verify failed: ([^(\n]+)")
_FORBIDDEN = "the key may not use this model; use another"
_UNPAID = "the credit behind the key is used up; add to it, or use another model"
_ROUTE = "LLM Provider NOT provided"  # how its own refusal begins, of a name it does not know
_KINDS = {
    "AuthenticationError": ("key", "the provider refused the key; set its environment variable"),
    "PermissionDeniedError": ("permission", _FORBIDDEN),
    "NotFoundError": ("unknown_model", "the provider has no such model; check its name"),
    "BadRequestError": (
        "bad_request",
        "the provider refused the request; check the parameters and the model's limits",
    ),
    "UnsupportedParamsError": (
        "bad_request",
        "the provider does not take all of `params`; leave out what it does not know",
    ),
    "UnprocessableEntityError": ("unprocessable", "the request cannot be processed; check it"),
    "MidStreamFallbackError": ("network", "the reply broke off in the middle; try again"),
    "RateLimitError": ("rate_limited", "the provider limits the rate; wait and try again"),
    "Timeout": ("timeout", "the provider did not answer in time; try again"),
    "APIConnectionError": ("network", "no connection to the provider; check the network"),
    "ServiceUnavailableError": ("network", "the provider is not available; try again"),
    "InternalServerError": ("network", "the provider failed or cannot be reached; try again"),
}


@cache
def _package() -> Any:
    litellm: Any = extras.load("litellm", "gateway")
    package()  # litellm sends much through `openai`
    litellm.telemetry = False
    litellm.disable_hf_tokenizer_download = True  # it counts tokens of a Llama 3 by fetching one
    litellm.disable_aiohttp_transport = True  # of a stream that is cut it drops what has arrived
    litellm.DEFAULT_MAX_RETRIES = 0  # for vectors it takes this where it is told 0
    litellm.suppress_debug_info = True
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    return litellm


class LiteLLM:
    """Chat completions and embeddings of one of LiteLLM's providers.

    It does not say when the first byte of a reply arrives: a reply has begun with its first chunk.
    Its HTTP handler repeats once, by itself, a request whose connection ended before the reply.
    """

    remote = True
    # a further one is an argument of the package: `api_base` would send the key elsewhere
    fields = wire.FIELDS | {"top_k", "thinking"}

    def __init__(
        self, name: str, *, base_url: str | None = None, api_key_env: str | None = None
    ) -> None:
        self.name = name.partition("/")[0]
        self._name = name
        self._url = base_url
        self._key_env = api_key_env

    async def load(self) -> None:
        """Load the package beside the loop; it takes seconds, which are none of a call's."""
        if not _package.cache_info().currsize:
            await asyncio.to_thread(_package)

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        litellm = _package()
        try:
            self._refuse(litellm, params)
            response = await litellm.acompletion(
                model=self._name,
                messages=[wire.as_dict(message) for message in messages],
                stream=True,
                stream_options={"include_usage": True},
                base_url=self._url,
                api_key=address.key(self._key_env or "") or None,
                num_retries=0,
                max_retries=0,
                drop_params=True,
                **params,
            )
            async for chunk in response:
                delta = read_chunk(chunk)
                if delta.usage is not None and not _reported(response):
                    delta = replace(delta, usage=replace(delta.usage, source="counted"))
                yield delta
            if not _ended(response):
                raise ModelError(
                    f"model {self._name}: the provider sent a reply that is not whole; try again",
                    "bad_reply",
                )
        except Exception as error:
            if not (isinstance(error, ImportError) or type(error).__module__.startswith("litellm")):
                raise
            raise self._named(error) from error

    async def embed(
        self, texts: Sequence[str], params: Mapping[str, Any]
    ) -> tuple[list[list[float]], Usage | None]:
        """Give one vector a text, in order, and the tokens; LiteLLM does not say who counted."""
        litellm = _package()
        try:
            response = await litellm.aembedding(
                model=self._name,
                input=list(texts),
                api_base=self._url,
                api_key=address.key(self._key_env or "") or None,
                max_retries=0,
                **params,
            )
        except Exception as error:
            if not (isinstance(error, ImportError) or type(error).__module__.startswith("litellm")):
                raise
            raise self._named(error) from error
        said = getattr(response, "usage", None)
        usage = None if said is None else replace(openai_usage(said.model_dump()), source="counted")
        return [each["embedding"] for each in response.data], usage

    def _refuse(self, litellm: Any, params: Mapping[str, Any]) -> None:
        """Name what the provider does not take and LiteLLM would leave out without a word."""
        asked = [name for name in _MATTERS if params.get(name)]
        known = litellm.get_supported_openai_params(model=self._name) if asked else None
        for name in asked:
            if known and name not in known:
                raise ModelError(
                    f"model {self._name}: this provider takes no `{name}`; leave it out, or set"
                    " another model",
                    "bad_request",
                    sent=False,
                    param=name,
                )

    def _named(self, error: Exception) -> ModelError:
        from genai.models.http import not_trusted, retry_after

        if why := _UNTRUSTED.search(str(error)):  # its errors hold no others, only their words
            where = address.bare(self._url or "the provider")
            return not_trusted(self._name, where, why[1].strip())
        if unready := self._unready(error):
            return unready
        name, status = type(error).__name__, getattr(error, "status_code", None)
        unknown = ("server", f"the provider failed ({name}); try again or use another model")
        every = (cls.__name__ for cls in type(error).__mro__)  # what is refused has many names
        kind, text = next((_KINDS[each] for each in every if each in _KINDS), unknown)
        if kind == "bad_request" and _ROUTE in str(error):
            kind, text = "unknown_model", "LiteLLM cannot route this request; check the name"
        elif status == 402:
            kind, text = "permission", _UNPAID
        elif name == "APIError" and status == 403:
            kind, text = "permission", _FORBIDDEN
        elif name == "APIError" and isinstance(status, int) and status < 500:
            kind, text = _KINDS["BadRequestError"]
        headers = getattr(error, "litellm_response_headers", None) or {}
        headers = headers or getattr(getattr(error, "response", None), "headers", None) or {}
        refused = str(error) if kind in ("bad_request", "unprocessable") else None
        return ModelError(
            f"model {self._name}: {text}",
            kind,
            retry_after=retry_after(headers),
            status=status,
            param=wire.refused_param({"error": refused}),
        )

    def _unready(self, error: Exception) -> ModelError | None:
        """Say what this machine lacks for a provider, which LiteLLM takes for a lost connection."""
        behind = error if isinstance(error, ImportError) else error.__cause__ or error.__context__
        if isinstance(behind, ImportError):
            said = str(behind).partition("\n")[0][:200].rstrip(".")
            text, kind = (
                f"LiteLLM needs another package for this provider ({said})",
                "unknown_model",
            )
            text += "; add it and try again"
        elif type(behind).__module__.startswith("google.auth"):
            text, kind = f"the sign-in to Google failed ({type(behind).__name__})", "key"
            text += "; set GOOGLE_APPLICATION_CREDENTIALS or use `gcloud auth`, and try again"
        else:
            return None
        return ModelError(f"model {self._name}: {text}", kind, sent=False)

    @property
    def host(self) -> str:
        """Host and port of a configured server, for the ledger."""
        return address.bare(self._url or "").partition("://")[2].partition("/")[0]

    @property
    def identity(self) -> str:
        """What tells its replies from others: the whole name with its version, and the address."""
        return f"{self._name} {address.bare(self._url or '')}"

    @property
    def account(self) -> str:
        """What shares one rate limit: the provider or server, and the key."""
        return f"{self._url or self.name} {address.key(self._key_env or '')}"


def _reported(response: Any) -> bool:
    """Say whether a chunk brought the usage; LiteLLM counts by itself where none did."""
    chunks = getattr(response, "chunks", None)
    return chunks is None or any(getattr(each, "usage", None) for each in chunks)


def _ended(response: Any) -> bool:
    """Say whether the stream told its end; LiteLLM makes one up where it was cut or spoilt."""
    told = getattr(response, "received_finish_reason", "not known")
    return bool(told or getattr(response, "intermittent_finish_reason", None))
