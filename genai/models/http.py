"""The network: one aiohttp session an event loop, streams that close their socket, four time-outs.

httpx walks its whole pool for every request and collapses at 64 in flight; aiohttp does not.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from genai import extras
from genai.errors import ModelError

_MOST = 32 * 2**20  # bytes of one reply, or of one event of a stream
_UNFIT = "the URL, the key or the proxy's URL is malformed"
DONE = b"[DONE]"  # after it a stream has nothing more to say
_TAIL = 0.1  # seconds
_keepers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()


class Fault(Exception):
    """What went wrong on the way; `received` is what had arrived of a good reply's body."""

    received = b""


class NotSent(Fault):
    """Nothing left this machine."""


class Untrusted(NotSent):
    """The server's certificate is not trusted on this machine; says why."""


class Late(Fault):
    """The whole reply took longer than allowed."""


class Broken(Fault):
    """The connection ended in the middle."""


class TooLarge(Fault):
    """A reply beyond what this process will hold."""


async def post(
    url: str, body: bytes, headers: Mapping[str, str], connect: float, total: float
) -> tuple[int, Mapping[str, str], bytes]:
    """Send a request and read the whole reply: status, headers, body.

    Raises:
        NotSent: no connection, or a URL or header that cannot be sent, so nothing was.
        Late: the reply was not whole in `total` seconds.
        Broken: the connection ended while the reply was awaited or read.
        TooLarge: the reply is too large to hold.
    """
    aiohttp: Any = extras.load("aiohttp", "gateway")
    session, proxy = await _session(aiohttp)
    status, received = 0, list[bytes]()
    try:
        async with session.post(
            url, data=body, headers=headers, proxy=proxy(url), timeout=_limit(connect, total),
            allow_redirects=False,
        ) as response:  # fmt: skip
            status = response.status
            await _body(response.content, received)
            return status, response.headers, b"".join(received)
    except (aiohttp.ClientError, TimeoutError, TooLarge) as error:
        raise _named(aiohttp, error, b"".join(received) if status < 300 else b"") from error
    except ValueError as error:
        if status:
            raise
        raise NotSent(_UNFIT) from error


async def events(
    url: str, body: bytes, headers: Mapping[str, str], connect: float, total: float
) -> AsyncGenerator[bytes | tuple[int, Mapping[str, str], bytes], None]:
    """Send a request and give the data of each server-sent event; closing it closes the socket.

    The first item is empty and says that the reply has begun; `DONE` is the last one. Where the
    status is not 2xx, the one item is the status, headers and body. Raises as `post`.
    """
    aiohttp: Any = extras.load("aiohttp", "gateway")
    session, proxy = await _session(aiohttp)
    status = 0
    try:
        async with session.post(
            url, data=body, headers=headers, proxy=proxy(url), timeout=_limit(connect, total),
            allow_redirects=False,
        ) as response:  # fmt: skip
            status = response.status
            if status >= 300:
                received: list[bytes] = []
                await _body(response.content, received)
                yield status, response.headers, b"".join(received)
                return
            async for data in _events(response.content):
                yield data
                if data == DONE:
                    with suppress(aiohttp.ClientError, TimeoutError):
                        await _end(response.content)
                    return
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _named(aiohttp, error) from error
    except ValueError as error:
        if status:
            raise
        raise NotSent(_UNFIT) from error


async def _pieces(content: Any) -> AsyncIterator[bytes]:
    """Give a body as it arrives; of one that is cut, all that came before the error."""
    try:
        async for piece in content.iter_any():
            yield piece
    except Exception:
        left = b""
        with suppress(TimeoutError):
            left = content._read_nowait(-1)  # aiohttp raises first and keeps what it still holds
        if left:
            yield left
        raise


async def _body(content: Any, received: list[bytes]) -> None:
    size = 0
    async for piece in _pieces(content):
        size += len(piece)
        if size > _MOST:
            raise TooLarge(f"more than {_MOST >> 20} MB")
        received.append(piece)


async def _events(content: Any) -> AsyncIterator[bytes]:
    rest, begun = b"", False
    async for piece in _pieces(content):
        if not begun:
            begun = True
            yield b""
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        if len(rest) > _MOST:
            raise TooLarge(f"an event of more than {_MOST >> 20} MB")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if rest.startswith(b"data:"):
        yield rest[5:].strip()


async def _end(content: Any) -> None:
    """Wait a moment for the end of a body, so that its connection can serve the next call."""
    async with asyncio.timeout(_TAIL):
        while not content.at_eof():
            await content.readany()


