"""Exports and retention: sums that agree to the last digit, and deleted text that is gone."""

import csv
import json
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from makers import call

import genai
from genai.cli import main
from genai.errors import MissingExtra
from genai.ledger import Ledger, Prices
from genai.ledger.export import _MANDATORY, focus, parquet
from genai.ledger.prices.rates import resolve
from genai.ledger.retention import retain, vacuum
from genai.ledger.tables import content
from genai.types import Call, Context, Cost, CostStatus, Usage

NOVEMBER = datetime(2026, 11, 5, 12, tzinfo=UTC).timestamp()
ENTRY = {
    "input_cost_per_token": "0.0000025",
    "output_cost_per_token": "0.00001",
    "cache_read_input_token_cost": "0.00000125",
}
PRICES = Prices.read({"models": {"m": ENTRY}}, "x")


def rates(row: Call) -> Any:
    found = resolve(ENTRY, prompt=row.usage.input_tokens)
    return found and found.rates


@pytest.fixture
def ledger(tmp_path: Path, url: str) -> Ledger:
    made = Ledger(tmp_path / "ledger.db", url=url)
    for n in range(300):
        usage = Usage(1000 + n, 10, n % 7 * 100, "provider")
        row = call(
            id=f"{n:04}", model="m", provider="p", usage=usage,
            started_at=NOVEMBER + 3600 * n, context=Context(tenant=f"t{n % 2}"),
        )  # fmt: skip
        row.cost = PRICES.cost("m", usage)
        made.record(row)
    made.record(call(id="x", model="odd", provider="p", cost=None, started_at=NOVEMBER))
    reported = call(id="y", model="r", provider="p", started_at=NOVEMBER)
    reported.cost = Cost(Decimal("0.1234567"), CostStatus.PROVIDER_REPORTED)
    made.record(reported)
    made.record(call(id="z", model="m", started_at=NOVEMBER + 40 * 86_400))  # another month
    return made


def test_the_cost_file_keeps_its_identities(ledger: Ledger, tmp_path: Path) -> None:
    done = focus(ledger, tmp_path / "focus.csv", "2026-11", rates)
    with done.path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(_MANDATORY) <= set(rows[0])
    assert len(_MANDATORY) == 21
    nullable = {"BillingAccountName", "ChargeClass"}
    for row in rows:
        assert all(row[name] for name in set(_MANDATORY) - nullable)
        price, quantity = Decimal(row["ListUnitPrice"]), Decimal(row["PricingQuantity"])
        assert price * quantity == Decimal(row["ListCost"])
        assert row["BillingPeriodStart"] == "2026-11-01T00:00:00Z"
        assert row["BillingPeriodEnd"] == "2026-12-01T00:00:00Z"
        assert "E" not in row["ListUnitPrice"]
    total = sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))
    booked = [c.cost.amount for c in ledger.calls(limit=1000, until=NOVEMBER + 30 * 86_400)]
    assert total == done.billed == sum((c for c in booked if c is not None), Decimal(0))
    assert {row["SkuMeter"] for row in rows} == {"in_text", "in_cache_read", "out_text", "dollars"}
    assert (done.known, done.calls) == (301, 302)
    assert done.aside is not None
    assert "odd" in done.aside.read_text()


def test_a_cost_in_another_currency_is_never_written_as_dollars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = genai.open_ledger()
    for n, currency in enumerate(("EUR", "USD")):
        row = call(id=currency, model="m", started_at=NOVEMBER)
        row.cost = Cost(Decimal(n + 2), CostStatus.PROVIDER_REPORTED, currency=currency)
        ledger.record(row)
    assert main(["export", "--focus", "2026-11"]) == 0
    assert "1 rows, $3.000000000000; cost known for 1 of 2 calls" in capsys.readouterr().out
    assert (tmp_path / "focus-2026-11.unpriced.csv").read_text().split() == [
        "model,reason,calls", "m,booked", "in", "EUR,1",
    ]  # fmt: skip


def test_what_a_row_says_of_itself_is_json_in_parquet(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    said = {"topic": "l'été", "support": 0.9, "passages": 3}
    ledger.record(call(id="one", kind="chain", started_at=NOVEMBER, tags=said))
    parquet(ledger, tmp_path / "out")
    (tags,) = pyarrow.parquet.read_table(tmp_path / "out").column("tags").to_pylist()
    assert json.loads(tags) == said


def test_without_pyarrow_the_extra_that_brings_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"run: pip install 'genai-workbench\[parquet\]'"):
        parquet(Ledger(tmp_path / "ledger.db"), tmp_path / "out")


