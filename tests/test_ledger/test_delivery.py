"""Delivery: nothing acknowledged is lost, through kills, forks, full disks and damage."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from makers import call

from genai.errors import LedgerUnusable
from genai.ledger import Ledger
from genai.ledger.drain import Drainer
from genai.ledger.tables import VERSION


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


KILLED = """
import sys, os
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call, new_id
ledger = Ledger(Path(sys.argv[1]))
for n in range(100000):
    ledger.record(Call(id=f"{n:06}", kind="model", started_at=1.0, seconds=0.1, outcome="ok"))
    sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
"""


def test_kill_9_loses_no_call_that_returned(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line)
        if last == 3000:
            os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    assert last >= 3000
    ledger = Ledger(path)
    found = {row.id for row in ledger.calls(limit=10**6)}
    assert {f"{n:06}" for n in range(last + 1)} <= found
    ledger.flush()
    assert not list((tmp_path / "spool").glob("*.jsonl"))  # all drained, so the file is gone


ENDED = """
import os, signal, sys, time
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever this run of the tests ignores
signal.signal(signal.SIGINT, signal.default_int_handler)
ledger = Ledger(Path(sys.argv[1]))
for n in range(500):
    ledger.record(Call(f"{n:06}", "model", 1.0, 0.1, "ok"))
if sys.argv[2].startswith("SIG"):
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    time.sleep(30)
if sys.argv[2] == "_exit":
    os._exit(0)
if sys.argv[2] == "error":
    raise SystemExit(3)
"""


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("end", 0), ("error", 3), ("_exit", 0), ("SIGTERM", -signal.SIGTERM),
        ("SIGHUP", -signal.SIGHUP), ("SIGINT", 1),  # this one is an exception in Python
    ],
)  # fmt: skip
def test_however_a_process_ends_its_rows_are_there(tmp_path: Path, way: str, code: int) -> None:
    path = tmp_path / "ledger.db"
    line = [sys.executable, "-c", ENDED, path, way]
    done = subprocess.run(line, timeout=60, stderr=subprocess.DEVNULL)
    assert done.returncode == code
    if way != "_exit":  # those were stored by the process itself, not by the next one
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT count(*) FROM call").fetchone() == (500,)
    assert len(Ledger(path).calls(limit=1000)) == 500


BUSY = """
import sys
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call
ledgers = [Ledger(Path(sys.argv[1]) / name / "ledger.db") for name in "ab"]
for n in range(10**7):
    for ledger in ledgers:
        ledger.record(Call(f"{n:08}", "model", 1.0, 0.1, "ok"))
    if n == 1000:
        print("busy", flush=True)
"""


def test_a_signal_in_the_middle_of_a_write_ends_the_process_and_flushes(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", BUSY, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"busy\n"
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
    process.stdout.close()
    for name in "ab":  # by the process itself
        with sqlite3.connect(tmp_path / name / "ledger.db") as db:
            assert db.execute("SELECT count(*) FROM call").fetchone()[0] > 1000


def test_a_spool_that_is_emptied_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai.ledger.store._LARGE", 1000)
    ledger = Ledger(tmp_path / "ledger.db")
    threads = [
        threading.Thread(target=lambda: [ledger.record(call()) for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ledger.drain()
    delivery = ledger.flush()
    assert (delivery.issued, delivery.stored, delivery.pending) == (4000, 4000, 0)
    assert len(ledger.calls(limit=10_000)) == 4000
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) < 1000


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_store_that_another_process_writes_holds_no_call_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai.ledger.store._PERIOD", 600)  # nothing drains in the background
    ledger = Ledger(tmp_path / "ledger.db", content="all")
    ledger.record(call(), question="q", answer="a")
    Drainer(ledger._spool, ledger.database.begin).run()  # stored, and the file not yet emptied
    asked, free = threading.Event(), threading.Event()

    @contextmanager
    def begin() -> Iterator[object]:
        asked.set()
        assert free.wait(30)
        with ledger.database.begin() as db:
            yield db

    with ThreadPoolExecutor() as pool:
        emptying = pool.submit(Drainer(ledger._spool, begin).empty_own)
        assert asked.wait(30)
        try:
            pool.submit(ledger.record, call()).result(5)
        finally:
            free.set()
        emptying.result(30)
    assert ledger._spool.size  # the new row is not stored yet, so nothing was emptied
    assert len(ledger.calls()) == 2
    assert ledger._spool.size == 0


def test_a_forked_child_writes_its_own_spool(ledger: Ledger) -> None:
    ledger.record(call(id="parent"))
    child = os.fork()
    if child == 0:
        ledger.record(call(id="child"))
        os._exit(0)
    os.waitpid(child, 0)
    ledger.record(call(id="after"))
    assert {row.id for row in ledger.calls()} == {"parent", "child", "after"}


def test_torn_and_broken_lines_are_counted_and_block_nobody(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    good = Ledger(tmp_path / "other" / "ledger.db")
    good.record(call(id="kept"))
    line = next((tmp_path / "other" / "spool").iterdir()).read_bytes()
    strange = b'{"t":"call","id":["x"],"kind":"model"}\n{"t":"call","id":"n","colour":1}\n[1]\n'
    broken = b"not json\n\xff\xfe\n" + strange
    (spool / "999999999-dead.jsonl").write_bytes(broken + line + b'{"t":"call","id":"to')
    ledger = Ledger(tmp_path / "ledger.db")
    done = ledger.drain()
    assert (done.written, done.failed) == (1, 6)
    assert [row.id for row in ledger.calls()] == ["kept"]
    assert (spool / "failed.txt").read_bytes() == broken  # set aside, not thrown away
    delivery = ledger.flush()
    assert (delivery.stored, delivery.failed, delivery.pending) == (1, 6, 0)


@pytest.mark.parametrize(
    "strange",
    [{"cost": Decimal("1e30")}, {"http_status": 2**70}, {"seconds": float("nan")}],
    ids=str,
)
def test_a_number_that_no_column_takes_is_set_aside_and_blocks_nobody(
    tmp_path: Path, url: str, strange: dict[str, Any]
) -> None:
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    ledger.record(call(id="before"))
    ledger.record(call(id="strange", **strange))
    ledger.record(call(id="after"))
    assert {row.id for row in ledger.calls()} >= {"before", "after"}
    delivery = ledger.flush()
    assert delivery.issued == delivery.stored + delivery.failed == 3
    ledger.database.dispose()


def test_a_damaged_ledger_is_left_alone_and_calls_wait(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this was a database " * 500)
    ledger = Ledger(path)
    ledger.record(call(id="waits"))
    with pytest.raises(LedgerUnusable) as caught:
        ledger.calls()
    assert "is damaged; it was not changed" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"this was a database " * 500
    path.rename(tmp_path / "aside.db")
    assert [row.id for row in Ledger(path).calls()] == ["waits"]


def test_where_the_disk_refuses_the_call_goes_on_and_its_row_waits(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.record(call(id="first"))
    ledger.record(call(id="second"))
    delivery = ledger.flush()
    assert (delivery.accepted, delivery.waiting, delivery.stored) == (2, 2, 0)
    assert delivery.trouble
    (tmp_path / "spool").unlink()
    assert {row.id for row in ledger.calls()} == {"first", "second"}
    assert ledger.flush().waiting == 0


def test_a_line_that_a_full_disk_cuts_spoils_no_other(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record(call(id="first"))
    write, cut = os.write, []

    def full(file: int, line: bytes) -> int:
        if cut:
            raise OSError(28, "No space left on device")
        cut.append(line)
        return write(file, line[: len(line) // 2])

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        ledger.record(call(id="cut"))
        ledger.record(call(id="waits"))
    ledger.record(call(id="after"))
    delivery = ledger.flush()
    assert (delivery.stored, delivery.failed, delivery.waiting) == (4, 0, 0)
    assert {row.id for row in ledger.calls()} == {"first", "cut", "waits", "after"}


FULL = """
import sys
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call
ledger = Ledger(Path(sys.argv[1]))
for n in range(2000):
    ledger.record(Call(f"{n:06}", "model", 1.0, 0.1, "ok", reason="x" * 500))
