"""A run asks, scores and logs; it goes on where it stopped; unmeasured is not passed."""

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genai.errors import CaseError, ModelError, Unmeasured
from genai.evals import Options, Report, Tools, Trial, evaluate, load_suite, read_report
from genai.types import Call, Reply, Usage
from genai.types import Cost as Money
from genai.types import CostStatus as Status

HEAD = "suite: sums\nmetrics:\n  exact: {min: 0.5, gate: true}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "evals").mkdir()
    return tmp_path


def sums(folder: Path, count: int = 20, head: str = HEAD) -> Path:
    rows = [{"id": f"s{n}", "input": f"{n} + 1", "expected": str(n + 1)} for n in range(count)]
    (folder / "evals" / "sums.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    path = folder / "evals" / "sums.yaml"
    path.write_text(f"{head}files: sums.jsonl\n")
    return path


def run(path: Path, task: Any, **options: Any) -> Report:
    return evaluate(path, task, path.parent.parent / "runs", Tools(), Options(**options))


def add(question: str) -> str:
    left, _, right = question.partition(" + ")
    return str(int(left) + int(right))


class Sync:
    def __call__(self, question: str) -> str:
        return add(question)


class Async:
    async def __call__(self, question: str) -> str:
        return add(question)


class Runnable:
    def invoke(self, question: str) -> str:
        raise AssertionError("the async way in comes first")

    async def ainvoke(self, question: str) -> Any:
        return type("Message", (), {"content": add(question)})()


async def awaited(question: str) -> Reply:
    cost = Money(Decimal("0.01"), Status.PRICED)
    return Reply(add(question), "m", Usage(3, 2, source="provider"), cost, 0.1, call_id="c")


@pytest.mark.parametrize("task", [add, Sync(), Async(), Runnable(), awaited, lambda q: add(q)])
def test_any_callable_is_a_task(folder: Path, task: Any) -> None:
    report = run(sums(folder), task)
    assert report.metric("exact").value == 1
    assert report.exit_code == 0


def test_langchain_runnables_are_tasks(folder: Path) -> None:
    from langchain_core.runnables import RunnableLambda

    assert run(sums(folder), RunnableLambda(add)).metric("exact").value == 1


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"answer": "1", "contexts": ["a", {"id": "p", "text": "b"}]}, "answered"),
        ({"text": "no", "refused": True, "reason": "policy"}, "refused"),
        (5, "answered"),
        ("", "failed"),
        (None, "failed"),
        (object(), "failed"),
        ("\ud800 lone", "answered"),
        ("x" * 1_000_000, "answered"),
        ("\x00\x1b[31m</script>", "answered"),
    ],
)
def test_any_outcome_is_kept_or_named(folder: Path, given: Any, state: str) -> None:
    report = run(sums(folder, 2), lambda question: given)
    assert report.states == {state: 2}
    (log,) = report.folder.glob("log-*.jsonl")
    assert len(log.read_bytes().splitlines()) == 4
    assert read_report(report.folder) == report


def test_cost_tokens_and_rows_follow_the_trials(folder: Path) -> None:
    rows: list[Call] = []
    report = run(sums(folder), awaited, record=rows.append)
    assert (report.cost, report.unknown_cost, report.tokens) == (Decimal("0.20"), 0, 100)
    assert len(rows) == 20
    assert {row.kind for row in rows} == {"eval"}
    assert {row.context.run for row in rows} == {report.run}
    assert rows[0].tags["exact"] == 1.0
    assert run(sums(folder, 3), add).unknown_cost == 3


def test_a_task_that_raises_fails_its_case_and_no_other(folder: Path) -> None:
    def sometimes(question: str) -> str:
        if question.startswith("1"):
            raise RuntimeError("boom")
        return add(question)

    report = run(sums(folder), sometimes)
    assert report.metric("exact").value == pytest.approx(9 / 20)
    assert report.metric("exact").lapses[0].happened == "failed: RuntimeError: boom"


