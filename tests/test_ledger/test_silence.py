"""A ledger in trouble: calls go on, one sentence says what is wrong, and nothing private."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import faulty, reply

from genai.errors import LedgerUnusable
from genai.ledger import Ledger

ASKS = """
import logging, os, sys
from pathlib import Path
from genai.config import ModelSettings
from genai.errors import LedgerUnusable
from genai.ledger import Ledger, database, scope
from genai.models import Hooks, open_model

logging.basicConfig(level=logging.DEBUG)
database._PATIENCE = 0.3
ledger = Ledger(Path(sys.argv[1]), content="all")

def record(call):
    ledger.record(call, question="my private question", answer="a private answer")

hooks = Hooks(record=record, sent=ledger.sent, limits=Path(sys.argv[1]).parent / "limits")
model = open_model(f"openai/m@{sys.argv[2]}", hooks=hooks)
with scope(user="private-ann"):
    print(model("my private question").call_id)
try:
    ledger.calls()
except LedgerUnusable as error:
    print(error)
sys.stdout.flush()
ledger._last()
os._exit(0)
"""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.close()


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    if subprocess.run(["chattr", "+i", path], check=False).returncode:
        pytest.skip("only root can make a file immutable, and not on every file system")
    yield
    subprocess.run(["chattr", "-i", path], check=True)


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    good = path.read_bytes()
    path.write_bytes(b"this was a database " * 500)
    yield
    path.write_bytes(good)


@contextmanager
def refused(path: Path) -> Iterator[None]:
    (path.parent / "spool").rmdir()
    (path.parent / "spool").write_text("a file where the folder should be")
    yield
    (path.parent / "spool").unlink()


@contextmanager
def full(path: Path) -> Iterator[None]:
    """Leave no room in a small file system, beside what lies in it."""
    fill = path.parent / "fill"
    with fill.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    yield
    fill.unlink()


FAULTS = {
    locked: "is locked by another program", read_only: "check the folder's permissions",
    damaged: "is damaged; it was not changed", refused: "", full: "",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_call_goes_on_and_nothing_private_is_said(tmp_path: Path, fault: object) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        fault is full
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "none", disk], check=False
        ).returncode
    ):
        pytest.skip("a small file system can be mounted by root only")
    try:
        check(disk / "ledger.db", fault)
    finally:
        if fault is full:
            subprocess.run(["umount", disk], check=True)


def check(path: Path, fault: object) -> None:
    Ledger(path).calls()
    (path.parent / "spool").mkdir(exist_ok=True)
    with faulty(reply()) as (url, _), fault(path):  # type: ignore[operator]
        done = subprocess.run(
            [sys.executable, "-c", ASKS, path, url], capture_output=True, text=True, timeout=60,
            env={**os.environ, "OPENAI_API_KEY": "sk-private", "GENAI_USER_KEY": "k-private"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    call_id, *said = done.stdout.splitlines()
    assert FAULTS[fault] in "".join(said)  # type: ignore[index]
    assert len(said) <= 1
    assert "private" not in done.stdout + done.stderr
    kept = [row.id for row in Ledger(path).calls()]
    if fault in (refused, full):  # no place for it: said so when the process ended
        assert "could not be recorded" in done.stderr
        assert kept == []
    else:
        assert kept == [call_id]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann@127.0.0.1:9/genai?password=very-secret",
        "postgresql://ann:very-secret@127.0.0.1:port/genai",
        "postgresql://ann:half@very-secret@127.0.0.1:9/genai",  # should be %40
        "postgresql://ann:very-secret?x@127.0.0.1:9/genai",
    ],
    ids=["option", "port", "at", "question-mark"],
)
def test_no_part_of_the_password_in_a_url_is_said(tmp_path: Path, url: str) -> None:
    with pytest.raises(LedgerUnusable, match="GENAI_LEDGER_URL") as caught:
        Ledger(tmp_path / "ledger.db", url=url).calls()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
