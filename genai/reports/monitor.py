"""Monitoring from the ledger alone: volume, money, times and outcomes, and what shaped them.

Questions are those that people asked; what eval runs asked is one line by itself. Money and tokens
are those of the calls that cost (models and embedders), so that days and groups add up to the
whole.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property

from genai import stats
from genai.errors import InputError
from genai.ledger import Ledger, Money
from genai.ledger.outcomes import thumb_counts
from genai.ledger.rollup import (
    DIMENSIONS,
    GUARDS,
    PAID,
    TIMES,
    Sums,
    day_name,
    misdated,
    of_runs,
    sums,
)
from genai.reports.monitor_page import page
from genai.reports.monitor_text import markdown

_DAY = 86_400
_TOKEN_TIMES = ("ttft", "itl_mean")  # a question's own time is that of its chain


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one group of questions or calls; shares with their 95 % interval.

    Times are seconds; `ttft` and `inter_token` are the 50th percentiles. `per_answer` is all money
    of the group divided by its answers; None where some of the money is unknown. `cached` is the
    share of the input that the provider read from its cache, `replayed` the number of calls that
    our own cache answered. `thumbs` are up and down; `verdicts` count what guards decided other
    than to allow.
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
    ttft_p95: float | None
    inter_token: float | None
    inter_token_p95: float | None
    tokens: int
    cached: float | None
    replayed: int
    retries: int
    reasons: Mapping[str, int]
    thumbs: tuple[int, int] = (0, 0)
    verdicts: Mapping[str, int] = field(default_factory=dict)

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
    `runs` is what eval runs asked and cost in the period; it is in no other figure.
    """

    since: float
    until: float
    whole: Line
    days: tuple[Line, ...]
    models: tuple[Line, ...]
    groups: Mapping[str, tuple[Line, ...]]
    parts: Mapping[str, Line]
    thumbs: tuple[int, int]
    guards: tuple[Line, ...] = ()
    misdated: int = 0
    runs: Line | None = None

    def markdown(self) -> str:
        """Give the figures as Markdown."""
        return markdown(self)

    def html(self) -> str:
        """Give the figures as one self-contained page."""
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
        raise InputError(f"days={days}: a period has at least one day and at most 36,500")
    ledger.roll_up()
    until = time.time() if now is None else now
    since = (int(until // _DAY) - days + 1) * _DAY
    reader = _Reader(ledger, since, until, where or {})
    runs = reader.one("eval runs", of_runs("chain"), tuple(map(of_runs, PAID)))
    parts = {kind: reader.one(kind, kind, kind) for kind in PAID}
    whole = reader.one("all")
    return Monitor(
        since, until, whole,
        tuple(replace(each, name=day_name(int(each.name))) for each in reader.lines("day")),
        reader.lines("model"), {name: reader.lines(name) for name in DIMENSIONS[1:]},
        {kind: line for kind, line in parts.items() if line.calls}, whole.thumbs,
        tuple(line for line in map(reader.place, sorted(GUARDS)) if line.calls),
        misdated(ledger.database, now=until), runs,
    )  # fmt: skip


class _Reader:
    """The lines of a period: the questions of a group, the money of its calls, thumbs, verdicts.

    All money is that of the calls that cost, so the lines of a dimension add up to the whole.
    """

    def __init__(
        self, ledger: Ledger, since: float, until: float, where: Mapping[str, str]
    ) -> None:
        self._ledger, self._period, self._where = ledger, (since, until), where

    def sums(
        self, by: tuple[str, ...], kind: str | Sequence[str], times: Sequence[str] = TIMES
    ) -> dict[tuple[object, ...], Sums]:
        """Give the sums of a kind in the period, behind the filter; of times only those named."""
        since, until = self._period
        return sums(
            self._ledger.database, by, kind=kind, since=since, until=until, where=self._where,
            times=times,
        )  # fmt: skip

    def one(self, name: str, kind: str = "chain", paid: str | Sequence[str] = PAID) -> Line:
        """Give one line of all calls of a kind."""
        own = self.sums((), kind).get((), Sums())
        spent = own if paid == kind else self.sums((), paid, _TOKEN_TIMES).get((), Sums())
        if kind != "chain":
            return _line(name, own, spent)
        verdicts = self.sums((), GUARDS, ()).get((), Sums()).reasons
        return _line(name, own, spent, self._thumbs_by("").get("", (0, 0)), verdicts)

    def place(self, kind: str) -> Line:
        """Give one line of the texts that guards saw at a place."""
        return self.one(kind.removeprefix("guards/"), kind, kind)

    def lines(self, dimension: str) -> tuple[Line, ...]:
        """Give a line a value of a dimension, or a day: each that has a question or a call.

        A model's calls and times are its own, its answers and the verdicts of guards those of the
        questions it was asked for.
        """
        by, model = (dimension,), dimension == "model"
        asked = self.sums(by, "chain", () if model else ("seconds",))
        spent = self.sums(by, PAID, TIMES if model else _TOKEN_TIMES)
        guarded = self.sums(by, GUARDS, ())
        thumbs, nothing = self._thumbs_by(dimension), Sums()
        found = []
        decided = {key for key, each in guarded.items() if each.reasons}
        for key in sorted({*asked, *spent, *decided, *((key,) for key in thumbs)}):
            own, paid = asked.get(key, nothing), spent.get(key, nothing)
            verdicts = guarded.get(key, nothing).reasons
            name = str(key[0]) or "(none)"
            line = _line(name, own, paid, thumbs.get(key[0], (0, 0)), verdicts)
            if model:
                line = replace(_line(name, paid, paid, line.thumbs, verdicts), answers=line.answers)
            found.append(line)
        return tuple(found)

    @cached_property
    def _thumbs(self) -> Mapping[tuple[object, ...], tuple[int, int]]:
        since, until = self._period
        end = (until // _DAY + 1) * _DAY
        return thumb_counts(self._ledger, since, end, self._where, DIMENSIONS)

    def _thumbs_by(self, dimension: str) -> dict[object, tuple[int, int]]:
        names, found = ("day", *DIMENSIONS), dict[object, tuple[int, int]]()
        for key, (up, down) in self._thumbs.items():
            value = key[names.index(dimension)] if dimension else ""
            ups, downs = found.get(value, (0, 0))
            found[value] = (ups + up, downs + down)
        return found


def _line(
    name: str, own: Sums, paid: Sums, thumbs: tuple[int, int] = (0, 0),
    verdicts: Mapping[str, int] | None = None,
) -> Line:  # fmt: skip
    """Make the figures of a group; money and tokens are those of the calls made for it."""
    answers = own.outcomes.get("ok", 0)
    tokens = paid.input_tokens + paid.output_tokens
    return Line(
        name, own.calls, answers, _share(own, "refusal"), _share(own, "error"), paid.money,
        own.percentile(0.5), own.percentile(0.95), own.percentile(0.99),
        paid.percentile(0.5, "ttft"), paid.percentile(0.95, "ttft"),
        paid.percentile(0.5, "itl_mean"), paid.percentile(0.95, "itl_mean"), tokens,
        paid.cached / paid.input_tokens if paid.input_tokens else None, paid.replayed,
        paid.retries, dict(sorted(own.reasons.items(), key=lambda each: -each[1])), thumbs,
        dict(sorted((verdicts or {}).items())),
    )  # fmt: skip


def _share(own: Sums, outcome: str) -> tuple[float, float, float] | None:
    if not own.calls:
        return None
    count = own.outcomes.get(outcome, 0)
    return count / own.calls, *stats.wilson(count, own.calls)