class StatusError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("from a client of yours")
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("model x: no", "key"), "no_key"),
        (ModelError("model x: no", "network"), "network"),
        (ModelError("model x: no", "rate_limited"), "rate_limited"),
        (ModelError("model x: no", "server"), "server_error"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError("refused"), "network"),
        (StatusError(401), "no_key"),
        (StatusError(429), "rate_limited"),
        (StatusError(503), "server_error"),
        (Unmeasured("no recorded reply"), "replay_miss"),
    ],
)
def test_what_could_not_be_measured_is_neither_passed_nor_zero(
    folder: Path, error: Exception, code: str
) -> None:
    def dead(question: str) -> str:
        raise error

    report = run(sums(folder, 3), dead)
    metric = report.metric("exact")
    assert (metric.value, metric.state, metric.unmeasured) == (None, "unmeasured", 3)
    assert metric.reason.startswith(code)
    assert report.exit_code == 4


def test_a_client_that_says_bad_request_is_a_fault_of_the_task(folder: Path) -> None:
    def wrong(question: str) -> str:
        raise StatusError(400)

    assert run(sums(folder, 3), wrong).metric("exact").value == 0


def test_coverage_and_its_bounds_stand_beside_the_mean(folder: Path) -> None:
    def task(question: str) -> str:
        number = int(question.split()[0])
        if number < 4:
            raise TimeoutError("slow")
        return add(question) if number < 154 else "?"

    metric = run(sums(folder, 200), task).metric("exact")
    assert metric.value == pytest.approx(0.7653, abs=1e-4)
    assert (metric.least, metric.most) == pytest.approx((0.75, 0.77))
    assert metric.coverage == "196 of 200"
    assert metric.state == "pass"


def test_one_unmeasured_in_a_hundred_is_a_verdict_three_are_none(folder: Path) -> None:
    def task(missing: int) -> Callable[[str], str]:
        def ask(question: str) -> str:
            if int(question.split()[0]) < missing:
                raise ModelError("down", "server")
            return add(question)

        return ask

    assert run(sums(folder, 100), task(1)).exit_code == 0
    assert run(sums(folder, 100), task(3)).exit_code == 4


def test_a_case_that_takes_too_long_is_unmeasured(folder: Path) -> None:
    async def slow(question: str) -> str:
        if question.startswith("3"):
            await asyncio.sleep(30)
        return add(question)

    report = run(sums(folder, 5, HEAD + "seconds: 0.3\n"), slow)
    assert report.reasons == {"timeout": 1}
    assert report.metric("exact").reason == "timeout: no answer within 0.3 s"


def test_repeats_say_how_often_a_case_passes(folder: Path) -> None:
    seen: dict[str, int] = {}

    def flaky(question: str) -> str:
        seen[question] = seen.get(question, 0) + 1
        return add(question) if question.startswith("0") or seen[question] % 2 else "?"

    report = run(sums(folder, 4), flaky, repeats=4)
    metric = report.metric("exact")
    assert report.trials == 16
    assert metric.n == 4
    assert metric.value == pytest.approx((1 + 3 * 0.5) / 4)
    assert (metric.every, metric.any) == (0.25, 1.0)
    assert report.scorecard.cell(report.scorecard.rows[1], "exact").repeats == 4


def test_a_conversation_asks_for_the_turns_that_are_left_out(folder: Path) -> None:
    heard: list[Any] = []

    def task(messages: list[dict[str, str]]) -> str:
        heard.append([*messages])
        return f"answer {len(messages)}"

    path = folder / "evals" / "talk.yaml"
    path.write_text(
        "suite: talk\nmetrics: {exact: {min: 1}}\ncases:\n"
        "  - id: a\n    expected: answer 3\n    messages:\n"
        "      - {role: user, content: Hi}\n      - {role: user, content: 'And now?'}\n"
    )
    assert run(path, task).ok
    assert heard[1] == [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "answer 1"},
        {"role": "user", "content": "And now?"},
    ]  # fmt: skip


OWN = textwrap.dedent("""
    import math
    from genai.evals import CannotMeasure, Score

    def short(trial): return len(trial.text) < 3
    def length(trial, scale=1): return len(trial.text) / scale
    def mood(trial): return "odd" if int(trial.text) % 2 else "even"
    def nan(trial): return math.nan
    def raises(trial): raise KeyError("x")
    def prose(trial): raise CannotMeasure("judge_parse", "the judge wrote prose")
    def reasoned(trial): return Score(False, "because")
    async def later(trial): return True
    def nothing(trial): return None
    def thing(trial): return {"a": 1}
""")


