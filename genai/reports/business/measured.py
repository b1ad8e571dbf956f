"""What the ledger says of a business case: cost, shares and volume, each with how many rows."""

from collections.abc import Sequence

from genai.ledger import DayRow, Ledger
from genai.reports.business.inputs import Input

_FEW = 30  # answers below which a share is no ground for a headline


def measured(ledger: Ledger, since: float = 0.0) -> tuple[dict[str, Input], list[str]]:
    """Give the inputs that the ledger can measure, and what speaks against a headline figure.

    `cost` is resampled by whole days, `escalated` is the share of questions that were refused or
    failed, `volume` the questions a month at the pace of the days recorded.
    """
    groups = ledger.groups(since)
    days: Sequence[DayRow] = groups.by_day()
    summary = groups.summary()
    found: dict[str, Input] = {}
    warnings: list[str] = []
    asked = [day for day in days if day.questions]
    if not asked:
        return {}, ["the ledger holds no question yet"]
    blocks = tuple((float(day.cost.total), float(day.questions)) for day in asked)
    questions, answers = summary.questions, summary.answers
    source = f"ledger, {len(asked)} days"
    found["cost"] = Input("cost", "blocks", 0.0, blocks=blocks, source=source, n=questions)
    lost = questions - answers
    found["escalated"] = Input("escalated", "beta", lost, questions, source=source, n=questions)
    pace = questions / len(asked) * 30.4
    found["volume"] = Input("volume", "fixed", pace, source=source, n=questions)
    coverage = summary.cost.coverage
    if coverage is not None and coverage < 0.95:
        warnings.append(f"the cost of {1 - coverage:.0%} of the calls is not known for sure")
    if questions < _FEW:
        warnings.append(f"{questions} questions are recorded; {_FEW} are needed for a share")
    return found, warnings
