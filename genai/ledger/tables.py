"""The ledger's tables, in SQLAlchemy Core. Loaded when rows are stored or read, not before.

Money is an integer count of picodollars (1e-12), rounded once, half to even; NULL is unknown.
"""

from decimal import Decimal

import sqlalchemy as sa

from genai.types import Call

VERSION = 1
metadata = sa.MetaData()

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
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False, index=True),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("parent_id", sa.Text, nullable=False, index=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("prompt_id", sa.Text, nullable=False),
    sa.Column("config_hash", sa.Text, nullable=False),
    sa.Column("index_revision", sa.Text, nullable=False),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("ttft", sa.Float),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("cached_tokens", sa.Integer),
    sa.Column("usage_source", sa.Text, nullable=False),
    sa.Column("cost", sa.BigInteger),
    sa.Column("cost_status", sa.Text, nullable=False),
    sa.Column("cost_reason", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("finish_reason", sa.Text, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
)
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("value", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
)
content = sa.Table(
    "content",
    metadata,
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
)
spool = sa.Table(
    "spool",
    metadata,
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("offset", sa.Integer, nullable=False),
)
# version -> statements that lead there from the version before
MIGRATIONS: dict[int, tuple[str, ...]] = {1: ()}

_PICO = Decimal("1e12")


def to_pico(amount: Decimal | None) -> int | None:
    """Give dollars as picodollars, rounded half to even."""
    return None if amount is None else int((amount * _PICO).to_integral_value())


def from_pico(amount: int | None) -> Decimal | None:
    """Give picodollars as dollars, exactly."""
    return None if amount is None else Decimal(amount).scaleb(-12)


def to_call(row: sa.Row[tuple[object, ...]]) -> Call:
    """Make a Call from a row of the table."""
    fields = dict(row._mapping)
    fields["cost"] = from_pico(fields["cost"])
    return Call(**fields)
