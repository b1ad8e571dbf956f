"""What calls led to: the outcome and the thumb of each, and those that somebody should look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from genai.errors import LedgerUnusable

if TYPE_CHECKING:
    from genai.ledger.store import Ledger
# what may tell the two sides of an experiment apart
ARMS = ("release", "prompt_id", "config_hash", "index_revision", "model", "environment")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call of one side of an experiment.

    `unit` is who asked: the user's keyed hash, else the session, else the call itself. `thumb` is
    the last one; None where nobody gave one.
    """

    arm: str
    unit: str
    at: float
    outcome: str
    thumb: bool | None


@dataclass(frozen=True, slots=True)
class Complaint:
    """A call that a person thumbed down or that failed; texts are empty where none are stored."""

    call_id: str
    at: float
    why: Literal["thumb", "error"]
    reason: str
    comment: str
    question: str
    answer: str


def outcomes(
    ledger: "Ledger", by: str, arms: Sequence[str], *, since: float = 0.0,
    kind: str = "chain", feature: str = "",
) -> list[Outcome]:  # fmt: skip
    """Give every call people made whose column `by` is one of `arms`, oldest first.

    Raises:
        LedgerUnusable: `by` tells no sides apart, or the store cannot be read.
    """
    from genai.ledger import tables

    if by not in ARMS:
        raise LedgerUnusable(f"calls are not told apart by `{by}`; use {', '.join(ARMS)}")
    call, thumb = tables.calls, _thumbs()
    query = (
        _sa().select(
            call.c[by].label("arm"), call.c.user_key, call.c.session, call.c.id, call.c.started_at,
            call.c.outcome, thumb.c.value,
        )
        .select_from(call.outerjoin(thumb, thumb.c.call_id == call.c.id))
        .where(call.c[by].in_(arms), call.c.kind == kind, call.c.started_at >= since)
        .where(call.c.run == "")
        .order_by(call.c.started_at, call.c.id)
    )  # fmt: skip
    if feature:
        query = query.where(call.c.feature == feature)
    return [
        Outcome(
            row.arm, row.user_key or row.session or row.id, row.started_at, row.outcome,
            None if row.value is None else bool(row.value),
        )
        for row in ledger.read(query)
    ]  # fmt: skip


def last_thumbs(ledger: "Ledger", since: float = 0.0) -> dict[str, bool]:
    """Give the last thumb of each call that got one since a Unix time: whether it is up."""
    thumb = _thumbs(since)
    query = _sa().select(thumb.c.call_id, thumb.c.value)
    return {call_id: bool(value) for call_id, value in ledger.read(query)}


def thumb_counts(
    ledger: "Ledger", since: float, until: float, where: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
) -> dict[tuple[object, ...], tuple[int, int]]:  # fmt: skip
    """Count the calls whose last thumb of a period (Unix times, the end not included) is up, down.

    The keys are the values of the columns `by`, and before them the UTC day of the thumb. `where`
    keeps to calls with these values of their columns; the calls of eval runs are left out.
    """
    from genai.ledger import tables

    call, thumb = tables.calls, _thumbs(since, until)
    sa = _sa()
    day = sa.cast(sa.func.floor(thumb.c.created_at / 86_400), sa.Integer)
    keys = [day, *(sa.func.coalesce(call.c[name], "") for name in by)]
    counts = [sa.func.sum(sa.case((thumb.c.value.is_(up), 1), else_=0)) for up in (True, False)]
    query = (
        sa.select(*keys, *counts)
        .select_from(thumb.outerjoin(call, call.c.id == thumb.c.call_id))
        .where(sa.func.coalesce(call.c.run, "") == "")
        .where(*(call.c[name] == value for name, value in (where or {}).items()))
        .group_by(*(sa.literal_column(str(n + 1)) for n in range(len(keys))))
    )
    return {tuple(row[:-2]): (int(row[-2]), int(row[-1])) for row in ledger.read(query)}


def complaints(ledger: "Ledger") -> list[Complaint]:
    """Give the newest 1,000 calls whose last thumb is down, and those that failed, newest first.

    What an eval run asked is nobody's complaint.
    """
    from genai.ledger import tables

    call, text, thumb = tables.calls, tables.content, _thumbs()
    sa = _sa()
    query = (
        sa.select(
            call.c.id, call.c.started_at, call.c.outcome, call.c.reason.label("error"),
            thumb.c.value, thumb.c.reason, thumb.c.comment, text.c.question, text.c.answer,
        )
        .select_from(
            call.outerjoin(thumb, thumb.c.call_id == call.c.id).outerjoin(
                text, text.c.call_id == call.c.id
            )
        )
        .where(
            call.c.run == "",
            sa.or_(
                thumb.c.value.is_(False),
                sa.and_(call.c.kind == "chain", call.c.outcome == "error", thumb.c.value.is_(None)),
            ),
        )
        .order_by(call.c.started_at.desc(), call.c.id.desc())
        .limit(1000)
    )  # fmt: skip
    return [
        Complaint(
            row.id, row.started_at, "error" if row.value is None else "thumb",
            (row.error if row.value is None else row.reason) or "", row.comment or "",
            row.question or "", row.answer or "",
        )
        for row in ledger.read(query)
    ]  # fmt: skip


def _thumbs(since: float = 0.0, until: float | None = None) -> Any:
    """The last thumb of each call, of those given in a period."""
    from genai.ledger import tables

    sa, table = _sa(), tables.feedback
    order = (table.c.created_at.desc(), table.c.id.desc())
    rank = sa.func.row_number().over(partition_by=table.c.call_id, order_by=order).label("rank")
    given = sa.select(table, rank).where(table.c.created_at >= since)
    if until is not None:
        given = given.where(table.c.created_at < until)
    ranked = given.subquery()
    return sa.select(ranked).where(ranked.c.rank == 1).subquery("thumb")


def _sa() -> Any:
    import sqlalchemy

    return sqlalchemy
