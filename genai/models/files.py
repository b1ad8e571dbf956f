"""Files kept at the provider: uploaded once, named in any message, deleted again; through the SDK.

file = genai.upload("report.pdf", "openai/gpt-5-mini")
reply = model([{"role": "user", "content": ["What does it say?", file]}])
file.delete()
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai import bridge
from genai.errors import InputError, ModelError
from genai.models import address
from genai.models.attempts import counted
from genai.models.sdk import SDK, package
from genai.types import Part

_MOST = 512 * 2**20  # bytes; OpenAI takes no larger file


@dataclass(frozen=True, slots=True)
class File(Part):
    """A file at the provider. It stands in a message as a piece of its content until `delete`."""

    id: str = ""
    _delete: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    def delete(self) -> None:
        """Delete the file at the provider; one that is gone already is no error.

        Raises:
            ModelError: the server refused, or cannot be reached.
        """
        self._delete()


def upload_file(
    path: str | Path,
    name: str,
    *,
    base_url: str | None = None,
    api_key_env: str | None = None,
    client: object | None = None,
) -> File:
    """Store a file at the provider of a model, for its messages.

    Raises:
        InputError: there is no such file, or it is empty or too large.
        ModelError: the model's provider keeps no files, or the server refused.
    """
    path = Path(path)
    _check(path)
    sdk = _sdk(name, base_url, api_key_env, client)

    def create(files: Any) -> Any:
        return files.create(file=path, purpose="user_data")

    def delete() -> None:
        bridge.run(_asked(sdk, path, lambda files: files.delete(number), gone=True))

    number = bridge.run(_asked(sdk, path, create))
    data = {"type": "file", "file": {"file_id": number}}
    return File("", "untrusted", data=data, id=number, _delete=delete)


def _check(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not path.is_file():
        raise InputError(f"{path}: is not a file; upload one file at a time")
    if not size:
        raise InputError(f"{path}: is empty; there is nothing to upload")
    if size > _MOST:
        raise InputError(
            f"{path}: has {size / 2**20:,.0f} MB, and a provider takes {_MOST >> 20} MB at most;"
            " split it"
        )


def _sdk(name: str, url: str | None, key_env: str | None, client: object | None) -> SDK:
    owner, _, rest = name.partition("/")
    if owner not in ("openai", "responses", "azure") or not rest:
        raise ModelError(
            f"model {address.bare(name)!r}: its provider keeps no files; put the file into the"
            " message, or use `openai/NAME[@URL]`, `responses/NAME` or `azure/DEPLOYMENT`",
            "unknown_model",
        )
    bare, _, given = rest.partition("@")
    provider = "azure" if owner == "azure" else "openai"
    bare, _, given = rest.partition("@")
    return SDK(bare, client=client, provider=provider, base_url=given or url, api_key_env=key_env)


async def _asked(sdk: SDK, path: Path, ask: Callable[[Any], Any], gone: bool = False) -> str:
    """Ask the server for one thing about a file, and give the id it answers with.

    With `gone` it is no error that the server does not know the file.
    """
    openai = package()
    try:
        client = await sdk.client(openai)
        if isinstance(client, openai.OpenAI):  # the caller's own
            found = await asyncio.to_thread(ask, client.files)
        else:
            found = await ask(client.files)
        if not isinstance(found.id, str):
            raise ValueError("no id")
        return found.id
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from error
    except openai.NotFoundError as error:
        if gone:
            return ""
        raise ModelError(
            f"file {path.name}: the server at {sdk.host} keeps no files; check the URL",
            "bad_request",
            status=404,
        ) from error
    except (ValueError, AttributeError) as error:
        raise ModelError(
            f"file {path.name}: the server at {sdk.host} sent a reply that is not about a file"
            f" ({type(error).__name__}); check the URL",
            "bad_reply",
        ) from error
    except openai.OpenAIError as error:
        status = getattr(error, "status_code", None)
        if status not in (400, 413, 415, 422):
            raise counted(sdk.named(error), 1) from error
        raise ModelError(
            f"file {path.name}: the server at {sdk.host} refused it [HTTP {status}]; check its type"
            " and size",
            "bad_request",
            status=status,
        ) from error
