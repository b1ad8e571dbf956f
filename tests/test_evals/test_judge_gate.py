"""A judge decides at the command line while it is held to people, and no day longer."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import openai_server

import genai
from genai.cli import main
from genai.evals.labels import Labelling

ROOT = Path(__file__).parents[2]
COUNT = 90
TASK = """from pathlib import Path


def answer(question):
    number = int(question.split()[0])
    wrong = int(Path(__file__).with_name("wrong.txt").read_text())
    return f"It is {number + 1 + (number % 10 == 3 or number < wrong)}."
"""
SUITE = """suite: sums
task: "MODULE:answer"
metrics:
  correctness: {gate: true}
"""


def judged(body: dict[str, Any]) -> str:
    """A judge that knows what is right, but for the answers that end with 59."""
    shown = str(body["messages"][-1]["content"])
    number = int(re.findall(r"It is (\d+)\.", shown)[-1])
    asked = int(re.findall(r"(\d+) \+ 1", shown)[-1])
    right = (number == asked + 1) != (number % 60 == 59)
    return json.dumps({"reason": "because", "verdict": right})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("configs", "evals", "docs"):
        (tmp_path / name).mkdir()
    shutil.copytree(ROOT / "prompts" / "judge", tmp_path / "prompts" / "judge")
    (tmp_path / f"{tmp_path.name}.py").write_text(TASK)  # a name that no other test has imported
    (tmp_path / "wrong.txt").write_text("0")
    cases = "".join(
        f'  - {{id: s{n}, input: "{n} + 1", expected: "{n + 1}"}}\n' for n in range(COUNT)
    )
    suite = SUITE.replace("MODULE", tmp_path.name)
    (tmp_path / "evals" / "sums.yaml").write_text(f"{suite}cases:\n{cases}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_KEY", "k")
    with openai_server(answer=judged) as (url, _):
        (tmp_path / "configs" / "genai.yaml").write_text(
            "version: 1\nevals: {judge: openai/judge}\nmodels:\n"
            f'  openai/judge: {{base_url: "{url}", api_key_env: JUDGE_KEY}}\n'
        )
        yield tmp_path


def label(project: Path) -> None:
    runs, evals = project / ".genai" / "runs", project / "evals"
    found = Labelling(runs, evals, "sums", "correctness", count=80)
    for person in ("ada", "bob"):
        for item in found.queue(person):
            found.save(item, int(item.case[1:]) % 10 != 3, person)


def test_a_judge_gates_once_trusted_and_lapses_with_its_prompt(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, accept = ["eval", "sums"], ["eval", "accept", "sums", "--reason"]
    assert main(run) == 0  # no baseline yet, and what a judge shows has no limit
    said = capsys.readouterr().out
    assert "was never held to people" in said
    assert "There is no baseline yet. To take this run as one: genai eval accept sums" in said
    assert main([*accept, "the first version"]) == 0
    # much worse, and the judge says so; but nobody has held it to people
    (project / "wrong.txt").write_text("60")
    assert main(run) == 4
    said = capsys.readouterr().out
    assert "CANNOT_COMPARE against main" in said
    assert "the judge of `correctness` was never held to people; label answers" in said
    assert "REGRESSION" not in said

    (project / "wrong.txt").write_text("0")
    assert main(run) == 4
    label(project)
    assert main(["eval", "calibrate", "sums", "correctness"]) == 0
    assert main(run) == 0
    assert main([*accept, "the judge is trusted now"]) == 0
    assert main(run) == 0
    assert "PASS against main" in capsys.readouterr().out
    (project / "wrong.txt").write_text("60")
    assert main([*run, "--junit", "out.xml"]) == 1
    assert "REGRESSION against main (pull request): correctness: " in capsys.readouterr().out
    assert 'failure type="REGRESSION"' in Path("out.xml").read_text()

    # a reworded prompt is another judge: it may not gate, and its verdicts are not compared
    prompt = project / "prompts" / "judge" / "correctness.md"
    prompt.write_text(prompt.read_text().replace("any one", "one"))
    assert main([*run, "--junit", "out.xml", "--markdown", "out.md"]) == 4
    said = capsys.readouterr().out
    assert "CANNOT_COMPARE against main" in said
    assert re.search(r"has changed since \d{4}-\d\d-\d\d: its prompt was \w+ and is \w+", said)
    assert 'error type="CANNOT_COMPARE"' in Path("out.xml").read_text()
    assert "its prompt was" in Path("out.md").read_text()
    # held to people again it may gate, but against a baseline of its own only
    (project / "wrong.txt").write_text("0")
    assert main(run) == 4
    assert main(["eval", "calibrate", "sums", "correctness"]) == 0
    assert main(run) == 4
    said = capsys.readouterr().out
    assert re.search(r"correctness changed \(its judge prompt was \w+ and is \w+\)", said)
    assert "accept a new baseline: genai eval accept" in said


def test_a_baseline_names_what_it_is_of_and_another_task_is_what_it_is_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = project / "evals" / "sums.yaml"
    suite.write_text(suite.read_text().replace("correctness: ", "exact: "))
    suite.write_text(re.sub(r'expected: "(\d+)"', r'expected: "It is \1."', suite.read_text()))
    first = genai.evaluate("sums")
    assert main(["eval", "accept", "sums", "--reason", "the first version"]) == 0
    kept = (project / "evals" / "baselines" / "sums" / "main.jsonl").read_text()
    head = json.loads(kept.partition("\n")[0])
    assert (head["dataset"], head["variant"]) == (first.dataset, first.variant)
    assert [each["name"] for each in head["metrics"]] == ["exact"]
    assert len(head["metrics"][0]["id"]) == 12
    # a changed task has another hash, and comparing the two is what a baseline is for
    (project / f"{project.name}.py").write_text(f"{TASK}\n# another version\n")
    (project / "wrong.txt").write_text("60")
    assert main(["eval", "sums", "--markdown", "out.md"]) == 1
    assert "REGRESSION against main" in capsys.readouterr().out
    now = genai.evaluate("sums")
    assert now.variant != first.variant
    assert f"({now.variant})" in Path("out.md").read_text()