def test_parquet_holds_every_row_with_exact_money(ledger: Ledger, tmp_path: Path) -> None:
    assert parquet(ledger, tmp_path / "out") == 303
    table = pyarrow.parquet.read_table(tmp_path / "out")
    assert table.num_rows == 303
    assert str(table.schema.field("cost").type) == "decimal128(38, 12)"
    assert str(table.schema.field("started_at").type) == "timestamp[us, tz=UTC]"
    money = [value for value in table.column("cost").to_pylist() if value is not None]
    assert sum(money, Decimal(0)) == sum(
        (row.cost.amount for row in ledger.calls(limit=1000) if row.cost.amount is not None),
        Decimal(0),
    )
    assert table.column("cost").null_count == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"date=2026-11-05"}


def test_the_same_folder_again_holds_each_call_once(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai.ledger.walk._BATCH", 3)
    ledger, out = Ledger(tmp_path / "ledger.db", url=url), tmp_path / "out"

    def stored() -> list[str]:
        return sorted(pyarrow.parquet.read_table(out).column("id").to_pylist())

    ledger.record(call(id="gone", started_at=time.time() - 8 * 365 * 86_400))
    ids = []
    for night in range(6):  # later ids come in before the earlier ones
        for n in range(4):
            ids.append(f"{9 - night}-{n}")
            ledger.record(call(id=ids[-1], started_at=NOVEMBER + 86_400 * night))
        assert parquet(ledger, out) == len(ids) + (night == 0)
        assert stored() == sorted([*ids, "gone"])  # an archive keeps what the ledger lost
        retain(ledger)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    ledger.record(call(id="0", started_at=NOVEMBER))
    tables = iter([pyarrow.parquet.write_table] * 3)
    monkeypatch.setattr("pyarrow.parquet.write_table", lambda *w: next(tables, full)(*w))
    with pytest.raises(OSError, match="No space"):
        parquet(ledger, out)
    assert stored() == sorted([*ids, "gone"])
    assert {path.suffix for path in out.rglob("*") if path.is_file()} == {".parquet"}


def test_deleted_text_is_gone_from_every_file_and_money_stays(tmp_path: Path, url: str) -> None:
    ledger = Ledger(tmp_path / "ledger.db", url=url, content="all")
    for n in range(200):
        ledger.record(call(id=f"{n}"), question=f"an odd question {n}", answer="a quaint answer")
    ledger.feedback("1", True, comment="a curious comment", consent=True)
    before = ledger.summary()
    assert retain(ledger, content_days=30) == 0
    assert retain(ledger, content_days=-1) == 201
    vacuum(ledger)
    assert ledger.summary() == before
    with ledger.database.begin(write=False) as db:
        assert db.execute(content.select()).all() == []
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        stored = path.read_bytes()
        assert b"odd question" not in stored
        assert b"quaint answer" not in stored
        assert b"curious comment" not in stored


def test_a_ledger_is_packed_only_where_much_of_it_is_free(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", content="all")
    for n in range(100):
        ledger.record(call(id=f"{n}"), question=f"an odd question {n} " * 500)
    ledger.flush()
    size = ledger.path.stat().st_size
    for old, smaller in ((3, False), (60, True)):  # a day's share, and a good part
        with ledger.database.begin() as db:
            aged = content.update().where(content.c.call_id.in_([f"{n}" for n in range(old)]))
            db.execute(aged.values(created_at=0.0))
        assert retain(ledger) == (3 if old == 3 else 57)
        vacuum(ledger)
        assert (ledger.path.stat().st_size < size) is smaller
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"an odd question 1 " not in stored
        assert b"an odd question 99 " in stored


def test_a_comment_alone_is_gone_too_while_its_process_runs(tmp_path: Path, url: str) -> None:
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    for n in range(2):  # what is emptied once is emptied again
        ledger.record(call(id=f"{n}"), question="an odd question")
        ledger.feedback(f"{n}", True, comment="a curious comment", consent=True)
        assert retain(ledger, content_days=-1) == 1
        vacuum(ledger)
        for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
            assert b"curious comment" not in path.read_bytes()
    assert len(ledger.calls()) == 2


def test_old_calls_go_only_after_their_years(tmp_path: Path, url: str) -> None:
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    ledger.record(call(id="old", started_at=time.time() - 8 * 365 * 86_400))
    ledger.record(call(id="new", started_at=time.time()))
    assert retain(ledger) == 1
    assert [row.id for row in ledger.calls()] == ["new"]


def test_an_archive_of_parquet_keeps_its_days_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, archive = Ledger(tmp_path / "ledger.db"), tmp_path / "archive"
    first = NOVEMBER - 2.5 * 86400  # the day in which two days before that noon lie
    for number, moment in enumerate((first - 1, first, first + 86399)):
        ledger.record(call(id=str(number), started_at=moment))
    parquet(ledger, archive)
    with monkeypatch.context() as at_noon:
        at_noon.setattr(time, "time", lambda: NOVEMBER)
        assert retain(ledger, call_days=2) == 1
    parquet(ledger, archive)
    assert pyarrow.parquet.read_table(archive)["id"].to_pylist() == ["0", "1", "2"]
