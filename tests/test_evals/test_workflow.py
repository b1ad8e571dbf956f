"""The workflow that `genai init` brings: it is valid, and its commands do what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import openai_server

from genai import project

SUITE = """suite: sums
task: "sums:add"
metrics:
  exact: {min: 0.5}
cases:
  - {id: a, input: "1 + 1", expected: "2"}
  - {id: b, input: "2 + 1", expected: "3"}
"""
GH = """#!{python}
# plays the platform: comments are a JSON file, and jq answers --jq as the real program does
import json, pathlib, subprocess, sys
store = pathlib.Path("comments.json")
comments = json.loads(store.read_text())
given = sys.argv[1:]
if "--jq" in given:
    done = subprocess.run(["jq", "-r", given[given.index("--jq") + 1]], input=store.read_text(),
                          text=True, capture_output=True, check=True)
    print(done.stdout, end="")
else:
    body = pathlib.Path(given[-1].removeprefix("body=@")).read_text()
    address = given[3]
    if given[2] == "POST":
        user = {{"login": "github-actions[bot]"}}
        comments.append({{"id": 100 + len(comments), "user": user, "body": body}})
    else:
        id = int(address.rpartition("/")[2])
        next(each for each in comments if each["id"] == id)["body"] = body
    store.write_text(json.dumps(comments))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project as `genai init` makes it, with one small suite in place of the handbook's."""
    project.init(tmp_path)
    for path in (tmp_path / "evals").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (tmp_path / "evals" / "sums.yaml").write_text(SUITE)
    (tmp_path / "sums.py").write_text("def add(question):\n    return str(eval(question))\n")
    return tmp_path


@pytest.fixture
def workflow(folder: Path) -> dict[str, Any]:
    text = (folder / ".github" / "workflows" / "evals.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def step(workflow: dict[str, Any], job: str, name: str) -> str:
    steps = workflow["jobs"][job]["steps"]
    return str(next(each["run"] for each in steps if each.get("name") == name))


def sh(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step as the platform does: with bash that stops at the first error."""
    programs = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GENAI_", "PYTEST_"))}
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120,
        env={**clean, "PATH": programs, **environment},
    )  # fmt: skip


def test_it_lands_where_the_platform_looks_and_only_there(folder: Path) -> None:
    assert (folder / ".github" / "workflows" / "evals.yml").is_file()
    assert not (folder / "configs" / "ci").exists()


def test_only_the_job_that_runs_no_code_of_the_request_may_write(workflow: dict[str, Any]) -> None:
    assert set(workflow[True]) == {"pull_request", "push"}  # YAML reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["evals"]
    comment = workflow["jobs"]["comment"]
    assert comment["permissions"] == {"pull-requests": "write"}
    assert "head.repo.full_name == github.repository" in comment["if"]
    assert not [each for each in comment["steps"] if "checkout" in each.get("uses", "")]
    for job in workflow["jobs"].values():
        for each in job["steps"]:
            assert "@v" in each.get("uses", "@v")
            assert "${{" not in each.get("run", "")  # nothing of an event is pasted into a shell


def test_the_suites_run_without_a_key_and_leave_three_reports(
    folder: Path, workflow: dict[str, Any]
) -> None:
    job = workflow["jobs"]["evals"]
    given = {**job["env"], "STAGE": "pull_request"}
    done = sh(step(workflow, "evals", "Run the suites"), folder, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = next(each["with"]["path"] for each in job["steps"] if "upload" in each.get("uses", ""))
    assert sorted(path.name for path in (folder / kept).iterdir()) == [
        "sums.html", "sums.md", "sums.xml",
    ]  # fmt: skip
    shown = sh(step(workflow, "evals", "Show the verdict"), folder, GITHUB_STEP_SUMMARY="out.md")
    assert shown.returncode == 0
    assert (folder / "out.md").read_text().startswith("## PASS: suite sums")


def test_a_request_that_was_not_recorded_fails_the_job(
    folder: Path, workflow: dict[str, Any]
) -> None:
    suite = folder / "evals" / "sums.yaml"
    suite.write_text(SUITE.replace('"sums:add"', "model"))
    given = {**workflow["jobs"]["evals"]["env"], "STAGE": "release"}
    name = "openai/m@http://127.0.0.1:9/v1"
    command = step(workflow, "evals", "Run the suites")
    done = sh(command, folder, **given, GENAI_CHAIN_MODEL=name)
    assert done.returncode == 14, done.stdout + done.stderr
    said = (folder / "reports" / "sums.md").read_text()
    assert said.startswith("## UNMEASURED: suite sums")
    assert "replay\\_miss" in said


def test_recorded_as_it_says_the_job_needs_neither_key_nor_server(
    folder: Path, workflow: dict[str, Any]
) -> None:
    job = workflow["jobs"]["evals"]
    assert job["env"]["GENAI_REPLAY_MODE"] == "replay"
    assert not [name for name in job["env"] if name.endswith("_KEY")]
    suite = folder / "evals" / "sums.yaml"
    suite.write_text(SUITE.replace('"sums:add"', "model"))
    said = (folder / ".github" / "workflows" / "evals.yml").read_text()
    record = re.search(r"GENAI_REPLAY_MODE=record .*", said)
    assert record is not None
    with openai_server(answer=lambda body: str(eval(body["messages"][-1]["content"]))) as (url, _):
        name = f"openai/m@{url}"
        at_home = f"unset CI; {record[0]}"  # in CI nothing is recorded
        done = sh(at_home, folder, GENAI_CHAIN_MODEL=name, OPENAI_API_KEY="k")
        assert done.returncode == 0, done.stdout + done.stderr
    given = {**job["env"], "STAGE": "pull_request", "GENAI_CHAIN_MODEL": name}
    done = sh(step(workflow, "evals", "Run the suites"), folder, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    suite.write_text(suite.read_text().replace("2 + 1", "1 + 2"))
    done = sh("genai eval sums", folder, **given)
    assert done.returncode == 4, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("jq"), reason="no jq: apt install jq")
def test_a_second_run_edits_its_own_comment_and_no_other(
    folder: Path, workflow: dict[str, Any]
) -> None:
    (folder / "gh").write_text(GH.format(python=sys.executable))
    (folder / "gh").chmod(0o755)
    other = [
        {"id": 1, "user": {"login": "person"}, "body": "x <!-- genai-evals:sums -->"},
        {"id": 2, "user": {"login": "github-actions[bot]"},
         "body": "## PASS: suite b <!-- genai-evals:b -->\r\n<!-- genai-evals:sums -->"},
        {"id": 3, "user": {"login": "github-actions[bot]"},
         "body": "quotes <!-- genai-evals:sums --> of another"},
    ]  # fmt: skip
    store = folder / "comments.json"
    store.write_text(json.dumps(other))
    (folder / "reports").mkdir()
    command = step(workflow, "comment", "Comment on the pull request")
    for word in ("PASS", "REGRESSION"):
        text = f"## {word}: suite sums <!-- genai-evals:sums -->\n\n{word}\n"
        (folder / "reports" / "sums.md").write_text(text)
        done = sh(command, folder, GITHUB_REPOSITORY="a/b", NUMBER="7", GH_TOKEN="t")
        assert done.returncode == 0, done.stderr
        found = json.loads(store.read_text())
        assert found[:3] == other
        assert [each["body"] for each in found[3:]] == [text]
