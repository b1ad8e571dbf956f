"""The figures of a run: intervals on the scale of the metric, and of what belongs together."""

import json
from pathlib import Path

import pytest
from sums import add, run, sums

from genai import stats
from genai.errors import CaseError
from genai.evals.baseline import accept
from genai.evals.report.findings import verdict
from genai.evals.report.text import no_baseline

MINE = "def rating(trial):\n    return 3.0 + int(trial.case_id[1:]) % 3\n"
RATING = """suite: sums
metrics:
  shown: {scorer: "evals/mine.py:rating", show: true}
  least: {scorer: "evals/mine.py:rating", min: 3.9}
  most: {scorer: "evals/mine.py:rating", max: 4.5}
  low: {scorer: "evals/mine.py:rating", min: 4.5}
"""


def test_a_metric_of_ones_own_has_its_interval_and_limits_on_its_own_scale(tmp_path: Path) -> None:
    path = sums(tmp_path, 30, RATING)
    (path.parent / "mine.py").write_text(MINE)
    report = run(path, add)
    wanted = stats.clustered([3.0, 4.0, 5.0] * 10, confidence=0.975)
    for metric in report.metrics:
        assert (metric.low, metric.high) == pytest.approx((wanted.low, wanted.high))
    states = [report.metric(name).state for name in ("least", "most", "low")]
    assert states == ["inconclusive", "pass", "fail"]  # 4 with its bounds, not 4 alone


