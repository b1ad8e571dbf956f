"""Open an embedder: the shipped one, sentence-transformers, a server's, LangChain's, a callable."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genai import bridge, extras
from genai.errors import ModelError
from genai.models.attempts import Hooks
from genai.models.embed import Embedder
from genai.project import import_named

STATIC = Path(__file__).parent / "static"


def make_embedder(
    name: str | Callable[[Sequence[str]], Any],
    *,
    base_url: str | None = None,
    hooks: Hooks | None = None,
) -> Embedder:
    """Open an embedder by name.

    `static`, `openai/NAME[@URL]`, `sentence-transformers/NAME`, `litellm/NAME`, `module:function`,
    `langchain/module:NAME`.

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
    elif name.startswith("litellm/"):
        encode, identity = _litellm(name.partition("/")[2], base_url), name
    elif name.startswith("openai/"):
        encode, identity = _openai(name.partition("/")[2], base_url), name.partition("@")[0]
    elif name.startswith("langchain/"):
        from genai.models.langchain.inward import embed_with, import_object

        found = import_object(name.partition("/")[2], "embed_documents")
        return embed_with(found, name, hooks=hooks)
    elif ":" in name:
        encode, identity = _function(name), name
    else:
        raise ModelError(
            f"embedder {name!r}: not known; use `static`, `openai/NAME[@URL]`,"
            " `sentence-transformers/NAME`, `litellm/NAME`, `langchain/package.module:NAME` or"
            " `package.module:function`",
            "unknown_model",
        )
    remote = name.startswith(("litellm/", "openai/"))
    return Embedder(name.partition("@")[0], encode, identity=identity, hooks=hooks, remote=remote)


def _static() -> tuple[Callable[[Sequence[str]], Any], str]:
    card = json.loads((STATIC / "card.json").read_text(encoding="utf-8"))
    loaded: list[Any] = []

    def encode(texts: Sequence[str]) -> Any:
        if not loaded:
            model2vec = extras.load("model2vec", "rag")
            found = hashlib.sha256((STATIC / "model.safetensors").read_bytes()).hexdigest()
            if found != card["sha256"]:
                raise ModelError(
                    f"{STATIC.name}/model.safetensors: damaged (sha256 {found[:12]});"
                    " reinstall genai-workbench",
                    "bad_reply",
                )
            loaded.append(model2vec.StaticModel.from_pretrained(STATIC))
        return loaded[0].encode([*texts], show_progress_bar=False)

    return encode, f"{card['name']}@{card['sha256'][:12]}"


def _sentence_transformer(name: str) -> Callable[[Sequence[str]], Any]:
    loaded: list[Any] = []

    def encode(texts: Sequence[str]) -> Any:
        if not loaded:
            package = extras.load("sentence_transformers", "finetune")
            loaded.append(package.SentenceTransformer(name))
        return loaded[0].encode([*texts], show_progress_bar=False)

    return encode


def _litellm(name: str, base_url: str | None) -> Callable[[Sequence[str]], Any]:
    def encode(texts: Sequence[str]) -> Any:
        from genai.models import litellm

        return bridge.run(litellm.embed(name, texts, base_url))

    return encode


def _openai(name: str, base_url: str | None) -> Callable[[Sequence[str]], Any]:
    from genai.models.openai import OpenAI

    bare, _, given = name.partition("@")
    provider = OpenAI(bare, base_url=given or base_url)

    def encode(texts: Sequence[str]) -> Any:
        return bridge.run(provider.embed(texts, {}))

    return encode


def _function(path: str) -> Callable[[Sequence[str]], Any]:
    try:
        found = import_named(path)
    except Exception as error:  # whatever a module of theirs raises when it is imported
        raise ModelError(
            f"embedder {path!r}: cannot be imported ({error}); give `package.module:function`",
            "unknown_model",
        ) from error
    return found  # type: ignore[no-any-return]  # a user's callable, checked on its first result
