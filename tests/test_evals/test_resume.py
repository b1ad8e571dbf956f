"""A run goes on where it stopped, whatever stopped it, and two runs keep apart."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
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
        "import asyncio\nfrom pathlib import Path\nlog = Path(__file__).with_name('asked.log')\n"
        "async def task(question):\n"
        "    with log.open('a') as file: file.write(question + '\\n')\n"
        "    await asyncio.sleep(0.01)\n"
        "    left, _, right = question.partition(' + ')\n"
        "    return str(int(left) + int(right))\n"
    )
    asked = tmp_path / "asked.log"
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
    assert re.search(r"^19 answers are from 20\S+Z, an earlier start of this run; to ask anew:"
                     r" genai eval sums --fresh$", second.text(), re.MULTILINE)  # fmt: skip
    assert run(path, task).run != first.run  # a complete run is not gone on with
    assert run(path, task, resume=False).resumed == 0


class Adder:
    def __init__(self, by: int) -> None:
        self.by = by

    def answer(self, question: str) -> str:
        return str(int(add(question)) + self.by)


def added(question: str, by: int = 0) -> str:
    return Adder(by).answer(question)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda q: "0", lambda q: add(q)),
        (partial(added, by=1), partial(added, by=0)),
        (Adder(1).answer, Adder(0).answer),
    ],
)
def test_answers_of_another_task_are_not_taken_over(tmp_path: Path, one: Any, other: Any) -> None:
    judging(tmp_path, 5, "moody")  # never measured, and always tried again
    path = sums(tmp_path, 5, HEAD + "  moody: {scorer: 'evals/j.py:moody', show: true}\n")
    first = run(path, one)
    assert (first.metric("exact").value, first.exit_code) == (0, 1)
    second = run(path, other)
    assert (second.metric("exact").value, second.resumed) == (1, 0)
    assert run(path, other).run == second.run  # the same task goes on with its own
    assert run(path, other).resumed == 5


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


JUDGING = """
import asyncio
from pathlib import Path
from genai.evals import CannotMeasure
from genai.ledger.context import occurrence

here = Path(__file__).parent
now = most = 0


def note(name, text="x"):
    with (here / name).open("a") as file:
        file.write(text)


async def slow(trial):
    note("slow")
    await asyncio.sleep(0 if (here / "killed").exists() else 60)
    return True


async def moody(trial):
    note("moody")
    if not (here / "up").exists():
        raise CannotMeasure("rate_limited")
    return True


async def crowd(trial):
    global now, most
    now, most = now + 1, max(most, now + 1)
    await asyncio.sleep(0.02)
    now -= 1
    note("crowd", f"{most} {trial.repeat} {occurrence('asked')}\\n")
    return True
"""


def judging(folder: Path, count: int, *metrics: str) -> Path:
    head = "suite: sums\nmetrics:\n  exact: {show: true}\n"
    head += "".join(f"  {each}: {{scorer: 'evals/j.py:{each}', min: 0.5}}\n" for each in metrics)
    path = sums(folder, count, head)
    (path.parent / "j.py").write_text(JUDGING)
    return path


def test_a_kill_while_answers_are_judged_loses_no_answer(tmp_path: Path) -> None:
    path = judging(tmp_path, 20, "slow")
    program = textwrap.dedent(f"""
        from pathlib import Path
        from genai.evals import Options, Tools, evaluate
        asked = Path({str(tmp_path / "asked")!r})
        async def task(question):
            with asked.open("a") as file: file.write(question + "\\n")
            return str(int(question.partition(" + ")[0]) + 1)
        runs, options = Path({str(tmp_path / "runs")!r}), Options(concurrency=8)
        report = evaluate(Path({str(path)!r}), task, runs, Tools(), options)
        print(report.resumed, report.metric("slow").n, report.metric("exact").value)
    """)
    (tmp_path / "program.py").write_text(program)
    line = [sys.executable, str(tmp_path / "program.py")]
    with subprocess.Popen(line) as process:
        deadline = time.time() + 60
        while not (path.parent / "slow").exists() or (path.parent / "slow").stat().st_size < 8:
            assert time.time() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    (path.parent / "killed").touch()
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["8", "20", "1.0"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == len(set(asked)) == 20
    assert (path.parent / "slow").stat().st_size == 8 + 20


def test_a_judgement_that_was_made_is_not_paid_for_again(tmp_path: Path) -> None:
    path = judging(tmp_path, 10, "slow", "moody")
    (path.parent / "killed").touch()
    asked: list[str] = []

    def task(question: str) -> str:
        asked.append(question)
        return add(question)

    rows: list[Any] = []
    first = run(path, task, record=rows.append)
    assert (first.metric("slow").n, first.metric("moody").unmeasured) == (10, 10)
    assert first.exit_code == 4
    second = run(path, task)
    assert second.exit_code == 4
    (path.parent / "up").touch()
    third = run(path, task, record=rows.append)
    assert (third.run, third.resumed, third.exit_code) == (first.run, 10, 0)
    assert [third.metric(name).n for name in ("exact", "slow", "moody")] == [10, 10, 10]
    assert (path.parent / "slow").stat().st_size == 10
    assert (path.parent / "moody").stat().st_size == 30
    assert len(asked) == len(rows) == 10  # a row a trial, however often it is scored


def test_answers_are_scored_again_at_once_and_each_repeat_as_itself(tmp_path: Path) -> None:
    run(judging(tmp_path, 12), add, repeats=2)
    path = judging(tmp_path, 12, "crowd")
    again = run(path, add, repeats=2, rescore="", concurrency=5)
    assert (again.metric("crowd").n, again.resumed) == (12, 24)
    said = [line.split() for line in (path.parent / "crowd").read_text().splitlines()]
    assert max(int(most) for most, _, _ in said) == 5
    assert all(repeat == which for _, repeat, which in said)  # replayed as what it is
    assert sorted(repeat for _, repeat, _ in said) == ["0"] * 12 + ["1"] * 12


def test_a_repeat_that_was_not_measured_leaves_its_case_unmeasured_and_is_asked_again(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def limited(question: str) -> str:
        asked.append(question)
        if asked.count(question) > 1 and len(asked) <= 30:
            raise TimeoutError
        return add(question)

    first = run(sums(tmp_path, 10), limited, repeats=3, concurrency=1)
    metric = first.metric("exact")
    assert (metric.n, metric.unmeasured, metric.state, metric.every) == (0, 10, "unmeasured", None)
    assert first.exit_code == 4
    assert first.scorecard.cell(first.scorecard.rows[0], "exact").missing == "timeout"
    again = run(sums(tmp_path, 10), limited, repeats=3)
    assert (again.run, again.resumed, len(asked)) == (first.run, 10, 50)
    assert (again.metric("exact").n, again.metric("exact").every, again.exit_code) == (10, 1.0, 0)


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
    with pytest.raises(CaseError, match="free space and run again"):
        run(path, add)
    monkeypatch.setattr(store, "_encode", real)
    assert run(path, add).resumed >= 10
