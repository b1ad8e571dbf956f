"""Embedders: the shipped static one, sentence-transformers, LiteLLM, or a user's callable.

Vectors are unit-length float32 rows; an empty text gives a row of zeros, which matches nothing.
"""

import hashlib
import importlib
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import bridge, extras
from genai.errors import ModelError
from genai.ledger import merged
from genai.models.base import Pricer, Recorder, count_tokens, unpriced
from genai.types import Call, Context, Usage, new_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
_ATTEMPTS = 3
_AGAIN = {"rate_limited", "server", "network", "timeout", "conflict"}
STATIC = Path(__file__).parent / "static"


class Embedder:
    """Turns texts into vectors. `id` names weights and method: an index keeps to one id."""

    def __init__(
        self,
        name: str,
        encode: Callable[[Sequence[str]], Any],
        *,
        identity: str = "",
        price: Pricer = unpriced,
        record: Recorder | None = None,
    ) -> None:
        self.name = name
        self.id = identity or name
        self._raw = encode
        self._dimension: int | None = None
        self._price = price
        self._record = record

    @property
    def dimension(self) -> int:
        """Columns of every vector; found by embedding one word, once."""
        if self._dimension is None:
            self._dimension = int(self.encode(["dimension"]).shape[1])
        return self._dimension

    def embed(self, texts: Sequence[str], context: Context | None = None) -> "Vectors":
        """Give one unit row a text; each attempt leaves a ledger row. Raises `ModelError`."""
        context, first = merged(context), ""
        for attempt in range(1, _ATTEMPTS + 1):
            call_id = new_id()
            first = first or call_id
            started_at, start = time.time(), time.perf_counter()
            usage: Usage | None = None
            kind = "error"
            try:
                vectors, usage = self._encode(texts)
                kind = ""
            except ModelError as error:
                kind = error.kind
                if kind not in _AGAIN or attempt == _ATTEMPTS:
                    raise
                time.sleep(error.retry_after or random.uniform(0, 0.5 * 2**attempt))
            else:
                return vectors
            finally:
                if self._record is not None:
                    counted = Usage(sum(map(count_tokens, texts)), source="counted")
                    usage = usage or (Usage() if kind else counted)
                    self._record(
                        Call(
                            id=call_id,
                            kind="embedding",
                            started_at=started_at,
                            seconds=time.perf_counter() - start,
                            outcome="error" if kind else "ok",
                            model=self.name,
                            context=context,
                            usage=usage,
                            cost=self._price(self.name, usage),
                            operation="embeddings",
                            provider=self.name.partition("/")[0],
                            attempt=attempt,
                            retry_of="" if attempt == 1 else first,
                            reason=kind,
                        )
                    )
        raise AssertionError("unreachable: the last attempt returns or raises")

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """Give one unit row a text, without a ledger row. Raises `ModelError`."""
        return self._encode(texts)[0]

    def _encode(self, texts: Sequence[str]) -> tuple["Vectors", Usage | None]:
        np = extras.load("numpy", "rag")
        if not texts:
            return np.zeros((0, self._dimension or 0), np.float32), None
        raw = self._raw(list(texts))
        raw, usage = raw if isinstance(raw, tuple) else (raw, None)
        vectors = np.asarray(raw, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ModelError(
                f"embedder {self.name}: gave shape {vectors.shape} for {len(texts)} texts;"
                " it must give one row a text",
                "bad_reply",
            )
        if self._dimension not in (None, vectors.shape[1]):
            raise ModelError(
                f"embedder {self.name}: gave {vectors.shape[1]} dimensions after"
                f" {self._dimension}; it must keep to one",
                "bad_reply",
            )
        if not np.isfinite(vectors).all():
            raise ModelError(
                f"embedder {self.name}: gave NaN or infinite values; mend it before indexing",
                "bad_reply",
            )
        self._dimension = int(vectors.shape[1])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0), usage


def make_embedder(
    name: str | Callable[[Sequence[str]], Any],
    *,
    base_url: str | None = None,
    price: Pricer = unpriced,
    record: Recorder | None = None,
) -> Embedder:
    """Open an embedder by name.

    `static`, `openai/NAME[@URL]`, `sentence-transformers/NAME`, `litellm/NAME`, `module:function`.

    Raises:
        ModelError: no such embedder.
        MissingExtra: its package is not installed.
    """
    if callable(name):
        label = f"{name.__module__}:{getattr(name, '__qualname__', type(name).__name__)}"
        return Embedder(label, name, price=price, record=record)
    if name == "static":
        encode, identity = _static()
    elif name.startswith("sentence-transformers/"):
        encode, identity = _sentence_transformer(name.partition("/")[2]), name
    elif name.startswith("litellm/"):
        encode, identity = _litellm(name.partition("/")[2], base_url), name
    elif name.startswith("openai/"):
        encode, identity = _openai(name.partition("/")[2], base_url), name.partition("@")[0]
    elif ":" in name:
        encode, identity = _function(name), name
    else:
        raise ModelError(
            f"embedder {name!r}: not known; use `static`, `openai/NAME[@URL]`,"
            " `sentence-transformers/NAME`, `litellm/NAME` or `package.module:function`",
            "unknown_model",
        )
    return Embedder(name.partition("@")[0], encode, identity=identity, price=price, record=record)


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
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"embedder {path!r}: cannot be imported ({error}); give `package.module:function`",
            "unknown_model",
        ) from error
    return found  # type: ignore[no-any-return]  # a user's callable, checked on its first result
