"""A newcomer's walks by the very lines of README and the handbook: a folder's chat, an app's tests.

The third walk, fine-tuning, is in `tests/test_finetune/test_chain.py` and `test_loop/`.
"""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pages
import pytest
import yaml
from pages import ask, opened
from playwright.sync_api import Browser, expect
from servers import free_port, openai_server

import genai
from genai import project

browser = pages.browser
ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, heading: str) -> list[tuple[str, str]]:
    """Give the language and the text of each fenced block below a heading."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    return _BLOCK.findall(text.partition("\n## ")[0])


def run(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a page as a reader types it; the environment is the one that runs this test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path, **environment},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """Give a folder with the two files of the chapter, its first lines and those of the CI."""
    lines = []
    for language, text in blocks("docs/testing.md", "An application that exists already"):
        if language == "bash":
            lines.append([each for each in text.splitlines() if not each.startswith("pip ")])
            continue
        name = text.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    first, ci = lines
    return tmp_path, first, ci


def test_an_application_that_exists_gets_a_baseline_and_a_job_for_its_ci(
    shop: tuple[Path, list[str], list[str]],
) -> None:
    folder, first, ci = shop
    with openai_server(text="It lasts two years.") as (url, server):
        key = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "k-loopback"}
        for line in [*first, *ci]:
            done = run(line, folder, **key)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert "1 passed" in done.stdout
        assert list((folder / "reports").iterdir())
        server.text = "Ask the staff."
        worse = run(ci[-1], folder, **key)
        assert worse.returncode == 1, worse.stdout
        assert "warranty-lamp: 1 -> 0" in worse.stdout
        assert "before: answered: It lasts two years." in worse.stdout
        assert "now:    answered: Ask the staff." in worse.stdout
    assert not (folder / "configs").exists()


def test_without_a_key_the_job_fails_and_says_what_could_not_be_measured(
    shop: tuple[Path, list[str], list[str]],
) -> None:
    folder, _, ci = shop
    done = run(ci[-1], folder, OPENAI_API_KEY="", OPENAI_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 14, done.stdout
    assert "2 cases unmeasured: no_key: Missing credentials" in done.stdout


def test_a_judge_and_the_job_of_its_ci_need_no_file_of_ours(
    shop: tuple[Path, list[str], list[str]],
) -> None:
    folder, first, _ = shop

    def answer(body: dict[str, Any]) -> str:
        said = '{"reason": "so", "verdict": true}'
        return said if "verdict" in str(body) else "It lasts two years."

    with openai_server(answer=answer) as (url, _server):
        suite = folder / "evals" / "shop.yaml"
        edit(
            suite, "metrics:\n", f"judge: openai/m@{url}\nmetrics:\n  correctness: {{show: true}}\n"
        )
        text = (ROOT / "configs" / "ci" / "evals.yml").read_text()
        job = yaml.safe_load(re.sub(r"\n +GENAI_REPLAY.*", "", text))["jobs"]["evals"]
        (asks,) = (each["run"] for each in job["steps"] if each.get("name") == "Run the suites")
        given = {
            "STAGE": "pull_request",
            "CI": "true",
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": url,
        }
        for line in (first[0], asks):
            done = run(line, folder, **given)
            assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"correctness +1 ", done.stdout), done.stdout
        recorded = run(asks, folder, **given, GENAI_REPLAY_MODE="replay", GENAI_REPLAY_PATH="r.db")
    assert recorded.returncode == 14
    assert "replay_miss" in recorded.stdout


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A project of one's own: what README says there is to change, and the file of each."""
    project.init(tmp_path)
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    table = (ROOT / "README.md").read_text().partition("| to change | edit |")[2]
    rows = re.findall(r"^\| ([^|]+) \| `([^`]+)`", table.partition("\n\n")[0], re.MULTILINE)
    return {what: tmp_path / file for names, file in rows for what in names.split(", ")}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_each_of_six_changes_is_one_place_and_has_its_effect(own: dict[str, Path]) -> None:
    before = genai.prompt("rag/answer").id
    edit(own["a prompt"], "You answer", "In plain words, you answer")
    assert genai.prompt("rag/answer").id != before

    documents = own["the splitter"].parent.parent / "docs"
    whole = genai.Index().sync(documents).passages
    edit(own["the splitter"], "  max_chars: 1000", "  splitter: tables\n  max_chars: 1000")
    assert genai.Index().sync(documents).passages != whole

    question = "Does ann.lee@acme.org know what drift is?"
    assert isinstance(genai.load()(question), genai.Answer)  # with the address replaced
    edit(own["a guard"], "guard: pii, action: redact", "guard: pii, action: block")
    refusal = genai.load()(question)
    assert isinstance(refusal, genai.Refusal)
    assert refusal.reason == "policy"

    edit(own["the model"], "model: extractive", "model: fake/echo")
    assert genai.load().model.name == "fake/echo"

    def task(question: str) -> str:
        return "Ask the staff, please."

    suite = own["a case"]
    cases = genai.evaluate("handbook", task).cases
    edit(suite, "cases:\n", "cases:\n  - {id: mine, input: Who are you, kind: unanswerable}\n")
    (suite.parent / "mine.py").write_text("def polite(trial):\n    return 'please' in trial.text\n")
    edit(own["a metric"], "metrics:\n",
         "metrics:\n  polite: {scorer: 'evals/mine.py:polite', min: 0.9}\n")  # fmt: skip
    report = genai.evaluate("handbook", task)
    assert report.cases == cases + 1
    polite = report.metric("polite")
    assert polite is not None
    assert polite.value == 1.0


