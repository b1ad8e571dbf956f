"""The review queue: one item a question, in the ledger's own database, each step one transaction.

The item holds the reviewers' words; what the person asked and was told stays in the ledger and is
read from there, so that it is gone when the ledger forgets it.

    open -> accepted   what was said is right: a case holds on to it
    open -> edited     the reviewer wrote what should have come, or that it should be refused
    open -> rejected   of no use
    accepted, edited -> promoted
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from genai.errors import InputError
from genai.evals.make import scrub
from genai.finetune.data.heard import EDIT
from genai.ledger import Ledger, tables
from genai.ledger.drain import insert_for
from genai.loop.seen import WEIGHTS, Seen, look
from genai.loop.settings import LoopSettings

Word = Literal["accept", "edit", "refuse", "reject", "reopen"]
# word -> the state it leads to, and those it may come from
_STEPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "accept": ("accepted", ("open",)),
    "edit": ("edited", ("open",)),
    "refuse": ("edited", ("open",)),
    "reject": ("rejected", ("open",)),
    "reopen": ("open", ("accepted", "edited", "rejected")),
}
_DAY = 86_400
_metadata = sa.MetaData()
_items = sa.Table(
    "review_item",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("found_at", sa.Double, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("consent", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("changed_at", sa.Double, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False, server_default="")
      for name in ("reviewer", "label", "text", "expect", "target", "name")),
)  # fmt: skip
_calls = sa.Table(
    "review_call",
    _metadata,
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("item", sa.Text, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One question to review, and what the ledger knows of it.

    `why` says what drew attention to it and `calls` how often; `question` is empty where the ledger
    has forgotten it. `comment` is what the person wrote with a thumb, `wish` the better answer they
    wrote. `text` is the reviewer's, `expect` is `refusal` where it should be refused. `target` is
    `case` or `pair` once it is promoted, and `name` what it is called there.
    """

    id: str
    state: str
    call_id: str
    at: float
    found_at: float
    changed_at: float
    why: tuple[str, ...]
    calls: int
    consent: str
    reviewer: str = ""
    label: str = ""
    text: str = ""
    expect: str = ""
    target: str = ""
    name: str = ""
    question: str = ""
    answer: str = ""
    comment: str = ""
    wish: str = ""
    outcome: str = ""
    reason: str = ""
    model: str = ""
    prompt_id: str = ""
    user_key: str = ""
    session: str = ""

    @property
    def priority(self) -> int:
        """What comes first: how much the reasons weigh, and how many asked."""
        return sum(WEIGHTS.get(each, 0) for each in self.why) + min(self.calls - 1, 10)

    @property
    def day(self) -> str:
        """The UTC day of the question, as an ISO date."""
        return datetime.fromtimestamp(self.at, UTC).date().isoformat()

    @property
    def group(self) -> str:
        """Who asked, for the routing of training rows."""
        return self.user_key or self.session or self.call_id


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a look at the ledger gave: new items, calls to look at, and those without a text."""

    new: int
    calls: int
    blind: int

    def text(self) -> str:
        """Say it in one line."""
        unseen = f"; {self.blind} more have no stored text (`ledger.content`)" if self.blind else ""
        return f"{self.new} new of {self.calls} calls to look at{unseen}"


class Queue:
    """The queue of one ledger. Any number of processes may work on it at once."""

    def __init__(self, ledger: Ledger, settings: LoopSettings) -> None:
        self.ledger = ledger
        self.settings = settings
        self._ready = False

    def refresh(self, now: float | None = None) -> Refreshed:
        """Put into the queue what the ledger shows since the configured days.

        Calls with the same question are one item. A decided item only counts its new calls.
        """
        now = time.time() if now is None else now
        found, blind = look(self.ledger, self.settings, now - self.settings.days * _DAY)
        with self._write() as db:
            held = {row.id: row for row in db.execute(_items.select())}
            new = sum(self._put(db, held, each, now) for each in found)
        return Refreshed(new, len(found), blind)

    def _put(self, db: sa.Connection, held: dict[str, Any], seen: Seen, now: float) -> bool:
        call = {"call_id": seen.call_id, "item": seen.key}
        db.execute(insert_for(db, _calls).values(call).on_conflict_do_nothing())
        row = held.get(seen.key)
        if row is None:
            values = {
                "id": seen.key, "call_id": seen.call_id, "at": seen.at, "found_at": now,
                "why": " ".join(seen.why), "consent": seen.consent, "state": "open",
                "changed_at": now,
            }  # fmt: skip
            db.execute(_items.insert().values(values))
        elif row.state == "open":
            why = sorted({*row.why.split(), *seen.why}, key=lambda each: (-WEIGHTS[each], each))
            values = {"why": " ".join(why)}
            if seen.consent and (not row.consent or seen.call_id == row.call_id):
                values |= {"call_id": seen.call_id, "at": seen.at, "consent": seen.consent}
            db.execute(_items.update().where(_items.c.id == seen.key).values(values))
        if row is None or row.state == "open":
            query = _items.select().where(_items.c.id == seen.key)
            held[seen.key] = db.execute(query).one()
        return row is None

    def items(self, *states: str) -> list[Item]:
        """Give the items in these states (default: open), what weighs most first."""
        with self._write() as db:
            found = _read(db, _items.c.state.in_(states or ("open",)))
        return sorted(found, key=lambda each: (-each.priority, each.at, each.id))

    def item(self, name: str) -> Item:
        """Give an item by its id or a unique beginning. Raises `InputError`."""
        with self._write() as db:
            return _one(db, name)

    def review(
        self, name: str, word: Word, reviewer: str, *, text: str = "", label: str = "",
        call_id: str = "",
    ) -> Item:  # fmt: skip
        """Decide on an item: accept, edit (with the better text), refuse, reject, or reopen it.

        `label` is a word for what was wrong, `call_id` the call whose answer was read. Personal
        data and secrets in the text are replaced.

        Raises:
            InputError: nobody's name, no text, or somebody else has decided meanwhile.
        """
        if word not in _STEPS:
            raise InputError(f"`{word}` is no decision; known: {', '.join(_STEPS)}")
        if not reviewer.strip():
            raise InputError("a decision has a person behind it; give the reviewer's name")
        if (word == "edit") != bool(text.strip()):
            raise InputError("`edit` takes the text that should have come, and only `edit` does")
        if len(label) > 40 or not label.isprintable():
            raise InputError("a label is a word or two, at most 40 characters")
        state, before = _STEPS[word]
        values = {
            "state": state, "changed_at": time.time(), "reviewer": reviewer.strip(),
            "label": label.strip(), "text": scrub(text.strip()),
            "expect": "refusal" if word == "refuse" else "",
        }  # fmt: skip
        with self._write() as db:
            item = _one(db, name)
            if item.state not in before or call_id not in ("", item.call_id):
                who = f" by {item.reviewer}" if item.reviewer else ""
                raise InputError(
                    f"{item.id}: is {item.state}{who} meanwhile, so it is not changed; look again"
                )
            db.execute(_items.update().where(_items.c.id == item.id).values(values))
            return _one(db, item.id)

    @contextmanager
    def promoting(self, name: str) -> Iterator[tuple[Item, dict[str, str]]]:
        """Hold a decided item while the block writes it elsewhere; then it is promoted.

        The block fills in `target` and `name`. Two promotions never run at once. What the block
        writes must be the same when it is written again: after a kill between its end and the
        end of the transaction the item is still to be promoted.

        Raises:
            InputError: nobody has decided on it, or it is promoted already.
        """
        with self._write() as db:
            item, done = _one(db, name), dict[str, str]()
            if item.state == "promoted":
                raise InputError(f"{item.id}: is the {item.target} {item.name} already")
            if item.state not in ("accepted", "edited"):
                raise InputError(f"{item.id}: is {item.state}; accept or edit it first")
            yield item, done
            values = {"state": "promoted", "changed_at": time.time(), **done}
            db.execute(_items.update().where(_items.c.id == item.id).values(values))

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """Open a transaction that no other one of the queue runs beside."""
        with self.ledger.database.begin() as db:
            if db.dialect.name == "postgresql":
                db.execute(sa.text("SELECT pg_advisory_xact_lock(4712)"))
            if not self._ready:
                _metadata.create_all(db)
            yield db
        self._ready = True


def _one(db: sa.Connection, name: str) -> Item:
    found = _read(db, _items.c.id.startswith(name, autoescape=True)) if name else []
    if len(found) != 1:
        what = "begins several items" if found else "is no item of the queue"
        raise InputError(f"`{name}` {what}; list them: genai loop review")
    return found[0]


def _read(db: sa.Connection, where: Any) -> list[Item]:
    call, text = tables.calls, tables.content
    query = (
        sa.select(
            _items, call.c.outcome, call.c.reason, call.c.model, call.c.prompt_id,
            call.c.user_key, call.c.session, text.c.question, text.c.answer,
        )
        .select_from(
            _items.outerjoin(call, call.c.id == _items.c.call_id).outerjoin(
                text, text.c.call_id == _items.c.call_id
            )
        )
        .where(where)
    )  # fmt: skip
    rows = db.execute(query).all()
    grouped = sa.select(_calls.c.item, sa.func.count().label("n")).group_by(_calls.c.item)
    counts = {row.item: row.n for row in db.execute(grouped)}
    said = _said(db, [row.call_id for row in rows])
    return [_item(row, counts.get(row.id, 1), said.get(row.call_id, [])) for row in rows]


def _said(db: sa.Connection, calls: Sequence[str]) -> dict[str, list[Any]]:
    """Give the thumbs of calls, oldest first."""
    thumb, found = tables.feedback, dict[str, list[Any]]()
    for start in range(0, len(calls), 500):
        query = thumb.select().where(thumb.c.call_id.in_(calls[start : start + 500]))
        for row in db.execute(query.order_by(thumb.c.created_at, thumb.c.id)):
            found.setdefault(row.call_id, []).append(row)
    return found


def _item(row: Any, calls: int, thumbs: Sequence[Any]) -> Item:
    wishes = [each.comment for each in thumbs if each.reason == EDIT and each.comment]
    notes = [
        ": ".join(filter(None, (each.reason, each.comment)))
        for each in thumbs
        if each.reason != EDIT and (each.reason or each.comment)
    ]
    own: dict[str, Any] = {
        column.name: getattr(row, column.name) for column in _items.c if column.name != "why"
    }
    names = ("outcome", "reason", "model", "prompt_id", "user_key", "session", "question", "answer")
    texts: dict[str, Any] = {name: getattr(row, name) or "" for name in names}
    return Item(
        why=tuple(row.why.split()), calls=calls, comment="; ".join(notes),
        wish=wishes[-1] if wishes else "", **own, **texts,
    )  # fmt: skip
