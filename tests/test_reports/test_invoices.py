"""Bills beside the ledger: planted differences land in their own line, and bad files say why."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import genai
from genai.cli import main
from genai.errors import ConfigError, InputError
from genai.ledger import Ledger, Prices
from genai.project import init, starter
from genai.reports.invoices import (
    InvoiceSettings,
    Reconciliation,
    load_formats,
    read_invoice,
    reconcile,
    track,
)
from genai.types import UNKNOWN_COST, Call, Cost, CostStatus, Usage

DAY = 86_400
START = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
PRICES = Prices.read(
    {"models": {"openai/gpt-4o-mini": {"input": "0.00000015", "output": "0.0000006"},
                "openai/gpt-4o": {"input": "0.0000025", "output": "0.00001"}}},
    "prices.yaml",
)  # fmt: skip
COSTS = "start_time,end_time,amount_value,amount_currency,line_item\n"
USAGE = "start_time,model,num_model_requests,input_tokens,output_tokens,input_cached_tokens\n"


def price(call: Call, usage: Usage) -> Decimal | None:
    return PRICES.cost(call.model, usage).amount


@pytest.fixture
def settings() -> InvoiceSettings:
    return load_formats(starter() / "configs" / "invoices.yaml")


class Books:
    """A ledger that is filled call by call."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)
        self.count = 0

    def book(self, model: str, calls: int, *, at: float = START + 3600, **changes: Any) -> None:
        usage = changes.pop("usage", Usage(1000, 500, source="provider"))
        for _ in range(calls):
            self.count += 1
            cost = changes.get("cost") or PRICES.cost(model, usage)
            given = {"provider": "openai", **changes, "cost": cost}
            self.ledger.record(
                Call(f"m{self.count:027x}", "model", at, 0.1, "ok", model, usage=usage, **given)
            )


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "ledger.db")


def held(books: Books, settings: InvoiceSettings, files: Sequence[Path], **given: Any
         ) -> Reconciliation:  # fmt: skip
    bills = [read_invoice(path, settings, **given) for path in files]
    return reconcile(books.ledger, bills, settings, price)


def write(path: Path, head: str, *rows: str) -> Path:
    path.write_text(head + "".join(f"{row}\n" for row in rows))
    return path


def cost_of(calls: int) -> Decimal:
    return PRICES.cost("openai/gpt-4o-mini", Usage(1000, 500, source="provider")).amount * calls  # type: ignore[operator]


def test_every_planted_difference_lands_in_its_own_line_and_nothing_is_left(
    books: Books, settings: InvoiceSettings, tmp_path: Path
) -> None:
    day = int(START)
    books.book("openai/gpt-4o-mini", 800)  # 200 of 1,000 calls are missing
    books.book("openai/gpt-4o", 100)  # billed 10 % above our rate
    books.book("openai/gpt-4o-mini", 1000, at=START + DAY + 60)  # all is well
    books.book("openai/gpt-4o", 50, at=START + DAY + 60)  # other token counts
    rate = PRICES.cost("openai/gpt-4o", Usage(100_000, 50_000, source="provider")).amount
    more = PRICES.cost("openai/gpt-4o", Usage(50_000, 30_000, source="provider")).amount
    assert rate is not None
    assert more is not None
    costs = write(
        tmp_path / "costs.csv", COSTS,
        f'{day},{day + DAY},{cost_of(1000) / 3},usd,"gpt-4o-mini, input"',
        f'{day},{day + DAY},{cost_of(1000) - cost_of(1000) / 3},usd,"gpt-4o-mini, output"',
        f'{day},{day + DAY},{rate * Decimal("1.1")},usd,"gpt-4o, input"',
        f"{day},{day + DAY},0.25,usd,web search tool calls",
        f'{day + DAY},{day + 2 * DAY},{cost_of(1000)},usd,"gpt-4o-mini, input"',
        f'{day + DAY},{day + 2 * DAY},{more},usd,"gpt-4o, input"',
        f"{day + 2 * DAY},{day + 3 * DAY},,,",
    )  # fmt: skip
    usage = write(
        tmp_path / "usage.csv", USAGE,
        f"{day},gpt-4o-mini,1000,1000000,500000,0",
        f"{day},gpt-4o,100,100000,50000,0",
        f"{day + DAY},gpt-4o-mini,1000,1000000,500000,0",
        f"{day + DAY},gpt-4o,50,50000,30000,0",
    )  # fmt: skip
    found = held(books, settings, [costs, usage])
    parts = found.parts
    assert parts["missing calls"] == pytest.approx(cost_of(200))
    assert parts["rate"] == pytest.approx(rate / 10)
    assert parts["fees"] == Decimal("0.25")
    assert parts["token counts"] == pytest.approx(Decimal(5000) * Decimal("0.00001"))
    assert "remainder" not in parts
    assert sum(parts.values()) == pytest.approx(found.billed - found.booked)
    assert found.counts() == {"matched": 1, "mismatched": 3, "provider-only": 1}
    assert found.exit_code == 1
    text = found.text()
    assert "2026-11-02  mismatched     gpt-4o-mini" in text
    assert "missing calls $0.09" in text


