"""`genai calls`: each filter alone, the newest rows, and rows as they come."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from makers import call

import genai
from genai import project
from genai.cli import main
from genai.ledger import Ledger
from genai.ledger.follow import Follower
from genai.ledger.store import FILTERS
from genai.types import Call, Context


@pytest.fixture
def ledger(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    target = tmp_path / "project"
    project.init(target)
    monkeypatch.chdir(target)
    monkeypatch.setenv("GENAI_LEDGER_URL", url)
    found = Ledger(target / ".genai" / "ledger.db", url=url)
    yield found
    for each in (found, genai.open_ledger()):  # the verb has its own
        each.database.dispose()


def rows(word: str, **given: object) -> Call:
    context = Context(
        feature=f"feature-{word}", user=f"user-{word}", session=f"session-{word}",
        tenant=f"tenant-{word}", release=f"release-{word}", run=f"run-{word}",
    )  # fmt: skip
    return call(
        model=f"model-{word}", provider=f"provider-{word}", reason=f"reason-{word}",
        context=context, started_at=time.time(), **given,
    )  # fmt: skip


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["calls", *words]) == 0
    return capsys.readouterr().out


WANTED = {"kind": "judge", "outcome": "error", "cost_status": "unpriced"}


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_shows_its_rows_alone(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    ledger.record(rows("a"))
    ledger.record(rows("b", kind="judge", outcome="error", cost=None))
    option = f"--{name.replace('_', '-')}"
    text = said(capsys, option, WANTED.get(name, f"{name}-b"))
    assert "model-b" in text
    assert "model-a" not in text
    assert "no such call yet" in said(capsys, option, "nobody")


def test_hours_limit_and_order(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    for age in (3, 2, 1):
        ledger.record(call(model=f"m{age}", started_at=time.time() - 3600 * age))
    assert [line.split()[3] for line in said(capsys).splitlines()[1:]] == ["m1", "m2", "m3"]
    assert "m3" not in said(capsys, "--hours", "2.5")
    assert "m2" not in said(capsys, "--limit", "1")


def test_days_are_totals_of_all_or_of_the_last_ones(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    for age in (0, 1, 9):
        ledger.record(call(model=f"m{age}", started_at=time.time() - 86_400 * age))
    assert "m9: 1 calls" in said(capsys, "--days")
    text = said(capsys, "--days", "2")
    assert len(re.findall(r"^\d{4}-\d\d-\d\d: ", text, re.MULTILINE)) == 2
    assert "m1" in text
    assert "m9" not in text


@pytest.mark.parametrize(
    "words",
    [
        ("calls", "--days", "0"), ("calls", "--days", "-1"), ("calls", "--days", "1e3"),
        ("calls", "--limit", "0"), ("calls", "--limit", "9" * 30), ("calls", "--hours", "-1"),
        ("calls", "--hours", "nan"), ("export", "--retain", "--call-days", "-1"),
        ("export", "--retain", "--content-days", "nan"), ("exp", "list", "--limit", "-1"),
        ("eval", "runs", "handbook", "--limit", "0"), ("loop", "score", "--days", "inf"),
        ("eval", "make", "handbook", "--count", "-1"),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_meant_is_named_and_nothing_is_done(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    ledger.record(rows("a"))
    with pytest.raises(SystemExit, match="64"):
        main(words)
    line = capsys.readouterr().err.splitlines()[-1]
    whole = words[-2] in ("--limit", "--count") or words[:2] == ("calls", "--days")
    wanted = "whole number from 1" if whole else "number from 0"
    assert line == f"genai: argument {words[-2]}: {words[-1]!r} is no {wanted} to 1,000,000"
    assert len(ledger.calls()) == 1


def test_budgets_that_no_call_has_met_are_said_to_be_so(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = said(capsys, "--budgets").splitlines()
    assert line.startswith("no budget has let a call through yet; set them: `budgets` in configs/")


def test_a_name_with_line_breaks_stays_on_its_line(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.record(call(model="two\nlines", reason="a\r\n\x1b[2Jb", started_at=time.time()))
    assert len(said(capsys).splitlines()) == 2
    assert said(capsys).rstrip().endswith("a   [2Jb")
    assert "\n  two lines: 1 calls" in said(capsys, "--summary")
    assert "\n  two lines: 1 calls" in said(capsys, "--days")


def test_follow_shows_what_comes_and_only_what_the_filter_lets_through(ledger: Ledger) -> None:
    ledger.record(rows("b", outcome="error"))
    line = [sys.executable, "-m", "genai", "calls", "--follow", "--outcome", "error"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ) as follower:
        try:
            assert follower.stdout is not None
            assert "time (UTC)" in follower.stdout.readline()
            assert "model-b" in follower.stdout.readline()
            ledger.record(rows("a"))
            ledger.record(rows("c", outcome="error"))
            assert "model-c" in follower.stdout.readline()
        finally:
            follower.kill()


def test_follow_shows_each_call_once_when_it_has_ended_however_long_it_took(
    ledger: Ledger,
) -> None:
    """A row is written when its call ends: a slow one comes after quick ones that began later."""
    ledger.record(call(model="before", started_at=time.time()))
    line = [sys.executable, "-m", "genai", "calls", "--follow"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ) as follower:
        try:
            assert follower.stdout is not None
            assert "time (UTC)" in follower.stdout.readline()
            assert "before" in follower.stdout.readline()
            now = time.time()
            ledger.record(call(model="lost", started_at=now - 900, seconds=0.0, outcome="lost"))
            ledger.record(call(model="of-15-minutes", started_at=now - 900, seconds=900.0))
            ledger.record(call(model="of-15-seconds", started_at=now - 15, seconds=15.0))
            for _ in range(1200):
                ledger.record(call(model="quick", started_at=now, seconds=0.01))
            ledger.flush()
            ledger.record(call(model="the-last", started_at=now + 1))
            shown = []
            while not shown or "the-last" not in shown[-1]:
                shown.append(follower.stdout.readline())
        finally:
            follower.kill()
    counts = Counter(line.split()[3] for line in shown)
    assert counts == {"lost": 1, "of-15-minutes": 1, "of-15-seconds": 1, "quick": 1200,
                      "the-last": 1}  # fmt: skip


def test_a_follower_holds_no_more_than_its_last_look(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, now = [], time.time()
    follower = Follower(ledger)
    for minute in range(4):
        monkeypatch.setattr(time, "time", lambda at=now + 60 * minute: at)
        for _ in range(20):
            ledger.record(call(started_at=time.time() - 1))
        assert [len(follower.new()), len(follower.new())] == [20, 0]
        held.append(len(follower._seen))
    assert max(held) == 20
