"""One line a question, as arrays: when it was, what is compared, and what may explain it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genai import extras
from genai.ledger import Ledger
from genai.ledger.sums import in_dollars
from genai.reports.asked import answering, outside_runs
from genai.types import Call

_DAY = 86_400
_LEAST = 200  # questions that have a figure, below which it is not compared
_LOGS = ("seconds", "ttft", "input_tokens", "output_tokens")
PRICE = "dollars per 1,000 tokens"
LABELS = (
    "prompt_id", "fingerprint", "index_revision", "release", "config_hash", "prices", "model",
    "provider", "tenant", "feature", "language", "topic",
)  # fmt: skip
# figures that are shares of values, such as `topic billing`
_MIXES = ("topic", "language")
# what fails as a provider's service does, and what as a feature's prompt and documents do
_SERVICE = ("seconds", "ttft", "error share")
_QUALITY = ("refusal share", "output_tokens")
_PART = 0.05  # of all questions, for a provider or feature to be looked at by itself


@dataclass(frozen=True, slots=True)
class Figure:
    """What is compared: one entry a question, NaN where it has none.

    `scale`: `log` (times, tokens, prices), `share` (0 or 1), `number`, or `mix` (a share of one
    value, `part`). Otherwise `part` is the label and value that the figure is kept to, if any, and
    `whole` the name of the same figure of all questions.
    """

    values: Any
    scale: str
    part: tuple[str, str] = ("", "")
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The questions of a period; arrays have one entry a question.

    `figures` are what is compared, `labels` are what may explain a change; `sums` (`dollars`,
    `tokens`, `seconds`, `lost`, `blocked`) are what it is costed by.
    """

    first: int
    days: Any
    figures: Mapping[str, Figure]
    labels: Mapping[str, Any]
    sums: Mapping[str, Any]

    @property
    def span(self) -> int:
        """The number of days, the last one with a question included."""
        return int(self.days.max()) + 1 if len(self.days) else 0


def read_facts(ledger: Ledger, first: int, last: int, reference: int) -> Facts:
    """Read the questions of UTC days, by their number since 1970, the last included.

    Models differ in speed and price; both are told beside the model's own in the `reference` days.
    """
    rows: list[dict[str, Any]] = []
    for day in range(first, last + 1):
        since, until = float(day * _DAY), float((day + 1) * _DAY)
        chains = ledger.calls(limit=10**9, since=since, until=until, kind="chain")
        parts = answering(ledger.calls(limit=10**9, since=since, until=until, kind="model"))
        for chain in outside_runs(chains):
            part = parts.get((chain.id, chain.context.prompt_id))
            rows.append(_row(day - first, chain, part))
    return _facts(first, rows, reference)


def _row(day: int, chain: Call, part: Call | None) -> dict[str, Any]:
    tags, own = chain.tags, part or chain
    blocked = bool(tags.get("verdicts_block"))
    paid, tokens = in_dollars(chain.cost), chain.usage.input_tokens + chain.usage.output_tokens
    dollars = None if paid is None else float(paid)
    numbers = {
        name: float(value)
        for name, value in tags.items()
        if isinstance(value, int | float) and not name.startswith("verdicts_")
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


def _facts(first: int, rows: Sequence[Mapping[str, Any]], reference: int) -> Facts:
    np: Any = extras.load("numpy", "evals")
    labels = {name: np.array([row["labels"][name] for row in rows], dtype=str) for name in LABELS}
    days = np.array([row["day"] for row in rows], dtype=int)
    figures: dict[str, Figure] = {}
    for name in sorted({name for row in rows for name in row["figures"]}):
        column = np.array([row["figures"].get(name) for row in rows], dtype=float)
        if name in (*_LOGS, PRICE):
            values = np.log(column)
            if name in ("seconds", "ttft", PRICE):
                values = _beside(np, values, labels["model"], days < reference)
            figures[name] = Figure(values, "log")
        else:
            figures[name] = Figure(column, "share" if name.endswith(" share") else "number")
    figures |= _parts(np, figures, labels) | _mixes(np, labels)
    sums = {
        name: np.array([row[name] for row in rows], dtype=float)
        for name in ("dollars", "tokens", "seconds", "lost", "blocked")
    }
    enough = {n: f for n, f in figures.items() if np.isfinite(f.values).sum() >= _LEAST}
    return Facts(first, days, enough, labels, sums)


def _parts(np: Any, figures: Mapping[str, Figure], labels: Mapping[str, Any]) -> dict[str, Figure]:
    """Give figures of each provider and feature, in which a shift is not diluted by the others."""
    found = {}
    for label, names in (("provider", _SERVICE), ("feature", _QUALITY)):
        for value, count in zip(*np.unique(labels[label], return_counts=True), strict=True):
            if not value or not _PART * len(labels[label]) <= count < len(labels[label]):
                continue
            for name in names:
                if name in figures:
                    own = np.where(labels[label] == value, figures[name].values, np.nan)
                    part = (label, str(value))
                    found[f"{name} of {value}"] = Figure(own, figures[name].scale, part, name)
    return found


def _mixes(np: Any, labels: Mapping[str, Any]) -> dict[str, Figure]:
    """Give the share of each common value, among the questions that have one."""
    found = {}
    for name in _MIXES:
        column = labels[name]
        for value, count in zip(*np.unique(column, return_counts=True), strict=True):
            if value and count >= max(len(column) // 100, 30):
                share = np.where(column == "", np.nan, column == value)
                found[f"{name} {value}"] = Figure(share, "mix", (name, str(value)))
    return found


def _beside(np: Any, values: Any, models: Any, old: Any) -> Any:
    """Give values as they were if all models were alike, so that a dear one is no dear price."""
    found = values.copy()
    for model in np.unique(models):
        own = (models == model) & np.isfinite(values)
        then = own & old if (own & old).any() else own
        if own.any():
            found[own] -= np.median(values[then])
    held = values[np.isfinite(values)]
    return found + (np.median(held) if len(held) else 0.0)
