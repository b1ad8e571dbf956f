"""What would recorded traffic have cost with another model, prompt, cache or number of passages?

Tokens of the other way come from two eval runs on the same cases, and so does its quality; what
no run has measured is an assumption and named as one. Prices are those of the day of each call.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from genai import extras
from genai.errors import InputError
from genai.evals import Decision, Report
from genai.ledger import Ledger, Prices
from genai.ledger.query import dollar_text
from genai.ledger.sums import in_dollars
from genai.ledger.walk import walk
from genai.reports.asked import outside_runs
from genai.reports.counterfactual.change import Change, Concerned, concerned
from genai.reports.counterfactual.ratios import Ratios, ratios
from genai.types import BUCKETS, Call, CostStatus, Usage

_FEW = 30  # cases below which a ratio is no ground for a headline
_COVERED = 0.95  # share of the calls that must be priced both ways
_ZERO = Decimal(0)
_INWARD = sum(name.startswith("in_") for name in BUCKETS)
_TEXT, _READ = BUCKETS.index("in_text"), BUCKETS.index("in_cache_read")


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What the calls of a period cost, and would have cost. Dollars.

    `booked` and `other` are over the same calls, the `priced` ones of `calls`; `low` and `high`
    bound `other` at 95 % by the cases that the ratios were measured on. `assumed` names what no
    run has measured, and `quality` is None where no runs were given.
    """

    change: Change
    calls: int
    priced: int
    without_tokens: int
    without_price: int
    without_booking: int
    booked: Decimal
    other: Decimal
    low: Decimal
    high: Decimal
    ratios: Ratios | None
    quality: Decision | None
    assumed: tuple[str, ...]

    @property
    def coverage(self) -> float | None:
        """The share of the calls that are in both sums; None of nothing."""
        return self.priced / self.calls if self.calls else None

    @property
    def exit_code(self) -> int:
        """0, or 4 where quality is not measured or too few calls or cases carry the figure."""
        return 4 if self.quality is None or self.weak else 0

    @property
    def weak(self) -> list[str]:
        """Name what speaks against a headline."""
        found = []
        if not self.calls:
            found.append("the ledger holds no such call in this period")
        elif (self.coverage or 0) < _COVERED:
            found.append(f"only {self.coverage:.1%} of the calls could be priced both ways")
        if self.ratios is not None and self.ratios.n < _FEW:
            found.append(f"token ratios rest on {self.ratios.n} cases; {_FEW} are needed")
        return found

    def text(self) -> str:
        """Say it in a few lines."""
        lines = []
        if self.priced:
            saved = (self.other - self.booked) / self.booked if self.booked else None
            share = "" if saved is None else f", {saved:+.1%}"
            lines.append(
                f"{self.priced:,} of {self.calls:,} calls: booked {dollar_text(self.booked, 4)},"
                f" would have cost {dollar_text(self.other, 4)}{share}"
                f" (95 % {dollar_text(self.low, 4)} to {dollar_text(self.high, 4)})"
            )
        for count, what in (
            (self.without_tokens, "have no token counts"),
            (self.without_price, "have no rate the other way"),
            (self.without_booking, "have no booked dollars to compare with"),
        ):
            if count:
                lines.append(f"left out: {count:,} calls {what}")
        if self.ratios is not None:
            lines.append(
                f"tokens, {self.ratios.n} cases of suite {self.ratios.suite}: input"
                f" x{self.ratios.inward:.3f}, output x{self.ratios.outward:.3f}"
            )
        lines += [f"assumed: {each}" for each in self.assumed]
        if self.quality is None:
            lines.append("quality: not measured; run both ways on one suite and name the two runs")
        else:
            lines += _quality(self.quality)
        return "\n".join([*lines, *(f"no headline: {each}" for each in self.weak)])


def _quality(decision: Decision) -> list[str]:
    lines = [f"quality: {decision.word}{f' ({decision.reason})' if decision.reason else ''}"]
    for each in decision.comparisons:
        if each.before is not None and each.after is not None and each.low is not None:
            lines.append(
                f"  {each.metric}: {each.before:.3f} now, {each.after:.3f} then, difference bounds"
                f" {each.low:+.3f} to {each.high:+.3f}, n {each.n}"
            )
    return lines


def counterfactual(
    ledger: Ledger, prices: Prices, change: Change, since: float, until: float, *,
    runs: tuple[Report, Report] | None = None,
) -> Counterfactual:  # fmt: skip
    """Price the model calls of a period again, the other way; those of eval runs are left out.

    Raises:
        InputError: the other model has no price, or the runs cannot be compared.
    """
    measured, quality = ratios(*runs) if runs else (None, None)
    free = _check(prices, change)
    ledger.drain()
    which = concerned(ledger, change, since, until)
    inward, outward = (measured.inward, measured.outward) if measured else (1.0, 1.0)
    sums = _Sums(prices, change, (Decimal(str(inward)), Decimal(str(outward))), free, which)
    for batch in walk(ledger.database, since, until, kinds=("model",)):
        for call in outside_runs(batch):
            if not call.cache_source and change.only in ("", call.model):
                sums.add(call)
    low, high = _bounds(sums, measured)
    return Counterfactual(
        change, sums.calls, sums.priced, sums.without_tokens, sums.without_price,
        sums.without_booking, sums.booked, sums.total, low, high, measured, quality,
        tuple(_assumed(change, measured, free, which)),
    )  # fmt: skip


