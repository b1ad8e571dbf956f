"""Whose file a spool file is: told by its writer's lock, whatever process ids say."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from makers import call

from genai.ledger import Ledger
from genai.types import NOBODY

WRITES = """
import os, sys
from pathlib import Path
from genai.ledger import Ledger
from genai.types import NOBODY, Call
ledger = Ledger(Path(sys.argv[1]), durability=sys.argv[2])
ledger.sent("open", 5.0, "m", NOBODY)
ledger.record(Call("done", "model", 5.0, 0.1, "ok"))
print("ready", flush=True)
if sys.stdin.readline():
    ledger.record(Call("open", "model", 5.0, 0.1, "ok"))
    ledger.record(Call("after", "model", 6.0, 0.1, "ok"))
    print("written", flush=True)
    sys.stdin.readline()
os._exit(9)  # as a kill would, it stores nothing
"""
READS = """
import sys
from pathlib import Path
from genai.ledger import Ledger
Ledger(Path(sys.argv[1])).drain()
"""
KINDS = pytest.mark.parametrize("durability", ["default", "full"])


@contextmanager
def writer(path: Path, durability: str, *before: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has one call under way and waits for a line."""
    line = [*before, sys.executable, "-c", WRITES, str(path), durability]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def goes_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "written\n"


def renamed(folder: Path, pid: int) -> None:
    """Give each file another process number, as another container would see it."""
    for path in folder.iterdir():
        path.rename(folder / f"{pid}-{path.name.partition('-')[2]}")


def outcomes(path: Path) -> dict[str, str]:
    return {row.id: row.outcome for row in Ledger(path).calls()}


@KINDS
def test_a_file_whose_process_is_not_seen_is_kept_while_it_is_written(
    tmp_path: Path, durability: str
) -> None:
    path = tmp_path / "ledger.db"
    with writer(path, durability) as process:
        renamed(tmp_path / "spool", 999_999_999)
        assert outcomes(path) == {"done": "ok"}
        goes_on(process)
        assert outcomes(path) == {"done": "ok", "open": "ok", "after": "ok"}


@KINDS
def test_a_file_that_nobody_writes_is_settled_though_its_process_number_runs(
    tmp_path: Path, durability: str
) -> None:
    path = tmp_path / "ledger.db"
    with writer(path, durability):
        pass
    renamed(tmp_path / "spool", os.getpid())
    assert outcomes(path) == {"done": "ok", "open": "lost"}
    assert list((tmp_path / "spool").iterdir()) == []


def test_two_containers_share_a_folder(tmp_path: Path) -> None:
    path, alone = tmp_path / "ledger.db", ("unshare", "-pf", "--mount-proc", "--kill-child")
    if not shutil.which("unshare") or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("namespaces of processes can be made by root only")
    reads = [*alone, sys.executable, "-c", READS, path]
    second = ("sh", "-c", '"$@"; exit', "sh")  # the shell is process 1, the writer is 2
    with writer(path, "default", *alone, *second) as process:
        subprocess.run(reads, check=True, timeout=60)
        assert len(list((tmp_path / "spool").iterdir())) == 2
        goes_on(process)
    assert outcomes(path) == {"done": "ok", "open": "ok", "after": "ok"}


FORKS = """
import os, sys
from pathlib import Path
from genai.ledger import Ledger
from genai.types import NOBODY, Call
ledger = Ledger(Path(sys.argv[1]))
for n in range(100):  # more than one block of notes
    ledger.sent(f"{n:03}", 5.0, "m", NOBODY)
ledger.record(Call("000", "model", 5.0, 0.1, "ok"))
if os.fork():
    os._exit(9)
print(os.getpid(), flush=True)
sys.stdin.readline()
"""


def test_a_forked_child_keeps_no_file_of_its_dead_parent_alive(tmp_path: Path) -> None:
    line = [sys.executable, "-c", FORKS, tmp_path / "ledger.db"]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe) as parent:
        assert parent.wait(60) == 9
        assert parent.stdout is not None
        os.kill(int(parent.stdout.readline()), 0)  # the child runs
        found = Ledger(tmp_path / "ledger.db").calls(limit=200)
    assert sorted(row.outcome for row in found) == ["lost"] * 99 + ["ok"]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_file_that_its_process_left_for_a_newer_one_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai.ledger.store._PERIOD", 600)  # nothing drains in the background
    monkeypatch.setattr("genai.ledger.spool._ROTATE", 2000)
    path = tmp_path / "ledger.db"
    ledger = Ledger(path, durability="full")
    ledger.sent("open", 1.0, "m", NOBODY)
    for n in range(100):
        ledger.record(call(id=f"{n:03}"))
    assert len(list((tmp_path / "spool").iterdir())) > 2
    assert set(outcomes(path).values()) == {"ok"}  # another ledger settles what was left
    assert len(list((tmp_path / "spool").iterdir())) == 1
    ledger.record(call(id="open"))
    assert outcomes(path)["open"] == "ok"
    delivery = ledger.flush()
    assert (delivery.issued, delivery.stored, delivery.failed) == (101, 101, 0)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_disk_knows_no_locks_the_process_number_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "ledger.db"
    with writer(path, "default"):
        pass

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refused)
    ledger = Ledger(path)
    ledger.sent("mine", 7.0, "m", NOBODY)
    ledger.record(call(id="row"))
    assert outcomes(path) == {"done": "ok", "open": "lost", "row": "ok"}
    ledger.record(call(id="mine"))
    assert outcomes(path)["mine"] == "ok"


def test_where_a_lock_is_refused_for_now_the_row_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.db")

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as now:
        now.setattr("fcntl.flock", refused)
        ledger.sent("one", 1.0, "m", NOBODY)
        ledger.record(call(id="one"))
        delivery = ledger.flush()
        assert (delivery.waiting, delivery.trouble) == (1, "No locks available")
        assert list((tmp_path / "spool").iterdir()) == []
    assert {row.id for row in ledger.calls()} == {"one"}
