"""What the ledger shows of production that somebody should look at, and why.

    edit         a person wrote the better answer
    thumb        the last thumb is down
    online       an online eval is under its limit
    low_support  the answer's sentences have little support in the passages
    retry        the same person asked the same again
    refusal      nothing was answered, though a person asked
    guard        a guard stopped the question or the answer

Only calls whose text is stored can be reviewed; the others are counted.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from genai.config import text_hash
from genai.evals.leaks import tokens
from genai.evals.suite import MetricSettings
from genai.finetune.data.heard import EDIT, ticked
from genai.ledger import Ledger, tables
from genai.loop.settings import LoopSettings

# what is looked at first; the reasons of one question add up
WEIGHTS = {
    "edit": 5, "thumb": 4, "online": 3, "low_support": 2, "retry": 2, "refusal": 2, "guard": 1,
}  # fmt: skip
ONLINE = "online"  # the suite whose rows are online evals
_call, _text, _thumb = tables.calls, tables.content, tables.feedback
# neither a part of another call, nor of an eval run or a canary
_ASKED = sa.and_(_call.c.parent_id == "", _call.c.run == "", _call.c.kind.in_(("chain", "model")))


@dataclass(frozen=True, slots=True)
class Seen:
    """A call to look at. `key` is the same for every call with the same question."""

    key: str
    call_id: str
    at: float
    why: tuple[str, ...]
    consent: str


def look(ledger: Ledger, settings: LoopSettings, since: float) -> tuple[list[Seen], int]:
    """Give the calls to look at, oldest first, and the number of those without a stored text.

    Raises:
        LedgerUnusable: the store cannot be read.
    """
    ledger.drain()
    with ledger.database.begin(write=False) as db:
        rows = db.execute(_with_text(since)).all()
        thumbs: dict[str, list[Any]] = defaultdict(list)
        order = (_thumb.c.created_at, _thumb.c.id)
        for thumb in db.execute(
            _thumb.select().where(_thumb.c.created_at >= since).order_by(*order)
        ):
            thumbs[thumb.call_id].append(thumb)
        scores = _scores(db, since)
        blind = sum(int(db.execute(query).scalar_one()) for query in _without_text(since))
    again = _asked_again(rows)
    found = []
    for row in rows:
        given, judged = thumbs.get(row.id, []), scores.get(row.id, {})
        why = _why(row, given, settings)
        why |= {"retry"} if row.id in again else set()
        why |= {"online"} if failed(judged, settings.online.metrics) else set()
        if why:
            reasons = tuple(sorted(why, key=lambda each: (-WEIGHTS[each], each)))
            consent = "tick" if ticked(row.created_at, [t.created_at for t in given]) else ""
            found.append(Seen(key_of(row.question), row.id, row.started_at, reasons, consent))
    return found, blind


def key_of(question: str) -> str:
    """Give 16 hex digits that are the same for every wording of case, marks and white space."""
    words = " ".join(tokens(question)) or " ".join(question.split())
    return text_hash(words)[:16]


def failed(scores: Mapping[str, Any], metrics: Mapping[str, MetricSettings]) -> list[str]:
    """Name the online metrics of a call that are outside their limits; unmeasured ones are not."""
    found = []
    for name, each in metrics.items():
        value = scores.get(name)
        if isinstance(value, int | float) and (
            (each.min is not None and value < each.min)
            or (each.max is not None and value > each.max)
        ):
            found.append(name)
    return found


def online_scores(
    ledger: Ledger, since: float, until: float | None = None
) -> dict[str, dict[str, Any]]:
    """Give the newest online metrics of each call since a time and before another."""
    ledger.drain()
    with ledger.database.begin(write=False) as db:
        return _scores(db, since, until)


def _scores(
    db: sa.Connection, since: float, until: float | None = None
) -> dict[str, dict[str, Any]]:
    query = (
        sa.select(_call.c.parent_id, _call.c.tags)
        .where(_call.c.kind == "eval", _call.c.started_at >= since, _call.c.parent_id != "")
        .order_by(_call.c.started_at, _call.c.id)
    )
    if until is not None:
        judged = _call.alias()
        query = query.join(judged, judged.c.id == _call.c.parent_id)
        query = query.where(judged.c.started_at >= since, judged.c.started_at < until)
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in db.execute(query):
        if row.tags.get("suite") == ONLINE:
            found[row.parent_id] |= row.tags
    return found


def _with_text(since: float) -> Any:
    names = ("id", "started_at", "outcome", "reason", "model", "session", "user_key", "tags")
    return (
        sa.select(*(_call.c[name] for name in names), _text.c.question, _text.c.created_at)
        .select_from(_call.join(_text, _text.c.call_id == _call.c.id))
        .where(_call.c.started_at >= since, _ASKED, _text.c.question != "")
        .order_by(_call.c.started_at, _call.c.id)
    )


def _without_text(since: float) -> list[Any]:
    """Count refusals and thumbs down whose text nobody stored."""
    count = sa.select(sa.func.count(sa.distinct(_call.c.id)))
    without = _call.outerjoin(_text, _text.c.call_id == _call.c.id)
    where = (_call.c.started_at >= since, _ASKED, _text.c.call_id.is_(None))
    down = without.join(_thumb, _thumb.c.call_id == _call.c.id)
    return [
        count.select_from(without).where(*where, _call.c.outcome == "refusal"),
        count.select_from(down).where(*where, _call.c.outcome != "refusal",
                                      _thumb.c.value.is_(False)),
    ]  # fmt: skip


def _why(row: Any, thumbs: Sequence[Any], settings: LoopSettings) -> set[str]:
    found = set()
    if any(each.reason == EDIT and (each.comment or "").strip() for each in thumbs):
        found.add("edit")
    elif thumbs and not thumbs[-1].value:
        found.add("thumb")
    if row.outcome == "refusal":
        found.add("guard" if row.reason == "policy" else "refusal")
    support = row.tags.get("support")
    if row.outcome == "ok" and isinstance(support, int | float) and support < settings.low_support:
        found.add("low_support")
    return found


def _asked_again(rows: Sequence[Any]) -> set[str]:
    """Give the calls after which the same person or conversation asked the same once more."""
    last: dict[tuple[str, str], str] = {}
    found = set()
    for row in rows:
        who = row.session or row.user_key
        if who:
            place = (who, key_of(row.question))
            if place in last:
                found.add(last[place])
            last[place] = row.id
    return found
