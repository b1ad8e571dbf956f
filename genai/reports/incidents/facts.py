"""One line a question, as arrays: when it was, what is compared, and what may explain it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genai import extras
from genai.ledger import Ledger
from genai.types import Call

_DAY = 86_400
_LEAST = 200  # questions that have a figure, below which it is not compared
_LOGS = ("seconds", "ttft", "input_tokens", "output_tokens")
PRICE = "price of a token"  # beside the same model's in the whole period, as a logarithm
LABELS = (
    "prompt_id", "fingerprint", "index_revision", "release", "config_hash", "prices", "model",
    "provider", "tenant", "feature", "language", "topic",
)  # fmt: skip
# figures that are shares of values, such as `topic billing`
MIXES = ("topic", "language")


@dataclass(frozen=True, slots=True)
class Facts:
    """The questions of a period. Arrays have one entry a question, NaN where it has no such figure.

    `figures` are what is compared, times, tokens and prices as logarithms; `labels` are what may
    explain a change. `dollars`, `tokens`, `seconds`, `lost` and `blocked` are what it is costed by.
    """

    first: int
    days: Any
    figures: Mapping[str, Any]
    labels: Mapping[str, Any]
    sums: Mapping[str, Any]

    @property
    def span(self) -> int:
        """The number of days, the last one with a question included."""
        return int(self.days.max()) + 1 if len(self.days) else 0


def read_facts(ledger: Ledger, first: int, last: int) -> Facts:
    """Read the questions of UTC days, by their number since 1970, the last included."""
    rows: list[dict[str, Any]] = []
    for day in range(first, last + 1):
        since, until = float(day * _DAY), float((day + 1) * _DAY)
        chains = ledger.calls(limit=10**9, since=since, until=until, kind="chain")
        calls = ledger.calls(limit=10**9, since=since, until=until, kind="model")
        # the newest comes first, so that the attempt that answered is the one that stays
        parts: dict[str, Call] = {}
        for call in calls:
            parts.setdefault(call.context.parent_id, call)
        rows += [_row(day - first, chain, parts.get(chain.id)) for chain in chains]
    return _facts(first, rows)


def _row(day: int, chain: Call, part: Call | None) -> dict[str, Any]:
    tags, own = chain.tags, part or chain
    blocked = bool(tags.get("verdicts_block"))
    dollars, tokens = _dollars(chain), chain.usage.input_tokens + chain.usage.output_tokens
    numbers = {
        name: float(value)
        for name, value in tags.items()
        if not isinstance(value, str) and not name.startswith("verdicts_")
    }
    labels = {
        "fingerprint": own.response_model, "prices": own.cost.snapshot, "model": chain.model,
        "provider": own.provider, "language": str(tags.get("language", "")),
        "topic": str(tags.get("topic", "")),
    }  # fmt: skip
    context = chain.context
    for name in ("prompt_id", "index_revision", "release", "config_hash", "tenant", "feature"):
        labels[name] = getattr(context, name) or getattr(own.context, name)
    figures: dict[str, float | None] = {
        "refusal share": float(chain.outcome == "refusal" and not blocked),
        "error share": float(chain.outcome in ("error", "lost")),
        "blocked share": float(blocked),
        **numbers,
    }
    for name in _LOGS:
        figures[name] = getattr(chain, name) or None
    figures[PRICE] = dollars / tokens * 1000 if dollars and tokens else None
    lost = float(chain.outcome in ("refusal", "error", "lost") and not blocked)
    return {
        "day": day, "figures": figures, "labels": labels, "dollars": dollars, "lost": lost,
        "tokens": float(tokens), "seconds": chain.seconds, "blocked": float(blocked),
    }  # fmt: skip


def _dollars(chain: Call) -> float | None:
    amount = chain.cost.amount
    return None if amount is None or chain.cost.currency != "USD" else float(amount)


def _facts(first: int, rows: Sequence[Mapping[str, Any]]) -> Facts:
    np: Any = extras.load("numpy", "evals")
    names = sorted({name for row in rows for name in row["figures"]})
    figures = {}
    for name in names:
        column = np.array([row["figures"].get(name) for row in rows], dtype=float)
        if name in (*_LOGS, PRICE):
            column = np.log(column)
        if np.isfinite(column).sum() >= _LEAST:
            figures[name] = column
    labels = {name: np.array([row["labels"][name] for row in rows], dtype=str) for name in LABELS}
    if PRICE in figures:
        figures[PRICE] = _beside(np, figures[PRICE], labels["model"])
    for name in MIXES:
        for value, count in zip(*np.unique(labels[name], return_counts=True), strict=True):
            if value and count >= max(len(rows) // 100, 30):
                figures[f"{name} {value}"] = (labels[name] == value).astype(float)
    sums = {
        name: np.array([row[name] for row in rows], dtype=float)
        for name in ("dollars", "tokens", "seconds", "lost", "blocked")
    }
    days = np.array([row["day"] for row in rows], dtype=int)
    return Facts(first, days, figures, labels, sums)


def _beside(np: Any, values: Any, models: Any) -> Any:
    """Give values beside the middle of the same model's, so that dear models are no dear price."""
    found = values.copy()
    for model in np.unique(models):
        own = (models == model) & np.isfinite(values)
        if own.any():
            found[own] -= np.median(values[own])
    return found
