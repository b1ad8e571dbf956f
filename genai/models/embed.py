"""An Embedder: texts to vectors, each request priced, held to budgets and recorded.

Vectors are unit-length float32 rows; an empty text gives a row of zeros, which matches nothing.
What leaves this process goes in requests that every known provider takes.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.errors import GenaiError, ModelError
from genai.ledger import merged
from genai.ledger.cap import Cap, current_cap
from genai.models.attempts import AGAIN, Hooks, counted, pause
from genai.models.base import count_tokens
from genai.types import Call, Context, Cost, Usage, new_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
# the most of one request: Cohere takes 96 texts and Gemini 100, Mistral 16,384 tokens, Vertex
# 20,000, OpenAI 300,000; a token is two bytes or more in any script, but for rows of figures
_MOST_TEXTS, _MOST_BYTES = 96, 32_000


class Embedder:
    """Turns texts into vectors. `id` names weights and method: an index keeps to one id.

    `address` is the name by which any process opens it, with the server that it leads to.
    """

    def __init__(
        self,
        name: str,
        encode: Callable[[Sequence[str]], Any],
        *,
        identity: str = "",
        hooks: Hooks | None = None,
        remote: bool = False,
        retries: int = 2,
        address: str = "",
    ) -> None:
        self.name = name
        self.address = address or name
        self.remote = remote  # whether texts leave this process
        self.id = identity or name
        self._raw = encode
        self._dimension: int | None = None
        self._hooks = hooks or Hooks()
        self._retries = retries

    @property
    def dimension(self) -> int:
        """Columns of every vector; found by embedding one word, once."""
        if self._dimension is None:
            self._dimension = int(self.encode(["dimension"]).shape[1])
        return self._dimension

    def embed(self, texts: Sequence[str], context: Context | None = None) -> "Vectors":
        """Give one unit row a text; each request leaves a ledger row.

        There is no fallback: another embedder's vectors do not belong into the same index.

        Raises:
            ModelError: the embedder failed.
            BudgetExceeded: a budget refused the call before it left.
        """
        around = merged(context)
        return _joined([self._asked(part, around) for part in self._parts(texts)])

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """Give one unit row a text, without a ledger row. Raises `ModelError`."""
        return _joined([self._encode(part)[0] for part in self._parts(texts)])

    def _parts(self, texts: Sequence[str]) -> list[Sequence[str]]:
        """Cut the texts, in order, into what one request takes."""
        if not self.remote:
            return [texts]
        parts: list[list[str]] = [[]]
        size = 0
        for text in texts:
            own = len(text.encode("utf-8", "replace"))
            size += own
            if parts[-1] and (len(parts[-1]) == _MOST_TEXTS or size > _MOST_BYTES):
                parts.append([])
                size = own
            parts[-1].append(text)
        return [*parts]

    def _asked(self, texts: Sequence[str], context: Context) -> "Vectors":
        """Send one request, again where it may be repeated."""
        first, attempt = "", 0
        while True:
            attempt += 1
            one = _Attempt(self, texts, context, attempt, first)
            first = first or one.id
            error: Exception | None = None
            usage: Usage | None = None
            try:
                vectors, usage = self._encode(texts)
            except BaseException as caught:
                error = caught if isinstance(caught, Exception) else None
                if not isinstance(caught, ModelError):
                    raise
                again = caught.kind in AGAIN and caught.received is None
                wait = pause(attempt, caught.retry_after)
                if not again or attempt > self._retries or wait is None:
                    raise counted(caught, attempt) from caught
            else:
                return vectors
            finally:
                one.close(error, usage)
            time.sleep(wait)

    def _encode(self, texts: Sequence[str]) -> tuple["Vectors", Usage | None]:
        np = extras.load("numpy", "rag")
        if not texts:
            return np.zeros((0, self._dimension or 0), np.float32), None
        # half of a pair, as JSON can hold it, has no form in UTF-8 and so in no tokenizer
        raw = self._raw([text.encode("utf-8", "replace").decode() for text in texts])
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


class _Attempt:
    """Follows one request for vectors and writes its row."""

    def __init__(
        self, embedder: Embedder, texts: Sequence[str], context: Context, number: int, first: str
    ) -> None:
        self.id = new_id()
        self._hooks = embedder._hooks
        self._counted = Usage(sum(map(count_tokens, texts)), source="counted")
        self._call = Call(
            self.id, "embedding", time.time(), 0.0, "sent", embedder.name, context,
            operation="embeddings", provider=embedder.name.partition("/")[0], attempt=number,
            retry_of=first,
        )  # fmt: skip
        worst = self._hooks.price(embedder.name, self._counted)
        self._reserved = (
            self._hooks.budgets is not None
            and worst.amount != 0
            and self._hooks.budgets.reserve(self.id, context, embedder.name, worst)
        )
        self._cap = self._hold(worst, embedder.remote)
        telemetry = self._hooks.telemetry
        self._span = telemetry.begin(self._call, {}) if telemetry is not None else None
        self._start = time.perf_counter()

    def _hold(self, worst: Cost, remote: bool) -> Cap | None:
        """Reserve the cost under the run's cap, if there is one; wait for calls in flight.

        What leaves this process without a price is refused, as a model's call is.
        """
        cap = current_cap()
        if cap is None or worst.amount == 0 or (worst.amount is None and not remote):
            return None
        try:
            while not cap.reserve(self.id, self._call.model, worst):
                if _in_loop():  # whoever waits here keeps those calls from ending
                    raise ModelError(
                        f"{self._call.model}: calls in flight hold what is left of the run's"
                        f" ${cap.limit}; run again, or raise the cap",
                        "rate_limited",
                    )
                time.sleep(0.005)
        except GenaiError:
            if self._reserved:
                self._hooks.budgets.settle_later(self.id, Decimal(0))
            raise
        return cap

    def close(self, error: Exception | None, usage: Usage | None) -> None:
        """Price, settle and record."""
        call, hooks = self._call, self._hooks
        call.seconds = time.perf_counter() - self._start
        call.outcome = "ok" if error is None else "error"
        call.reason = "" if error is None else getattr(error, "kind", type(error).__name__)
        call.usage = usage or (Usage() if error else self._counted)
        call.cost = hooks.price(call.model, call.usage)
        if self._reserved:
            hooks.budgets.settle_later(self.id, call.cost.amount)
        if self._cap is not None:
            self._cap.settle(self.id, call.cost.amount)
        if self._span is not None:
            hooks.telemetry.end(self._span, call, messages=(), reply="", error=error)
        if hooks.record is not None:
            hooks.record(call)


def _joined(parts: Sequence["Vectors"]) -> "Vectors":
    joined: Vectors = extras.load("numpy", "rag").concatenate(parts)
    return joined


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