def test_a_slice_of_clusters_has_an_interval_by_clusters(tmp_path: Path) -> None:
    path = sums(tmp_path, 40)
    rows = [json.loads(line) for line in (path.parent / "sums.jsonl").read_text().splitlines()]
    for n, row in enumerate(rows):
        row |= {"cluster": f"k{n // 5}", "tags": ["all" if n < 39 else "one"]}
    (path.parent / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(path, lambda question: add(question) if int(question.split()[0]) < 20 else "no")
    whole = report.metric("exact")
    (part,) = (each for each in report.slices if (each.metric, each.tag) == ("exact", "all"))
    assert whole.low is not None
    assert part.low == pytest.approx(whole.low, abs=0.03)  # by Wilson of 39 it would be .36
    assert part.low < 0.2


LEAKS = """
def leaks(trial):
    return "hunter2" in trial.text
def count(trial):
    return 3 * trial.text.count("hunter2")
def rating(trial):
    return 2.0 if "hunter2" in trial.text else 5.0
"""


def test_a_metric_with_a_max_alone_is_better_the_less_of_it_there_is(tmp_path: Path) -> None:
    own = "evals/mine.py"
    head = f"""suite: sums
metrics:
  leaks: {{scorer: "{own}:leaks", max: 0, gate: true}}
  count: {{scorer: "{own}:count", max: 0}}
  some: {{scorer: "{own}:leaks", max: 0.5, gate: true}}
  says: {{scorer: contains, params: {{value: hunter2}}, max: 0.0}}
  rating: {{scorer: "{own}:rating", min: 4.95}}
  never: {{scorer: "{own}:leaks", max: 0.9, hard: true}}
"""
    path = sums(tmp_path, 60, head)
    (path.parent / "mine.py").write_text(LEAKS)
    none = run(path, add, stage="release")
    assert {each.name: each.state for each in none.metrics} == dict.fromkeys(
        ("leaks", "count", "some", "says", "rating", "never"), "pass"
    )  # no leak in 60 keeps a `max` of 0: it is exact, as a `min` of 1 is
    accept(none, "nothing leaks here")

    few = run(path, lambda question: "hunter2" if question.startswith("7 ") else "fine")
    for name in ("leaks", "count", "says"):  # one is one too many, and it is the one that is shown
        assert few.metric(name).state == "fail", name
    for name in ("leaks", "count", "says", "rating"):
        assert [lapse.case for lapse in few.metric(name).lapses] == ["s7"]

    many = run(path, lambda question: "hunter2" if int(question.split()[0]) % 3 == 0 else "fine")
    words = {each.metric: str(each.word) for each in many.against().comparisons}
    assert words["some"] == words["leaks"] == words["never"] == "REGRESSION"
    repeated = run(path, add, repeats=2)
    assert repeated.metric("leaks").every == 1


CRASHED = """
def polite(trial):
    return "damn" not in trial.text
def rating(trial):
    return 5.0 - trial.text.count("damn")
def reads(trial):
    return trial.text[0] != "d"
def leaks(trial):
    return "hunter2" in trial.text
def words(trial):
    return len(trial.text.split())
def odd(trial):
    return True if trial.case_id == "s1" else None
"""


def test_a_task_that_crashed_is_wrong_for_a_metric_of_ones_own(tmp_path: Path) -> None:
    names = ("polite", "rating", "reads", "odd")
    lines = [f'  {name}: {{scorer: "evals/mine.py:{name}", min: 0.5}}\n' for name in names]
    lines += [
        f'  {each}: {{scorer: "evals/mine.py:{each}", max: 1}}\n' for each in ("leaks", "words")
    ]
    path = sums(tmp_path, 20, "".join(["suite: sums\nmetrics:\n", *lines]))
    (path.parent / "mine.py").write_text(CRASHED)

    def crashes(question: str) -> str:
        raise KeyError("order")

    report = run(path, crashes)
    found = {each.name: (each.value, each.n) for each in report.metrics}
    assert found["polite"] == found["rating"] == found["reads"] == (0.0, 20)
    assert found["odd"] == (0.0, 1)  # where it does not apply, a crash is not its matter
    assert found["leaks"] == (1.0, 20)
    assert found["words"] == (None, 0)  # of an amount nobody knows what would be wrong
    assert report.metric("words").state == "unmeasured"
    assert report.metric("polite").lapses[0].happened == "failed: KeyError: 'order'"
    assert report.exit_code == 1
    assert run(path, add).metric("rating").value == 5.0


def test_a_run_of_which_every_case_failed_is_never_green(tmp_path: Path) -> None:
    path = sums(tmp_path, 70, "suite: sums\nmetrics:\n  latency_p50: {max: 5}\n")

    def crashes(question: str) -> str:
        raise KeyError("order")

    report = run(path, crashes)
    assert report.metric("latency_p50").state == "pass"  # it took no time at all
    assert (report.exit_code, report.ok) == (4, False)
    said = "every case failed (KeyError 70)"
    assert said in report.text()
    assert no_baseline(report) == "There is no baseline yet."  # this run would be refused as one
    assert verdict(report, None) == ("UNMEASURED", said)
    with pytest.raises(CaseError, match=r"every case failed \(KeyError 70\); mend the task"):
        accept(report, "as it is now")
    report.save(tmp_path / "run.xml", "junit")
    assert 'errors="1"' in (tmp_path / "run.xml").read_text()


def test_a_case_that_is_unmeasured_is_so_only_where_a_metric_judges_it(tmp_path: Path) -> None:
    head = "suite: sums\nmetrics:\n  tool_calls: {gate: true}\n  contains: {gate: true}\n"
    path = sums(tmp_path, 70, head)
    rows = [json.loads(line) for line in (path.parent / "sums.jsonl").read_text().splitlines()]
    for row in rows[60:]:  # these ask for a tool, the others for words
        del row["expected"]
        row["expected_tools"] = [{"name": "add"}]
    (path.parent / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    down = {"7 + 1"}

    def task(question: str) -> dict[str, object]:
        if question in down:
            raise ConnectionError("the server is away")
        return {"text": add(question), "tool_calls": [{"name": "add", "args": {}}]}

    report = run(path, task)
    found = {each.name: (each.n, each.unmeasured, each.state) for each in report.metrics}
    assert found["contains"] == (59, 1, "shown")  # 1 of 60 is within two percent
    assert found["tool_calls"] == (10, 0, "shown")

    def crashes(question: str) -> dict[str, object]:
        if question in down:
            raise KeyError("words")
        return task(question)

    assert run(path, crashes).metric("tool_calls").n == 10  # nor is a crash of another's case its
    accept(report, "as it is today")
    down |= {"65 + 1"}
    words = {each.metric: str(each.word) for each in run(path, task, resume=False).against().gating}
    assert words["contains"] == "PASS"
    assert words["tool_calls"] == "CANNOT_COMPARE"  # 1 of its 10


def test_a_conversation_takes_what_all_its_turns_take(tmp_path: Path) -> None:
    head = "metrics: {cost_per_case: {show: true}, tokens_per_case: {show: true}}\ncases:\n"
    turns = ", ".join(f"{{role: user, content: {word}}}" for word in ("one", "two", "three"))
    (tmp_path / "evals").mkdir()
    path = tmp_path / "evals" / "talk.yaml"
    path.write_text(f"suite: talk\n{head}  - {{id: a, messages: [{turns}]}}\n")

    def task(messages: list[dict[str, str]]) -> dict[str, object]:
        priced = {} if messages[-1]["content"] in unknown else {"cost": 0.01}
        return {"text": "ok", "input_tokens": 10 * len(messages), "output_tokens": 1, **priced}

    unknown: set[str] = set()
    report = run(path, task)
    assert (float(report.cost), report.tokens) == (0.03, 10 + 30 + 50 + 3)
    assert report.metric("cost_per_case").value == pytest.approx(0.03)
    unknown.add("two")
    assert run(path, task, resume=False).unknown_cost == 1


def test_no_case_takes_less_than_nothing(tmp_path: Path) -> None:
    def task(question: str) -> dict[str, object]:
        return {"text": "ok", "input_tokens": 10, "output_tokens": 1, "cost": 0}

    head = "suite: sums\nmetrics: {tokens_per_case: {show: true}, cost_per_case: {max: 0.1}}\n"
    report = run(sums(tmp_path, 3, head), task)
    assert [each.low for each in report.metrics] == [0, 0]
    assert report.metric("cost_per_case").state == "pass"
