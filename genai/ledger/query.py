"""Totals over calls. Unknown money is counted, never summed as 0; percentiles are exact.

Money is dollars: a cost in another currency counts as not known, as in the daily sums.

The database sums each kind, day and model in the order of one index; what lies above that is
added here, days in Python, since a sum of picodollars may pass 64 bits.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from genai.errors import one_line
from genai.ledger.row import from_pico

if TYPE_CHECKING:
    import sqlalchemy as sa
SURE = ("priced", "provider_reported", "declared_free")
_DAY = 86_400


def dollar_text(amount: Decimal | float, places: int = 2) -> str:
    """Write dollars with the sign before them: -$0.02."""
    text = f"{abs(amount):,.{places}f}"
    return f"-${text}" if amount < 0 and text.strip("0.,") else f"${text}"


@dataclass(frozen=True, slots=True)
class Money:
    """A total with its coverage.

    `known` of `calls` had a cost; `sure` of them a price and not an estimate. `tokens` and
    `tokens_sure` say the same in tokens.
    """

    total: Decimal
    known: int
    calls: int
    sure: int = 0
    tokens: int = 0
    tokens_sure: int = 0
    unpriced_tokens: int = 0

    @property
    def coverage(self) -> float | None:
        """The share of calls whose cost is priced, reported by the provider or declared free."""
        return self.sure / self.calls if self.calls else None

    def __str__(self) -> str:
        total = f"${self.total.normalize():f}" if self.total else "$0"
        if self.sure == self.calls:
            return total
        tokens, unpriced = self.tokens or 1, self.calls - self.known
        text = f"coverage {self.sure / self.calls:.1%} of calls, {self.tokens_sure / tokens:.1%}"
        text += " of tokens"
        if unpriced:
            text += f"; {unpriced} unpriced, {self.unpriced_tokens / tokens:.1%} of tokens"
        return f"{'at least ' if unpriced else ''}{total} ({text})"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model's calls."""

    model: str
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: Money
    p50: float | None
    p95: float | None
    p99: float | None = None

    def text(self) -> str:
        """Give the row as a line for a terminal."""
        times = _times(self.p50, self.p95, self.p99)
        counts = f"{self.calls} calls, {self.errors} errors"
        return f"{one_line(self.model)}: {counts}, {times} s, {self.cost}"


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals. `questions` are chain calls; money and tokens are those of their parts."""

    questions: int
    answers: int
    refusals: int
    errors: int
    cancelled: int
    cost: Money
    input_tokens: int
    output_tokens: int
    p50: float | None
    p95: float | None
    p99: float | None
    models: tuple[ModelRow, ...]

    def text(self) -> str:
        """Give the summary as lines for a terminal."""
        lines = [
            f"questions {self.questions}: {self.answers} answers, {self.refusals} refusals,"
            f" {self.errors} errors, {self.cancelled} cancelled",
            f"cost {self.cost}; tokens {self.input_tokens} in, {self.output_tokens} out",
            f"seconds p50 / p95 / p99: {_times(self.p50, self.p95, self.p99)}",
        ]
        lines += [f"  {row.text()}" for row in self.models]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class DayRow:
    """One UTC day: its questions, and under `models` every model's calls."""

    day: date
    questions: int
    refusals: int
    errors: int
    cost: Money
    p50: float | None
    p95: float | None
    p99: float | None
    models: tuple[ModelRow, ...] = ()


@dataclass(slots=True)
class _Group:
    """The calls of one kind, UTC day and model; `seconds` are sorted."""

    kind: str
    day: int
    model: str
    outcomes: dict[str, int]
    money: Money
    input_tokens: int
    output_tokens: int
    seconds: Sequence[float] = ()


class Groups:
    """Sums and times of every kind, day and model, and what can be said of them together."""

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._chains = [group for group in groups if group.kind == "chain"]
        self._parts = [group for group in groups if group.kind in ("model", "embedding")]

    @classmethod
    def read(cls, db: "sa.Connection", since: float) -> "Groups":
        """Read every group since a Unix time."""
        import sqlalchemy as sa

        bounds = _bounds(since)
        other = {(row.kind, row.day, row.model): row for row in db.execute(sa.text(_OTHER), bounds)}
        groups = [
            _group(row, other.get((row.kind, row.day, row.model)))
            for row in db.execute(sa.text(_SUMS), bounds)
        ]
        for group in groups:
            where = {"kind": group.kind, "day": group.day, "model": group.model, "since": since}
            group.seconds = _column(db.execute(sa.text(_SECONDS), where))
        return cls(groups)

    def summary(self) -> Summary:
        """Add everything up."""
        seconds = _sorted(group.seconds for group in self._chains)
        return Summary(
            questions=sum(sum(group.outcomes.values()) for group in self._chains),
            answers=_count(self._chains, "ok"),
            refusals=_count(self._chains, "refusal"),
            errors=_count(self._chains, "error"),
            cancelled=_count(self._chains, "cancelled"),
            cost=add(group.money for group in self._parts),
            input_tokens=sum(group.input_tokens for group in self._parts),
            output_tokens=sum(group.output_tokens for group in self._parts),
            p50=_rank(seconds, 0.50),
            p95=_rank(seconds, 0.95),
            p99=_rank(seconds, 0.99),
            models=_models(self._parts),
        )

    def by_day(self) -> list[DayRow]:
        """Give one row a day, oldest first."""
        rows = []
        for day in sorted({group.day for group in [*self._chains, *self._parts]}):
            chains = [group for group in self._chains if group.day == day]
            parts = [group for group in self._parts if group.day == day]
            seconds = _sorted(group.seconds for group in chains)
            rows.append(
                DayRow(
                    day=datetime.fromtimestamp(day * _DAY, UTC).date(),
                    questions=sum(sum(group.outcomes.values()) for group in chains),
                    refusals=_count(chains, "refusal"),
                    errors=_count(chains, "error"),
                    cost=add(group.money for group in parts),
                    p50=_rank(seconds, 0.50),
                    p95=_rank(seconds, 0.95),
                    p99=_rank(seconds, 0.99),
                    models=_models(parts),
                )
            )
        return rows


