"""The ledger for other programs: Parquet by day, and a FOCUS 1.2 cost file for a month.

FOCUS: https://focus.finops.org, version 1.2. One row a day, provider, model, meter, rate and
tenant, so that list unit price times quantity is the list cost exactly.
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.ledger.row import flatten
from genai.ledger.sums import in_dollars
from genai.ledger.walk import walk
from genai.types import BUCKETS, Call

if TYPE_CHECKING:
    from genai.ledger.store import Ledger
Rates = Callable[[Call], Mapping[str, Decimal] | None]
_MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency",
    "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory", "ChargeClass",
    "ChargeDescription", "ChargePeriodStart", "ChargePeriodEnd", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
)  # fmt: skip
_MORE = (
    "AvailabilityZone", "ChargeFrequency", "InvoiceId", "ServiceSubcategory", "ConsumedQuantity",
    "ConsumedUnit", "ListUnitPrice", "ContractedUnitPrice", "PricingCategory", "SkuId", "SkuMeter",
    "SkuPriceId", "ResourceId", "ResourceName", "ResourceType", "RegionId", "SubAccountId",
    "SubAccountName", "Tags",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exported:
    """What a cost file holds: `billed` dollars of `known` of `calls`; the rest is in `aside`."""

    path: Path
    rows: int
    billed: Decimal
    known: int
    calls: int
    aside: Path | None


def parquet(ledger: "Ledger", folder: Path) -> int:
    """Write calls as Parquet, one file a day and batch, money as decimal128(38, 12).

    A day is written anew; days without calls in the ledger stay as an earlier export left them.

    Returns:
        How many rows were written.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow: Any = extras.load("pyarrow", "parquet")
    writer: Any = extras.load("pyarrow.parquet", "parquet")
    ledger.drain()
    written = 0
    ready: dict[Path, Path] = {}
    kinds = ("chain", "model", "embedding", "guard", "eval")
    try:
        for number, rows in enumerate(walk(ledger.database, kinds=kinds)):
            days: dict[str, list[Call]] = defaultdict(list)
            for call in rows:
                days[f"{datetime.fromtimestamp(call.started_at, UTC):%Y-%m-%d}"].append(call)
            for day, own in days.items():
                target = folder / f"date={day}"
                target.mkdir(parents=True, exist_ok=True)
                path = target / f"part-{number:05}.parquet"
                ready[path] = target / f".{path.stem}.half"  # a name that readers pass over
                writer.write_table(_table(arrow, own), ready[path])
                written += len(own)
        _put(ready)
    finally:
        for half in ready.values():
            half.unlink(missing_ok=True)
    return written


def _put(ready: Mapping[Path, Path]) -> None:
    """Give written files their names, then remove what an earlier export wrote for these days.

    A call's batch is none for ever: earlier ids come, and old calls go.
    """
    for path, half in ready.items():
        os.replace(half, path)
    for folder in {path.parent for path in ready}:
        for path in folder.glob("part-*.parquet"):
            if path not in ready:
                path.unlink()


def _table(arrow: Any, calls: list[Call]) -> Any:
    money, stamp = arrow.decimal128(38, 12), arrow.timestamp("us", tz="UTC")
    flat = [flatten(call, call.context.user) for call in calls]
    columns: dict[str, Any] = {
        "started_at": arrow.array(
            [datetime.fromtimestamp(call.started_at, UTC) for call in calls], stamp
        )
    }
    for name, amounts in (
        ("cost", [call.cost.amount for call in calls]),
        ("list_cost", [call.cost.list_amount for call in calls]),
        ("fee_cost", [call.cost.fee for call in calls]),
    ):
        columns[name] = arrow.array(amounts, money)
    tokens = ("input_tokens", "output_tokens", *BUCKETS)
    for name in tokens:
        columns[name] = arrow.array([row.get(name) for row in flat], arrow.int64())
    for name in ("seconds", "ttft", "itl_mean", "itl_p95"):
        columns[name] = arrow.array([row.get(name) for row in flat], arrow.float64())
    for name in ("attempt", "chunks", "http_status"):
        columns[name] = arrow.array([getattr(call, name) for call in calls], arrow.int32())
    columns["stream"] = arrow.array([call.stream for call in calls], arrow.bool_())
    tags = [json.dumps(dict(call.tags), ensure_ascii=False) for call in calls]
    columns["tags"] = arrow.array(tags, arrow.string())
    for name in _TEXTS:
        columns[name] = arrow.array([str(row.get(name, "")) for row in flat], arrow.string())
    return arrow.table(columns)