@pytest.mark.parametrize(
    "answered", ["gpt-4o-mini-2024-07-18", "o3-deep-research-2025-06-26", "gpt-4o-search-preview"]
)
def test_a_bill_that_agrees_matches_to_the_line(
    books: Books, settings: InvoiceSettings, tmp_path: Path, answered: str
) -> None:
    books.book("openai/gpt-4o-mini", 10, response_model=answered)
    books.book("fake/echo", 5, provider="fake")
    body = {"object": "page", "data": [
        {"object": "bucket", "start_time": int(START), "end_time": int(START) + DAY, "results": [
            {"amount": {"value": float(cost_of(10)), "currency": "usd"},
             "line_item": f"{answered}, input"}]}]}  # fmt: skip
    found = held(books, settings, [write(tmp_path / "costs.json", json.dumps(body))])
    assert (found.counts(), found.exit_code, found.calls) == ({"matched": 1}, 0, 10)
    assert found.billed == cost_of(10)


def test_cents_and_cache_of_another_provider(
    books: Books, settings: InvoiceSettings, tmp_path: Path
) -> None:
    books.book("anthropic/claude-x", 2, provider="anthropic",
               cost=Cost(Decimal("0.5"), CostStatus.PRICED))  # fmt: skip
    costs = {
        "data": [
            {
                "starting_at": "2026-11-02T00:00:00Z",
                "results": [
                    {
                        "amount": "100",
                        "currency": "USD",
                        "model": "claude-x",
                        "description": "Claude input",
                    },
                    {
                        "amount": "12.5",
                        "currency": "USD",
                        "model": None,
                        "description": "Web Search Usage",
                    },
                ],
            }
        ]
    }
    usage = {"data": [{"starting_at": "2026-11-02T00:00:00Z", "results": [
        {"model": "claude-x", "uncached_input_tokens": 10, "cache_read_input_tokens": 5,
         "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
         "output_tokens": 7}]}]}  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(costs))
    (tmp_path / "u.json").write_text(json.dumps(usage))
    [line] = read_invoice(tmp_path / "u.json", settings)[1]
    assert line.usage == Usage(20, 7, 5, "provider", 5)
    found = held(books, settings, [tmp_path / "c.json"])
    assert {row.model: (row.state, row.billed) for row in found.rows} == {
        "claude-x": ("matched", Decimal("1.00")),
        "(fee)": ("provider-only", Decimal("0.125")),
    }


GENERIC = {
    "rates": {"EUR": "1.10"},
    "formats": {
        "mistral": {
            "provider": "mistral", "timezone": "Europe/Paris", "decimal": ",", "currency": "EUR",
            "columns": {"day": "Tag", "model": "Modell", "amount": "Betrag", "currency": "W"},
            "taxes": ["*mwst*"], "credits": ["*gutschrift*"],
        }
    },
}  # fmt: skip


def test_another_bill_by_its_mapping_with_currencies_taxes_and_a_time_zone(
    books: Books, tmp_path: Path
) -> None:
    settings = InvoiceSettings.model_validate(GENERIC)
    dear = Cost(Decimal("1.1"), CostStatus.PRICED)
    late = datetime(2026, 11, 2, 23, 30, tzinfo=UTC).timestamp()  # the third, in Paris
    books.book("mistral/large", 1, at=late, provider="mistral", cost=dear)
    path = write(tmp_path / "bill.csv", "Tag;Modell;Betrag;W\n", "2026-11-03;large;1,00;EUR",
                 "2026-11-03;MwSt 20 %;1.000,50;EUR", "2026-11-03;Gutschrift;-2;USD")  # fmt: skip
    found = held(books, settings, [path])
    states = {row.model: (row.state, row.billed) for row in found.rows}
    assert states["large"] == ("matched", Decimal("1.1"))
    assert states["(tax)"] == ("provider-only", Decimal("1100.55"))
    assert states["(credit)"] == ("provider-only", Decimal(-2))
    assert found.parts == {"taxes": Decimal("1100.55"), "credits": Decimal(-2)}


