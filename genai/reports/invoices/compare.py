"""A bill beside the ledger by day and model, each difference split by what explains it.

In this order: calls the ledger lacks, other token counts, another rate, calls without a price.
What is left is the remainder. Fees, taxes and credits are lines of their own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from genai import stats
from genai.errors import InputError, one_line
from genai.ledger import Ledger
from genai.ledger.walk import walk
from genai.reports.invoices.read import Format, InvoiceSettings, Line, rate_of
from genai.types import Call, Usage

State = Literal["matched", "mismatched", "provider-only", "ledger-only", "unpriced"]
Price = Callable[[Call, Usage], Decimal | None]
_ALL = "(all models)"
_ZERO = Decimal(0)
_CENT = Decimal("0.000001")


@dataclass(slots=True)
class _Billed:
    amount: Decimal | None = None
    requests: int | None = None
    usage: Usage | None = None

    def add(self, line: Line) -> None:
        if line.amount is not None:
            self.amount = (self.amount or _ZERO) + line.amount
        if line.requests is not None:
            self.requests = (self.requests or 0) + line.requests
        if line.usage is not None:
            self.usage = line.usage if self.usage is None else self.usage + line.usage


@dataclass(slots=True)
class _Booked:
    calls: int = 0
    unknown: int = 0
    amount: Decimal = _ZERO
    tokens: int = 0
    one: Call | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One day and model. Amounts are dollars; None where one side has no figure.

    `parts` split the difference, billed minus booked; `calls` counts the ledger's, `unpriced`
    those of them nobody has a price for.
    """

    day: date
    model: str
    state: State
    billed: Decimal | None
    booked: Decimal | None
    calls: int
    unpriced: int = 0
    parts: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def difference(self) -> Decimal:
        """What the bill is above the ledger; a side without a figure counts as nothing."""
        return (self.billed or _ZERO) - (self.booked or _ZERO)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A bill held against the ledger. `error` is the share by which the bill is higher.

    `low` and `high` bound it at 95 % over the days; None with fewer than two days.
    """

    provider: str
    first: date
    last: date
    rows: tuple[Row, ...]
    billed: Decimal
    booked: Decimal
    calls: int
    unpriced: int
    error: float | None
    low: float | None
    high: float | None
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Count the lines by state."""
        found: dict[str, int] = defaultdict(int)
        for row in self.rows:
            found[row.state] += 1
        return dict(found)

    @property
    def parts(self) -> dict[str, Decimal]:
        """What the whole difference is made of."""
        found: dict[str, Decimal] = defaultdict(lambda: _ZERO)
        for row in self.rows:
            for name, amount in row.parts.items():
                found[name] += amount
        return {name: amount for name, amount in found.items() if amount}

    @property
    def exit_code(self) -> int:
        """0 every line matches, 1 some do not, 4 the ledger has nothing to compare with."""
        if not self.calls:
            return 4
        return 0 if set(self.counts()) <= {"matched"} else 1

    def text(self) -> str:
        """Say it: the whole, what explains the difference, then every line that does not match."""
        words = ", ".join(f"{n} {state}" for state, n in sorted(self.counts().items()))
        lines = [
            f"{self.provider}, {self.first} to {self.last}: billed {_money(self.billed)}, booked"
            f" {'at least ' if self.unpriced else ''}{_money(self.booked)}"
            f" ({self.calls} calls, {self.unpriced} without a price)",
            f"lines: {words}",
        ]
        if self.error is not None:
            bar = (
                "" if self.low is None else f" (95 % {self.low:+.2%} to {self.high:+.2%} over days)"
            )
            lines.append(f"the bill is {self.error:+.2%} off the ledger{bar}")
        lines += [f"  {name}: {_money(amount)}" for name, amount in self.parts.items()]
        for row in self.rows:
            if row.state != "matched":
                why = ", ".join(f"{name} {_money(a)}" for name, a in row.parts.items() if a)
                both = f"billed {_money(row.billed)}, booked {_money(row.booked)}"
                lines.append(
                    f"{row.day}  {row.state:13}  {one_line(row.model)}: {both}, {row.calls} calls"
                    f"{f'; {why}' if why else ''}"
                )
        return "\n".join([*lines, *(f"note: {one_line(each)}" for each in self.notes)])


def _money(amount: Decimal | None) -> str:
    if amount is None:
        return "-"
    return f"{'-' if amount < 0 else ''}${abs(amount).quantize(_CENT).normalize():f}"


