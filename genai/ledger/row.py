"""A Call as the flat row the spool and the tables hold, and back.

The spool line holds only what differs from the default, so that a row is short to write.
Money is an integer count of picodollars (1e-12), rounded once, half to even; None is unknown.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from genai.types import BUCKETS, Call, Context, Cost, CostStatus, Usage

_PICO = Decimal("1e12")
_OWN = tuple(f for f in fields(Call) if f.name not in ("context", "usage", "cost", "tags"))
_CALL = tuple(f.name for f in _OWN)
_CONTEXT = tuple(f.name for f in fields(Context) if f.name != "user")
_get_call, _get_context = attrgetter(*_CALL), attrgetter(*_CONTEXT)
_COUNTS = (*BUCKETS, "input_tokens", "output_tokens")
_UNCOUNTED = (None,) * len(_COUNTS)
# one value a call and no dict: it is made and written in a third of the time
_Row: Any = msgspec.defstruct(
    "Row",
    [
        *((f.name, Any) if f.default is MISSING else (f.name, Any, f.default) for f in _OWN),
        *((name, str, "") for name in (*_CONTEXT, "user_key")),
        *((name, Any, None) for name in _COUNTS),
        ("usage_source", str, "none"),
        ("usage_flag", str, ""),
        *((name, Any, None) for name in ("fees", "cost", "list_cost", "fee_cost")),
        *((name, str, "") for name in ("cost_status", "cost_reason")),
        *((name, str, "") for name in ("price_snapshot", "price_key")),
        ("currency", str, "USD"),
        ("tags", Any, None),
    ],
    tag_field="t", tag="call", omit_defaults=True, gc=False,
)  # fmt: skip


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


def row_of(call: Call, user_key: str = "") -> Any:
    """Give a call as the spool writes it. `user_key` stands for the user."""
    usage, cost = call.usage, call.cost
    counts: tuple[int | None, ...] = _UNCOUNTED
    if usage.source != "none":
        counts = (*usage.buckets, usage.input_tokens, usage.output_tokens)
    return _Row(
        *_get_call(call), *_get_context(call.context), user_key, *counts, usage.source,
        usage.flag, dict(usage.fees) if usage.fees else None, to_pico(cost.amount),
        to_pico(cost.list_amount), to_pico(cost.fee), cost.status.value, cost.reason,
        cost.snapshot, cost.key, cost.currency, dict(call.tags) if call.tags else None,
    )  # fmt: skip


def flatten(call: Call, user_key: str = "") -> dict[str, Any]:
    """Give the columns of a call that hold something, and the `t` of its spool line."""
    columns: dict[str, Any] = msgspec.to_builtins(row_of(call, user_key))
    return columns


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
