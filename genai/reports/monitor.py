"""Monitoring from the ledger alone: volume, money, times and outcomes, and what shaped them.

Models are told apart by their own calls, everything else by the questions' rows, which hold the
money, the tokens and the times of their parts.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from genai import stats
from genai.errors import InputError
from genai.ledger import Ledger, Money
from genai.ledger.outcomes import thumb_counts
from genai.ledger.rollup import DIMENSIONS, Sums, day_name, misdated, sums

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one group of questions or calls; shares with their 95 % interval.

    Times are seconds. `per_answer` is all money of the group divided by its answers; None where
    some of the money is unknown. `cached` is the share of the input that the provider read from
    its cache, `replayed` the number of calls that our own cache answered.
    """

    name: str
    calls: int
    answers: int
    refused: tuple[float, float, float] | None
    failed: tuple[float, float, float] | None
    money: Money
    p50: float | None
    p95: float | None
    p99: float | None
    ttft: float | None
    inter_token: float | None
    tokens: int
    cached: float | None
    replayed: int
    retries: int
    reasons: Mapping[str, int]

    @property
    def per_answer(self) -> Decimal | None:
        """Money for one answer, failures and refusals included; None where it is not known."""
        if not self.answers or self.money.known < self.money.calls:
            return None
        return self.money.total / self.answers


@dataclass(frozen=True, slots=True)
class Monitor:
    """A period of the ledger. `whole` counts questions; `parts` counts their calls by kind.

    `guards` counts the texts that guards looked at, by place; its `reasons` are their decisions.
    `misdated` questions are in no period: a wrong clock dated them before 2020 or after today.
    """

    since: float
    until: float
    whole: Line
    days: tuple[Line, ...]
    models: tuple[Line, ...]
    groups: Mapping[str, tuple[Line, ...]]
    parts: Mapping[str, Line]
    thumbs: tuple[int, int]
    rolled_up: int = 0
    guards: tuple[Line, ...] = ()
    misdated: int = 0

    def markdown(self) -> str:
        """Give the figures as Markdown."""
        from genai.reports.monitor_text import markdown

        return markdown(self)

    def html(self) -> str:
        """Give the figures as one self-contained page."""
        from genai.reports.monitor_page import page

        return page(self)


def monitor(
    ledger: Ledger, *, days: int = 30, now: float | None = None,
    where: Mapping[str, str] | None = None,
) -> Monitor:  # fmt: skip
    """Bring the sums in step and give the figures of the last `days` UTC days.

    `where` keeps to a value of a dimension: `{"feature": "chat"}`.

    Raises:
        InputError: `days` is below 1 or more than a century.
        ValueError: `where` names what is not a dimension.
    """
    if not 1 <= days <= 36_500:
        raise InputError(f"--days {days}: a period has at least one day and at most 36,500")
    new = ledger.roll_up()
    until = time.time() if now is None else now
    since = (int(until // _DAY) - days + 1) * _DAY

    def of(by: tuple[str, ...], kind: str) -> dict[tuple[object, ...], Sums]:
        return sums(ledger.database, by, kind=kind, since=since, until=until, where=where)

    spent = of((), "model").get((), Sums())
    parts = {kind: _line(kind, of((), kind).get((), Sums())) for kind in ("model", "embedding")}
    by_day = of(("day",), "model")
    return Monitor(
        since, until, _line("all", of((), "chain").get((), Sums()), spent),
        tuple(
            _line(day_name(int(str(day))), each, by_day.get((day,), Sums()))
            for (day,), each in sorted(of(("day",), "chain").items())
        ),
        tuple(_line(str(name), each) for (name,), each in sorted(of(("model",), "model").items())),
        {
            name: tuple(
                _line(str(value) or "(none)", each)
                for (value,), each in sorted(of((name,), "chain").items())
            )
            for name in DIMENSIONS[1:]
        },
        {kind: line for kind, line in parts.items() if line.calls},
        thumb_counts(ledger, since, (until // _DAY + 1) * _DAY, where), new,
        tuple(
            _line(str(name).removeprefix("guards/"), each)
            for (name,), each in sorted(of(("model",), "guard").items())
        ),
        misdated(ledger.database, now=until),
    )  # fmt: skip


def _line(name: str, own: Sums, spent: Sums | None = None) -> Line:
    """Make the figures of a group; money and tokens are those of the calls made for it."""
    paid = own if spent is None else spent
    answers = own.outcomes.get("ok", 0)
    tokens = paid.input_tokens + paid.output_tokens
    return Line(
        name, own.calls, answers, _share(own, "refusal"), _share(own, "error"), paid.money,
        own.percentile(0.5), own.percentile(0.95), own.percentile(0.99),
        paid.percentile(0.5, "ttft"), paid.percentile(0.5, "itl_mean"), tokens,
        paid.cached / paid.input_tokens if paid.input_tokens else None, paid.replayed,
        paid.retries,
        dict(sorted(own.reasons.items(), key=lambda each: -each[1])),
    )  # fmt: skip


def _share(own: Sums, outcome: str) -> tuple[float, float, float] | None:
    if not own.calls:
        return None
    count = own.outcomes.get(outcome, 0)
    return count / own.calls, *stats.wilson(count, own.calls)