def own(folder: Path, *metrics: str) -> Report:
    (folder / "evals" / "mine.py").write_text(OWN)
    head = "suite: sums\nmetrics:\n" + "".join(f"  {line}\n" for line in metrics)
    return run(sums(folder, 12, head), add)


def test_a_scorer_is_any_function(folder: Path) -> None:
    report = own(
        folder, "short: {scorer: 'evals/mine.py:short', min: 1}",
        "length: {scorer: 'evals/mine.py:length', params: {scale: 2}, show: true}",
        "mood: {scorer: 'evals/mine.py:mood', show: true}",
        "later: {scorer: 'evals/mine.py:later', min: 1}",
        "reasoned: {scorer: 'evals/mine.py:reasoned', show: true}",
        "nothing: {scorer: 'evals/mine.py:nothing', show: true}",
    )  # fmt: skip
    kinds = {metric.name: metric.kind for metric in report.metrics}
    assert (kinds["short"], kinds["length"], kinds["mood"]) == ("pass", "score", "label")
    assert report.metric("length").value == pytest.approx((9 * 1 + 3 * 2) / 12 / 2)
    assert report.metric("mood").labels == {"odd": 6, "even": 6}
    assert report.metric("reasoned").lapses[0].happened == "because"
    assert report.metric("nothing").not_applicable == 12


@pytest.mark.parametrize(
    ("name", "code"),
    [("nan", "scorer_error"), ("raises", "scorer_error"), ("prose", "judge_parse"),
     ("thing", "scorer_error")],
)  # fmt: skip
def test_a_broken_scorer_is_unmeasured_and_spoils_no_other(
    folder: Path, name: str, code: str
) -> None:
    report = own(folder, f"bad: {{scorer: 'evals/mine.py:{name}', min: 0}}", "exact: {min: 1}")
    metric = report.metric("bad")
    assert (metric.value, metric.state) == (None, "unmeasured")
    assert metric.reason.startswith(code)
    assert report.metric("exact").state == "pass"
    assert "NaN" not in (report.folder / "report.json").read_text()
    for line in next(report.folder.glob("log-*")).read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(word))


def test_a_scorer_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(CaseError, match=r"metric `x`: scorer 'evals/mine\.py:gone' cannot be"):
        own(folder, "x: {scorer: 'evals/mine.py:gone', min: 1}")


def test_a_changed_function_is_a_changed_metric(folder: Path) -> None:
    line = "length: {scorer: 'evals/mine.py:length', gate: true}"
    before = own(folder, line).scorecard
    path = folder / "evals" / "mine.py"
    global OWN
    held, OWN = OWN, OWN.replace("len(trial.text) / scale", "len(trial.text) * scale")
    try:
        after = own(folder, line).scorecard
    finally:
        OWN = held
    assert path.exists()
    assert before.head.metrics[0].id != after.head.metrics[0].id


def test_a_tag_keeps_a_metric_and_a_run_to_some_cases(folder: Path) -> None:
    path = folder / "evals" / "tags.yaml"
    cases = "".join(
        f"  - {{id: t{n}, input: '{n} + 1', expected: '{n + 1}', tags: [{'ba'[n % 2]}]}}\n"
        for n in range(10)
    )
    path.write_text(
        "suite: tags\nmetrics:\n  exact: {min: 1}\n"
        f"  odd: {{scorer: exact, where: a, min: 1}}\ncases:\n{cases}"
    )
    report = run(path, add)
    assert (report.metric("odd").n, report.metric("odd").not_applicable) == (5, 5)
    assert {(each.metric, each.tag, each.n) for each in report.slices} >= {
        ("exact", "a", 5), ("exact", "b", 5),
    }  # fmt: skip
    assert run(path, add, tag="a").cases == 5


def test_limits_are_proven_or_undecided(folder: Path) -> None:
    def most(question: str) -> str:
        return add(question) if int(question.split()[0]) % 10 else "?"

    head = "suite: sums\nmetrics:\n  exact: {min: %s}\n"
    states = {
        floor: run(sums(folder, 100, head % floor), most).metric("exact").state
        for floor in (0.8, 0.89, 0.95)
    }
    assert states == {0.8: "pass", 0.89: "inconclusive", 0.95: "fail"}
    path = sums(folder, 100, head % 0.89)
    assert run(path, most).exit_code == 0
    assert run(path, most, stage="release").exit_code == 2
    assert run(sums(folder, 100, head % 1), most).exit_code == 1


