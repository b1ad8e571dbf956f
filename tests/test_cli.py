"""The command line: each verb works, each mistake is one line with exit code 64."""

import argparse
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import docx
import httpx
import pytest
from makers import pdf_bytes
from servers import free_port, openai_server

from genai import cli, project
from genai.cli import VERBS, main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("cli") / "project"
    project.init(target)
    done = genai(target, "index", "sync")
    assert done.returncode == 0, done.stderr
    assert f"{len(list((target / 'docs').glob('*.md')))} added, 0 changed" in done.stdout
    return target


def genai(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "genai", *words],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == 64, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_document_writes_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("configs", "prompts"):
        shutil.copytree(project.starter() / name, tmp_path / name)
    (tmp_path / "docs").mkdir()
    copied = "\x1b]52;c;cm0gLXJmIC8K\x07"  # has a terminal put something on the clipboard
    (tmp_path / "docs" / "zoo.md").write_text(f"The zebra lives in the {copied}north wing.")
    (tmp_path / "docs" / "\x1b[2Jbad.pdf").write_text("no PDF")
    monkeypatch.chdir(tmp_path)
    assert main(["index", "sync"]) == 64
    assert main(["index", "show"]) == 0
    assert main(["ask", "Where does the zebra live?"]) == 0
    said = "".join(capsys.readouterr())
    assert "north wing. [1]" in said
    assert "bad.pdf: cannot be read" in said
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said.replace("\r", ""))


