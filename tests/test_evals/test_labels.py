"""Answers are labelled blind by two people, a third decides, and the tool says what is next."""

import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import openai_server

import genai
from genai.cli import main
from genai.errors import CaseError
from genai.evals.labels import Item, Labelling, read_labels

ROOT = Path(__file__).parents[2]
COUNT = 90


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("configs", "evals", "docs"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    lines = [f'  - {{id: s{n}, input: "{n} + 1", expected: "{n + 1}"}}' for n in range(COUNT)]
    (tmp_path / "evals" / "sums.yaml").write_text(
        "suite: sums\nmetrics:\n  exact: {show: true}\n  tool_calls: {show: true}\n"
        f"cases:\n{chr(10).join(lines)}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def adder(question: str) -> dict[str, Any]:
    number = int(question.split()[0])
    if number == 7:
        raise ValueError("seven")
    return {"text": f"It is {number + 1 + (number % 10 == 3)}.", "contexts": [f"About {number}."]}


def labelling(project: Path, **options: Any) -> Labelling:
    runs, evals = project / ".genai" / "runs", project / "evals"
    return Labelling(runs, evals, "sums", options.pop("metric", "exact"), **options)


@pytest.fixture
def run(project: Path) -> genai.Report:
    return genai.evaluate("sums", adder)


def label_all(
    found: Labelling, labeller: str, judge: Callable[[Item], bool | None] = lambda item: True
) -> None:
    for item in found.queue(labeller):
        found.save(item, judge(item), labeller)


def truth(item: Item) -> bool:
    return int(item.case[1:]) % 10 != 3


def test_the_sample_is_random_the_same_for_everybody_and_grows_without_change(
    project: Path, run: genai.Report
) -> None:
    first, again = labelling(project, count=20), labelling(project, count=20)
    assert first.items == again.items
    assert first.items == labelling(project, count=40).items[:20]
    assert first.items != labelling(project, count=20, seed=1).items
    numbers = [int(item.case[1:]) for item in first.items]
    assert numbers != sorted(numbers)
    whole = labelling(project, count=1000)
    assert len(whole.items) == COUNT - 1
    assert len(whole.unanswered) == 1  # the case that raised
    item = whole.items[0]
    assert item.contexts == (f"About {item.case[1:]}.",)


def test_the_steps_lead_two_people_and_a_third_to_the_end(project: Path, run: genai.Report) -> None:
    found = labelling(project)
    assert found.step("ada").name == "label"
    assert found.step("ada").left == 60
    label_all(found, "ada", truth)
    assert found.step("ada").name == "wait_second"
    assert found.step(" Ada ").name == "wait_second"  # the same person cannot be the second
    assert found.step("bob").left == 60
    doubted = {item.case for item in found.items[:6]}
    label_all(found, "bob", lambda item: truth(item) != (item.case in doubted))
    assert found.step("bob").name == "wait_third"
    assert "kappa" in found.step("bob").sentence
    assert found.step("cy").name == "adjudicate"
    assert {item.case for item in found.queue("cy")} == doubted
    label_all(found, "cy", lambda item: None if item == found.items[0] else truth(item))
    step = found.step("ada")
    assert (step.name, step.left) == ("done", 0)
    assert "1 cannot be told" in step.sentence
    expected = {item.case: truth(item) for item in found.items[1:]}
    assert found.verdicts() == expected
    assert found.people() == ["ada", "bob", "cy"]


def test_agreement_is_that_of_the_first_two_people_before_the_third(
    project: Path, run: genai.Report
) -> None:
    found = labelling(project, count=80)
    dice = random.Random(3)
    label_all(found, "ada", truth)
    assert found.agreement() is None
    label_all(found, "bob", lambda item: dice.random() < 0.5)
    label_all(found, "cy", truth)
    agreement = found.agreement()
    assert agreement is not None
    assert agreement.n == 80
    assert agreement.kappa is not None
    assert abs(agreement.kappa) < 0.3
    assert "write the rule down more exactly" in found.agreement_text()


def test_all_the_same_label_is_no_agreement_that_could_be_measured(
    project: Path, run: genai.Report
) -> None:
    found = labelling(project)
    label_all(found, "ada")
    label_all(found, "bob")
    assert found.agreement_text() == "agreement undefined: all 60 labels are the same"


def test_a_later_label_replaces_ones_own_and_another_answer_needs_a_new_one(
    project: Path, run: genai.Report
) -> None:
    found = labelling(project)
    item = found.items[0]
    for word in (True, False):
        found.save(item, word, "ada")
    found.save(item, False, "bob")
    assert found.verdicts() == {item.case: False}
    assert len(read_labels(found.path)) == 3
    genai.evaluate("sums", lambda question: {**adder(question), "text": "No idea."}, resume=False)
    later = labelling(project)
    assert later.verdicts() == {}
    assert later.step("ada").left == 60


def test_a_case_that_changed_since_the_run_is_left_out(project: Path, run: genai.Report) -> None:
    path = project / "evals" / "sums.yaml"
    path.write_text(path.read_text().replace('"5 + 1"', '"5 plus 1"'))
    found = labelling(project, count=1000)
    assert found.changed == 1
    assert "s5" not in {item.case for item in found.items}


def typed(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    given = iter(words)

    def read(prompt: str) -> str:
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)


def test_the_command_line_walks_through_and_goes_on_where_one_stopped(
    project: Path, run: genai.Report, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command = ["eval", "label", "sums", "--metric", "exact", "--count", "10"]
    typed(monkeypatch, ["p", "what?", "f", "s", "q"])
    assert main([*command, "--labeller", "ada"]) == 0
    said = capsys.readouterr().out
    assert "7 answers to label, 3 of 10 done" in said
    assert "Answer: It is " in said
    assert [each.label for each in read_labels(project / "evals/labels/sums.jsonl")] == [
        True, False, None,
    ]  # fmt: skip
    typed(monkeypatch, ["p"] * 7)
    assert main([*command, "--labeller", "ada"]) == 0
    assert "10 answers wait for a second person" in capsys.readouterr().out
    assert main(command) == 0  # nobody's turn: just say what is next


def test_nothing_of_a_judge_or_of_others_is_shown(
    project: Path, run: genai.Report, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    found = labelling(project, count=10)
    label_all(found, "ada", truth)
    typed(monkeypatch, [])
    main(["eval", "label", "sums", "--metric", "exact", "--count", "10", "--labeller", "bob"])
    said = capsys.readouterr().out.lower()
    assert not [word for word in ("ada", "true", "false", "kappa", "passed") if word in said]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "bleu"}, "has no `bleu`; it has exact, tool_calls"),
        ({"metric": "tool_calls"}, "holds no answer to label"),  # it applies to no case
        ({"run": "1999"}, "`1999` is not a run"),
    ],
)
def test_what_cannot_be_labelled_is_said(
    project: Path, run: genai.Report, options: dict[str, str], said: str
) -> None:
    with pytest.raises(CaseError, match=said):
        labelling(project, **options)


