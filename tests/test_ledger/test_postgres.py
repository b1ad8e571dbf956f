"""The same ledger on a real PostgreSQL server."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier

import pytest
from makers import call
from postgres import new_database

from genai.errors import LedgerUnusable
from genai.ledger import Ledger
from genai.ledger.rollup import sums
from genai.types import Context, Usage


@pytest.fixture
def url(server: str) -> str:
    return new_database(server)


@pytest.fixture
def ledger(url: str, tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.db", url=url)
    yield made
    made.drain()  # none is under way in the background
    made.database.dispose()


def test_a_row_comes_back_as_it_went_in(ledger: Ledger) -> None:
    row = call(
        ttft=0.25, usage=Usage(3, 4, 1, "provider", reasoning_tokens=2, fees=(("web_search", 1),)),
        cost=Decimal("12345.678901234567"), tags={"place": "question", "score": 0.5},
        stream=True, context=Context(feature="chat", session="s"),
    )  # fmt: skip
    ledger.record(row)
    ledger.record(row)
    assert ledger.calls() == [row]


def test_text_that_postgres_does_not_take_is_kept_with_a_mark(ledger: Ledger) -> None:
    ledger.record(call(id="nul", reason="a\x00b", tags={"x": "\ud800"}))
    ledger.record(call(id="fine"))
    assert {row.id for row in ledger.calls()} == {"nul", "fine"}
    kept = ledger.call("nul")
    assert kept is not None
    assert kept.reason == "a\ufffdb"


def test_totals_are_those_of_sqlite(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "sqlite" / "ledger.db")
    for n in range(200):
        row = call(
            id=f"{n}", kind="chain" if n % 3 else "model", seconds=(n * 7 % 200) / 10,
            started_at=1_800_000_000.0 + 43_200 * (n % 5), model=f"m{n % 2}",
            outcome=("ok", "refusal", "error", "cancelled")[n % 4], ttft=n / 100,
            usage=Usage(n, 2 * n, source="counted"), cost=None if n % 7 == 0 else Decimal(n) / 7,
        )  # fmt: skip
        ledger.record(row)
        other.record(row)
    assert ledger.summary() == other.summary()
    assert ledger.by_day() == other.by_day()


MANY = """
import sys
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call
ledger = Ledger(Path(sys.argv[1]) / "ledger.db", url=sys.argv[2])
for n in range(1500):
    ledger.record(Call(f"{sys.argv[3]}-{n}", "model", 1.0, 0.1, "ok"))
ledger.flush()
"""


def test_processes_share_one_server(ledger: Ledger, url: str, tmp_path: Path) -> None:
    lines = [[sys.executable, "-c", MANY, tmp_path / name, url, name] for name in "abc"]
    running = [subprocess.Popen(line) for line in lines]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(ledger.calls(limit=10_000)) == 4500


def test_a_server_that_is_away_is_one_sentence_and_calls_wait(url: str, tmp_path: Path) -> None:
    gone = "postgresql://genai:hidden-word@127.0.0.1:9/postgres"
    away = Ledger(tmp_path / "ledger.db", url=gone)
    away.record(call(id="waits"))
    with pytest.raises(LedgerUnusable) as caught:
        away.calls()
    assert "cannot be reached" in str(caught.value)
    assert "hidden-word" not in str(caught.value)
    assert "\n" not in str(caught.value)
    back = Ledger(tmp_path / "ledger.db", url=url)
    assert "waits" in {row.id for row in back.calls(limit=100)}
    back.database.dispose()


def test_all_who_read_reports_at_once_get_them(url: str, tmp_path: Path) -> None:
    ledgers = [Ledger(tmp_path / f"{n}" / "ledger.db", url=url) for n in range(4)]
    for ledger in ledgers:
        ledger.drain()
    together = Barrier(len(ledgers), timeout=60)

    def read(ledger: Ledger) -> tuple[int, int]:
        together.wait()
        new = ledger.roll_up()
        return new, sums(ledger.database, kind="model")[()].calls

    with ThreadPoolExecutor(len(ledgers)) as pool:
        for total in (30, 60):  # where there are no sums yet, and where there are
            for n in range(total - 30, total):
                ledgers[0].record(call(id=f"{n}", started_at=1_800_000_000.0 + 86_400 * n))
            ledgers[0].drain()
            found = list(pool.map(read, ledgers))
            assert sorted(new for new, _ in found) == [0, 0, 0, 30]
            assert {calls for _, calls in found} == {total}
    for ledger in ledgers:
        ledger.drain()  # none is under way in the background
        ledger.database.dispose()