_WHERE = "started_at >= :since AND day >= :day"
TOKENS = "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)"
_SUMS = f"""
SELECT kind, day, model, count(*) AS calls,
  count(*) FILTER (WHERE outcome = 'ok') AS ok,
  count(*) FILTER (WHERE outcome = 'refusal') AS refusal,
  count(*) FILTER (WHERE outcome IN ('error', 'lost')) AS error,
  count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
  count(cost) AS known, sum(cost) AS cost,
  count(*) FILTER (WHERE cost_status IN {SURE}) AS sure,
  sum({TOKENS}) FILTER (WHERE cost_status IN {SURE}) AS tokens_sure,
  sum({TOKENS}) FILTER (WHERE cost IS NULL) AS tokens_unpriced,
  sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
FROM call WHERE {_WHERE} AND kind IN ('chain', 'model', 'embedding')
GROUP BY kind, day, model ORDER BY kind, day, model
"""
# to be taken from the sums above, which take all money for dollars; found by an index of its own
_OTHER = f"""
SELECT kind, day, model, count(cost) AS known, sum(cost) AS cost,
  count(*) FILTER (WHERE cost_status IN {SURE}) AS sure,
  sum({TOKENS}) FILTER (WHERE cost_status IN {SURE}) AS tokens_sure,
  -sum({TOKENS}) FILTER (WHERE cost IS NOT NULL) AS tokens_unpriced
FROM call WHERE currency <> 'USD' AND {_WHERE}
GROUP BY kind, day, model
"""
_ONE = "kind = :kind AND day = :day AND model = :model AND started_at >= :since"
_SECONDS = f"SELECT seconds FROM call WHERE {_ONE} AND outcome <> 'cancelled' ORDER BY seconds"


def _column(result: "sa.CursorResult[Any]") -> Sequence[float]:
    """Read one column from the driver itself: a million rows are not worth an object each."""
    return array("d", [value for (value,) in result.cursor.fetchall()])


def _bounds(since: float) -> dict[str, float]:
    return {"since": since, "day": int(since // _DAY)}


def _group(row: "sa.Row[Any]", other: "sa.Row[Any] | None") -> _Group:
    names = ("ok", "refusal", "error", "cancelled")

    def dollars_only(name: str) -> int:
        return int(getattr(row, name) or 0) - int(getattr(other, name, None) or 0)

    money = Money(
        total=from_pico(dollars_only("cost")) or Decimal(0),
        known=dollars_only("known"),
        calls=row.calls,
        sure=dollars_only("sure"),
        tokens=int(row.input_tokens or 0) + int(row.output_tokens or 0),
        tokens_sure=dollars_only("tokens_sure"),
        unpriced_tokens=dollars_only("tokens_unpriced"),
    )
    return _Group(
        row.kind, row.day, row.model, {name: getattr(row, name) for name in names}, money,
        int(row.input_tokens or 0), int(row.output_tokens or 0),
    )  # fmt: skip


def add(parts: Iterable[Money]) -> Money:
    """Add totals and their coverage."""
    total = Money(Decimal(0), 0, 0)
    for each in parts:
        total = Money(
            total.total + each.total,
            total.known + each.known,
            total.calls + each.calls,
            total.sure + each.sure,
            total.tokens + each.tokens,
            total.tokens_sure + each.tokens_sure,
            total.unpriced_tokens + each.unpriced_tokens,
        )
    return total


def _models(groups: Sequence[_Group]) -> tuple[ModelRow, ...]:
    by_model: dict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        by_model[group.model].append(group)
    rows = []
    for model, own in sorted(by_model.items()):
        seconds = _sorted(group.seconds for group in own)
        rows.append(
            ModelRow(
                model=model,
                calls=sum(group.money.calls for group in own),
                errors=_count(own, "error"),
                input_tokens=sum(group.input_tokens for group in own),
                output_tokens=sum(group.output_tokens for group in own),
                cost=add(group.money for group in own),
                p50=_rank(seconds, 0.50),
                p95=_rank(seconds, 0.95),
                p99=_rank(seconds, 0.99),
            )
        )
    return tuple(rows)


def _count(groups: Sequence[_Group], outcome: str) -> int:
    return sum(group.outcomes[outcome] for group in groups)


def _sorted(runs: Iterable[Sequence[float]]) -> Sequence[float]:
    given = [run for run in runs if run]
    if len(given) == 1:
        return given[0]
    return sorted(value for run in given for value in run)  # merges runs that are sorted already


def _rank(ordered: Sequence[float], share: float) -> float | None:
    """Give the nearest-rank percentile of sorted values; None of nothing."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else None


def _times(*seconds: float | None) -> str:
    return " / ".join("-" if each is None else f"{each:.3f}" for each in seconds)
