"""The ledger's tables, in SQLAlchemy Core. Loaded when rows are stored or read, not before.

The same names on SQLite and PostgreSQL. Money is picodollars (see `row.py`); NULL is unknown.
"""

from dataclasses import fields
from importlib import import_module
from typing import Any

import sqlalchemy as sa

from genai.types import BUCKETS, Call, Context

VERSION = 4
metadata = sa.MetaData()
_OTHER = sa.text("currency <> 'USD'")
_PICO = sa.BigInteger().with_variant(sa.Numeric(38, 0), "postgresql")


class _Json(sa.types.TypeDecorator[Any]):
    """JSON, and JSONB on PostgreSQL: its dialect, a fifth of SQLAlchemy, is loaded there alone."""

    impl = sa.JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name != "postgresql":
            return dialect.type_descriptor(sa.JSON())
        jsonb = import_module("sqlalchemy.dialects.postgresql").JSONB  # the engine has loaded it
        return dialect.type_descriptor(jsonb())


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def _column(name: str, annotation: str) -> sa.Column[Any]:
    """Make the column of a field of `Call` from its annotation."""
    if annotation == "str":
        return _text(name)
    kinds = {"int": sa.Integer, "float": sa.Double, "bool": sa.Boolean}
    kind = kinds[annotation.removesuffix(" | None")]
    if annotation.endswith("None"):
        return sa.Column(name, kind)
    return sa.Column(name, kind, nullable=False, server_default="1" if name == "attempt" else "0")


meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
calls = sa.Table(
    "call",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *(
        _column(f.name, str(f.type))
        for f in fields(Call)
        if f.name not in ("id", "context", "usage", "cost", "tags")
    ),
    *(_text(f.name) for f in fields(Context) if f.name != "user"),
    _text("user_key"),
    sa.Column("day", sa.Integer, nullable=False),
    *(sa.Column(name, sa.BigInteger) for name in ("input_tokens", "output_tokens", *BUCKETS)),
    _text("usage_source", "none"),
    _text("usage_flag"),
    sa.Column("fees", _Json, nullable=False, server_default="{}"),
    sa.Column("cost", _PICO),
    sa.Column("list_cost", _PICO),
    sa.Column("fee_cost", _PICO),
    _text("cost_status"),
    _text("cost_reason"),
    _text("currency", "USD"),
    _text("price_snapshot"),
    _text("price_key"),
    sa.Column("tags", _Json, nullable=False, server_default="{}"),
    sa.Index("call_started_at", "started_at"),
    sa.Index("call_parent_id", "parent_id"),
    # the order of the summary: its sums and exact percentiles read this index alone
    sa.Index(
        "call_summary",
        "kind",
        "day",
        "model",
        "seconds",
        "started_at",
        "outcome",
        "ttft",
        "cost",
        "cost_status",
        "input_tokens",
        "output_tokens",
    ),
    # next to nothing where all money is dollars: the summary takes these rows out of its sums
    sa.Index(
        "call_other_money",
        "kind",
        "day",
        "model",
        sqlite_where=_OTHER,
        postgresql_where=_OTHER,
    ),
    sqlite_with_rowid=True,
)
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("value", sa.Boolean, nullable=False),
    _text("reason"),
    _text("comment"),
)
content = sa.Table(
    "content",
    metadata,
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("created_at", sa.Double, nullable=False),
    _text("question"),
    _text("answer"),
)
# later opinions about the cost of a booked call; the booked one is never changed
layers = sa.Table(
    "cost_layer",
    metadata,
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("layer", sa.Text, primary_key=True),
    sa.Column("cost", _PICO),
    _text("cost_status"),
    _text("cost_reason"),
    _text("price_snapshot"),
    sa.Column("created_at", sa.Double, nullable=False),
)
budgets = sa.Table(
    "budget",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("scope"),
    _text("value"),
    _text("period"),
    _text("window"),
    sa.Column("limit", _PICO, nullable=False),
    sa.Column("spent", _PICO, nullable=False, server_default="0"),
    sa.Column("reserved", _PICO, nullable=False, server_default="0"),
)
reservations = sa.Table(
    "reservation",
    metadata,
    sa.Column("budget_id", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, primary_key=True, index=True),
    sa.Column("amount", _PICO, nullable=False),
    _text("state", "open"),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False, index=True),
    sa.Column("settled", _PICO),
)
# how far each spool file is drained, and what became of its lines
spool = sa.Table(
    "spool",
    metadata,
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("stored", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failed", sa.BigInteger, nullable=False, server_default="0"),
)
# version -> statements that lead there from the version before (SQLite; a PostgreSQL ledger
# begins at version 2). `{create}` makes the tables that are missing.
MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (),
    2: (
        "DROP INDEX IF EXISTS ix_call_started_at",
        "DROP INDEX IF EXISTS ix_call_parent_id",
        "ALTER TABLE call RENAME TO call_1",
        "ALTER TABLE spool ADD COLUMN stored BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE spool ADD COLUMN failed BIGINT NOT NULL DEFAULT 0",
        "{create}",
        "INSERT INTO call (id, kind, started_at, day, seconds, outcome, parent_id, model,"
        " prompt_id, config_hash, index_revision, feature, ttft, input_tokens, output_tokens,"
        " in_text, in_cache_read, out_text,"
        " usage_source, cost, cost_status, cost_reason, currency, reason, finish_reason, tags)"
        " SELECT id, kind, started_at, CAST(started_at / 86400 AS INTEGER), seconds, outcome,"
        " parent_id, model, prompt_id, config_hash, index_revision, feature, ttft,"
        " input_tokens, output_tokens, input_tokens - cached_tokens, cached_tokens,"
        " output_tokens, usage_source, cost,"
        " cost_status, cost_reason, currency, reason, finish_reason, tags FROM call_1",
        "DROP TABLE call_1",
    ),
    3: (
        "DROP TABLE IF EXISTS price_snapshot",
        "CREATE INDEX IF NOT EXISTS ix_reservation_call_id ON reservation (call_id)",
    ),
    4: (
        "CREATE INDEX IF NOT EXISTS call_other_money ON call (kind, day, model)"
        " WHERE currency <> 'USD'",
    ),
}