@lru_cache(maxsize=64)
def _limit(connect: float, total: float) -> Any:
    aiohttp: Any = extras.load("aiohttp", "gateway")
    return aiohttp.ClientTimeout(total=total, sock_connect=connect)


def _named(aiohttp: Any, error: Exception, received: bytes = b"") -> Fault:
    said = type(error).__name__
    if isinstance(error, TooLarge):
        found: Fault = error
    elif why := untrusted(error):
        found = Untrusted(why)
    elif isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        found = NotSent(said)
    elif isinstance(error, aiohttp.InvalidURL):
        found = NotSent("the URL is not valid")
    else:
        found = (Late if isinstance(error, TimeoutError) else Broken)(said)
    found.received = received
    return found


async def _session(aiohttp: Any) -> Any:
    loop = asyncio.get_running_loop()
    found = _keepers.get(loop)
    if found is None:
        keeper = _keep(aiohttp)
        found = _keepers[loop] = (keeper, await anext(keeper))
    return found[1]


async def _keep(aiohttp: Any) -> AsyncGenerator[Any, None]:
    """Hold a session as long as its loop: a loop that ends closes its generators, and so this."""
    connector = aiohttp.TCPConnector(
        limit=0, ttl_dns_cache=60, keepalive_timeout=30, ssl=_vouched_for()
    )
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
    )
    try:
        yield session, lru_cache(maxsize=64)(_proxy)
    finally:
        _keepers.pop(asyncio.get_running_loop(), None)
        await session.close()


def _vouched_for() -> Any:
    """Give what vouches for servers: the system's certificates, or certifi's where it has none."""
    import ssl

    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return True
    certifi: Any = extras.load("certifi", "gateway")
    return ssl.create_default_context(cafile=certifi.where())


def untrusted(error: BaseException | None) -> str:
    """Say what is wrong with a server's certificate where that ended a connection, else ''."""
    while error is not None:
        if why := getattr(error, "verify_message", ""):  # of ssl.SSLCertVerificationError
            return str(why)
        error = error.__cause__ or error.__context__
    return ""


def not_trusted(name: str, where: str, why: str) -> ModelError:
    """Say that a server's certificate is not trusted, and what to do."""
    return ModelError(
        f"model {name}: the certificate of {where} is not trusted here ({why}); where your network"
        " signs such connections itself, export SSL_CERT_FILE=... with its certificates",
        "network",
        sent=False,
    )


def _proxy(url: str) -> str | None:
    """Give the proxy that the environment names for a URL.

    The session's own `trust_env` would ask two threads for it at every request.
    """
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    split = urlsplit(url)
    if not split.hostname or proxy_bypass(split.hostname):
        return None
    return getproxies().get(split.scheme)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds a server asks to wait: `retry-after-ms`, `retry-after`, or a date."""
    import email.utils
    import time

    text = headers.get("retry-after-ms", "")
    scale = 1000.0
    if not text:
        text, scale = headers.get("retry-after", ""), 1.0
    try:
        seconds = float(text) / scale
    except ValueError:
        date = email.utils.parsedate_tz(text)
        if date is None:
            return None
        seconds = email.utils.mktime_tz(date) - time.time()
    return seconds if 0 <= seconds < float("inf") else None


def wrong_status(
    name: str, where: str, status: int, code: str, key: str, wait: float | None, param: str = ""
) -> ModelError:
    """Say what a status means, in the kinds of `ModelError`."""
    kind, text = _STATUS.get(status, _STATUS[500 if status >= 500 else 400])
    text = _NO_QUOTA if code == "insufficient_quota" else text
    known = [*filter(None, (code, param and f"`{param}`"))]
    said = f" ({': '.join(known)})" if known else ""
    return ModelError(
        f"model {name}: the server at {where} {text.format(key=key)} [HTTP {status}{said}]",
        kind,
        retry_after=wait,
        status=status,
        param=param,
    )


_NO_QUOTA = "says that the quota of the key in {key} is used up; add credit, or use another model"
_STATUS = {
    400: ("bad_request", "refused the request; check the parameters and the model's limits"),
    401: ("key", "refused the key in {key}; set a valid one"),
    402: ("permission", "says that the credit behind the key in {key} is used up; add to it, or use"
          " another model"),
    403: ("permission", "does not let the key in {key} use this model; use another"),
    404: ("unknown_model", "has no such model; check its name and the URL"),
    408: ("timeout", "gave up on the request; try again"),
    409: ("conflict", "is busy with a request that conflicts; try again"),
    422: ("unprocessable", "cannot process the request; check the parameters"),
    500: ("server", "failed; try again, or add a fallback model"),
    429: ("rate_limited", "limits the rate; wait, or add a fallback model"),
}  # fmt: skip
