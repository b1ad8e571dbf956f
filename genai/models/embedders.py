"""Open an embedder: the shipped one, sentence-transformers, a server's, LangChain's, a callable."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from genai import bridge, extras
from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models.address import bare
from genai.models.attempts import Hooks
from genai.models.embed import Embedder
from genai.project import import_named

STATIC = Path(__file__).parent / "static"
_SERVED = ("openai/", "litellm/")


def make_embedder(
    name: str | Callable[[Sequence[str]], Any],
    *,
    settings: ModelSettings | None = None,
    hooks: Hooks | None = None,
) -> Embedder:
    """Open an embedder by name.

    `static`, `openai/NAME[@URL]`, `litellm/NAME[@URL]`, `sentence-transformers/NAME`,
    `module:function`, `langchain/module:NAME`. `settings` are those of a model on a server.

    Raises:
        ModelError: no such embedder.
        MissingExtra: its package is not installed.
    """
    if callable(name):
        label = f"{name.__module__}:{getattr(name, '__qualname__', type(name).__name__)}"
        return Embedder(label, name, hooks=hooks)
    if name == "static":
        encode, identity = _static()
    elif name.startswith("sentence-transformers/"):
        encode, identity = _sentence_transformer(name.partition("/")[2]), name
    elif name.startswith(_SERVED):
        return _served(name, settings or ModelSettings(), hooks)
    elif name.startswith("langchain/"):
        from genai.models.langchain.inward import embed_with, import_object

        found = import_object(name.partition("/")[2], "embed_documents")
        return embed_with(found, name, hooks=hooks)
    elif ":" in name and "://" not in name:
        encode, identity = _function(name), name
    else:
        raise ModelError(
            f"embedder {bare(name)!r}: not known; use `static`, `openai/NAME[@URL]`,"
            " `litellm/NAME[@URL]`, `sentence-transformers/NAME`, `langchain/package.module:NAME`"
            " or `package.module:function`",
            "unknown_model",
        )
    return Embedder(name, encode, identity=identity, hooks=hooks)


def address(name: str, settings: ModelSettings) -> str:
    """Give a name with the server that it leads to, so that any process sends texts there.

    What stands in the URL for a user and a password is left out.
    """
    if not name.startswith(_SERVED):
        return name
    plain, url = _server(name, settings)
    return name if url is None else f"{plain}@{bare(url)}"


def _server(name: str, settings: ModelSettings) -> tuple[str, str | None]:
    """Part a name from its URL: its own, that of the settings, or the variable's for OpenAI's."""
    plain, given, rest = name.partition("@http")
    variable = os.environ.get("OPENAI_BASE_URL") if name.startswith("openai/") else None
    return plain, f"http{rest}" if given else settings.base_url or variable


def _static() -> tuple[Callable[[Sequence[str]], Any], str]:
    card = json.loads((STATIC / "card.json").read_text(encoding="utf-8"))

    def encode(texts: Sequence[str]) -> Any:
        return _shipped(card["sha256"]).encode([*texts], show_progress_bar=False)

    return encode, f"{card['name']}@{card['sha256'][:12]}"


@cache
def _shipped(sha256: str) -> Any:
    """Load the shipped weights once a process: index, guards and the model of a chain share them.

    Raises:
        ModelError: they are damaged.
    """
    model2vec = extras.load("model2vec", "rag")
    found = hashlib.sha256((STATIC / "model.safetensors").read_bytes()).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{STATIC.name}/model.safetensors: damaged (sha256 {found[:12]});"
            " reinstall genai-workbench",
            "bad_reply",
        )
    return model2vec.StaticModel.from_pretrained(STATIC)


def _sentence_transformer(name: str) -> Callable[[Sequence[str]], Any]:
    loaded: list[Any] = []

    def encode(texts: Sequence[str]) -> Any:
        if not loaded:
            package = extras.load("sentence_transformers", "finetune")
            loaded.append(package.SentenceTransformer(name))
        return loaded[0].encode([*texts], show_progress_bar=False)

    return encode


def _served(name: str, settings: ModelSettings, hooks: Hooks | None) -> Embedder:
    plain, url = _server(name, settings)
    prefix, _, model = plain.partition("/")
    key, limit, params = settings.api_key_env, settings.total_timeout, settings.params
    provider: Any
    if prefix == "litellm":
        from genai.models.litellm import LiteLLM

        provider = LiteLLM(model, base_url=url, api_key_env=key)
        params = {**params, "timeout": limit}
    else:
        from genai.models.openai import OpenAI

        if "@" in model:
            raise ModelError(
                f"embedder {bare(name)!r}: `@` is followed by a URL, such as"
                " @http://127.0.0.1:8000/v1",
                "unknown_model",
            )
        provider = OpenAI(
            model, base_url=url, api_key_env=key, connect=settings.connect_timeout, total=limit
        )

    def encode(texts: Sequence[str]) -> Any:
        return bridge.run(provider.embed(texts, params))

    # a server may move; another length of the vectors, or whatever else is asked for, is another
    identity = (
        f"{plain} {json.dumps(settings.params, sort_keys=True)}" if settings.params else plain
    )
    return Embedder(
        plain, encode, identity=identity, hooks=hooks, remote=True, retries=settings.retries,
        address=address(name, settings),
    )  # fmt: skip


def _function(path: str) -> Callable[[Sequence[str]], Any]:
    try:
        found = import_named(path)
    except Exception as error:  # whatever a module of theirs raises when it is imported
        raise ModelError(
            f"embedder {path!r}: cannot be imported ({error}); give `package.module:function`",
            "unknown_model",
        ) from error
    return found  # type: ignore[no-any-return]  # a user's callable, checked on its first result