_TEXTS = (
    "id", "kind", "outcome", "model", "operation", "provider", "response_model", "host", "retry_of",
    "fallback_of", "request_id", "finish_reason", "reason", "cache_source", "requested_tier",
    "served_tier", "region", "parent_id", "prompt_id", "config_hash", "index_revision", "feature",
    "session", "tenant", "environment", "release", "run", "trace_id", "span_id", "user_key",
    "usage_source", "usage_flag", "cost_status", "cost_reason", "currency", "price_snapshot",
    "price_key",
)  # fmt: skip
_Key = tuple[str, str, str, str, str, Decimal, str]


def focus(ledger: "Ledger", path: Path, month: str, rates: Rates) -> Exported:
    """Write the cost file of a month (`2026-11`), UTC days, periods with their end excluded.

    `rates` gives dollars a token by bucket for a call; where they do not explain its cost, the
    cost stands in a row of its own whose unit is the dollar. Calls of unknown cost are never
    written as 0: they are counted in a file beside, and in the result, and so are those in another
    currency than dollars.
    """
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    end = (start + timedelta(days=32)).replace(day=1)
    ledger.drain()
    sums: dict[_Key, tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))
    aside: dict[tuple[str, str], int] = defaultdict(int)
    calls = known = 0
    billed = Decimal(0)
    for rows in walk(ledger.database, start.timestamp(), end.timestamp()):
        for call in rows:
            calls += 1
            dollars = in_dollars(call.cost)
            if dollars is None:
                other = call.cost.amount is not None
                why = f"booked in {call.cost.currency}" if other else call.cost.reason
                aside[call.model, why] += 1
                continue
            known += 1
            billed += dollars
            for meter, rate, quantity in _meters(call, rates):
                day = f"{datetime.fromtimestamp(call.started_at, UTC):%Y-%m-%d}"
                tier = call.served_tier or call.requested_tier
                key = (day, call.provider, call.model, meter, tier, rate, call.context.tenant)
                total, count = sums[key]
                sums[key] = (total + quantity, count + 1)
    lines = [_line(key, total, start, end) for key, (total, _) in sorted(sums.items())]
    _write(path, [*_MANDATORY, *_MORE], lines)
    beside = None
    if aside:
        beside = path.with_suffix(".unpriced.csv")
        counted = [{"model": m, "reason": r, "calls": n} for (m, r), n in sorted(aside.items())]
        _write(beside, ["model", "reason", "calls"], counted)
    return Exported(path, len(lines), billed, known, calls, beside)


def _meters(call: Call, rates: Rates) -> list[tuple[str, Decimal, Decimal]]:
    """Give (meter, rate, quantity) whose products sum to the call's cost."""
    amount = call.cost.amount or Decimal(0)
    if not amount:
        return []
    found = rates(call) if call.usage.source != "none" and not call.usage.fees else None
    if found is not None:
        parts = [
            (bucket, found[bucket], Decimal(tokens))
            for bucket, tokens in zip(BUCKETS, call.usage.buckets, strict=True)
            if tokens and bucket in found
        ]
        with localcontext() as context:
            context.prec = 50
            if sum((rate * tokens for _, rate, tokens in parts), Decimal(0)) == amount:
                return parts
    return [("dollars", Decimal(1), amount)]


def _line(key: _Key, quantity: Decimal, start: datetime, end: datetime) -> dict[str, Any]:
    day, provider, model, meter, tier, rate, tenant = key
    with localcontext() as context:
        context.prec = 50
        cost = _plain(rate * quantity)
    begun = datetime.fromisoformat(day).replace(tzinfo=UTC)
    unit = "USD" if meter == "dollars" else "Tokens"
    return {
        "BilledCost": cost, "EffectiveCost": cost, "ContractedCost": cost, "ListCost": cost,
        "BillingAccountId": "genai", "BillingCurrency": "USD",
        "BillingPeriodStart": _stamp(start), "BillingPeriodEnd": _stamp(end),
        "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{model} {meter}{f' ({tier})' if tier else ''}",
        "ChargePeriodStart": _stamp(begun), "ChargePeriodEnd": _stamp(begun + timedelta(days=1)),
        "InvoiceIssuerName": provider, "ProviderName": provider, "PublisherName": provider,
        "PricingQuantity": _plain(quantity), "PricingUnit": unit,
        "ConsumedQuantity": _plain(quantity), "ConsumedUnit": unit,
        "ListUnitPrice": _plain(rate), "ContractedUnitPrice": _plain(rate),
        "PricingCategory": "Standard", "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI", "ServiceName": model, "SkuId": model,
        "SkuMeter": meter, "SkuPriceId": f"{model}/{meter}/{_plain(rate)}", "ResourceId": model,
        "ResourceName": model, "ResourceType": "Model", "SubAccountId": tenant,
        "SubAccountName": tenant, "Tags": "{}",
    }  # fmt: skip


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    with half.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(half, path)
