"""Totals over calls. Unknown money is counted, never summed as 0; percentiles are exact."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from genai.types import Call


@dataclass(frozen=True, slots=True)
class Money:
    """A total with its coverage: `known` of `calls` had a cost."""

    total: Decimal
    known: int
    calls: int

    def __str__(self) -> str:
        total = f"${self.total.normalize():f}"
        if self.known == self.calls:
            return total
        return f"at least {total} (cost of {self.known} of {self.calls} calls known)"


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
    ttft_p50: float | None
    models: tuple[ModelRow, ...]

    def text(self) -> str:
        """Give the summary as lines for a terminal."""
        seconds = " / ".join(
            "-" if p is None else f"{p:.3f}" for p in (self.p50, self.p95, self.p99)
        )
        lines = [
            f"questions {self.questions}: {self.answers} answers, {self.refusals} refusals,"
            f" {self.errors} errors, {self.cancelled} cancelled",
            f"cost {self.cost}; tokens {self.input_tokens} in, {self.output_tokens} out",
            f"seconds p50 / p95 / p99: {seconds}",
        ]
        lines += [f"  {m.model}: {m.calls} calls, {m.cost}" for m in self.models]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class DayRow:
    """One UTC day of questions."""

    day: date
    questions: int
    refusals: int
    errors: int
    cost: Money
    p50: float | None
    p95: float | None
    p99: float | None


def percentile(values: Sequence[float], share: float) -> float | None:
    """Give the nearest-rank percentile; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def money(calls: Iterable[Call]) -> Money:
    """Add what is known. A chain's row sums its parts, so it is left out."""
    paid = [call for call in calls if call.kind != "chain"]
    known = [call.cost for call in paid if call.cost is not None]
    return Money(sum(known, Decimal(0)), len(known), len(paid))


def summarise(calls: Sequence[Call]) -> Summary:
    """Give the totals of calls."""
    chains = [call for call in calls if call.kind == "chain"]
    parts = [call for call in calls if call.kind in ("model", "embedding")]
    seconds = [call.seconds for call in chains if call.outcome != "cancelled"]
    models = defaultdict(list)
    for call in parts:
        models[call.model].append(call)
    return Summary(
        questions=len(chains),
        answers=sum(call.outcome == "ok" for call in chains),
        refusals=sum(call.outcome == "refusal" for call in chains),
        errors=sum(call.outcome == "error" for call in chains),
        cancelled=sum(call.outcome == "cancelled" for call in chains),
        cost=money(parts),
        input_tokens=sum(call.input_tokens or 0 for call in parts),
        output_tokens=sum(call.output_tokens or 0 for call in parts),
        p50=percentile(seconds, 0.50),
        p95=percentile(seconds, 0.95),
        p99=percentile(seconds, 0.99),
        ttft_p50=percentile([call.ttft for call in chains if call.ttft is not None], 0.50),
        models=tuple(_model_row(name, rows) for name, rows in sorted(models.items())),
    )


def _model_row(name: str, calls: Sequence[Call]) -> ModelRow:
    seconds = [call.seconds for call in calls]
    return ModelRow(
        model=name,
        calls=len(calls),
        errors=sum(call.outcome == "error" for call in calls),
        input_tokens=sum(call.input_tokens or 0 for call in calls),
        output_tokens=sum(call.output_tokens or 0 for call in calls),
        cost=money(calls),
        p50=percentile(seconds, 0.50),
        p95=percentile(seconds, 0.95),
    )


def by_day(calls: Sequence[Call]) -> list[DayRow]:
    """Give one row a UTC day, oldest first."""
    days = defaultdict(list)
    for call in calls:
        days[datetime.fromtimestamp(call.started_at, UTC).date()].append(call)
    rows = []
    for day, each in sorted(days.items()):
        total = summarise(each)
        rows.append(
            DayRow(
                day=day,
                questions=total.questions,
                refusals=total.refusals,
                errors=total.errors,
                cost=total.cost,
                p50=total.p50,
                p95=total.p95,
                p99=total.p99,
            )
        )
    return rows
