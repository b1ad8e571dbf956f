"""Requests under way: whoever dies with some leaves a `lost` row for each, and for no other."""

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from makers import call

from genai.ledger import Ledger
from genai.ledger.underway import standing
from genai.types import NOBODY, Context

DIES = """
import os, sys, time
from decimal import Decimal
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call, Context
ledger = Ledger(Path(sys.argv[1]), durability=sys.argv[2])
long = "x" * int(sys.argv[3])
for n in range(300):
    context = Context(feature=f"f{n}", user="ann", session=long)
    ledger.sent(f"{n:03}", 5.0 + n, "openai/m", context, Decimal("0.25") if n % 2 else None)
for n in range(0, 300, 3):
    ledger.record(Call(f"{n:03}", "model", 5.0 + n, 0.1, "ok"))
for n in range(400, 500):  # takes the places that came free
    ledger.sent(f"{n:03}", 5.0 + n, "openai/m", Context(feature=f"f{n}", user="ann"))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("durability", "length"), [("default", 1), ("default", 2000), ("full", 1)])
def test_kill_9_leaves_a_lost_row_for_each_request_under_way(
    tmp_path: Path, durability: str, length: int
) -> None:
    path = tmp_path / "ledger.db"
    line = [sys.executable, "-c", DIES, path, durability, str(length)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    ledger = Ledger(path)
    assert {row.outcome for row in ledger.calls(limit=1000)} == {"ok"}  # it lives: nothing is lost
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    rows = {row.id: row for row in ledger.calls(limit=1000)}
    lost = {id for id, row in rows.items() if row.outcome == "lost"}
    assert len(rows) == 400
    assert lost == {f"{n:03}" for n in (*range(300), *range(400, 500)) if n % 3 or n >= 400}
    row = rows["001"]
    assert (row.model, row.started_at, row.cost.amount) == ("openai/m", 6.0, Decimal("0.25"))
    assert (row.context.feature, row.context.session) == ("f1", "x" * length)
    assert row.context.user == ledger.user_key("ann")
    assert rows["002"].cost.amount is None
    delivery = ledger.flush()
    assert (delivery.issued, delivery.stored, delivery.lost) == (400, 400, 300)
    assert list((tmp_path / "spool").iterdir()) == []


KILLED_BETWEEN = """
import os, sys
from pathlib import Path
from genai.ledger import Ledger, underway
from genai.types import NOBODY, Call
underway.Underway.clear = lambda self, call_id: os._exit(9)
ledger = Ledger(Path(sys.argv[1]))
ledger.sent("both", 5.0, "m", NOBODY)
ledger.record(Call("both", "model", 5.0, 0.1, "ok"))
"""


def test_a_kill_between_the_row_and_its_note_leaves_the_row_alone(tmp_path: Path) -> None:
    line = [sys.executable, "-c", KILLED_BETWEEN, tmp_path / "ledger.db"]
    assert subprocess.run(line, timeout=60).returncode == 9
    ledger = Ledger(tmp_path / "ledger.db")
    assert [(row.id, row.outcome) for row in ledger.calls()] == [("both", "ok")]
    delivery = ledger.flush()
    assert (delivery.issued, delivery.stored, delivery.lost) == (1, 1, 0)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_that_dies_takes_no_request_of_its_parent_along(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.sent("parent", 1.0, "m", Context(feature="p"))
    child = os.fork()
    if child == 0:
        ledger.sent("child", 2.0, "m", Context(feature="c"))
        os._exit(0)
    os.waitpid(child, 0)
    assert [(row.id, row.outcome) for row in ledger.calls()] == [("child", "lost")]
    ledger.record(call(id="parent"))
    assert {(row.id, row.outcome) for row in ledger.calls()} == {
        ("child", "lost"),
        ("parent", "ok"),
    }


def test_a_note_makes_way_for_the_next_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for n in range(2000):
        ledger.sent(f"{n:04}", 1.0, "m", NOBODY)
        ledger.record(call(id=f"{n:04}"))
    (notes,) = (tmp_path / "spool").glob("*.underway")
    assert notes.stat().st_size <= 2**16
    assert list(standing(notes)) == []


def test_full_durability_waits_for_the_disk_before_a_request_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("genai.ledger.spool.os.fdatasync", synced.append)
    Ledger(tmp_path / "ledger.db", durability="full").sent("one", 1.0, "m", NOBODY)
    assert len(synced) == 1


SMALL = """
import os, sys
from pathlib import Path
from genai.ledger import Ledger
from genai.types import NOBODY
Ledger(Path(sys.argv[1])).sent("small", 5.0, "m", NOBODY)
os._exit(0)
"""


def test_where_the_disk_has_no_room_for_notes_the_spool_takes_them(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", disk]).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        subprocess.run([sys.executable, "-c", SMALL, disk / "ledger.db"], check=True, timeout=60)
        notes = [path.read_bytes() for path in (disk / "spool").glob("*.jsonl")]
        assert [b'"id":"small"' in note for note in notes] == [True]
        # the store needs more room than that, so it is read where there is some
        (tmp_path / "spool").mkdir()
        for path in (disk / "spool").iterdir():
            (tmp_path / "spool" / path.name).write_bytes(path.read_bytes())
    finally:
        subprocess.run(["umount", disk], check=True)
    rows = Ledger(tmp_path / "ledger.db").calls()
    assert [(row.id, row.outcome) for row in rows] == [("small", "lost")]
