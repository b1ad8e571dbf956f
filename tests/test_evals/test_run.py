"""A run asks, scores and logs; it goes on where it stopped; unmeasured is not passed."""

import asyncio
import json
import sys
import textwrap
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sums import HEAD, add, run, sums

from genai.errors import CaseError, InputError, ModelError
from genai.evals import Options, Report, Tools, evaluate, load_suite, read_report
from genai.types import Call, Reply, Usage
from genai.types import Cost as Money
from genai.types import CostStatus as Status


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
def test_any_callable_is_a_task(tmp_path: Path, task: Any) -> None:
    report = run(sums(tmp_path), task)
    assert report.metric("exact").value == 1
    assert report.exit_code == 0


def test_langchain_runnables_are_tasks(tmp_path: Path) -> None:
    from langchain_core.runnables import RunnableLambda

    assert run(sums(tmp_path), RunnableLambda(add)).metric("exact").value == 1


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"answer": "1", "contexts": ["a", {"id": "p", "text": "b"}]}, "answered"),
        ({"text": "no", "refused": True, "reason": "policy"}, "refused"),
        (5, "answered"),
        ("", "failed"),
        (None, "failed"),
        (object(), "failed"),
        ({"text": "1", "cost": float("nan")}, "failed"),
        ({"text": "1", "cost": -5}, "failed"),
        ({"text": "1", "cost": "lots"}, "failed"),
        ("\ud800 lone", "answered"),
        ("x" * 1_000_000, "answered"),
        ("\x00\x1b[31m</script>", "answered"),
    ],
)
def test_any_outcome_is_kept_or_named(tmp_path: Path, given: Any, state: str) -> None:
    report = run(sums(tmp_path, 2), lambda question: given)
    assert report.states == {state: 2}
    (log,) = report.folder.glob("log-*.jsonl")
    assert len(log.read_bytes().splitlines()) == 4
    assert read_report(report.folder) == report


def test_cost_tokens_and_rows_follow_the_trials(tmp_path: Path) -> None:
    rows: list[Call] = []
    report = run(sums(tmp_path), awaited, record=rows.append)
    assert (report.cost, report.unknown_cost, report.tokens) == (Decimal("0.20"), 0, 100)
    assert len(rows) == 20
    assert {row.kind for row in rows} == {"eval"}
    assert {row.context.run for row in rows} == {report.run}
    assert rows[0].tags["exact"] == 1.0
    assert run(sums(tmp_path, 3), add).unknown_cost == 3


def test_a_task_that_raises_fails_its_case_and_no_other(tmp_path: Path) -> None:
    def sometimes(question: str) -> str:
        if question.startswith("1"):
            raise RuntimeError("boom")
        return add(question)

    report = run(sums(tmp_path), sometimes)
    assert report.metric("exact").value == pytest.approx(9 / 20)
    assert report.metric("exact").lapses[0].happened == "failed: RuntimeError: boom"


def test_a_task_that_ends_the_program_fails_its_case_and_no_other(tmp_path: Path) -> None:
    def ends(question: str) -> str:
        return add(question) if question.startswith("1") else sys.exit(3)

    report = run(sums(tmp_path), ends)
    assert report.states == {"answered": 11, "failed": 9}
    assert report.metric("exact").lapses[0].happened == "failed: SystemExit: 3"


def test_coverage_and_its_bounds_stand_beside_the_mean(tmp_path: Path) -> None:
    def task(question: str) -> str:
        number = int(question.split()[0])
        if number < 4:
            raise TimeoutError("slow")
        return add(question) if number < 154 else "?"

    metric = run(sums(tmp_path, 200), task).metric("exact")
    assert metric.value == pytest.approx(0.7653, abs=1e-4)
    assert (metric.least, metric.most) == pytest.approx((0.75, 0.77))
    assert metric.coverage == "196 of 200"
    assert metric.state == "pass"


def test_one_unmeasured_in_a_hundred_is_a_verdict_three_are_none(tmp_path: Path) -> None:
    def task(missing: int) -> Callable[[str], str]:
        def ask(question: str) -> str:
            if int(question.split()[0]) < missing:
                raise ModelError("down", "server")
            return add(question)

        return ask

    assert run(sums(tmp_path, 100), task(1)).exit_code == 0
    assert run(sums(tmp_path, 100), task(3)).exit_code == 4


