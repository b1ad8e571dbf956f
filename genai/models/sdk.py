"""What only the `openai` package covers: your own client, Azure sign-in, the Responses API.

Imported on the first call. Chat over HTTP is in `openai.py`; batches are in `batch.py`.
"""

import asyncio
import logging
import os
import re
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from genai import bridge, extras
from genai.errors import ModelError
from genai.ledger.usage import openai_usage
from genai.models import address, responses, wire
from genai.models.base import BEGUN, Delta, ToolPiece
from genai.types import Message

# the SDK's error classes in the kinds of ModelError; of a status, `http.py` says what it means
KINDS = {
    "BadRequestError": "bad_request",
    "AuthenticationError": "key",
    "PermissionDeniedError": "permission",
    "NotFoundError": "unknown_model",
    "ConflictError": "conflict",
    "UnprocessableEntityError": "unprocessable",
    "RateLimitError": "rate_limited",
    "InternalServerError": "server",
    "APITimeoutError": "timeout",
    "APIConnectionError": "network",
}
_CURES = {
    "timeout": "the server at {url} did not answer in time; try again",
    "network": "no connection to {url}, or none to its end; check that it runs and the network",
}
_ELSE = "try again, or add a fallback model"
_UNKNOWN = re.compile(r"create\(\) got an unexpected keyword argument '(\w+)'")
# of httpx: no connection, or a header or URL that cannot be sent
_UNSENT = ("ConnectError", "ConnectTimeout", "LocalProtocolError", "UnsupportedProtocol")
_AZURE = "https://cognitiveservices.azure.com/.default"  # what a token is asked for
_log = logging.getLogger("openai")
# an async client belongs to the event loop it was first used in, and is shared within it
_clients: weakref.WeakKeyDictionary[Any, dict[tuple[str, ...], Any]] = weakref.WeakKeyDictionary()


def package() -> Any:
    """Give the `openai` package, whose logs tell no message and no password of a URL.

    Its own log holds messages at DEBUG, which `OPENAI_LOG` alone sets.
    """
    found: Any = extras.load("openai", "gateway")
    if _log.level == logging.NOTSET:
        _log.setLevel(logging.INFO)
    logging.getLogger("httpx").addFilter(_bare)  # once, however often it is added
    return found


