"""What the ledger says of a business case: cost, shares and volume, each with how many rows."""

import time

from genai.ledger import Ledger
from genai.ledger.query import add
from genai.ledger.rollup import EARLIEST, Sums, misdated, sums
from genai.reports.business.inputs import Input

_FEW = 30  # answers below which a share is no ground for a headline


def measured(ledger: Ledger, since: float = 0.0) -> tuple[dict[str, Input], list[str]]:
    """Give the inputs that the ledger can measure, and what speaks against a headline figure.

    `cost` is resampled by whole days, `escalated` is the share of questions that were refused or
    failed, `volume` the questions a month at the pace from the first day to the last. Rows that a
    wrong clock dated before 2020 or after today are left out, and the source counts them.
    """
    ledger.roll_up()
    now = time.time()
    first = max(since, EARLIEST * 86_400.0)

    def of(kind: str) -> dict[tuple[object, ...], Sums]:
        return sums(ledger.database, ("day",), kind=kind, since=first, until=now)

    asked, paid = of("chain"), {kind: of(kind) for kind in ("model", "embedding")}
    found: dict[str, Input] = {}
    warnings: list[str] = []
    if not asked:
        return {}, ["the ledger holds no question yet"]
    money = {day: add(each[day].money for each in paid.values() if day in each) for day in asked}
    blocks = tuple((float(money[day].total), float(each.calls)) for day, each in asked.items())
    questions = sum(each.calls for each in asked.values())
    answers = sum(each.outcomes.get("ok", 0) for each in asked.values())
    days = [int(str(day)) for (day,) in asked]
    span, wrong = max(days) - min(days) + 1, misdated(ledger.database, now=now)
    source = f"ledger, {span} days"
    source += f", {wrong} questions with a wrong date left out" if wrong else ""
    found["cost"] = Input("cost", "blocks", 0.0, blocks=blocks, source=source, n=questions)
    lost = questions - answers
    found["escalated"] = Input("escalated", "beta", lost, questions, source=source, n=questions)
    pace = questions / span * 30.4
    found["volume"] = Input("volume", "fixed", pace, source=source, n=questions)
    coverage = add(money.values()).coverage
    if coverage is not None and coverage < 0.95:
        warnings.append(f"the cost of {1 - coverage:.0%} of the calls is not known for sure")
    if questions < _FEW:
        warnings.append(f"{questions} questions are recorded; {_FEW} are needed for a share")
    return found, warnings
