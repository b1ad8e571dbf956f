"""What the ledger says of a business case: cost, shares and volume, each with how many rows."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genai.ledger import Ledger
from genai.ledger.query import Money, add
from genai.ledger.rollup import EARLIEST, PAID, Sums, day_name, misdated, of_runs, sums
from genai.reports.business.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Mapping
_FEW = 30  # answers below which a share is no ground for a headline


@dataclass(frozen=True, slots=True)
class Quality:
    """What people and judges said of the answers of a period.

    `judged` answers were drawn by chance and `wrong` of them failed; `reviewed` questions were
    read and decided on by a person.
    """

    judged: int = 0
    wrong: int = 0
    reviewed: int = 0


_ByDay = dict[int, Sums]


@dataclass(frozen=True, slots=True)
class Days:
    """What the ledger holds of a period: questions and money a UTC day, and whence, in words.

    `money` has the days without a question too, such as those of a sync on a Sunday.
    """

    asked: _ByDay
    money: "Mapping[int, Money]"
    source: str


def measured(
    ledger: Ledger, since: float = 0.0, quality: Quality | None = None, *, days: Days | None = None
) -> tuple[dict[str, Input], list[str]]:  # fmt: skip
    """Give the inputs that the ledger can measure, and what speaks against a headline figure.

    `days` are those that `days_of` read before, in the place of a period. `cost` is all money, that
    of days without a question too, and is resampled by whole days; `escalated` is the share of
    questions that were refused or failed, `volume` the questions a month at the pace from the first
    day to the last. With a `quality`, `success` and `undetected` are the shares of all questions
    answered rightly and wrongly, and `review` the share that a person read. Questions of eval runs
    are left out, as are rows that a wrong clock dated before 2020 or after today, and the source
    counts them. Periods are whole UTC days from the one of `since` on.
    """
    found: dict[str, Input] = {}
    warnings: list[str] = []
    days = days or days_of(ledger, since)
    asked, source = days.asked, days.source
    if not asked:
        return {}, ["the ledger holds no question yet"]
    blocks = tuple(
        (float(money.total), float(asked.get(day, Sums()).calls))
        for day, money in days.money.items()
    )
    questions = sum(each.calls for each in asked.values())
    answers = sum(each.outcomes.get("ok", 0) for each in asked.values())
    found["cost"] = Input("cost", "blocks", 0.0, blocks=blocks, source=source, n=questions)
    lost = questions - answers
    found["escalated"] = Input("escalated", "beta", lost, questions, source=source, n=questions)
    pace = questions / _span(asked) * 30.4
    found["volume"] = Input("volume", "fixed", pace, source=source, n=questions)
    coverage = add(days.money.values()).coverage
    if coverage is not None and coverage < 0.95:
        warnings.append(f"the cost of {1 - coverage:.0%} of the calls is not known for sure")
    if questions < _FEW:
        warnings.append(f"{questions} questions are recorded; {_FEW} are needed for a share")
    if quality is not None:
        found |= _qualities(quality, questions, answers, source)
    return found, warnings


def _qualities(given: Quality, questions: int, answers: int, source: str) -> dict[str, Input]:
    """Give the shares of all questions; the sample stands for the answered ones."""
    found = {}
    if given.judged and answers:
        whole = given.judged * questions / answers
        said = f"{source}, {given.judged} answers judged"
        for name, hits in (("success", given.judged - given.wrong), ("undetected", given.wrong)):
            found[name] = Input(name, "beta", hits, whole, source=said, n=given.judged)
    reviewed = min(given.reviewed, questions)
    found["review"] = Input("review", "beta", reviewed, questions, source=source, n=questions)
    return found


def few(inputs: "Mapping[str, Input]") -> list[str]:
    """Name the shares that rest on too few cases for a headline figure."""
    return [
        f"`{name}` rests on {each.n} cases; {_FEW} are needed"
        for name, each in inputs.items()
        if each.kind == "beta" and each.n is not None and each.n < _FEW
    ]


def stamp(ledger: Ledger, days: Days) -> dict[str, str]:
    """Say what measured inputs rest on: the days, a hash of their sums, coverage, price lists."""
    if not days.asked:
        return {}
    asked = [days.asked.get(day, Sums()) for day in days.money]
    rows = [
        [day, each.calls, sorted(each.outcomes.items()), str(money.total)]
        for each, (day, money) in zip(asked, days.money.items(), strict=True)
    ]
    whole = add(days.money.values())
    coverage = "unknown" if whole.coverage is None else f"{whole.coverage:.1%} of calls"
    first, last = min(days.money), max(days.money)
    return {
        "period": f"{day_name(first)} to {day_name(last)}",
        "ledger": hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16],
        "coverage": coverage,
        "prices": ", ".join(_snapshots(ledger, first, last)) or "none",
    }


def _snapshots(ledger: Ledger, first: int, last: int) -> list[str]:
    """Give the hashes of the price lists that calls of some days were priced by."""
    import sqlalchemy as sa

    from genai.ledger.tables import calls as table

    query = sa.select(table.c.price_snapshot).where(
        table.c.day >= first, table.c.day <= last, table.c.price_snapshot != ""
    )
    return sorted(row.price_snapshot for row in ledger.read(query.distinct()))


def days_of(ledger: Ledger, since: float = 0.0, until: float | None = None) -> Days:
    """Read a period once, for `measured` and `stamp`; its bounds are Unix times, UTC days."""
    ledger.roll_up()
    now = time.time()
    first, last = max(since, EARLIEST * 86_400.0), now if until is None else min(until - 1, now)

    def of(kind: str | Sequence[str]) -> _ByDay:
        found = sums(ledger.database, ("day",), kind=kind, since=first, until=last)
        return {int(str(day)): each for (day,), each in found.items()}

    asked, paid, runs = of("chain"), of(PAID), of(of_runs("chain"))
    money = {day: paid.get(day, Sums()).money for day in sorted(asked.keys() | paid.keys())}
    wrong = misdated(ledger.database, now=now)
    source = f"ledger, {_span(asked)} days" if asked else ""
    tried = sum(each.calls for each in runs.values())
    source += f", {tried} questions of eval runs left out" * (tried > 0)
    source += f", {wrong} questions with a wrong date left out" * (wrong > 0)
    return Days(asked, money, source)


def _span(asked: _ByDay) -> int:
    return max(asked) - min(asked) + 1