def _bare(record: logging.LogRecord) -> bool:
    """Take the user and password out of the URL of a request that httpx logs."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            address.bare(str(each)) if "://" in str(each) else each for each in record.args
        )
    return True


class SDK:
    """Streams through the `openai` package.

    `client` is your own `openai.OpenAI`, `AsyncOpenAI` or an Azure one; it is used as it is.
    `api` is `chat` or `responses`.
    """

    remote = True
    fields = wire.FIELDS  # a further one is an argument of the package, such as `extra_headers`

    def __init__(
        self,
        name: str,
        *,
        client: object | None = None,
        api: str = "chat",
        provider: str = "openai",
        base_url: str | None = None,
        api_key_env: str | None = None,
        connect: float = 10.0,
    ) -> None:
        self.name = provider
        self._connect = connect
        self._model = name
        self._own = client
        self._api = api
        self._url = base_url
        default = "AZURE_OPENAI_API_KEY" if provider == "azure" else "OPENAI_API_KEY"
        self._key_env = api_key_env or default

    @property
    def host(self) -> str:
        """Host and port of the server, for the ledger."""
        return self._where().partition("://")[2].partition("/")[0]

    @property
    def identity(self) -> str:
        """What tells its replies from those of another server: the whole address."""
        return self._where()

    @property
    def account(self) -> str:
        """What shares one rate limit: the server and the key."""
        return f"{self._where()} {address.key(self._key_env)}"

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        openai = package()
        try:
            client = await self.client(openai)
            create, request, read = self._request(client, messages, params)
            finished = False
            events = _from_sync if isinstance(client, openai.OpenAI) else _from_async
            async for event in events(create, request):
                delta = BEGUN if event is None else read(event)
                finished = finished or bool(delta.finish_reason)
                yield delta
            if not finished:
                raise ValueError("the stream ended early")
        except openai.OpenAIError as error:
            raise self.named(error) from error
        except wire.ServerSaid as error:
            raise ModelError(
                f"model {self.name}/{self._model}: the server at {self._where()} reported an error"
                f" instead of a reply ({error}); try again"
            ) from error
        except (ValueError, TypeError, AttributeError) as error:  # malformed or cut short
            if foreign := _UNKNOWN.search(str(error)):
                raise ModelError(
                    f"model {self.name}/{self._model}: this API takes no `{foreign[1]}`; leave it"
                    " out, or set another model",
                    "bad_request",
                    sent=False,
                    param=foreign[1],
                ) from error
            raise ModelError(
                f"model {self.name}/{self._model}: the server at {self._where()} sent a reply that"
                f" is not a whole chat completion ({type(error).__name__}); check the URL, try"
                " again",
                "bad_reply",
            ) from error
        except Exception as error:
            raise self._foreign(error) from error

    def _foreign(self, error: Exception) -> Exception:
        """Name what is not the SDK's: httpx's errors in a stream, and a sign-in that failed."""
        said, name = type(error).__name__, f"model {self.name}/{self._model}"
        if type(error).__module__.startswith("httpx"):
            return ModelError(
                f"{name}: the connection to {self._where()} broke off in the middle ({said}); try"
                " again",
                "network",
            )
        if type(error).__module__.startswith("azure."):
            return ModelError(
                f"{name}: the sign-in to Azure failed ({said}); set {self._key_env}, or sign in"
                " with `az login` or a managed identity and try again",
                "key",
                sent=False,
            )
        return error

    def _request(
        self, client: Any, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any], Any]:
        """Give the SDK's method, its arguments and what reads an event."""
        written = [wire.as_dict(message) for message in messages]
        if self._api == "responses":
            request = responses.request(self._model, written, params)
            return client.responses.create, request, responses.read_event
        request = {
            "model": self._model,
            "messages": written,
            "stream": True,
            "stream_options": {"include_usage": True},
            **params,
        }
        return client.chat.completions.create, request, read_chunk

    async def client(self, openai: Any) -> Any:
        """Give the caller's client, or ours of this loop. Raises `ModelError` without a key."""
        if self._own is not None:
            return self._own
        clients = _clients.setdefault(asyncio.get_running_loop(), {})
        key = address.key(self._key_env)
        if not key and self.name != "azure" and self._url is None:
            raise ModelError(
                f"model {self.name}/{self._model}: {self._key_env} is not set; export"
                f" {self._key_env}=... or choose another model in configs/genai.yaml",
                "key",
                sent=False,
            )
        mine = (self.name, self._url or self._where(), key, str(self._connect))
        if mine not in clients:
            make = self._azure if self.name == "azure" else self._plain
            keeper = _keep(*make(openai, key))
            clients[mine] = (keeper, await anext(keeper))
        return clients[mine][1]

    def _plain(self, openai: Any, key: str) -> tuple[Any, ...]:
        given = {"base_url": self._url, "api_key": key or "none"}
        return (openai.AsyncOpenAI(**given, **self._options(openai)),)

    def _options(self, openai: Any) -> dict[str, Any]:
        # our own clock watches over the tokens
        return {"max_retries": 0, "timeout": openai.Timeout(600.0, connect=self._connect)}

    def _azure(self, openai: Any, key: str) -> tuple[Any, ...]:
        """Sign in to Azure: by key, or by what `azure-identity` finds on this machine."""
        url = self._url or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not url:
            raise ModelError(
                f"model azure/{self._model}: AZURE_OPENAI_ENDPOINT is not set; export it or set"
                f" `models.azure/{self._model}.base_url`",
                "key",
                sent=False,
            )
        version = os.environ.get("OPENAI_API_VERSION", "2025-04-01-preview")
        options = {"azure_endpoint": url, "api_version": version, **self._options(openai)}
        if key:
            return (openai.AsyncAzureOpenAI(api_key=key, **options),)
        identity: Any = extras.load("azure.identity.aio", "azure")
        found = identity.DefaultAzureCredential()
        token = identity.get_bearer_token_provider(found, _AZURE)
        return openai.AsyncAzureOpenAI(azure_ad_token_provider=token, **options), found

    def named(self, error: Exception) -> ModelError:
        """Give an error of the SDK in our words."""
        from genai.models.http import not_trusted, retry_after, untrusted, wrong_status

        name, where = f"{self.name}/{self._model}", self._where()
        if why := untrusted(error):
            return not_trusted(name, where, why)
        status = getattr(error, "status_code", 0)
        if status >= 300:
            said = {"error": getattr(error, "body", None)}
            wait = retry_after(error.response.headers)  # type: ignore[attr-defined]
            param = wire.refused_param(said) if status in (400, 422) else ""
            return wrong_status(name, where, status, wire.short(said), self._key_env, wait, param)
        names = [cls.__name__ for cls in type(error).__mro__]
        kind = next((KINDS[name] for name in names if name in KINDS), "server")
        unsent = type(error.__cause__).__name__ in _UNSENT
        kind = "network" if unsent else kind
        text = _CURES.get(kind, f"the server at {{url}} failed ({names[0]}); {_ELSE}")
        return ModelError(f"model {name}: {text.format(url=where)}", kind, sent=not unsent)

    def _where(self) -> str:
        if self.name == "azure":
            url = self._url or os.environ.get("AZURE_OPENAI_ENDPOINT") or ""
        else:
            url = self._url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        return address.bare(str(getattr(self._own, "base_url", url)))