def test_a_ledger_in_two_currencies_is_added_up_by_the_rates(
    books: Books, settings: InvoiceSettings, tmp_path: Path
) -> None:
    books.book("openai/gpt-4o-mini", 1, cost=Cost(Decimal(1), CostStatus.PRICED))
    books.book("openai/gpt-4o-mini", 1, cost=Cost(Decimal(1), CostStatus.PRICED, currency="EUR"))
    path = write(tmp_path / "c.csv", COSTS, f"{int(START)},,2.1,usd,gpt-4o-mini")
    with pytest.raises(InputError, match="ledger: call m.* is in EUR"):
        held(books, settings, [path])
    euros = settings.model_copy(update={"rates": {"EUR": Decimal("1.1")}})
    assert held(books, euros, [path]).counts() == {"matched": 1}


def test_days_cut_elsewhere_are_named(books: Books, settings: InvoiceSettings, tmp_path: Path
                                      ) -> None:  # fmt: skip
    books.book("openai/gpt-4o-mini", 100, at=START + DAY - 60)
    books.book("openai/gpt-4o-mini", 100, at=START + DAY + 60)
    path = write(tmp_path / "c.csv", COSTS, f"{int(START)},,{cost_of(50)},usd,gpt-4o-mini",
                 f"{int(START) + DAY},,{cost_of(150)},usd,gpt-4o-mini")  # fmt: skip
    found = held(books, settings, [path])
    assert any("cut days elsewhere" in note for note in found.notes)


def test_calls_without_a_price_are_said_and_explain_their_part(
    books: Books, settings: InvoiceSettings, tmp_path: Path
) -> None:
    books.book("openai/gpt-4o-mini", 75)
    books.book("openai/gpt-4o-mini", 25, cost=UNKNOWN_COST)
    books.book("openai/new", 3, cost=UNKNOWN_COST)
    at = int(START)
    path = write(tmp_path / "c.csv", COSTS, f"{at},,{cost_of(100)},usd,gpt-4o-mini",
                 f"{at},,5,usd,new")  # fmt: skip
    found = held(books, settings, [path])
    assert found.unpriced == 28
    assert "at least" in found.text()
    rows = {row.model: row for row in found.rows}
    assert rows["new"].state == "unpriced"
    assert rows["gpt-4o-mini"].parts == {"calls without a price": pytest.approx(cost_of(25))}


def test_ledger_only_calls_and_replays(books: Books, settings: InvoiceSettings, tmp_path: Path
                                       ) -> None:  # fmt: skip
    books.book("openai/gpt-4o-mini", 10)
    books.book("openai/gpt-4o\nplus", 4)
    books.book("openai/gpt-4o-mini", 10, cache_source="replay")
    path = write(tmp_path / "c.csv", COSTS, f"{int(START)},,{cost_of(10)},usd,gpt-4o-mini")
    found = held(books, settings, [path])
    assert {row.model: row.state for row in found.rows} == {
        "gpt-4o\nplus": "ledger-only",
        "gpt-4o-mini": "matched",
    }
    assert "ledger-only    gpt-4o plus: billed -" in found.text()


def test_an_empty_ledger_is_not_a_match(
    books: Books, settings: InvoiceSettings, tmp_path: Path
) -> None:
    path = write(tmp_path / "c.csv", COSTS, f"{int(START)},,1,usd,gpt-4o-mini")
    found = held(books, settings, [path])
    assert found.exit_code == 4
    assert found.error is None
    assert "the ledger holds no call of openai" in found.text()


