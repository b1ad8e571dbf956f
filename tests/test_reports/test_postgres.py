"""The reports on a PostgreSQL server say what they say on SQLite."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from postgres import binaries, new_database, postgres

from genai.ledger import Ledger, Prices
from genai.reports.alerts import AlertSettings, due
from genai.reports.asked import asked
from genai.reports.business import days_of, measured, stamp
from genai.reports.counterfactual import Change, counterfactual
from genai.reports.monitor import monitor
from genai.types import Call, Context, Cost, CostStatus, Usage

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL: apt install postgresql")
DAY = 86_400
NOW = 20_710 * DAY + 5_000.0
PRICES = Prices.read({"models": {"m": {"input": "0.00001", "output": "0.00002"}}}, "prices.yaml")


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield new_database(server)


def said(ledger: Ledger) -> dict[str, Any]:
    """Write some days, two of them impossible, and give what every report says of them."""
    usage = Usage(1000, 50, source="provider")
    for n in range(60):
        at = 5.0 if n == 58 else NOW + 900 * DAY if n == 59 else NOW - DAY * (n % 3) - n
        context = Context(feature="chat" if n % 2 else "mail")
        cost = Cost(Decimal("0.011"), CostStatus.PRICED, snapshot=f"p{n % 2}")
        chain = Call(f"c{n:027x}", "chain", at, 1.0, "ok", "m", context, usage, cost)
        ledger.record(chain, question=f"Question {n % 20}?", answer="So.")
        ledger.record(Call(f"m{n:027x}", "model", at, 1.0, "ok", "m",
                           Context(parent_id=chain.id, feature=context.feature), usage, cost,
                           response_model="m-1"))  # fmt: skip
        ledger.record(Call(f"g{n:027x}", "guard", at, 0.1, "ok", "guards/answer", context,
                           response_model="m", reason="" if n % 3 else "redact"))  # fmt: skip
    ledger.flush()
    for n in (1, 2, 3):
        ledger.feedback(f"c{n:027x}", n == 1)
    found = monitor(ledger, now=NOW)
    thumbs = monitor(ledger, where={"feature": "chat"}).thumbs
    rules = AlertSettings.model_validate({"rules": [
        {"name": "open", "figure": "stale_reservations", "below": 1},
        {"name": "rows", "figure": "lost_rows", "below": 1},
        {"name": "repeated", "figure": "retry_share", "hours": 24, "below": 0.1, "least": 1},
    ]})  # fmt: skip
    alerts = due(rules, ledger, ledger.path.parent / "told.json", now=NOW)
    questions = asked(ledger, NOW - 5 * DAY, NOW)
    change = Change(answers=True)
    cheaper = counterfactual(ledger, PRICES, change, NOW - 5 * DAY, NOW)
    inputs, _ = measured(ledger)
    return {
        "figures": (found.whole.calls, found.misdated, found.whole.money.total, thumbs),
        "verdicts": [dict(each) for each in (found.models[0].verdicts, found.guards[0].reasons)],
        "alerts": [alert.text for alert in alerts],
        "tags": sorted({str(call.tags.get("fingerprint")) for call in questions}),
        "down": sum(call.tags.get("thumbs down", 0.0) for call in questions),
        "cheaper": (cheaper.booked, cheaper.other, cheaper.assumed),
        "inputs": {name: (each.central, each.source) for name, each in inputs.items()},
        "stamp": stamp(ledger, days_of(ledger)),
    }


def test_the_reports_say_the_same(url: str, tmp_path: Path) -> None:
    one = Ledger(tmp_path / "a" / "ledger.db", content="all")
    other = Ledger(tmp_path / "b" / "ledger.db", url=url, content="all")
    here, there = said(one), said(other)
    assert here == there
    assert here["figures"] == (58, 2, Decimal("0.638"), (1, 1))
    assert here["verdicts"] == [{"redact": 20}, {"redact": 20}]
    assert here["cheaper"][1] == 20 * Decimal("0.011")
    assert here["stamp"]["prices"] == "p0, p1"
    other.database.dispose()
