"""Only what would be answered today is taken over: answers of a project that has not changed."""

from pathlib import Path

import pytest
from sums import HEAD, add, run, sums

from genai.errors import ModelError


def test_what_no_start_will_ever_measure_keeps_no_answer(tmp_path: Path) -> None:
    path = sums(tmp_path, 5, HEAD + "  tokens_per_case: {show: true}\n")  # add says no tokens
    first = run(path, add)
    assert first.metric("tokens_per_case").unmeasured == 5
    assert (run(path, add).run == first.run, run(path, add).resumed) == (False, 0)


@pytest.mark.parametrize("changed", ["prompt.txt", "texts/more.j2"])
def test_answers_of_a_project_that_has_changed_are_not_taken_over(
    tmp_path: Path, changed: str
) -> None:
    path = sums(tmp_path, 10)
    (tmp_path / "texts").mkdir()
    for name in ("prompt.txt", "texts/more.j2"):
        (tmp_path / name).write_text("Add.")

    def task(question: str) -> str:
        if question == "0 + 1":
            raise ModelError("slow down", "rate_limited")
        return add(question)

    run(path, task)
    (path.parent / "mine.py").write_text("# a scorer changes no answer")
    for ending in ("md", "xml", "html"):  # nor do a run's own reports
        (tmp_path / f"report.{ending}").touch()
    assert run(path, task).resumed == 9
    (tmp_path / changed).write_text("Subtract.")
    assert run(path, task).resumed == 0


def test_a_task_that_says_what_it_is_goes_on_whatever_else_has_changed(tmp_path: Path) -> None:
    path = sums(tmp_path, 10)

    def task(question: str) -> str:
        if question == "0 + 1":
            raise ModelError("slow down", "rate_limited")
        return add(question)

    task.identity = "release 7"  # type: ignore[attr-defined]
    run(path, task)
    (tmp_path / "notes.txt").write_text("nothing that it reads")
    assert run(path, task).resumed == 9
    task.identity = "release 8"  # type: ignore[attr-defined]
    assert run(path, task).resumed == 0


def test_the_newest_run_is_the_one_that_began_last(tmp_path: Path) -> None:
    path, by = sums(tmp_path, 5), [1]

    def task(question: str) -> str:
        return str(int(add(question)) + by[0])

    first = run(path, task, name="session-of-workers")
    by[0] = 0
    second = run(path, task)
    assert (first.metric("exact").value, second.metric("exact").value) == (0, 1)
    assert run(path, task, rescore="").metric("exact").value == 1