def test_a_case_that_takes_too_long_is_unmeasured(tmp_path: Path) -> None:
    async def slow(question: str) -> str:
        if question.startswith("3"):
            await asyncio.sleep(30)
        return add(question)

    report = run(sums(tmp_path, 5, HEAD + "seconds: 0.3\n"), slow)
    assert report.reasons == {"timeout": 1}
    assert report.metric("exact").reason == "timeout: no answer within 0.3 s"


def test_a_task_that_stalls_takes_no_other_case_with_it(tmp_path: Path) -> None:
    """As many stall as may be in flight, and none ends before the run has."""
    released = threading.Event()

    def stalls(question: str) -> str:
        if int(question.split()[0]) < 3:
            released.wait()
        return add(question)

    try:
        report = run(sums(tmp_path, 8, HEAD + "seconds: 3\n"), stalls, concurrency=3)
    finally:
        released.set()
    assert report.reasons == {"timeout": 3}
    assert report.metric("exact").n == 5


def test_a_task_that_runs_out_of_an_iterator_fails_its_case(tmp_path: Path) -> None:
    report = run(sums(tmp_path, 2), lambda question: next(iter(())))
    assert report.states == {"failed": 2}
    assert report.metric("exact").lapses[0].happened == "failed: RuntimeError: StopIteration"


