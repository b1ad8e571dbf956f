"""Suites share one store of replies: a second run asks nobody, a miss is unmeasured."""

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from servers import openai_server

import genai


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "evals").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    monkeypatch.delenv("CI", raising=False)
    suite(tmp_path, "says", 12)
    return tmp_path


def suite(folder: Path, name: str, count: int, more: str = "") -> None:
    cases = ", ".join(
        f"{{id: c{n}, input: 'Say {n}{more}', expected: '{n}'}}" for n in range(count)
    )
    (folder / "evals" / f"{name}.yaml").write_text(
        f"suite: {name}\ntask: model\nmetrics: {{contains: {{min: 0.5}}}}\ncases: [{cases}]\n"
    )


def counting() -> Any:
    """A model that answers each request with its number and how often it was asked."""
    seen: dict[str, int] = {}

    def answer(body: dict[str, Any]) -> str:
        said = body["messages"][-1]["content"]
        seen[said] = seen.get(said, 0) + 1
        return f"{said} {seen[said]}"

    return answer


def run(url: str, name: str = "says", **options: Any) -> genai.Report:
    return genai.evaluate(name, genai.model(f"openai/x@{url}"), resume=False, **options)


def rows(report: genai.Report) -> list[Any]:
    return [(row.case, row.values, row.answer) for row in report.scorecard.rows]


def test_a_recorded_suite_runs_again_without_a_server_or_a_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_REPLAY_MODE", "record")
    with openai_server(answer=counting()) as (url, server):
        first = run(url, repeats=2)
        assert len(server.requests) == 24
        second = run(url, repeats=2)
        assert len(server.requests) == 24
    assert rows(first) == rows(second)
    monkeypatch.setenv("GENAI_REPLAY_MODE", "replay")
    monkeypatch.delenv("OPENAI_API_KEY")
    third = run(url, repeats=2)
    assert rows(first) == rows(third)
    assert third.cost == 0
    assert third.exit_code == 0


def test_repeats_have_replies_of_their_own_and_suites_share_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_REPLAY_MODE", "record")
    suite(folder, "other", 12)
    with openai_server(answer=counting()) as (url, server):
        run(url, repeats=3)
        said = [message["messages"][-1]["content"] for message in server.requests]
        assert said.count("Say 0") == 3
        run(url, "other", repeats=3)
        assert len(server.requests) == 36


def test_a_miss_is_unmeasured_and_asks_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_REPLAY_MODE", "record")
    with openai_server(answer=counting()) as (url, server):
        run(url)
        suite(folder, "says", 12, "!")
        monkeypatch.setenv("GENAI_REPLAY_MODE", "replay")
        report = run(url)
        assert len(server.requests) == 12
    metric = report.metric("contains")
    assert (metric.value, report.exit_code) == (None, 4)
    assert "run once with GENAI_REPLAY_MODE=record" in metric.reason


@pytest.mark.parametrize(("mode", "asked"), [("record", 12), ("refresh", 13)])
def test_in_ci_a_recording_gives_what_it_has_and_only_a_refresh_asks(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str, asked: int
) -> None:
    monkeypatch.setenv("GENAI_REPLAY_MODE", "record")
    with openai_server(answer=counting()) as (url, server):
        run(url)
        monkeypatch.setenv("CI", "true")
        assert run(url).exit_code == 0
        suite(folder, "one", 1, "!")
        monkeypatch.setenv("GENAI_REPLAY_MODE", mode)
        report = run(url, "one")
        assert len(server.requests) == asked
    assert report.exit_code == (4 if mode == "record" else 0)


def test_a_terminal_shows_rate_cost_and_time_left(folder: Path) -> None:
    with openai_server(answer=counting(), delay=0.15) as (url, _):
        config = f"version: 1\nchain: {{model: openai/x@{url}}}\n"
        (folder / "configs" / "genai.yaml").write_text(config)
        here, there = pty.openpty()
        termios.tcsetwinsize(there, (24, 100))
        process = subprocess.Popen(
            [sys.executable, "-m", "genai", "eval", "says", "--concurrency", "1"],
            stderr=there, stdout=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        os.close(there)
        shown = b""
        while True:
            try:
                piece = os.read(here, 4096)
            except OSError:  # the terminal has ended
                break
            if not piece:
                break
            shown += piece
        assert process.wait(60) == 0
        os.close(here)
    text = shown.decode()
    assert "/12" in text
    assert "case/s" in text or "s/case" in text
    assert "$0.0000" in text
    assert re.search(r"[1-9]/12 \[\d\d:\d\d<\d\d:\d\d, ", text)  # time gone < time left