delivery = ledger.flush()
print(delivery.accepted, delivery.issued, delivery.waiting > 0)
"""


def test_a_full_disk_loses_no_count_and_is_said_at_the_end(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", disk]).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        line = [sys.executable, "-c", FULL, disk / "ledger.db"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.stdout == "2000 2000 True\n", done.stderr
        assert "calls could not be recorded" in done.stderr
        assert "free some space" in done.stderr
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).flush()
    Ledger(path).calls()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    with pytest.raises(LedgerUnusable, match="written by a newer genai"):
        Ledger(path).calls()


VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('version', '1');
CREATE TABLE call (id TEXT PRIMARY KEY, kind TEXT NOT NULL, started_at FLOAT NOT NULL,
  seconds FLOAT NOT NULL, outcome TEXT NOT NULL, parent_id TEXT NOT NULL, model TEXT NOT NULL,
  prompt_id TEXT NOT NULL, config_hash TEXT NOT NULL, index_revision TEXT NOT NULL,
  feature TEXT NOT NULL, ttft FLOAT, input_tokens INTEGER, output_tokens INTEGER,
  cached_tokens INTEGER, usage_source TEXT NOT NULL, cost BIGINT, cost_status TEXT NOT NULL,
  cost_reason TEXT NOT NULL, currency TEXT NOT NULL, reason TEXT NOT NULL,
  finish_reason TEXT NOT NULL, tags JSON NOT NULL);
CREATE INDEX ix_call_started_at ON call (started_at);
CREATE INDEX ix_call_parent_id ON call (parent_id);
CREATE TABLE spool (file TEXT PRIMARY KEY, "offset" INTEGER NOT NULL);
INSERT INTO call VALUES ('old', 'model', 1800000000.5, 0.5, 'ok', 'p', 'gpt-4o', 'rag/answer@1',
  'c', 'i', 'chat', 0.1, 10, 5, 4, 'provider', 450000000, 'priced', '', 'USD', '', 'stop', '{}');
"""


def test_a_ledger_of_version_1_is_upgraded_with_every_row(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
    with pytest.raises(LedgerUnusable, match="`genai upgrade`"):
        Ledger(path).calls()
    assert Ledger(path).upgrade() == VERSION - 1
    assert Ledger(path).upgrade() == 0
    row = Ledger(path).call("old")
    assert row is not None
    assert (row.usage.input_tokens, row.usage.cached_tokens, row.output_tokens) == (10, 4, 5)
    assert row.cost.amount == Decimal("0.00045")
    assert (row.context.feature, row.context.parent_id) == ("chat", "p")
    Ledger(path).record(call(id="new"))
    assert Ledger(path).summary().cost.total == Decimal("0.000450000001")
