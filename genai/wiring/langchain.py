"""LangChain both ways, by the project's settings: `genai.to_langchain` and `genai.from_langchain`.

The package is loaded on the first use only.
"""

from typing import Any

from genai import extras
from genai import project as projects
from genai.errors import InputError
from genai.models import Embedder, Model
from genai.rag import Chain
from genai.rag import Index as _Index
from genai.wiring.parts import hooks, model, settings


def to_langchain(part: Model | Embedder | _Index | Chain, **options: Any) -> Any:
    """Give a part of ours as LangChain's own kind; each call stays guarded, priced and recorded.

    A Model becomes a chat model, an Embedder embeddings, an Index a vector store, a Chain a
    runnable that streams. `options` are the fields of `ChatGenai` or `IndexStore`, such as
    `temperature=0` or `documents="notes/"`, the folder that added Documents are kept in.

    Raises:
        MissingExtra: `langchain-core` is not installed.
        InputError: it is none of these.
    """
    extras.load("langchain_core", "langchain")
    from genai.models.langchain.outward import ChatGenai, GenaiEmbeddings
    from genai.rag.langchain import IndexStore, chain_runnable

    if isinstance(part, Model):
        return ChatGenai(model=part, **options)
    if isinstance(part, Embedder):
        return GenaiEmbeddings(part, **options)
    if isinstance(part, _Index):
        return IndexStore(part, **options)
    if isinstance(part, Chain):
        return chain_runnable(part, **options)
    raise InputError(
        f"to_langchain: takes a Model, an Embedder, an Index or a Chain, not {type(part).__name__}"
    )


def from_langchain(part: Any, name: str = "") -> Any:
    """Give a part of LangChain's as ours, priced and recorded like our own.

    A chat model becomes a Model, embeddings an Embedder, and a retriever (or another runnable from
    a question to Documents) what `genai.load(index=...)` searches. A runnable that answers needs
    nothing: it is a task for `genai.evaluate` as it is. `name` is what the ledger and the prices
    call it: `provider/model` where a chat model says both.

    Raises:
        MissingExtra: `langchain-core` is not installed.
        InputError: it is none of these.
    """
    extras.load("langchain_core", "langchain")
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

    from genai.models.langchain.inward import embed_with
    from genai.rag.langchain import RetrieverIndex

    if isinstance(part, BaseChatModel):
        return model(name or _name(part), provider=part)
    if isinstance(part, Embeddings):
        found = projects.find_project()
        return embed_with(part, name, hooks=hooks(found, settings(found)))
    if isinstance(part, Runnable):
        return RetrieverIndex(part, name)
    raise InputError(
        "from_langchain: takes a chat model, embeddings, a retriever or another runnable, not"
        f" {type(part).__name__}"
    )


def _name(chat: Any) -> str:
    said = chat._get_ls_params()
    if said.get("ls_provider") and said.get("ls_model_name"):
        return f"{said['ls_provider']}/{said['ls_model_name']}"
    return f"langchain/{type(chat).__name__}"
