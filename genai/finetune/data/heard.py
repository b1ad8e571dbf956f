"""What the ledger knows of a call that people judged: its text, its thumbs, and who said so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genai.ledger import Ledger
EDIT = "edit"  # the reason of a thumb whose comment is the better text
_TOGETHER = 1.0  # seconds between a thumb and the turn that was stored with it


@dataclass(frozen=True, slots=True)
class Heard:
    """A call whose text is stored. `thumb` is the last one given; it means nothing unless `judged`.

    `consent` is `tick` where a person let this very turn be stored; it is empty where the settings
    store every turn, which is nobody's consent. `edit` is the better text somebody wrote.
    """

    call_id: str
    at: float
    question: str
    answer: str
    model: str
    prompt_id: str
    session: str
    user_key: str
    judged: bool
    thumb: bool
    edit: str
    consent: str
    events: tuple[str, ...]


def heard(ledger: "Ledger") -> Iterator[Heard]:
    """Give the answered calls whose text the ledger holds, oldest first.

    Raises:
        LedgerUnusable: the store cannot be read.
    """
    import sqlalchemy as sa

    from genai.ledger import tables

    call, text, thumb = tables.calls, tables.content, tables.feedback
    query = (
        sa.select(
            call.c.id, call.c.started_at, call.c.model, call.c.prompt_id, call.c.session,
            call.c.user_key, text.c.question, text.c.answer, text.c.created_at,
            thumb.c.id.label("thumb_id"), thumb.c.value, thumb.c.reason, thumb.c.comment,
            thumb.c.created_at.label("thumb_at"),
        )
        .select_from(
            call.join(text, text.c.call_id == call.c.id).outerjoin(
                thumb, thumb.c.call_id == call.c.id
            )
        )
        .where(call.c.outcome == "ok")
        .order_by(call.c.started_at, call.c.id, thumb.c.created_at, thumb.c.id)
    )  # fmt: skip
    rows = ledger.read(query)
    start = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or rows[at].id != rows[start].id:
            yield _heard(rows[start:at])
            start = at


def ticked(stored_at: float, thumbs_at: Sequence[float]) -> bool:
    """Say whether a text was stored with a thumb, which takes the person's tick."""
    return any(0 <= stored_at - at < _TOGETHER for at in thumbs_at)


def _heard(rows: Sequence[Any]) -> Heard:
    first = rows[0]
    thumbs = [row for row in rows if row.thumb_id is not None]
    edits = [row.comment for row in thumbs if row.reason == EDIT and (row.comment or "").strip()]
    return Heard(
        call_id=first.id, at=first.started_at, question=first.question or "",
        answer=first.answer or "", model=first.model or "", prompt_id=first.prompt_id or "",
        session=first.session or "", user_key=first.user_key or "", judged=bool(thumbs),
        thumb=bool(thumbs and thumbs[-1].value), edit=edits[-1] if edits else "",
        consent="tick" if ticked(first.created_at, [row.thumb_at for row in thumbs]) else "",
        events=tuple(row.thumb_id for row in thumbs) or (first.id,),
    )  # fmt: skip