OWN = """
import numpy as np

def split(text):
    return text.split("\\n\\n")

def embed(texts):
    return np.array([[len(text), text.count("e"), 1] for text in texts])

def score(question, texts):
    return [float(len(text)) for text in texts]

def polite(trial):
    return "please" in trial.text

class Short:
    pass  # a validator of guardrails-ai, by its looks
"""


def test_code_in_the_projects_folder_is_found_by_the_installed_command(
    own: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    settings = own["the model"]
    edit(settings, "  max_chars: 1000", "  splitter: own:split\n  max_chars: 1000")
    edit(settings, 'rerank: "off"', "rerank: own:score")
    edit(settings, "embedder: static", "embedder: own:embed")
    edit(own["a metric"], "metrics:\n", "metrics:\n  polite: {scorer: own:polite, show: true}\n")
    edit(own["a guard"], "answer:\n", "answer:\n  - {guard: guardrails, validator: 'own:Short',"
         " action: block, on_error: closed}\n")  # fmt: skip
    done = run("genai check", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("genai index sync", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "own.py").write_text("raise ValueError('no')")
    done = run("genai check", tmp_path)
    for key in ("`index.splitter`", "`chain.rerank`", "`embedder`", "metric `polite`", "own:Short"):
        assert key in done.stderr


@pytest.mark.browser
def test_make_demo_answers_from_the_folder_that_it_is_given(
    browser: Browser, tmp_path: Path
) -> None:
    (told,) = re.findall(
        r"^`(make demo DOCS=[^`]*)`", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    documents = tmp_path / "my documents"
    documents.mkdir()
    (documents / "parking.txt").write_text("Visitors park on level three of the north garage.")
    (documents / "scan.pdf").write_bytes(b"%PDF-1.4 broken")  # one bad file stops nothing
    other = tmp_path / "another"  # what an earlier demo answered from is answered no more
    other.mkdir()
    for number in range(9):
        (other / f"{number}.txt").write_text(f"Cellar {number} holds cheese.")
    here = {"GENAI_PROJECT": str(tmp_path)}
    assert run(f"genai index sync {other} --name documents", tmp_path, **here).returncode == 0
    port = free_port()
    line = told.replace("path/to/your/folder", f"'{documents}'")
    installed = ["--old-file", f"{sys.prefix}/.demo", f"VENV={sys.prefix}", f"PORT={port}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*shlex.split(line), *installed], cwd=ROOT, stdout=log, stderr=log,
            env={**os.environ, **here}, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        for page in opened(browser, address):
            expect(page.get_by_text("It answers from 1 document,")).to_be_visible()
            expect(page.get_by_text("For example:")).to_have_count(0)  # they ask the handbook
            ask(page, "Where do visitors park?")
            answer = page.get_by_test_id("stChatMessage").last
            expect(answer).to_contain_text("Visitors park on level three of the north garage.")
            expect(answer.get_by_text("[1] parking.txt")).to_be_visible()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    said = (tmp_path / "log").read_text()
    assert "not indexed: scan.pdf" in said
    assert f"the chat is at {address}" in said


def test_make_demo_starts_no_chat_without_documents(tmp_path: Path) -> None:
    installed = ["--old-file", f"{sys.prefix}/.demo", f"VENV={sys.prefix}"]
    done = subprocess.run(
        ["make", "demo", f"DOCS={tmp_path / 'nowhere'}", *installed], cwd=ROOT, check=False,
        env={**os.environ, "GENAI_PROJECT": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nowhere: is not a folder; name the folder of your documents" in done.stderr
    assert "the chat is at" not in done.stdout


@pytest.mark.parametrize("verb", ["app", "serve"])
def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path, verb: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(f"genai {verb} --port {port}", tmp_path)
    assert done.returncode == 64
    assert re.search(rf"^genai: --port {port}: cannot be used .*; name another", done.stderr)
    assert done.stdout == ""


@pytest.mark.browser
def test_a_chat_that_is_told_to_end_leaves_no_server(tmp_path: Path) -> None:
    port = free_port()
    line = [sys.executable, "-m", "genai", "app", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(line, cwd=tmp_path, stdout=log, stderr=log)
    health = f"http://127.0.0.1:{port}/_stcore/health"
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(health, timeout=1).close()
            break
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.1)
    process.terminate()
    assert process.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(health, timeout=1)