def _check(prices: Prices, change: Change) -> bool:
    """Say whether the other model is declared free. Raises `InputError` where it has no price."""
    if not change.model:
        return False
    cost = prices.cost(change.model, Usage(1, 1, source="provider"))
    if cost.amount is None:
        raise InputError(
            f"what-if: {change.model} has no price; add it to configs/prices.yaml, or list known"
            " ones: genai models"
        )
    return cost.status is CostStatus.DECLARED_FREE


def _assumed(
    change: Change, measured: Ratios | None, free: bool, which: Concerned
) -> Iterable[str]:
    if measured is None and change.model:
        yield f"{change.model} takes and gives as many tokens as now"
    if change.cached is not None:
        yield f"{change.cached:.0%} of the input is read from the provider's cache"
    if change.cut:
        yield f"each call has {change.cut} input tokens fewer"
    if change.route is not None:
        share = len(which.routed or ()) / which.questions if which.questions else 0.0
        yield (
            f"questions with {change.route[0]} of at least {change.route[1]:g}, {share:.0%} of"
            f" {which.questions:,}, go to {change.model}; the others stay"
        )
    if change.answers:
        yield (
            f"{len(which.repeated):,} of {which.questions:,} questions were asked before and are"
            " answered from a cache"
        )
    if which.unread:
        yield (
            f"{which.unread:,} questions have no stored text (`ledger.content`) and are taken as"
            " not asked before"
        )
    if free:
        yield f"{change.model} is declared free; what it takes to host it is not in the figure"


def _bounds(sums: "_Sums", measured: Ratios | None) -> tuple[Decimal, Decimal]:
    """Give the bounds of the total; it is linear in the two ratios."""
    if measured is None or not measured.draws or not measured.inward or not measured.outward:
        return sums.total, sums.total
    np: Any = extras.load("numpy", "reports")
    draws = np.array(measured.draws) / [measured.inward, measured.outward]
    moved = draws @ [float(sums.inward), float(sums.outward)] + float(sums.fees)
    low, high = np.quantile(moved, [0.025, 0.975])
    return Decimal(str(float(low))), Decimal(str(float(high)))


@dataclass(slots=True)
class _Sums:
    """The calls so far, both ways."""

    prices: Prices
    change: Change
    scale: tuple[Decimal, Decimal]
    free: bool
    which: Concerned = Concerned()
    calls: int = 0
    priced: int = 0
    without_tokens: int = 0
    without_price: int = 0
    without_booking: int = 0
    booked: Decimal = _ZERO
    inward: Decimal = _ZERO
    outward: Decimal = _ZERO
    fees: Decimal = _ZERO  # and all else that no ratio changes

    @property
    def total(self) -> Decimal:
        """The cost of the other way."""
        return self.inward + self.outward + self.fees

    def add(self, call: Call) -> None:
        """Add one call, or note why it is left out."""
        self.calls += 1
        parent, known = call.context.parent_id, in_dollars(call.cost)
        again = parent in self.which.repeated
        if again or (self.which.routed is not None and parent not in self.which.routed):
            if known is None:
                self.without_booking += 1
            else:
                self.priced += 1
                self.booked += known
                self.fees += _ZERO if again else known
            return
        if call.usage.source == "none":
            self.without_tokens += 1
            return
        found = self._priced(call)
        if found is None:
            self.without_price += 1
        elif known is None:
            self.without_booking += 1
        else:
            self.priced += 1
            self.booked += known
            self.inward += found[0]
            self.outward += found[1]
            self.fees += call.cost.fee or _ZERO

    def _priced(self, call: Call) -> tuple[Decimal, Decimal] | None:
        """Give the dollars in and out; None where a bucket has no rate."""
        if self.free or (not self.change.model and call.cost.status is CostStatus.DECLARED_FREE):
            return _ZERO, _ZERO
        buckets = self._buckets(call.usage)
        rates = self.prices.rates(self._as_asked(call, buckets))
        if rates is None:
            return None
        sums = [_ZERO, _ZERO]
        for at, (name, tokens) in enumerate(zip(BUCKETS, buckets, strict=True)):
            if tokens:
                if name not in rates:
                    return None
                sums[at >= _INWARD] += tokens * rates[name]
        return sums[0], sums[1]

    def _buckets(self, usage: Usage) -> list[Decimal]:
        found = [tokens * self.scale[at >= _INWARD] for at, tokens in enumerate(usage.buckets)]
        text, read = found[_TEXT], found[_READ]
        cut = min(Decimal(self.change.cut), text + read)
        text, read = text - min(cut, text), read - max(cut - text, _ZERO)
        if self.change.cached is not None:
            whole = text + read
            read = whole * Decimal(str(self.change.cached))
            text = whole - read
        found[_TEXT], found[_READ] = text, read
        return found

    def _as_asked(self, call: Call, buckets: Sequence[Decimal]) -> Call:
        """Give the call as the other way would have made it, as far as its rates depend on it."""
        usage = Usage(int(sum(buckets[:_INWARD])), source="provider")
        if not self.change.model:
            return replace(call, usage=usage)
        return replace(
            call, usage=usage, model=self.change.model, response_model="", requested_tier="",
            served_tier="", region="",
        )  # fmt: skip
