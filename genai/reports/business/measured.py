"""What the ledger says of a business case: cost, shares and volume, each with how many rows."""

from genai.ledger import Ledger
from genai.ledger.query import add
from genai.ledger.rollup import sums
from genai.reports.business.inputs import Input

_FEW = 30  # answers below which a share is no ground for a headline


def measured(ledger: Ledger, since: float = 0.0) -> tuple[dict[str, Input], list[str]]:
    """Give the inputs that the ledger can measure, and what speaks against a headline figure.

    `cost` is resampled by whole days, `escalated` is the share of questions that were refused or
    failed, `volume` the questions a month at the pace of the days recorded.
    """
    ledger.roll_up()
    asked = sums(ledger.database, ("day",), since=since)
    paid = {
        kind: sums(ledger.database, ("day",), kind=kind, since=since)
        for kind in ("model", "embedding")
    }
    found: dict[str, Input] = {}
    warnings: list[str] = []
    if not asked:
        return {}, ["the ledger holds no question yet"]
    money = {day: add(each[day].money for each in paid.values() if day in each) for day in asked}
    blocks = tuple((float(money[day].total), float(each.calls)) for day, each in asked.items())
    questions = sum(each.calls for each in asked.values())
    answers = sum(each.outcomes.get("ok", 0) for each in asked.values())
    source = f"ledger, {len(asked)} days"
    found["cost"] = Input("cost", "blocks", 0.0, blocks=blocks, source=source, n=questions)
    lost = questions - answers
    found["escalated"] = Input("escalated", "beta", lost, questions, source=source, n=questions)
    pace = questions / len(asked) * 30.4
    found["volume"] = Input("volume", "fixed", pace, source=source, n=questions)
    coverage = add(money.values()).coverage
    if coverage is not None and coverage < 0.95:
        warnings.append(f"the cost of {1 - coverage:.0%} of the calls is not known for sure")
    if questions < _FEW:
        warnings.append(f"{questions} questions are recorded; {_FEW} are needed for a share")
    return found, warnings