def test_how_far_off_is_kept_period_by_period(
    books: Books, settings: InvoiceSettings, tmp_path: Path
) -> None:
    for day in range(10):
        books.book("openai/gpt-4o-mini", 100, at=START + day * DAY + 60)
    rows = [f"{int(START) + n * DAY},,{cost_of(101 + n % 3)},usd,gpt-4o-mini" for n in range(10)]
    found = held(books, settings, [write(tmp_path / "c.csv", COSTS, *rows)])
    assert found.error == pytest.approx(0.019)
    assert found.low is not None
    assert found.high is not None
    assert 0.010 < found.low < 0.019 < found.high < 0.028
    path = tmp_path / "invoices.jsonl"
    assert len(track(path, found)) == 1
    assert len(track(path, found)) == 1
    later = held(books, settings, [write(tmp_path / "d.csv", COSTS, *rows[:4])])
    history = track(path, later)
    assert len(history) == 2
    assert history[1].startswith("2026-11-02 to 2026-11-11: +1.90% (95 % +1.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Datum,Summe\n2026-11-02,4\n", "has the columns Datum, Summe, and no format fits"),
        (f"{COSTS}abc,,1,usd,x\n", "row 1: `start_time` is 'abc', not a day"),
        (f"{COSTS}1793577600,,many,usd,x\n", "`amount_value` is 'many', not a number"),
        (f"{COSTS}1793577600,,1,eur,x\n", "is in EUR, and figures are in USD"),
        (f"{COSTS}1793577600,,,,\n", "holds no line with money or tokens"),
        ("", "holds no rows"),
        ('{"data": [', "is not JSON"),
        ('[{"start_time": 1793577600, "amount_value": NaN}]', "not a number"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line(
    tmp_path: Path, settings: InvoiceSettings, text: str, said: str
) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_invoice(path, settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "bill.csv" in str(caught.value)


def test_a_file_with_tokens_only_asks_for_the_money(
    books: Books, settings: InvoiceSettings, tmp_path: Path
) -> None:
    path = write(tmp_path / "u.csv", USAGE, f"{int(START)},gpt-4o,1,10,5,0")
    with pytest.raises(InputError, match="add the costs export"):
        held(books, settings, [path])


def test_a_wrong_mapping_is_named(settings: InvoiceSettings, tmp_path: Path) -> None:
    path = tmp_path / "invoices.yaml"
    path.write_text("formats:\n  x: {provider: p, columns: {day: d, amount: a}, timezone: Mars}\n")
    with pytest.raises(ConfigError, match="is not a time zone"):
        load_formats(path)
    path.write_text("formats:\n  x: {provider: p, columns: {day: d}}\n")
    with pytest.raises(ConfigError, match="name `amount`"):
        load_formats(path)
    with pytest.raises(ConfigError, match="no format 'y'"):
        read_invoice(write(tmp_path / "c.csv", COSTS, "1,,1,usd,x"), settings, "y")


def test_the_command_tells_each_difference_and_keeps_how_far_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    books = Books(genai.find_project().state / "ledger.db")
    for day in (0, 1):
        books.book("openai/gpt-4o-mini", 100, at=START + day * DAY + 60)
    books.book("openai/gpt-4o", 2, at=START + 60)
    books.ledger.flush()
    rows = [(START, cost_of(100), "gpt-4o-mini"), (START + DAY, cost_of(200), "gpt-4o-mini"),
            (START, Decimal("0.25"), "web search tool calls")]  # fmt: skip
    body = {"data": [
        {"start_time": int(at), "results": [
            {"amount": {"value": str(amount), "currency": "usd"}, "line_item": item}]}
        for at, amount, item in rows]}  # fmt: skip
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(body))
    assert main(["report", "invoices", str(path)]) == 1
    out = capsys.readouterr().out
    states = {tuple(line.replace(":", "").split()[:3]) for line in out.splitlines()}
    assert "lines: 1 ledger-only, 1 matched, 1 mismatched, 1 provider-only" in out
    assert {
        ("2026-11-02", "ledger-only", "gpt-4o"),
        ("2026-11-03", "mismatched", "gpt-4o-mini"), ("2026-11-02", "provider-only", "(fee)"),
    } <= states  # fmt: skip
    assert "period by period" not in out
    later = write(tmp_path / "c.csv", COSTS, f"{int(START)},,{cost_of(110)},usd,gpt-4o-mini")
    assert main(["report", "invoices", str(later)]) == 1
    history = capsys.readouterr().out.partition("how far off, period by period:\n")[2].splitlines()
    periods = [line.strip().partition(":")[0] for line in history]
    assert periods == ["2026-11-02 to 2026-11-02", "2026-11-02 to 2026-11-03"]

    day = write(tmp_path / "day.csv", COSTS, f"{int(START) + DAY},,{cost_of(100)},usd,gpt-4o-mini")
    assert main(["report", "invoices", str(day)]) == 0
    assert "1 matched" in capsys.readouterr().out
    assert main(["report", "invoices", str(tmp_path / "none.csv")]) == 64
    other = write(tmp_path / "other.csv", "Datum,Summe\n", "2026-11-02,4")
    assert main(["report", "invoices", str(other)]) == 64
    assert "has the columns Datum, Summe, and no format fits" in capsys.readouterr().err


def test_the_command_on_one_call_without_a_price_and_on_two_currencies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    books = Books(genai.find_project().state / "ledger.db")
    books.book("openai/new", 1, cost=UNKNOWN_COST)
    books.ledger.flush()
    path = write(tmp_path / "c.csv", COSTS, f"{int(START)},,1,usd,new")
    assert main(["report", "invoices", str(path)]) != 0
    assert "unpriced" in capsys.readouterr().out
    books.book("openai/new", 1, cost=Cost(Decimal(1), CostStatus.PRICED, currency="EUR"))
    books.ledger.flush()
    assert main(["report", "invoices", str(path)]) == 64
    assert "is in EUR" in capsys.readouterr().err