def test_what_a_console_cannot_show_costs_no_report(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "shop.py").write_text(
        "def answer(question):\n    return '\u2192 \u4fdd'\n", "utf-8"
    )
    (tmp_path / "evals" / "shop.yaml").write_text(
        "suite: shop\ntask: shop:answer\nmetrics:\n  contains: {min: 1}\ncases:\n"
        "  - {id: a, input: 'How long?', expected: two years}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "genai", "eval", "shop", "--junit", "out.xml"], cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert b"answered: ? ?" in done.stdout
    assert "answered: \u2192 \u4fdd" in (tmp_path / "out.xml").read_text("utf-8")


def test_help_lists_every_verb() -> None:
    done = genai(Path.cwd(), "--help")
    assert all(verb in done.stdout for verb in VERBS)
    for verb in VERBS:
        assert genai(Path.cwd(), verb, "--help").returncode == 0


def test_every_argument_of_every_verb_says_what_it_is_and_what_holds_without_it() -> None:
    silent: list[str] = []
    for found in pkgutil.walk_packages(cli.__path__, "genai.cli."):
        module = importlib.import_module(found.name)
        if hasattr(module, "add_arguments"):
            parser = argparse.ArgumentParser(found.name)
            module.add_arguments(parser)
            silent += unsaid(parser)
    assert silent == []


def test_the_help_of_a_verb_lists_its_further_words(capsys: pytest.CaptureFixture[str]) -> None:
    for verb, words in cli.ACTIONS.items():
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        shown = capsys.readouterr().out
        for word, summary in words.items():
            assert re.search(rf"^  {word} +{re.escape(summary)}$", shown, re.M), (verb, word)


def unsaid(parser: argparse.ArgumentParser) -> list[str]:
    found: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word in action.choices.values():
                found += unsaid(word)
        elif not action.help or not says_default(action.help, action.default):
            found.append(f"{parser.prog} {action.dest}")
    return found


def says_default(text: str, default: object) -> bool:
    """Say whether a number that holds unless another is given stands in the help."""
    if isinstance(default, bool) or not isinstance(default, int | float) or not default:
        return True
    return f"{default:,}" in text or f"{default:g}" in text


def test_ask_answers_cites_and_says_what_it_took(folder: Path) -> None:
    done = genai(folder, "ask", "What are the three parts of a refusal?")
    assert done.returncode == 0, done.stderr
    assert "A refusal has three parts: what happened, why, and what to do next. [1]" in done.stdout
    assert "[1] user-experience.md: A refusal has three parts" in done.stdout
    assert "tokens, $0 (declared_free)" in done.stdout


def test_serve_gives_the_figures_of_the_report_as_metrics(folder: Path) -> None:
    assert genai(folder, "ask", "What are the three parts of a refusal?").returncode == 0
    port = free_port()
    command = [sys.executable, "-m", "genai", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert "serving chain at" in server.stdout.readline()
        transport = httpx.HTTPTransport(retries=8)  # it listens a moment after it says so
        with httpx.Client(transport=transport, timeout=60) as asker:
            reply = asker.get(f"http://127.0.0.1:{port}/metrics")
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert reply.status_code == 200
    assert reply.text == genai(folder, "report", "monitor", "--prometheus").stdout
    assert re.search(r"^genai_questions [1-9]", reply.text, re.MULTILINE)


def test_ask_refuses_with_a_next_step(folder: Path) -> None:
    done = genai(folder, "ask", "How do I cook a mushroom risotto?")
    assert "The documents do not answer this." in done.stdout
    assert "near:" in done.stdout


def test_index_show_and_an_unchanged_sync(folder: Path) -> None:
    assert "user-experience.md" in genai(folder, "index", "show").stdout
    assert "0 added, 0 changed" in genai(folder, "index", "sync").stdout


def test_a_file_that_cannot_be_read_is_named_and_the_exit_code_says_so(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "good.txt").write_text("Storks nest on chimneys.")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 broken")
    done = genai(folder, "index", "sync", str(tmp_path), "--name", "own")
    refused(done, "not indexed: bad.pdf: cannot be read as pdf")
    assert len(done.stderr.splitlines()) == 1  # what the parser says of its bytes is not shown
    assert "1 added" in done.stdout


def test_a_folder_of_pdf_and_docx_answers_with_page_and_quote(folder: Path, tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Parking", level=1)
    document.add_paragraph("Visitors park on level three of the north garage.")
    document.save(str(tmp_path / "parking.docx"))
    pages = ["The canteen opens at noon.", "The sauna is closed on Sundays."]
    (tmp_path / "house.pdf").write_bytes(pdf_bytes(pages))
    own = {"GENAI_CHAIN_INDEX": "house", "GENAI_INDEX_DOCUMENTS": str(tmp_path)}
    assert genai(folder, "index", "sync", **own).returncode == 0
    done = genai(folder, "ask", "When is the sauna closed?", **own)
    assert "[1] house.pdf, page 2: The sauna is closed on Sundays." in done.stdout, done.stderr
    done = genai(folder, "ask", "Where do visitors park?", **own)
    assert "[1] parking.docx: Visitors park on level three" in done.stdout


def test_calls_show_rows_and_totals(folder: Path) -> None:
    genai(folder, "ask", "What is drift?")
    assert "extractive" in genai(folder, "calls", "--limit", "3", "--kind", "model").stdout
    assert "questions" in genai(folder, "calls", "--summary").stdout
    assert "no such call yet" in genai(folder, "calls", "--outcome", "cancelled").stdout


def test_export_writes_files_and_retention_deletes_what_is_old(
    folder: Path, tmp_path: Path
) -> None:
    genai(folder, "ask", "What is drift?")
    done = genai(folder, "export", "--parquet", str(tmp_path / "calls"))
    assert done.returncode == 0, done.stderr
    assert "calls written to" in done.stdout
    assert list((tmp_path / "calls").rglob("*.parquet"))
    month = f"{datetime.now(UTC):%Y-%m}"
    done = genai(folder, "export", "--focus", month, "--out", str(tmp_path / "focus.csv"))
    assert "cost known for" in done.stdout
    assert "BilledCost" in (tmp_path / "focus.csv").read_text()
    refused(genai(folder, "export", "--focus", "2026-13"), "a month such as 2026-11")
    refused(genai(folder, "export"), "choose --parquet, --focus or --retain")
    done = genai(folder, "export", "--retain", "--call-days", "0")
    assert "deleted or emptied" in done.stdout
    assert "no such call yet" in genai(folder, "calls").stdout


def test_models_lists_forms_and_prices(folder: Path) -> None:
    assert "openai/NAME[@URL]" in genai(folder, "models").stdout
    assert "$0.15" in genai(folder, "models", "openai/gpt-4o-mini").stdout
    assert "unpriced" in genai(folder, "models", "openai/nobody-knows").stdout


def test_eval_gives_the_table_and_junit(folder: Path, tmp_path: Path) -> None:
    done = genai(folder, "eval", "handbook", "--junit", str(tmp_path / "x.xml"))
    assert done.returncode == 0, done.stdout
    assert "recall_at_k" in done.stdout
    assert (tmp_path / "x.xml").read_text().startswith("<?xml")


def test_one_config_line_puts_the_same_question_on_any_server(folder: Path) -> None:
    text = "A refusal has three parts: what happened, why, and what to do next [1]."
    with openai_server(text=text) as (url, server):
        done = genai(
            folder, "ask", "What are the three parts of a refusal?",
            GENAI_CHAIN_MODEL=f"openai/any@{url}",
        )  # fmt: skip
    assert "[1] user-experience.md" in done.stdout, done.stderr
    assert "11 + 7 tokens, unpriced" in done.stdout
    assert "<passage" in server.requests[0]["messages"][1]["content"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["aks", "x"], "invalid choice"),
        (["ask"], "required: question"),
        (["ask", "x", "--model", "gtp-5"], "model 'gtp-5': not a known name"),
        (["ask", "x", "--model", "openai/x@http://127.0.0.1:9/v1"], "no connection to"),
        (["eval", "nothing"], "no such suite; known: handbook"),
        (["eval", "handbook", "--limit", "0"], "`limit` is 0; give 1 or more"),
        (["index", "sync", "/no/such/folder"], "genai: such/folder: is not a folder"),
        (["init"], "already a project"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, words: list[str], said: str) -> None:
    if words[0] == "ask" and "@" in words[-1]:
        words = [words[0], "What is drift?", *words[2:]]
    done = genai(folder, *words)
    refused(done, said)
    assert len(done.stderr.strip().splitlines()) <= 3


@pytest.mark.parametrize("given", ["lots", "nan", "-1"])
@pytest.mark.parametrize(
    "words", [["eval", "x", "--spend"], ["eval", "grid", "--spend"], ["compare", "--max-input"]]
)
def test_what_is_no_amount_of_money_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], words: list[str], given: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words[:-1], f"{words[-1]}={given}"])
    assert ended.value.code == 64
    assert f"invalid dollars value: '{given}'" in capsys.readouterr().err


