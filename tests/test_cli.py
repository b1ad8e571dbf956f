"""The command line: each verb works, each mistake is one line with exit code 64."""

import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import docx
import httpx
import pytest
from makers import pdf_bytes
from servers import openai_server

from genai import project
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


def test_help_lists_every_verb() -> None:
    done = genai(Path.cwd(), "--help")
    assert all(verb in done.stdout for verb in VERBS)
    for verb in VERBS:
        assert genai(Path.cwd(), verb, "--help").returncode == 0


def test_ask_answers_cites_and_says_what_it_took(folder: Path) -> None:
    done = genai(folder, "ask", "What are the three parts of a refusal?")
    assert done.returncode == 0, done.stderr
    assert "A refusal has three parts: what happened, why, and what to do next. [1]" in done.stdout
    assert "[1] user-experience.md: A refusal has three parts" in done.stdout
    assert "tokens, $0 (declared_free)" in done.stdout


def test_serve_gives_the_figures_of_the_report_as_metrics(folder: Path) -> None:
    assert genai(folder, "ask", "What are the three parts of a refusal?").returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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


def test_check_names_each_planted_mistake(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "broken"
    project.init(target)
    assert genai(target, "check").returncode == 0
    plant(target / "configs" / "genai.yaml", "top_k: 6", "topk: 6")
    plant(target / "configs" / "guards.yaml", "guard: pii", "guard: pi")
    plant(target / "configs" / "prices.yaml", 'input: "0.00000015"', "input: 0.1")
    plant(target / "prompts" / "rag" / "answer.md", "{{question}}", "{{query}}")
    plant(target / "evals" / "handbook.yaml", "id: intro-refusal", "id: intro-gates")
    plant(target / "configs" / "alerts.yaml", "figure: p95_seconds", "figure: p59_seconds")
    plant(target / "configs" / "business.yaml", "months: 24", "months: many")
    plant(target / "configs" / "loop.yaml", "days: 30", "days: 0")
    plant(target / "configs" / "invoices.yaml", "day: start_time, ", "")
    plant(target / "configs" / "usecases" / "handbook.yaml", "error_rate_now: 0.1", "errors: 0.1")
    plant(target / "configs" / "dpo.yaml", "method: dpo", "method: dop")
    (target / "prompts" / "labels.yaml").write_text("labels: {production: 3}")
    done = genai(target, "check")
    for said in (
        "configs/genai.yaml: `topk` is not a setting of `chain`; did you mean `top_k`?",
        "did you mean `pii`?",
        "configs/prices.yaml: `openai/gpt-4o-mini`: `input` must be a quoted decimal",
        "`{{query}}` is not declared",
        "the id `intro-gates` stands twice, lines",
        "configs/alerts.yaml: `rules.1`: `p59_seconds` is not a figure; did you mean `p95_",
        "configs/business.yaml: `months`: must be a valid integer",
        "configs/loop.yaml: `days`: must be greater than 0 (got 0)",
        "configs/invoices.yaml: `formats.openai-costs.columns.day` is missing; add it",
        "`errors` is not a setting of `today`; did you mean `error_rate_now`?",
        "configs/dpo.yaml: `method`: must be 'sft', 'dpo', 'kto' or 'orpo' (got 'dop')",
        "prompts/labels.yaml: `labels.production`: must be a valid dictionary",
    ):
        refused(done, said)
    assert ": 12 mistakes" in done.stdout


SUITE = "suite: own\ncases: [{id: a, input: x, expected: y}]\nmetrics: "


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("configs/genai.yaml", "prompt: rag/answer", "prompt: rag/anwser",
         "`chain.prompt`: prompts/rag/anwser.md: no such prompt"),
        ("configs/genai.yaml", "documents: docs", "documents: dcos",
         "`index.documents`: dcos is not a folder"),
        ("configs/genai.yaml", "index: handbook", "index: ../x",
         "`chain.index`: must be a name, not a path; indexes are kept in .genai/indexes"),
        ("configs/genai.yaml", "embedder: static", "embedder: statc",
         "`embedder`: embedder 'statc': not known"),
        ("configs/genai.yaml", 'judge: ""', "judge: gtp-5",
         "`chain.judge`: model 'gtp-5': not a known name"),
        ("configs/genai.yaml", 'rerank: "off"', "rerank: cros", "`chain.rerank` is 'cros'; use"),
        ("configs/genai.yaml", "  max_chars: 1000", "  splitter: tokns",
         "`index.splitter`: 'tokns' is not a splitter"),
        ("configs/guards/requests.yaml", "  ask:", "  aks:", "violence: `aks` is not a setting"),
        ("configs/guards/toxicity.yaml", "drop dead", "drop (dead", "is not a regular expression"),
        ("configs/guards/harmless.yaml", "questions:", "other: 3\nquestions:",
         "`other` must be a list of sentences"),
        ("configs/prices/litellm-1.106.2.json", '"source"', '"sorce"',
         "configs/prices/litellm-1.106.2.json: is not a price snapshot"),
        ("configs/calibration/handbook.json", "", "{}", "is not a calibration"),
        ("configs/alert.yaml", "", "rules: []", "nothing reads this file; did you mean alerts"),
        ("configs/alerts.yml", "", "rules: []", "nothing reads this file; call it alerts.yaml"),
        ("evals/own.yml", "", "suite: own", "evals/own.yml: nothing reads this file; call it own"),
        ("configs/genai.yaml", "model: extractive", "model: opnai/gpt-5-mini",
         "`chain.model`: model 'opnai/gpt-5-mini': `opnai` is no provider; did you mean `openai`?"),
        ("configs/genai.yaml", "model: extractive", "model: openai/x@my-host",
         "`chain.model`: model 'openai/x@my-host': `@` is followed by a URL"),
        ("configs/loop.yaml", "suite: handbook", "suite: hndbook",
         "`canary.suite`: evals/hndbook.yaml does not exist"),
        ("configs/loop.yaml", "pairs: feedback-dpo", "pairs: ../x", "`pairs`: "),
        ("configs/loop.yaml", " support: {min", " suport: {min", "did you mean `support`?"),
        ("configs/loop.yaml", 'judge: ""', "judge: gtp", "`online.judge`: model 'gtp': not a"),
        ("configs/alerts.yaml", "kind: log", "kind: webhook", "a webhook needs `url_env`"),
        ("configs/alerts.yaml", "kind: log", "kind: email", "mail needs `receivers`"),
        ("configs/prices.yaml", "models:", "models:\n  x/y: {end_of_life: soon}",
         "`x/y`: `end_of_life` must be a date such as 2027-01-31, got 'soon'"),
        ("configs/prices.yaml", "models:", "models:\n  x/y: {regions: eu}",
         "`x/y`: `regions` must be a list of names, such as [eu], got 'eu'"),
        ("configs/prices.yaml", "models:", "models:\n  x/y: {context: big}",
         "`x/y`: `context` must be tokens, such as 128000, got 'big'"),
        ("configs/business.yaml", "figure: positive", "figure: positve",
         "`kill`: `positve` is not a figure; did you mean `positive`?"),
        ("configs/sft.yaml", "metric: exact", "metric: exat",
         "`evals.metric`: exat is no metric of finetune/demo/quick.yaml; use exact,"),
        ("prompts/rag/rerank.md", "temperature:", "temprature:", "did you mean `temperature`?"),
        ("evals/own.yaml", "", SUITE.replace("own", "owm", 1) + "{contains: {show: true}}",
         "evals/own.yaml: `suite`: owm is not the file's name"),
        ("evals/own.yaml", "", SUITE + "{correctness: {show: true}}",
         "evals/own.yaml: `metrics.correctness`: no judge model: set `judge` in the suite"),
        ("configs/tone.yaml", "", "method: sfft", "configs/tone.yaml: "),
        ("configs/sft.yaml", "demo/quick.yaml", "demo/quik.yaml", "quik.yaml does not exist; mend"),
        ("finetune/demo/quick.yaml", "suite:", "siute:", "did you mean `suite`?"),
        ("evals/own.yaml", "", SUITE + "{contains: {show: true}}\ntask: shop:fn",
         "evals/own.yaml: task 'shop:fn': cannot be imported (ModuleNotFoundError: No module"),
        ("evals/own.yaml", "", SUITE + "{mine: {scorer: 'm.py:f', show: true}}",
         "evals/own.yaml: metric `mine`: scorer 'm.py:f' cannot be loaded"),
        ("evals/own.yaml", "", SUITE + "{contains: {show: true}}\njudge: gtp",
         "evals/own.yaml: model 'gtp': not a known name"),
        ("evals/cases.jsonl", "", '{"id": "a", "input": "x", "expceted": "y"}',
         "evals/cases.jsonl: line 1: case `a`: `expceted` is not a key of a case"),
        ("evals/cases.csv", "", "id,input,expcted\na,x,y\n",
         "evals/cases.csv: line 2: case `a`: `expcted` is not a key of a case"),
        ("evals/baselines/handbook/main.jsonl", "", "{", "main.jsonl: is damaged"),
        ("evals/labels/handbook.jsonl", "", "{", "evals/labels/handbook.jsonl: line 1: "),
        ("evals/handbook.drafts.jsonl", "", "{", "evals/handbook.drafts.jsonl: line 1: "),
        ("evals/designs/x.yaml", "", "suite: [", "evals/designs/x.yaml: line 1 is not valid YAML"),
        ("prompts/prompts.lock", "hash: ", "hash: z", "`prompts.rag/answer.0.hash`: "),
    ],
)  # fmt: skip
def test_check_reads_every_kind_of_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    file: str, old: str, new: str, said: str,
) -> None:  # fmt: skip
    project.init(tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if old:
        plant(path, old, new)
    else:
        path.write_text(new)
    if file.startswith("evals/cases"):
        suite = f"suite: own\nmetrics: {{contains: {{show: true}}}}\nfiles: {path.name}\n"
        (tmp_path / "evals" / "own.yaml").write_text(suite)
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    assert main(["check"]) == 64
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1, shown.err
    assert shown.out.endswith(": 1 mistake\n")


def plant(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


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
