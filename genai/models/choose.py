"""Choosing a model: hard filters first, then what was measured here; the decision is written down.

A fact that nobody knows excludes a model only where a filter asks for it, and the reason says so:
unknown is not passed.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from decimal import Decimal
from statistics import fmean
from types import MappingProxyType
from typing import Any, TypeVar

from genai.ledger import Ledger, Prices
from genai.ledger.walk import walk
from genai.stats import wilson

V = TypeVar("V")

_SOON = timedelta(days=90)
_REGION = re.compile(
    r"(?:^|/)(us-gov|us|eu|apac|au|jp)\.|(?:^|/)(?:azure|bedrock)/([a-z]{2,4}(?:-[a-z]+-\d)?)/"
)
_MODALITIES = {
    "image": "supports_vision",
    "audio": "supports_audio_input",
    "pdf": "supports_pdf_input",
    "tools": "supports_function_calling",
    "schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a model must satisfy; None and empty ask for nothing. Prices are a million tokens."""

    licences: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    min_context: int | None = None
    max_input_price: Decimal | None = None
    max_output_price: Decimal | None = None
    lives_until: date | None = None
    max_p95: float | None = None
    metric: str = ""
    min_quality: float | None = None

    def lines(self) -> list[str]:
        """Give what is asked for, one line each."""
        return [f"{f.name}: {value}" for f in fields(self) if (value := getattr(self, f.name))]


@dataclass(frozen=True, slots=True)
class Quality:
    """A metric of our own suites on one model: its mean, and an interval where it is a share."""

    mean: float
    n: int
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None:
            return f"{self.mean:.3f} (n {self.n})"
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f}, n {self.n})"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model: what its price entry says, what the ledger measured, and why it is out."""

    name: str
    context: int | None
    input_price: Decimal | None
    output_price: Decimal | None
    ends: str
    licence: str
    regions: tuple[str, ...]
    can: frozenset[str]
    max_output: int | None = None
    calls: int = 0
    p50: float | None = None
    p95: float | None = None
    quality: Mapping[str, Quality] = field(default_factory=dict)
    excluded: str = ""


def compare(
    names: Sequence[str], prices: Prices, ledger: Ledger, wanted: Wanted
) -> list[Candidate]:
    """Look at models (all that are priced, if none is named); those that remain come first.

    They are ordered by the metric asked for, then by price; excluded ones carry their reason.
    What was measured under an alias or without the provider counts for the model.
    """
    rows = _known(prices, {row.model: row for row in ledger.summary().models})
    scores = _known(prices, _qualities(ledger))
    found = []
    for name in names or prices.names():
        entry = prices.entry(name) or {}
        own = prices.canonical(name)
        row, score = rows.get(name, rows.get(own)), scores.get(name, scores.get(own, {}))
        found.append(describe(name, entry, row, score))
    judged = [_judge(each, wanted) for each in found]
    return sorted(judged, key=lambda each: _order(each, wanted))


def _known(prices: Prices, table: Mapping[str, V]) -> dict[str, V]:
    """Give a table by its own names, and by those the price list has for them."""
    return {prices.canonical(model): value for model, value in table.items()} | dict(table)


def describe(
    name: str,
    entry: Mapping[str, Any],
    row: Any = None,
    quality: Mapping[str, Quality] = MappingProxyType({}),
) -> Candidate:
    """Give what a price entry says of a model, with what was measured if anything was."""
    regions = entry.get("regions") or entry.get("supported_regions") or _regions(name)
    return Candidate(
        name=name,
        context=_whole(entry.get("context") or entry.get("max_input_tokens")),
        input_price=_million(entry.get("input_cost_per_token")),
        output_price=_million(entry.get("output_cost_per_token")),
        ends=str(entry.get("end_of_life") or entry.get("deprecation_date") or "")[:10],
        licence=str(entry.get("licence") or ""),
        regions=tuple(map(str, regions)),
        can=frozenset(
            [
                *(name for name, key in _MODALITIES.items() if entry.get(key)),
                *entry.get("modalities", ()),
            ]
        ),
        max_output=_whole(entry.get("max_output") or entry.get("max_output_tokens")),
        calls=row.calls if row else 0,
        p50=row.p50 if row else None,
        p95=row.p95 if row else None,
        quality=quality,
    )


def _regions(name: str) -> tuple[str, ...]:
    """Give the region that a provider says in a model's name, such as `azure/eu/...`."""
    said = _REGION.search(name)
    if said is None:
        return ()
    region = said[1] or said[2]
    area = region.partition("-")[0]
    return (region,) if area == region or region == "us-gov" else (region, area)


def _judge(candidate: Candidate, wanted: Wanted) -> Candidate:
    reason = next((reason for reason in _reasons(candidate, wanted) if reason), "")
    return replace(candidate, excluded=reason)