def test_latency_is_judged_by_order_statistics(folder: Path) -> None:
    head = "suite: sums\nmetrics:\n  latency_p95: {max: 5}\n"
    assert run(sums(folder, 80, head), add).metric("latency_p95").state == "pass"
    few = run(sums(folder, 30, head), add).metric("latency_p95")
    assert few.state == "inconclusive"
    assert "59 are needed" in few.note
    slow = run(sums(folder, 80, head.replace("max: 5", "max: 0.0")), add)
    assert slow.metric("latency_p95").state == "fail"
    assert slow.exit_code == 3


def test_a_killed_run_goes_on_where_it_stopped(folder: Path) -> None:
    path = sums(folder, 300)
    program = textwrap.dedent(f"""
        import asyncio, sys
        sys.path.insert(0, {str(folder)!r})
        from pathlib import Path
        from genai.evals import Options, Tools, evaluate
        import asked
        report = evaluate(Path({str(path)!r}), asked.task, Path({str(folder / "runs")!r}), Tools(),
                          Options(concurrency=8))
        print(report.resumed, report.metric("exact").value)
    """)
    (folder / "asked.py").write_text(
        "import asyncio\nfrom pathlib import Path\nlog = Path(__file__).with_name('asked.txt')\n"
        "async def task(question):\n"
        "    with log.open('a') as file: file.write(question + '\\n')\n"
        "    await asyncio.sleep(0.01)\n"
        "    left, _, right = question.partition(' + ')\n"
        "    return str(int(left) + int(right))\n"
    )
    asked = folder / "asked.txt"
    for stop_at in (40, 160):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        deadline = time.time() + 60
        while asked.exists() is False or len(asked.read_text().splitlines()) < stop_at:
            assert time.time() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    (run_folder,) = (folder / "runs" / "sums").iterdir()
    torn = max(run_folder.glob("log-*.jsonl"), key=lambda each: each.stat().st_mtime)
    with torn.open("ab") as file:
        file.write(b'["trial",{"unit":"torn')
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    resumed, value = done.stdout.split()
    assert int(resumed) >= 130
    assert float(value) == 1.0
    assert len(asked.read_text().splitlines()) <= 300 + 2 * 8 + 2
    whole = evaluate(path, _module(folder).task, folder / "other", Tools(), Options())
    assert _values(whole) == _values(read_report(run_folder))


def _module(folder: Path) -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("asked", folder / "asked.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _values(report: Report) -> list[tuple[str, list[Any]]]:
    return [(row.case, row.values) for row in report.scorecard.rows]


def test_what_was_unmeasured_is_asked_again_and_nothing_else(folder: Path) -> None:
    path = sums(folder, 30)
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


def test_a_new_metric_scores_what_is_there(folder: Path) -> None:
    asked: list[str] = []

    def task(question: str) -> str:
        asked.append(question)
        if question == "0 + 1":
            raise ModelError("down", "network")
        return add(question)

    run(sums(folder, 10), task)
    asked.clear()
    more = run(sums(folder, 10, HEAD + "  contains: {show: true}\n"), task)
    assert asked == ["0 + 1"]
    assert more.metric("contains").n == 9


def test_two_runs_at_once_keep_apart(folder: Path) -> None:
    path = sums(folder, 10)
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


def test_processes_of_one_session_share_one_run(folder: Path) -> None:
    path = sums(folder, 10)
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


def test_a_run_that_cannot_be_written_says_so(folder: Path) -> None:
    (folder / "runs").write_text("a file where the folder should be")
    with pytest.raises(CaseError, match="cannot be written"):
        run(sums(folder, 2), add)


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genai.evals import store

    path, real, left = sums(folder, 50), store._encode, [30]

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


def test_nan_never_reaches_a_file() -> None:
    trial = Trial(unit="u", case_id="c")
    assert math.isfinite(trial.seconds)


def test_a_suite_object_and_its_path_give_the_same(folder: Path) -> None:
    path = sums(folder, 5)
    one = evaluate(load_suite(path), add, folder / "runs", Tools())
    assert _values(one) == _values(run(path, add))