def test_repeats_say_how_often_a_case_passes(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def flaky(question: str) -> str:
        seen[question] = seen.get(question, 0) + 1
        return add(question) if question.startswith("0") or seen[question] % 2 else "?"

    report = run(sums(tmp_path, 4), flaky, repeats=4)
    metric = report.metric("exact")
    assert report.trials == 16
    assert metric.n == 4
    assert metric.value == pytest.approx((1 + 3 * 0.5) / 4)
    assert (metric.every, metric.any) == (0.25, 1.0)
    assert report.scorecard.cell(report.scorecard.rows[1], "exact").repeats == 4


def test_a_conversation_asks_for_the_turns_that_are_left_out(tmp_path: Path) -> None:
    heard: list[Any] = []

    def task(messages: list[dict[str, str]]) -> str:
        heard.append([*messages])
        return f"answer {len(messages)}"

    path = tmp_path / "evals" / "talk.yaml"
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
    import threading
    from genai.evals import CannotMeasure, Score

    together = threading.Barrier(4)

    def short(trial): return len(trial.text) < 3
    def length(trial, scale=1): return len(trial.text) / scale
    def mood(trial): return "odd" if int(trial.text) % 2 else "even"
    def nan(trial): return math.nan
    def raises(trial): raise KeyError("x")
    def prose(trial): raise CannotMeasure("judge_parse", "the judge wrote prose")
    def reasoned(trial): return Score(False, "because")
    async def later(trial): return True
    def nothing(trial): return None
    def waits(trial): return together.wait(30) >= 0
    def thing(trial): return {"a": 1}
""")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()


def own(tmp_path: Path, *metrics: str) -> Report:
    (tmp_path / "evals" / "mine.py").write_text(OWN)
    head = "suite: sums\nmetrics:\n" + "".join(f"  {line}\n" for line in metrics)
    return run(sums(tmp_path, 12, head), add)


def test_a_scorer_is_any_function(tmp_path: Path) -> None:
    report = own(
        tmp_path, "short: {scorer: 'evals/mine.py:short', min: 1}",
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


def test_scorers_that_wait_judge_many_answers_at_once(tmp_path: Path) -> None:
    """A score comes only when four answers are being judged."""
    assert own(tmp_path, "waits: {scorer: 'evals/mine.py:waits', min: 1}").metric("waits").n == 12


@pytest.mark.parametrize(
    ("name", "code"),
    [("nan", "scorer_error"), ("raises", "scorer_error"), ("prose", "judge_parse"),
     ("thing", "scorer_error")],
)  # fmt: skip
def test_a_broken_scorer_is_unmeasured_and_spoils_no_other(
    tmp_path: Path, name: str, code: str
) -> None:
    report = own(tmp_path, f"bad: {{scorer: 'evals/mine.py:{name}', min: 0}}", "exact: {min: 1}")
    metric = report.metric("bad")
    assert (metric.value, metric.state) == (None, "unmeasured")
    assert metric.reason.startswith(code)
    assert report.metric("exact").state == "pass"
    assert "NaN" not in (report.folder / "report.json").read_text()
    for line in next(report.folder.glob("log-*")).read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(word))


def test_a_scorer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"metric `x`: scorer 'evals/mine\.py:gone' cannot be"):
        own(tmp_path, "x: {scorer: 'evals/mine.py:gone', min: 1}")


@pytest.mark.parametrize(
    ("body", "said"),
    [("def score(:\n", "SyntaxError"), ("raise RuntimeError('no')", "RuntimeError: no"),
     ("score = 5\n", "TypeError")],
)  # fmt: skip
def test_a_scorer_whose_file_is_broken_is_one_line(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "evals" / "broken.py").write_text(body)
    with pytest.raises(CaseError, match=r"metric `x`: scorer .* cannot be loaded") as caught:
        own(tmp_path, "x: {scorer: 'evals/broken.py:score', min: 1}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_changed_function_is_a_changed_metric(tmp_path: Path) -> None:
    line = "length: {scorer: 'evals/mine.py:length', gate: true}"
    before = own(tmp_path, line).scorecard
    path = tmp_path / "evals" / "mine.py"
    global OWN
    held, OWN = OWN, OWN.replace("len(trial.text) / scale", "len(trial.text) * scale")
    try:
        after = own(tmp_path, line).scorecard
    finally:
        OWN = held
    assert path.exists()
    assert before.head.metrics[0].id != after.head.metrics[0].id


def test_a_tag_keeps_a_metric_and_a_run_to_some_cases(tmp_path: Path) -> None:
    path = tmp_path / "evals" / "tags.yaml"
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
    for tag, hint in (("aa", "did you mean `a`"), ("zz", "known: a, b")):
        with pytest.raises(CaseError, match=f"suite tags: no case has the tag `{tag}`; {hint}"):
            run(path, add, tag=tag)


def test_limits_are_proven_or_undecided(tmp_path: Path) -> None:
    def most(question: str) -> str:
        return add(question) if int(question.split()[0]) % 10 else "?"

    head = "suite: sums\nmetrics:\n  exact: {min: %s}\n"
    states = {
        floor: run(sums(tmp_path, 100, head % floor), most).metric("exact").state
        for floor in (0.8, 0.89, 0.95)
    }
    assert states == {0.8: "pass", 0.89: "inconclusive", 0.95: "fail"}
    path = sums(tmp_path, 100, head % 0.89)
    assert run(path, most).exit_code == 0
    assert run(path, most, stage="release").exit_code == 2
    assert run(sums(tmp_path, 100, head % 1), most).exit_code == 1


def test_latency_is_judged_by_order_statistics(tmp_path: Path) -> None:
    head = "suite: sums\nmetrics:\n  latency_p95: {max: 5}\n"
    assert run(sums(tmp_path, 80, head), add).metric("latency_p95").state == "pass"
    few = run(sums(tmp_path, 30, head), add).metric("latency_p95")
    assert few.state == "inconclusive"
    assert "59 are needed" in few.note
    slow = run(sums(tmp_path, 80, head.replace("max: 5", "max: 0.0")), add)
    assert slow.metric("latency_p95").state == "fail"
    assert slow.exit_code == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", 0), ("limit", -5), ("repeats", 0), ("concurrency", -1), ("spend", Decimal("NaN")),
     ("spend", Decimal(-1)), ("spend", "lots")],
)  # fmt: skip
def test_a_number_that_no_run_can_be_made_with_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"`{name}` is {value}; give"):
        Options(**{name: value})


def test_a_suite_object_and_its_path_give_the_same(tmp_path: Path) -> None:
    path = sums(tmp_path, 5)
    one = evaluate(load_suite(path), add, tmp_path / "runs", Tools())
    assert list(one.scorecard.rows) == list(run(path, add).scorecard.rows)