async def _keep(client: Any, *more: Any) -> AsyncGenerator[Any, None]:
    """Hold a client as long as its loop: a loop that ends closes its generators, and so this."""
    try:
        yield client
    finally:
        for each in (client, *more):
            await each.close()


def read_chunk(chunk: Any) -> Delta:
    """Read one chunk of an OpenAI-shaped chat stream."""
    text, finish, refusal, tools = "", "", "", []
    logprobs: tuple[Any, ...] = ()
    if chunk.choices:
        choice = chunk.choices[0]
        text, finish = choice.delta.content or "", choice.finish_reason or ""
        refusal = getattr(choice.delta, "refusal", None) or ""
        listed = getattr(getattr(choice, "logprobs", None), "content", None) or ()
        logprobs = tuple(each if isinstance(each, dict) else each.model_dump() for each in listed)
        for n, piece in enumerate(getattr(choice.delta, "tool_calls", None) or ()):
            index, function = n if piece.index is None else piece.index, piece.function
            tools.append(
                ToolPiece(index, piece.id or "", function.name or "", function.arguments or "")
            )
    usage = getattr(chunk, "usage", None)
    said = None if usage is None else usage.model_dump(warnings=False)
    return Delta(
        text,
        None if said is None else openai_usage(said),
        finish,
        tuple(tools),
        getattr(chunk, "model", None) or "",
        getattr(chunk, "id", None) or "",
        getattr(chunk, "service_tier", None) or "",
        reported=wire.reported(said),
        refusal=refusal,
        logprobs=logprobs,
    )


async def _from_async(create: Any, request: dict[str, Any]) -> AsyncIterator[Any]:
    response = await create(**request)
    yield None  # the server has said yes
    try:
        async for event in response:
            yield event
    finally:
        await response.close()


async def _from_sync(create: Any, request: dict[str, Any]) -> AsyncIterator[Any]:
    """Read a sync client's stream in threads, so the loop is never blocked."""
    response = await bridge.aside(partial(create, **request))
    events = iter(response)
    yield None  # the server has said yes
    try:
        while (event := await bridge.aside(partial(next, events, None))) is not None:
            yield event
    finally:
        response.close()