def test_a_label_needs_a_name_and_a_broken_line_is_named(project: Path, run: genai.Report) -> None:
    found = labelling(project)
    with pytest.raises(CaseError, match="a label has a person behind it"):
        found.save(found.items[0], True, "  ")
    found.save(found.items[0], True, "ada")
    with found.path.open("a") as file:
        file.write('{"case": "s1", "label": "yes"}\n')
    with pytest.raises(CaseError, match="labels/sums.jsonl: line 2"):
        found.step("ada")


def judged(body: dict[str, Any]) -> str:
    """A judge that knows what is right, but for the answers that end with 9."""
    number = int(re.findall(r"It is (\d+)\.", str(body["messages"][-1]["content"]))[-1])
    asked = int(re.findall(r"(\d+) \+ 1", str(body["messages"][-1]["content"]))[-1])
    right = (number == asked + 1) != (number % 30 == 29)
    return json.dumps({"reason": "because", "verdict": right})


def test_a_judge_is_held_to_the_labels_and_may_gate_once_there_are_enough(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "k")
    (project / "prompts").symlink_to(ROOT / "prompts")
    path = project / "evals" / "sums.yaml"
    path.write_text(path.read_text().replace("  exact:", "  correctness:"))
    command = ["eval", "calibrate", "sums", "correctness"]
    with openai_server(answer=judged) as (url, server):
        (project / "configs" / "genai.yaml").write_text(
            "version: 1\nevals: {judge: openai/judge}\nmodels:\n"
            f'  openai/judge: {{base_url: "{url}", api_key_env: JUDGE_KEY}}\n'
        )
        genai.evaluate("sums", adder)
        assert main(command) == 64
        assert "no answer has a settled label" in capsys.readouterr().err
        found = labelling(project, metric="correctness", count=80, seed=5)  # any seed counts
        assert found.items[0].expected == (str(int(found.items[0].case[1:]) + 1),)
        for item in found.items[:20]:
            for person in ("ada", "bob"):
                found.save(item, truth(item), person)
        assert main(command) == 4
        assert "label 30 more" in capsys.readouterr().out
        label_all(found, "ada", truth)
        label_all(found, "bob", truth)
        asked = len(server.requests)
        assert main([*command, "--flips", "5"]) == 0
        assert len(server.requests) == asked + 15
    said = capsys.readouterr().out
    assert "agrees with people: kappa 0." in said
    assert "changed its mind on 0.0% of 5 answers" in said
    assert "as people would score it: 0." in said


# -- the page -------------------------------------------------------------------------------------


def page(project: Path) -> Any:
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(ROOT / "apps" / "pages" / "labelling.py"), default_timeout=60)


@pytest.fixture
def app(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "apps"))
    # the page becomes the main module, and a process started later would begin by running it
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return page(project)


def test_the_page_without_a_run_says_how_to_make_one(app: Any) -> None:
    app.run()
    assert not app.exception
    assert app.info[0].value == "No run yet. Run a suite and come back:"
    assert "genai eval handbook" in app.code[0].value


def test_the_page_takes_labels_one_by_one_and_goes_back(
    project: Path, run: genai.Report, app: Any
) -> None:
    app.run()
    assert "Enter your name" in app.info[0].value
    app.text_input[0].input("ada").run()
    app.number_input[0].set_value(10).run()
    assert not app.exception
    items = labelling(project, count=10).items
    assert items[0].answer in shown(app)
    app.button(key="label-p").click().run()
    assert items[1].answer in shown(app)
    app.button(key="label-f").click().run()
    next(each for each in app.button if each.label.startswith("Back")).click().run()
    assert items[1].answer in shown(app)
    app.button(key="label-s").click().run()
    labels = read_labels(project / "evals" / "labels" / "sums.jsonl")
    assert [(each.case, each.label) for each in labels] == [
        (items[0].case, True), (items[1].case, False), (items[1].case, None),
    ]  # fmt: skip
    for _ in range(8):
        app.button(key="label-p").click().run()
    assert "wait for a second person" in app.success[0].value


def shown(app: Any) -> str:
    return " ".join(str(each.proto) for each in app.get("html"))
