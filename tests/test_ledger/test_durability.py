"""Full durability: what is acknowledged is on the disk itself, at every step of its way."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from makers import call

from genai.ledger import Ledger
from genai.types import NOBODY

TO_DISK = {"fsync", "fdatasync"}


def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Note what is done to which file from here on, by the system's own functions."""
    steps: list[tuple[str, str]] = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(file: int, *rest: Any) -> Any:
            steps.append((name, Path(os.readlink(f"/proc/self/fd/{file}")).name))
            return real(file, *rest)

        return step

    for name in ("write", "fsync", "fdatasync", "ftruncate"):
        monkeypatch.setattr(f"genai.ledger.spool.os.{name}", noted(name, getattr(os, name)))
    return steps


def test_each_row_and_each_new_name_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = seen(monkeypatch)
    ledger = Ledger(tmp_path / "project" / ".genai" / "ledger.db", durability="full")
    ledger.sent("a", 1.0, "m", NOBODY)
    ledger.record(call(id="a"))
    (file,) = (tmp_path / "project" / ".genai" / "spool").iterdir()
    row = [("write", file.name), ("fdatasync", file.name)]
    assert steps[-4:] == row * 2
    # the file's name, and those of the folders that were made for it
    made = {"spool", ".genai", "project", tmp_path.name}
    assert {("fsync", name) for name in made} == set(steps[:-4])


def test_the_default_mode_waits_for_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = seen(monkeypatch)
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.sent("a", 1.0, "m", NOBODY)
    ledger.record(call(id="a"))
    assert not TO_DISK & {name for name, _ in steps}
    with ledger.database.begin() as db:
        assert db.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL


@pytest.mark.parametrize("knows", [True, False])
def test_a_system_without_fdatasync_asks_its_drive_or_else_waits_for_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    asked: list[str] = []

    def order(file: int, what: int) -> int:
        assert what == 51
        asked.append(Path(os.readlink(f"/proc/self/fd/{file}")).suffix)
        if not knows:
            raise OSError(errno.ENOTSUP, "no such order")
        return 0

    steps = seen(monkeypatch)
    monkeypatch.delattr("os.fdatasync")
    monkeypatch.setattr("fcntl.F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr("fcntl.fcntl", order)
    ledger = Ledger(tmp_path / "ledger.db", durability="full")
    ledger.record(call(id="a"))
    assert asked == [".jsonl"]
    assert [name for name, file in steps if file.endswith(".jsonl")] == ["write", "fsync"][
        : 1 if knows else 2
    ]
    delivery = ledger.flush()
    assert (delivery.stored, delivery.waiting, delivery.trouble) == (1, 0, "")
    with ledger.database.begin() as db:
        assert db.exec_driver_sql("PRAGMA fullfsync").scalar() == 1


def test_a_spool_that_is_cut_keeps_what_is_under_way_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.db", durability="full", content="all")
    ledger.sent("open", 1.0, "m", NOBODY)
    ledger.record(call(id="done"))
    with ledger.database.begin() as db:
        assert db.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    steps = seen(monkeypatch)
    ledger.drain()
    assert [name for name, _ in steps] == ["ftruncate", "write", "fdatasync"]
    (file,) = (tmp_path / "spool").iterdir()
    assert b'"open"' in file.read_bytes()


FULL = """
import sqlite3, sys
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call
ledger = Ledger(Path(sys.argv[1]) / "ledger.db", durability="full", content="all")
ledger.calls()
other = sqlite3.connect(ledger.path)  # who closes last empties the log, and that is not us
other.execute("SELECT count(*) FROM call").fetchall()
ledger.record(Call("one", "model", 1.0, 0.1, "ok"))
ledger.drain()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: apt install strace")
def test_the_store_is_on_the_disk_before_the_spool_is_cut(tmp_path: Path) -> None:
    calls = "trace=fsync,fdatasync,ftruncate,pwrite64,unlink"
    trace = ["strace", "-f", "-y", "-e", calls, "-o", tmp_path / "trace"]
    line = [*trace, sys.executable, "-c", FULL, tmp_path / "project"]
    if subprocess.run(line, capture_output=True, timeout=120).returncode:
        pytest.skip("no process may be traced here")
    steps = re.findall(r"(\w+)\(\d+<([^>]+)>", (tmp_path / "trace").read_text())
    found = [(name, Path(file).name) for name, file in steps]
    cut = max(
        n for n, (name, file) in enumerate(found) if file.endswith(".jsonl") and name == "ftruncate"
    )
    log = [name for name, file in found[:cut] if file == "ledger.db-wal"]
    assert log[-1] in TO_DISK  # nothing was written to the log after it was on the disk
    assert "pwrite64" in log