def _reasons(c: Candidate, wanted: Wanted) -> Iterable[str]:
    """Give why a model is out, cheapest question first; "" for each that it passes."""
    if wanted.licences:
        yield "" if c.licence in wanted.licences else f"licence {c.licence or 'unknown'}"
    if wanted.regions:
        yield "" if {*c.regions} & {*wanted.regions} else _unless(c.regions, "region")
    for need in wanted.modalities:
        yield "" if need in c.can else f"no {need}"
    yield _low("context", c.context, wanted.min_context, lambda a, b: a >= b)
    yield _low("input price", c.input_price, wanted.max_input_price, lambda a, b: a <= b)
    yield _low("output price", c.output_price, wanted.max_output_price, lambda a, b: a <= b)
    if wanted.lives_until and c.ends:
        yield "" if c.ends >= wanted.lives_until.isoformat() else f"ends {c.ends}"
    yield _low("p95", c.p95, wanted.max_p95, lambda a, b: a <= b)
    if wanted.min_quality is not None:
        own = c.quality.get(wanted.metric)
        value = None if own is None else own.mean
        yield _low(wanted.metric, value, wanted.min_quality, lambda a, b: a >= b)


def _unless(value: Any, what: str) -> str:
    return f"{what} {', '.join(value)}" if value else f"{what} unknown"


def _low(what: str, value: Any, limit: Any, holds: Callable[[Any, Any], bool]) -> str:
    if limit is None:
        return ""
    if value is None:
        return f"{what} unknown"
    return "" if holds(value, limit) else f"{what} {value}"


def _order(candidate: Candidate, wanted: Wanted) -> tuple[bool, float, Decimal, str]:
    own = candidate.quality.get(wanted.metric)
    price = (candidate.input_price or Decimal(10**6)) + (candidate.output_price or Decimal(10**6))
    return bool(candidate.excluded), -(own.mean if own else 0.0), price, candidate.name


def _qualities(ledger: Ledger) -> dict[str, dict[str, Quality]]:
    """Give model -> metric -> quality, from the evaluated cases in the ledger."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    ledger.drain()
    for rows in walk(ledger.database, kinds=("eval",)):
        for row in rows:
            for name, value in row.tags.items():
                if isinstance(value, int | float):
                    values[row.model][name].append(float(value))
    return {
        model: {name: _quality(given) for name, given in metrics.items()}
        for model, metrics in values.items()
    }


def _quality(values: Sequence[float]) -> Quality:
    if set(values) <= {0.0, 1.0}:
        return Quality(fmean(values), len(values), *wilson(int(sum(values)), len(values)))
    return Quality(fmean(values), len(values))


def _million(rate: Any) -> Decimal | None:
    return None if rate is None else (Decimal(rate) * 1_000_000).normalize()


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def endings(prices: Prices, used: Iterable[str], today: date) -> list[tuple[date, str, bool]]:
    """List the models that end within 90 days, and those in use that have ended; first ones first.

    Gives the day, the model, and whether it is one of those in use.
    """
    mine = {prices.canonical(name) for name in used}
    ends = [(day, name, name in mine) for day, name in prices.ending(today + _SOON)]
    return [(day, name, own) for day, name, own in ends if own or day >= today]


def record(candidates: Sequence[Candidate], wanted: Wanted, day: date, snapshot: str) -> str:
    """Write the decision as Markdown: what was asked, what remains, what fell out and why."""
    kept = [each for each in candidates if not each.excluded]
    metrics = sorted({name for each in kept for name in each.quality})
    lines = [
        f"# Choice of a model, {day.isoformat()}",
        "",
        f"Chosen: **{kept[0].name}**." if kept else "No model satisfies what was asked for.",
        "",
        "## Asked for",
        "",
        *(f"- {line}" for line in wanted.lines() or ["nothing: every priced model was looked at"]),
        "",
        "## Remaining, best first",
        "",
        f"| model | context | in | out | ends | calls | p50 s | p95 s | {' | '.join(metrics)} |",
        f"|{'---|' * (8 + max(len(metrics), 1))}",
    ]
    for each in kept[:25]:
        own = [str(each.quality.get(name, "not measured")) for name in metrics] or [""]
        cells = [
            each.name, _show(each.context), _show(each.input_price), _show(each.output_price),
            each.ends or "not said", str(each.calls), _show(each.p50), _show(each.p95), *own,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    reasons: dict[str, int] = defaultdict(int)
    for each in candidates:
        if each.excluded:
            unknown = each.excluded.endswith(" unknown")
            reasons[each.excluded if unknown else each.excluded.partition(" ")[0]] += 1
    lines += ["", "## Fell out", ""]
    lines += [f"- {count} by {reason}" for reason, count in sorted(reasons.items())] or ["- none"]
    lines += [
        "",
        f"Prices are dollars a million tokens, snapshot {snapshot or 'none'}. Times and quality"
        " were measured by our own calls and suites; what was not measured is not a zero.",
        "",
    ]
    return "\n".join(lines)


def _show(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