def reconcile(
    ledger: Ledger, bills: Sequence[tuple[Format, Sequence[Line]]], settings: InvoiceSettings,
    price: Price,
) -> Reconciliation:  # fmt: skip
    """Hold the files of one provider's bill against what the ledger booked on the same days.

    `price` gives what tokens cost for a call as the ledger would price it.

    Raises:
        InputError: files of different providers, or none with money.
    """
    form = bills[0][0]
    others = {each.provider for each, _ in bills} - {form.provider}
    if others:
        raise InputError(
            f"invoices: files of {form.provider} and {min(others)}; give one provider's at a time"
        )
    lines = [line for _, each in bills for line in each]
    if all(line.amount is None for line in lines):
        raise InputError("invoices: these files hold tokens and no money; add the costs export")
    billed = _billed(lines)
    first, last = min(line.day for line in lines), max(line.day for line in lines)
    names = {line.model for line in lines if line.model and line.kind == "usage"}
    booked, fees = _booked(ledger, form, (first, last), names, settings)
    rows = [
        _row(day, model, billed.get((day, model)), booked.get((day, model)), settings, price)
        for day, model in sorted({*billed, *booked})
    ]
    rows = [_with_fees(row, fees, settings) for row in rows] + _unbilled_fees(rows, fees)
    rows.sort(key=lambda row: (row.day, row.model))
    return _whole(form.provider, first, last, rows, settings)


def _billed(lines: Iterable[Line]) -> dict[tuple[date, str], _Billed]:
    found: dict[tuple[date, str], _Billed] = defaultdict(_Billed)
    for line in lines:
        name = (line.model or _ALL) if line.kind == "usage" else f"({line.kind})"
        found[line.day, name].add(line)
    return found


def _booked(
    ledger: Ledger,
    form: Format,
    days: tuple[date, date],
    names: set[str],
    settings: InvoiceSettings,
) -> tuple[dict[tuple[date, str], _Booked], dict[date, Decimal]]:
    """Sum the calls by the provider's days and names, in dollars; fees apart."""
    zone = ZoneInfo(form.timezone)
    start, end = (
        datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
        for day in (days[0], days[1] + timedelta(days=1))
    )
    found: dict[tuple[date, str], _Booked] = defaultdict(_Booked)
    fees: dict[date, Decimal] = defaultdict(lambda: _ZERO)
    ledger.drain()
    for batch in walk(ledger.database, start, end):
        for call in batch:
            if form.provider not in _providers(call) or call.cache_source or _is_free(call):
                continue
            day = datetime.fromtimestamp(call.started_at, UTC).astimezone(zone).date()
            held = found[day, _name(call, names)]
            held.calls += 1
            held.one = held.one or call
            held.tokens += call.usage.input_tokens + call.usage.output_tokens
            if call.cost.amount is None:
                held.unknown += 1
            else:
                rate = rate_of(call.cost.currency, settings, f"ledger: call {call.id}")
                held.amount += (call.cost.amount - (call.cost.fee or _ZERO)) * rate
                if call.cost.fee:
                    fees[day] += call.cost.fee * rate
    return found, fees


def _is_free(call: Call) -> bool:
    return call.cost.status.value == "declared_free"


def _providers(call: Call) -> set[str]:
    """Give the names by which a call's provider may be known."""
    prefix = call.model.removeprefix("litellm/").partition("/")[0]
    return {call.provider, "openai" if prefix == "responses" else prefix}


def _name(call: Call, names: set[str]) -> str:
    """Give the name under which a bill lists a call's model."""
    if not names:
        return _ALL
    bare = call.model.removeprefix("litellm/").partition("/")[2].partition("@")[0]
    known = [each for each in (call.response_model, bare, call.model) if each]
    return next((each for each in known if each in names), known[0])


def _row(
    day: date, model: str, billed: _Billed | None, booked: _Booked | None,
    settings: InvoiceSettings, price: Price,
) -> Row:  # fmt: skip
    if billed is None or billed.amount is None:
        assert booked is not None or billed is not None
        amount = booked.amount if booked else None
        calls, unknown = (booked.calls, booked.unknown) if booked else (0, 0)
        missing = {"not billed": -booked.amount} if booked and booked.amount else {}
        return Row(day, model, "ledger-only" if booked else "provider-only", None, amount, calls,
                   unknown, missing)  # fmt: skip
    if booked is None:
        kind = model.strip("()") + "s" if model in ("(fee)", "(credit)") else "missing calls"
        kind = "taxes" if model == "(tax)" else kind
        return Row(day, model, "provider-only", billed.amount, None, 0, 0, {kind: billed.amount})
    parts = _parts(billed, booked, price)
    state = _state(billed.amount, booked.amount, booked, settings)
    return Row(day, model, state, billed.amount, booked.amount, booked.calls, booked.unknown, parts)