def test_a_fault_of_ours_ends_with_70_and_not_as_a_regression(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(options: object) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr("genai.cli.models.run", broken)
    assert main(["models"]) == 70
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines[-1] == "RuntimeError: boom"
    assert last == "genai: a fault of genai itself; please report it with these lines"


def test_upgrade_says_what_is_up_to_date(folder: Path) -> None:
    done = genai(folder, "upgrade")
    assert done.returncode == 0, done.stderr
    assert "ledger: up to date" in done.stdout
    assert "up to date" in done.stdout.splitlines()[-1]


def test_a_damaged_ledger_or_index_is_one_line_and_kept(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "damaged"
    project.init(target)
    genai(target, "index", "sync")
    for name in ("ledger.db", "indexes/handbook/*/index.db"):
        path = next(iter((target / ".genai").glob(name)), target / ".genai" / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in path.parent.glob(path.name + "*"):
            file.unlink()
        path.write_bytes(b"no database at all " * 400)
        verb = ["calls"] if "ledger" in name else ["ask", "What is drift?"]
        done = genai(target, *verb)
        refused(done, "is damaged")
        assert done.stderr.startswith(("genai: .genai/ledger.db: ", "genai: handbook/"))
        assert path.read_bytes().startswith(b"no database")


def test_no_plug_in_of_pydantic_reads_what_a_command_validates(tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(
        "from types import SimpleNamespace\nopen('seen', 'w').close()\n"
        "plugin = SimpleNamespace(new_schema_validator=lambda *_, **__: (None, None, None))\n"
    )
    (tmp_path / "spy-1.dist-info").mkdir()
    (tmp_path / "spy-1.dist-info" / "METADATA").write_text("Name: spy\nVersion: 1\n")
    (tmp_path / "spy-1.dist-info" / "entry_points.txt").write_text("[pydantic]\nspy = spy:plugin\n")
    for given, seen in ({"PYDANTIC_DISABLE_PLUGINS": "0"}, True), ({}, False):
        done = genai(tmp_path, "check", PYTHONPATH=str(tmp_path), **given)
        assert "Traceback" not in done.stderr
        assert (tmp_path / "seen").exists() is seen
        (tmp_path / "seen").unlink(missing_ok=True)


@pytest.mark.parametrize("words", [["--help"], ["models", "--help"], ["models"], ["prompt"]])
def test_an_output_that_nobody_reads_ends_quietly(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `genai ... | true`
    line = [sys.executable, "-m", "genai", *words]
    done = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_output_that_cannot_be_written_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        line = [sys.executable, "-m", "genai", "models"]
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 64
    said = "genai: the output cannot be written (No space left on device); free some space\n"
    assert done.stderr == said
