"""What would be different, and which of the recorded calls it concerns."""

from dataclasses import dataclass

from genai.errors import InputError
from genai.ledger import Ledger
from genai.ledger.walk import walk
from genai.reports.asked import outside_runs


@dataclass(frozen=True, slots=True)
class Change:
    """What is different. `model` is another one, `cached` the share of input read from a cache.

    `cut` is how many input tokens fewer a call has. `only` keeps to calls of one model. `route` is
    a figure of the question's row and its least value: the calls of other questions stay as they
    are. With `answers` a question that was asked before, of the same prompt, settings and index, is
    answered from a cache of our own.
    """

    model: str = ""
    cached: float | None = None
    cut: int = 0
    only: str = ""
    route: tuple[str, float] | None = None
    answers: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be. Raises `InputError`."""
        if self.cached is not None and not 0 <= self.cached <= 1:
            raise InputError(f"what-if: `cached` is a share of the input, not {self.cached}")
        if self.cut < 0:
            raise InputError(f"what-if: `cut` is a number of tokens, not {self.cut}")
        if self.route is not None and not self.model:
            raise InputError("what-if: a route leads to another model; name it as `model`")


@dataclass(frozen=True, slots=True)
class Concerned:
    """The questions of a period, by the ids of their rows, as a change sorts them.

    `routed` go the other way (None: all do), `repeated` were asked before; `unread` of `questions`
    have no stored text, so that nobody knows whether they were.
    """

    questions: int = 0
    routed: frozenset[str] | None = None
    repeated: frozenset[str] = frozenset()
    unread: int = 0


def concerned(ledger: Ledger, change: Change, since: float, until: float) -> Concerned:
    """Sort the questions people asked. Nothing is read where the change concerns every call."""
    if change.route is None and not change.answers:
        return Concerned()
    routed: set[str] = set()
    seen: set[tuple[str, ...]] = set()
    repeated: set[str] = set()
    questions, unread = 0, 0
    texts = _texts(ledger, since, until) if change.answers else {}
    for batch in walk(ledger.database, since, until, kinds=("chain",)):
        for call in outside_runs(batch):
            questions += 1
            if change.route is not None:
                value = call.tags.get(change.route[0])
                if isinstance(value, int | float) and value >= change.route[1]:
                    routed.add(call.id)
            text, of = texts.get(call.id, ""), call.context
            key = (text, of.prompt_id, of.config_hash, of.index_revision, of.tenant)
            unread += not text
            if text and key in seen:
                repeated.add(call.id)
            elif text and call.outcome == "ok":
                seen.add(key)  # a refusal or a failure is not kept
    only = None if change.route is None else frozenset(routed)
    return Concerned(questions, only, frozenset(repeated), unread if change.answers else 0)


def _texts(ledger: Ledger, since: float, until: float) -> dict[str, str]:
    """Give the stored questions of a period, white space and case aside."""
    import sqlalchemy as sa

    from genai.ledger.tables import calls, content

    query = (
        sa.select(content.c.call_id, content.c.question)
        .join(calls, calls.c.id == content.c.call_id)
        .where(calls.c.started_at >= since, calls.c.started_at < until, content.c.question != "")
    )
    rows = ledger.read(query)
    return {row.call_id: " ".join(row.question.casefold().split()) for row in rows}
