"""`genai check`: each planted mistake is one line; a file that nothing reads is told."""

import sys
from pathlib import Path

import pytest

import genai
from genai import project
from genai.cli import main
from genai.text import secrets
from genai.wiring.guards import load_guards


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project.init(tmp_path)
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    return tmp_path


def test_a_fresh_project_has_no_mistake_and_no_warning(
    target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.splitlines()[0].endswith(f" files checked in {target}: no mistakes")


def test_check_names_each_planted_mistake(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert main(["check"]) == 64
    shown = capsys.readouterr()
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
        assert said in shown.err
    assert ": 12 mistakes" in shown.out


VALIDATOR = "  - {{guard: guardrails, validator: '{}', action: block, on_error: closed}}"
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
        ("configs/loop.yaml", "canary:", "canary:\n  suite: hndbook",
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
         "evals/own.yaml: `judge`: model 'gtp': not a known name"),
        ("evals/cases.jsonl", "", '{"id": "a", "input": "x", "expceted": "y"}',
         "evals/cases.jsonl: line 1: case `a`: `expceted` is not a key of a case"),
        ("evals/cases.csv", "", "id,input,expcted\na,x,y\n",
         "evals/cases.csv: line 2: case `a`: `expcted` is not a key of a case"),
        ("evals/baselines/handbook/main.jsonl", "", "{", "main.jsonl: is damaged"),
        ("evals/labels/handbook.jsonl", "", "{", "evals/labels/handbook.jsonl: line 1: "),
        ("evals/handbook.drafts.jsonl", "", "{", "evals/handbook.drafts.jsonl: line 1: "),
        ("evals/designs/x.yaml", "", "suite: [", "evals/designs/x.yaml: line 1 is not valid YAML"),
        ("prompts/prompts.lock", "hash: ", "hash: z", "`prompts.rag/answer.0.hash`: "),
        ("configs/guards.yaml", "answer:", "answer:\n" + VALIDATOR.format("nowhere.at_all:Class"),
         "configs/guards.yaml: `validator`: 'nowhere.at_all:Class' cannot be made (there is no mo"),
        ("configs/guards.yaml", "answer:", "answer:\n" + VALIDATOR.format("json.decoder:Loud"),
         "'json.decoder:Loud' cannot be made (json.decoder holds no Loud); give `package.module:C"),
        ("configs/strict.yaml", "", "answer:\n  - {guard: pi, action: block, on_error: closed}",
         "configs/strict.yaml: `pi` of `answer` is not a guard; did you mean `pii`?"),
        ("configs/dpo.yaml", "name: quick-dpo", "name: quick-sft",
         "configs/sft.yaml: `name`: quick-sft is the name of configs/dpo.yaml too"),
        ("configs/sft.yaml", "evals:", "preference: {beta: 0.1}\nevals:",
         "configs/sft.yaml: `preference` does nothing for `sft`; take it out"),
        ("configs/dpo.yaml", "beta: 0.1", "desirable_weight: 2",
         "configs/dpo.yaml: `preference.desirable_weight` does nothing for `dpo`; take it out"),
        ("configs/dpo.yaml", "steps: 40", "steps: 40\n  packing: true",
         "configs/dpo.yaml: `training.packing` does nothing for `dpo`; take it out"),
        ("configs/sft.yaml", "base: CC0-1.0", "base: apache-2",
         "`licences.base`: the terms of 'apache-2' are not known; did you mean Apache-2.0? Else"),
        ("configs/sft.yaml", "licence: CC0-1.0", 'licence: "CC0-1,0"',
         "`data.0.licence`: the terms of 'CC0-1,0' are not known; did you mean CC0-1.0? Else"),
        ("configs/sft.yaml", "base: CC0-1.0", "base: ours",
         "the terms of 'ours' are not known; give its SPDX name, or read them and add `unknown`"),
        ("configs/sft.yaml", "max_gib: 4.0", "currency: dollars",
         "`budget.currency`: must be a code of ISO 4217 such as USD or EUR (got 'dollars')"),
        ("configs/business.yaml", "currency: USD", "currency: usd",
         "configs/business.yaml: `currency`: must be a code of ISO 4217 such as USD or EUR (got"),
        ("configs/usecases/handbook.yaml", "currency: USD", "currency: US",
         "usecases/handbook.yaml: `money.currency`: must be a code of ISO 4217 such as"),
        ("configs/loop.yaml", " support: {min: 0.5", " support: {min: 60",
         "`online.metrics.support.min`: must be 0 to 1, the share that `support` gives (got 60)"),
        ("evals/own.yaml", "", SUITE + "{contains: {min: 1.5}}",
         "`metrics.contains.min`: must be 0 to 1, the share that `contains` gives (got 1.5)"),
        ("evals/own.yaml", "", SUITE + "{contains: {gate: true, margin: 5}}",
         "`metrics.contains.margin`: must be 0 to 1, the share that `contains` gives (got 5)"),
        ("evals/own.yaml", "", SUITE + "{contains: {gate: true, margin: -0.1}}",
         "`metrics.contains.margin`: must be greater than 0 (got -0.1)"),
        ("evals/own.yaml", "", SUITE + "{contains: {min: 0.9, max: 0.1}}",
         "`metrics.contains`: `min` 0.9 is above `max` 0.1"),
        ("evals/own.yaml", "", SUITE + "{latency_p95: {max: 9, gate: true}}",
         "`metrics.latency_p95`: is one number of the whole run, which has no pairs to compare"),
        ("evals/own.yaml", "", SUITE + "{latency_p95: {max: -3}}",
         "`metrics.latency_p95.max`: must be 0 or more, the amount that `seconds` gives (got -3)"),
        ("evals/redteam.yaml", "place: question", "place: qestion",
         "evals/redteam.yaml: case `override-1`: `metadata.place`: 'qestion' is no place; use que"),
        ("evals/redteam.yaml", "risks: [LLM01]", "risks: [LLM11]",
         "evals/redteam.yaml: case `override-1`: `risks`: 'LLM11' is no risk; use LLM01 to LLM10"),
        ("evals/test_own.py", "", "import os\n\ndef test_x(:\n    pass\n",
         "evals/test_own.py: line 3: is no Python (invalid syntax); mend it"),
        ("apps/chat.py", "import genai", "import genai\nreturn",
         "apps/chat.py: line "),
        ("configs/guards/requets.yaml", "", "{}",
         "configs/guards/requets.yaml: nothing reads this file; did you mean requests.yaml?"),
        ("configs/usecases/own.yml", "", "{}",
         "configs/usecases/own.yml: nothing reads this file; call it own.yaml"),
        ("prompts/prompts.lock", "rag/answer:", "rag/answr:",
         "prompts/prompts.lock: `prompts.rag/answr`: there is no such prompt; did you mean `rag"),
    ],
)  # fmt: skip
def test_check_reads_every_kind_of_file(
    target: Path, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, said: str
) -> None:
    path = target / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if old:
        plant(path, old, new)
    else:
        path.write_text(new)
    if file.startswith("evals/cases"):
        suite = f"suite: own\nmetrics: {{contains: {{show: true}}}}\nfiles: {path.name}\n"
        (target / "evals" / "own.yaml").write_text(suite)
    assert main(["check"]) == 64
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1, shown.err
    assert shown.out.endswith(": 1 mistake\n")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("configs/team.yaml", "what is read there: alerts.yaml, business.yaml, genai.yaml, "),
        ("configs/alerts.json", "what is read there: alerts.yaml, business.yaml, genai.yaml, "),
        ("configs/guards/mine.yaml", "what is read there: attacks.yaml, harmless.yaml, "),
        ("configs/prices/mine.yaml", "what is read there: *.json"),
        ("configs/usecase/mine.yaml", "did you mean configs/usecases?"),
        ("evals/stray.jsonl", "name it under `files` of a suite, or its cases are not asked"),
        ("evals/stray.csv", "name it under `files` of a suite, or its cases are not asked"),
        ("evals/handbook.cases.jsonl", "name it under `files` of a suite, or its cases are not a"),
        ("evals/hndbook.drafts.jsonl", "there is no suite evals/hndbook.yaml"),
        ("evals/labels/hndbook.jsonl", "there is no suite evals/hndbook.yaml"),
        ("evals/baselines/hndbook/own.txt", "there is no suite evals/hndbook.yaml"),
    ],
)
def test_check_warns_of_a_file_that_nothing_reads(
    target: Path, capsys: pytest.CaptureFixture[str], file: str, said: str
) -> None:
    path = target / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    assert main(["check"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    warned, counted = shown.out.splitlines()
    name = file if path.parent.name not in ("usecase", "hndbook") else str(Path(file).parent)
    assert warned.startswith(f"warning: {name}: nothing reads this f")
    assert said in warned
    assert counted.endswith(": no mistakes")


def test_check_leaves_files_of_somebodys_own_alone(
    target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file, text in {
        "configs/notes.md": "x",
        "configs/k8s/chat.yaml": "kind: Pod",
        "configs/schema/own.json": "{}",
        "evals/rows.csv": "read,by,a,gate\n",
        "evals/test_rows.py": "ROWS = 'rows.csv'\n",
        "evals/dev.jsonl": '{"id": "a", "input": "x", "expected": "y"}',
        "evals/own.yaml": "suite: own\nmetrics: {contains: {min: 1}}\nfiles: dev.jsonl\n",
        "evals/own.drafts.jsonl": "",
        "evals/labels/own.jsonl": "",
        "evals/places.yaml": "suite: places\nmetrics: {contains: {min: 1}}\ncases:\n  - {id: b,"
        " input: x, expected: y, risks: [LLM77], metadata: {place: Berlin}}\n",
        "configs/strict.yaml": "answer:\n  - {guard: pii, action: block, on_error: closed}\n",
    }.items():
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (target / file).write_text(text)
    retired = target / "prompts" / "rag" / "answer.md"  # what was locked of it is kept
    plant(retired, "id: rag/answer", "id: rag/reply")
    retired.rename(retired.with_name("reply.md"))
    plant(target / "configs" / "genai.yaml", "prompt: rag/answer", "prompt: rag/reply")
    plant(target / "configs" / "sft.yaml", "base: CC0-1.0", "base: ours\n  accepted: [unknown]")
    assert main(["check"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert len(shown.out.splitlines()) == 1, shown.out


def test_a_suite_of_ones_own_takes_the_place_of_the_example_without_another_edit(
    target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (target / "evals" / "handbook.yaml").unlink()
    (target / "evals" / "own.yaml").write_text(SUITE + "{contains: {show: true}}")
    assert main(["check"]) == 0
    assert genai.open_loop().settings.cases == genai.open_loop().settings.canary.suite == "own"
    capsys.readouterr()
    two = SUITE.replace("own", "two", 1) + "{contains: {show: true}}"
    (target / "evals" / "two.yaml").write_text(two)
    assert main(["check"]) == 64
    assert capsys.readouterr().err == (
        "configs/loop.yaml: `cases` and `canary.suite`: evals/handbook.yaml does not exist; name a"
        " suite: own, redteam, two\n"
    )


def plant(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("package", ["detect_secrets", "phonenumbers", "stdnum"])
def test_a_detector_that_is_not_installed_is_named_with_its_pip_line(
    target: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    for each in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, each)
    monkeypatch.setitem(sys.modules, package, None)
    secrets._detectors.cache_clear()
    line = f"`{package}` is not installed; run: pip install 'genai-workbench[guards]'"
    assert main(["check"]) == 64
    assert capsys.readouterr().err.splitlines() == [line]
    text = "key = 'k3Jx9QpL2vR8sT5w', GB82 WEST 1234 5698 7654 32, +1 415-555-2671"
    said = " ".join(each.reason for each in load_guards().check(text, "question"))
    assert f"failed ({line})." in said


def test_a_misspelt_variable_is_named_and_one_of_yours_is_left(
    target: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHAIN_MODLE", "PROJCT", "CHAIN_MODEL", "SERVER_KEY", "LEDGER_URL", "ALERT_URL"):
        monkeypatch.setenv(f"GENAI_{name}", "extractive" if name == "CHAIN_MODEL" else "")
    assert main(["check"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "GENAI_" in line] == [
        "warning: GENAI_CHAIN_MODLE: nothing reads this variable; did you mean GENAI_CHAIN_MODEL?",
        "warning: GENAI_PROJCT: nothing reads this variable; did you mean GENAI_PROJECT?",
    ]


def test_machines_that_share_a_ledger_are_told_to_share_the_key_of_its_users(
    target: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_LEDGER_URL", "postgresql://me@127.0.0.1:9/genai")
    assert main(["check"]) == 0
    assert "warning: GENAI_USER_KEY: is not set" in capsys.readouterr().out
    monkeypatch.setenv("GENAI_USER_KEY", "one for all")
    assert main(["check"]) == 0
    assert "GENAI_USER_KEY" not in capsys.readouterr().out