def _state(billed: Decimal, amount: Decimal, booked: _Booked, settings: InvoiceSettings) -> State:
    limit = max(settings.tolerance.money, settings.tolerance.share * abs(billed))
    if abs(billed - amount) <= limit:
        return "matched"
    return "unpriced" if booked.unknown == booked.calls else "mismatched"


def _parts(billed: _Billed, booked: _Booked, price: Price) -> dict[str, Decimal]:
    """Split billed minus booked; a bill without token counts tells missing calls at the most."""
    amount = billed.amount or _ZERO
    left = amount - booked.amount
    sure = booked.calls - booked.unknown
    found: dict[str, Decimal] = {}
    ours = None
    if billed.usage is not None and booked.one is not None:
        ours = price(booked.one, billed.usage)
    total = billed.requests if billed.requests is not None else booked.calls
    basis = ours if ours is not None else (booked.amount / sure * total if sure else amount)
    if total > 0:
        if billed.requests is not None:
            found["missing calls"] = basis * (total - booked.calls) / total
        if booked.unknown:
            found["calls without a price"] = basis * min(booked.unknown, total) / total
    if ours is not None:
        found["token counts"] = ours - booked.amount - sum(found.values(), _ZERO)
        found["rate"] = amount - ours
    found["remainder"] = left - sum(found.values(), _ZERO)
    return {name: part for name, part in found.items() if abs(part) >= _CENT}


def _with_fees(row: Row, fees: dict[date, Decimal], settings: InvoiceSettings) -> Row:
    """Put the ledger's fees of a day beside the bill's."""
    if row.model != "(fee)" or row.day not in fees or row.billed is None:
        return row
    booked = fees.pop(row.day)
    limit = max(settings.tolerance.money, settings.tolerance.share * abs(row.billed))
    state: State = "matched" if abs(row.billed - booked) <= limit else "mismatched"
    return Row(row.day, row.model, state, row.billed, booked, row.calls, 0,
               {"fees": row.billed - booked} if row.billed != booked else {})  # fmt: skip


def _unbilled_fees(rows: Sequence[Row], fees: Mapping[date, Decimal]) -> list[Row]:
    """Give the ledger's fees of days on which the bill has none.

    A bill without a line a model has its fees inside the lines it has.
    """
    if any(row.model == _ALL for row in rows):
        return []
    return [
        Row(day, "(fee)", "ledger-only", None, fee, 0, 0, {"fees": -fee})
        for day, fee in fees.items()
    ]


def _whole(
    provider: str, first: date, last: date, rows: Sequence[Row], settings: InvoiceSettings
) -> Reconciliation:
    billed = sum((row.billed or _ZERO for row in rows), _ZERO)
    booked = sum((row.booked or _ZERO for row in rows), _ZERO)
    days: dict[date, Decimal] = defaultdict(lambda: _ZERO)
    for row in rows:
        days[row.day] += row.difference
    error = low = high = None
    if booked:
        error = float((billed - booked) / booked)
        if len(days) > 1:
            mean = float(booked) / len(days)
            bounds = stats.clustered([float(each) for each in days.values()], width=mean,
                                     confidence=0.975)  # fmt: skip
            low, high = bounds.low / mean, bounds.high / mean
    calls = sum(row.calls for row in rows)
    notes = [] if calls else [f"the ledger holds no call of {provider} in these days"]
    return Reconciliation(
        provider, first, last, tuple(rows), billed, booked, calls,
        sum(row.unpriced for row in rows), error, low, high,
        (*notes, *_boundaries(rows, settings)),
    )  # fmt: skip


def _boundaries(rows: Sequence[Row], settings: InvoiceSettings) -> list[str]:
    """Name models whose days differ while their whole matches: the days are cut elsewhere."""
    found = []
    for model in sorted({row.model for row in rows}):
        own = [row for row in rows if row.model == model]
        off = [row for row in own if row.state != "matched"]
        total = sum((row.billed or _ZERO for row in own), _ZERO)
        limit = max(settings.tolerance.money, settings.tolerance.share * abs(total))
        if len(off) > 1 and abs(sum((row.difference for row in own), _ZERO)) <= limit:
            found.append(f"{model}: {len(off)} days differ and the whole matches; the provider may"
                         " cut days elsewhere, set `timezone` of its format")  # fmt: skip
    return found
