"""A run goes on where it stopped, whatever stopped it, and two runs keep apart."""

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sums import HEAD, add, run, sums

from genai.errors import CaseError, ModelError
from genai.evals import Options, Report, Tools, evaluate, read_report, store


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = sums(tmp_path, 300)
    program = textwrap.dedent(f"""
        import asyncio, sys
        sys.path.insert(0, {str(tmp_path)!r})
        from pathlib import Path
        from genai.evals import Options, Tools, evaluate
        import asked
        runs = Path({str(tmp_path / "runs")!r})
        report = evaluate(Path({str(path)!r}), asked.task, runs, Tools(), Options(concurrency=8))
        print(report.resumed, report.metric("exact").value)
    """)
    (tmp_path / "asked.py").write_text(
        "import asyncio\nfrom pathlib import Path\nlog = Path(__file__).with_name('asked.txt')\n"
        "async def task(question):\n"
        "    with log.open('a') as file: file.write(question + '\\n')\n"
        "    await asyncio.sleep(0.01)\n"
        "    left, _, right = question.partition(' + ')\n"
        "    return str(int(left) + int(right))\n"
    )
    asked = tmp_path / "asked.txt"
    for stop_at in (40, 160):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        deadline = time.time() + 60
        while asked.exists() is False or len(asked.read_text().splitlines()) < stop_at:
            assert time.time() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    (finished,) = (tmp_path / "runs" / "sums").iterdir()
    torn = max(finished.glob("log-*.jsonl"), key=lambda each: each.stat().st_mtime)
    with torn.open("ab") as file:
        file.write(b'["trial",{"unit":"torn')
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    resumed, value = done.stdout.split()
    assert int(resumed) >= 130
    assert float(value) == 1.0
    assert len(asked.read_text().splitlines()) <= 300 + 2 * 8 + 2
    whole = evaluate(path, _module(tmp_path).task, tmp_path / "other", Tools(), Options())
    assert _values(whole) == _values(read_report(finished))


def _module(tmp_path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("asked", tmp_path / "asked.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _values(report: Report) -> list[tuple[str, list[Any]]]:
    return [(row.case, row.values) for row in report.scorecard.rows]


def test_what_was_unmeasured_is_asked_again_and_nothing_else(tmp_path: Path) -> None:
    path = sums(tmp_path, 30)
    asked: list[str] = []
    down = [True]

    def task(question: str) -> str:
        asked.append(question)
        if down[0] and question.startswith("2"):
            raise ModelError("down", "network")
        return add(question)

    first = run(path, task)
    assert first.exit_code == 4
    down[0] = False
    asked.clear()
    second = run(path, task)
    assert second.run == first.run
    assert sorted(asked) == sorted({"2 + 1", *(f"{n} + 1" for n in range(20, 30))})
    assert second.ok
    assert second.resumed == 19
    assert run(path, task).run != first.run  # a complete run is not gone on with
    assert run(path, task, resume=False).resumed == 0


def test_a_new_metric_scores_what_is_there(tmp_path: Path) -> None:
    asked: list[str] = []

    def task(question: str) -> str:
        asked.append(question)
        if question == "0 + 1":
            raise ModelError("down", "network")
        return add(question)

    run(sums(tmp_path, 10), task)
    asked.clear()
    more = run(sums(tmp_path, 10, HEAD + "  contains: {show: true}\n"), task)
    assert asked == ["0 + 1"]
    assert more.metric("contains").n == 9


def test_two_runs_at_once_keep_apart(tmp_path: Path) -> None:
    path = sums(tmp_path, 10)
    started = threading.Barrier(2, timeout=20)
    reports: list[Report] = []

    def task(question: str) -> str:
        if question == "0 + 1":
            started.wait()
        return add(question)

    threads = [threading.Thread(target=lambda: reports.append(run(path, task))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({report.run for report in reports}) == 2
    assert all(report.metric("exact").value == 1 for report in reports)


def test_processes_of_one_session_share_one_run(tmp_path: Path) -> None:
    path = sums(tmp_path, 10)
    asked: list[str] = []

    def task(question: str) -> str:
        asked.append(question)
        time.sleep(0.02)
        return add(question)

    reports: list[Report] = []
    threads = [
        threading.Thread(target=lambda: reports.append(run(path, task, name="session-1")))
        for _ in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(asked) == 10
    assert len({report.run for report in reports}) == 1


def test_a_run_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(CaseError, match="cannot be written"):
        run(sums(tmp_path, 2), add)


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, left = sums(tmp_path, 50), store._encode, [30]

    def full(line: Any) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(line)

    monkeypatch.setattr(store, "_encode", full)
    with pytest.raises(BaseExceptionGroup) as caught:
        run(path, add)
    assert "free space and run again" in str(caught.value.exceptions[0])
    monkeypatch.setattr(store, "_encode", real)
    assert run(path, add).resumed >= 10
