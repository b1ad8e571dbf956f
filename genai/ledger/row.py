"""A Call as the flat row the spool and the tables hold, and back.

The spool line holds only what differs from the default, so that a row is short to write.
Money is an integer count of picodollars (1e-12), rounded once, half to even; None is unknown.
"""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

from genai.types import BUCKETS, NOBODY, Call, Context, Cost, CostStatus, Usage

_PICO = Decimal("1e12")
_CALL = tuple(f.name for f in fields(Call) if f.name not in ("context", "usage", "cost", "tags"))
_CONTEXT = tuple(f.name for f in fields(Context) if f.name != "user")
_get_context = attrgetter(*_CONTEXT)
_FIRST = ("id", "kind", "started_at", "seconds", "outcome", "model", "attempt")
_MORE = tuple(name for name in _CALL if name not in _FIRST)
_get_more = attrgetter(*_MORE)


def to_pico(amount: Decimal | None) -> int | None:
    """Give dollars as picodollars, rounded half to even."""
    return None if amount is None else int((amount * _PICO).to_integral_value())


def from_pico(amount: int | Decimal | None) -> Decimal | None:
    """Give picodollars as dollars, exactly."""
    return None if amount is None else Decimal(amount).scaleb(-12)


def flat_context(context: Context, user_key: str) -> dict[str, str]:
    """Give the columns of a context that hold something."""
    row = {k: v for k, v in zip(_CONTEXT, _get_context(context), strict=True) if v}
    if user_key:
        row["user_key"] = user_key
    return row


def flatten(call: Call, user_key: str = "") -> dict[str, Any]:
    """Give the columns of a call that hold something. `user_key` stands for the user."""
    row: dict[str, Any] = {
        "id": call.id,
        "kind": call.kind,
        "started_at": call.started_at,
        "seconds": call.seconds,
        "outcome": call.outcome,
        "model": call.model,
        "cost_status": call.cost.status.value,
    }
    more = zip(_MORE, _get_more(call), strict=True)
    row |= {name: value for name, value in more if value or value.__class__ is float}
    if call.attempt != 1:
        row["attempt"] = call.attempt
    if call.context is not NOBODY:
        row |= flat_context(call.context, user_key)
    if call.usage.source != "none" or call.usage.flag or call.usage.fees:
        row |= _flat_usage(call.usage)
    row |= _flat_cost(call.cost)
    if call.tags:
        row["tags"] = dict(call.tags)
    return row


def _flat_usage(usage: Usage) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if usage.source != "none":
        row |= zip(BUCKETS, usage.buckets, strict=True)
        row["usage_source"] = usage.source
        row["input_tokens"], row["output_tokens"] = usage.input_tokens, usage.output_tokens
    if usage.flag:
        row["usage_flag"] = usage.flag
    if usage.fees:
        row["fees"] = dict(usage.fees)
    return row


def _flat_cost(cost: Cost) -> dict[str, Any]:
    amounts = (("cost", cost.amount), ("list_cost", cost.list_amount), ("fee_cost", cost.fee))
    row: dict[str, Any] = {name: to_pico(value) for name, value in amounts if value is not None}
    texts = (
        ("cost_reason", cost.reason),
        ("price_snapshot", cost.snapshot),
        ("price_key", cost.key),
        ("currency", "" if cost.currency == "USD" else cost.currency),
    )
    row |= {column: text for column, text in texts if text}
    return row


def unflatten(row: Mapping[str, Any]) -> Call:
    """Make the Call of a table row. The user's key stands where the name was."""
    source = row["usage_source"]
    usage = Usage(flag=row["usage_flag"])
    if source != "none":
        usage = Usage.of_buckets([row[b] or 0 for b in BUCKETS], source, row["usage_flag"])
    if row["fees"]:
        fees = tuple((str(k), int(v)) for k, v in row["fees"].items())
        usage = Usage(**{n: getattr(usage, n) for n in usage.__slots__ if n != "fees"}, fees=fees)
    cost = Cost(
        from_pico(row["cost"]),
        CostStatus(row["cost_status"]),
        row["cost_reason"],
        row["currency"],
        from_pico(row["list_cost"]),
        from_pico(row["fee_cost"]),
        row["price_snapshot"],
        row["price_key"],
    )
    context = Context(user=row["user_key"], **{name: row[name] for name in _CONTEXT})
    own = {name: row[name] for name in _CALL}
    return Call(context=context, usage=usage, cost=cost, tags=row["tags"], **own)


def context_of(row: Mapping[str, Any]) -> Context:
    """Make the Context of a row that holds only what is not the default."""
    return Context(
        user=row.get("user_key", ""), **{name: row[name] for name in _CONTEXT if name in row}
    )
