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

from genai.cli import main
from genai.errors import CaseError, ModelError
from genai.evals import Options, Report, Tools, evaluate, read_report, store


@pytest.mark.parametrize(("cases", "repeats"), [(300, 1), (100, 3)])
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, cases: int, repeats: int) -> None:
    path = sums(tmp_path, cases)
    program = textwrap.dedent(f"""
        import asyncio, sys
        sys.path.insert(0, {str(tmp_path)!r})
        from pathlib import Path
        from genai.evals import Options, Tools, evaluate
        import asked
        runs = Path({str(tmp_path / "runs")!r})
        options = Options(concurrency=8, repeats={repeats})
        report = evaluate(Path({str(path)!r}), asked.task, runs, Tools(), options)
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
    options = Options(repeats=repeats)
    whole = evaluate(path, _module(tmp_path).task, tmp_path / "other", Tools(), options)
    assert _values(whole) == _values(read_report(finished))
    assert read_report(finished).trials == cases * repeats


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


OWN = """def score(trial):
    return trial.text == trial.case.expected
"""


def test_a_complete_run_is_scored_again_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    path = sums(tmp_path, 30, "suite: sums\ntask: asks:task\nmetrics:\n  exact: {gate: true}\n"
                "  own: {scorer: 'evals/mine.py:score', min: 0.5}\n")  # fmt: skip
    (tmp_path / "evals" / "mine.py").write_text(OWN)
    log = tmp_path / "asked.txt"
    (tmp_path / "asks.py").write_text(
        "from pathlib import Path\n\n\ndef task(question):\n"
        f"    with Path({str(log)!r}).open('a') as file:\n        file.write('x')\n"
        "    return str(int(question.split()[0]) + 1)\n"
    )
    assert main(["eval", "sums", "--rescore"]) == 64
    assert "no run of suite sums has these cases, this task" in capsys.readouterr().err
    assert main(["eval", "sums"]) == 0
    first = read_report(next((tmp_path / ".genai" / "runs" / "sums").iterdir()))
    assert (first.metric("own").value, log.stat().st_size) == (1.0, 30)
    # the scorer changes and a metric comes; neither needs an answer that is not there
    (tmp_path / "evals" / "mine.py").write_text(OWN.replace("return", "return not"))
    path.write_text(path.read_text().replace("  own", "  contains: {min: 0.5}\n  own"))
    assert main(["eval", "sums", "--rescore", first.run]) == 1
    assert log.stat().st_size == 30
    runs = [read_report(each) for each in (tmp_path / ".genai" / "runs" / "sums").iterdir()]
    (again,) = (each for each in runs if each.run != first.run)
    values = [again.metric(name).value for name in ("exact", "contains", "own")]
    assert values == [1.0, 1.0, 0.0]
    assert (again.resumed, again.cases) == (30, 30)
    assert read_report(first.folder).metric("own").value == 1.0  # the old report stays as it was
    (tmp_path / "asks.py").write_text("def task(question):\n    return 'other'\n")
    assert main(["eval", "sums", "--rescore"]) == 64  # another task has not answered yet


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
