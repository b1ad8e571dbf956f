"""What would train in silence and give a worse model: `genai finetune run` refuses it in one line.

Each fault is planted among clean rows or in a recipe, and tried by the command that a user types.
"""

import json
import re
import shutil
from typing import Any

import pytest
import yaml
from training import asked, demo_project, pair, write_lines

from genai.cli import main
from genai.finetune.demo import recipe as demo_recipe
from genai.project import Project

BASE = ".genai/finetune/demo/quick/base"
LONG = " ".join(["parcel"] * 300)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = demo_project(tmp_path_factory.mktemp("project"))
    template = (made.root / BASE / "chat_template.jinja").read_text()
    opened, closed = "{% generation %}", "{% endgeneration %}"
    bare = template.replace(opened, "").replace(closed, "")
    for name, text in (
        ("unmarked", bare),
        ("unfilled", "{% if false %}" + opened + closed + "{% endif %}" + bare),
        ("shifted", template + "{% if add_generation_prompt %} {% endif %}"),
        ("thinking", template.replace("['content'] }}", "['content'].split('</think>')[-1] }}")),
    ):
        shutil.copytree(made.root / BASE, made.root / name)
        (made.root / name / "chat_template.jinja").write_text(text)
    for name, change in (("unpadded", {"pad_token": "<|end|>"}), ("endless", {"eos_token": None})):
        settings = shutil.copytree(made.root / BASE, made.root / name) / "tokenizer_config.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), **change}))
    return made


def clean(method: str) -> list[dict[str, Any]]:
    words = ("red", "blue", "green", "grey", "brown", "white", "black", "pink")
    questions = [f"which {words[n % 8]} parcel number {n} is {words[n // 8]}" for n in range(40)]
    if method == "sft":
        return [asked(each, f"the {n}th one is") for n, each in enumerate(questions)]
    answers = [(f"the {n}th one, I think", f"number {n}") for n in range(40)]
    return [
        pair(each, *(answers[n] if n % 2 else answers[n][::-1])) for n, each in enumerate(questions)
    ]


def refused(
    project: Project, capsys: pytest.CaptureFixture[str], rows: list[Any], method: str = "sft",
    **changes: Any,
) -> str:  # fmt: skip
    """Run a recipe over clean rows and these; give the one line that is said."""
    write_lines(project.state / "rows.jsonl", [*clean(method), *rows])
    given = demo_recipe("quick", "sft" if method == "sft" else "dpo")
    given["data"][0]["path"] = ".genai/rows.jsonl"
    given |= {"name": "refused", "base": BASE, **changes}
    path = project.root / "configs" / "refused.yaml"
    path.write_text(yaml.safe_dump(given))
    assert main(["finetune", "run", str(path)]) == 64
    assert not (project.state / "finetune" / "runs" / "refused" / "model").exists()
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    return said[0]


def frozen(project: Project) -> str:
    first = (project.root / "finetune" / "demo" / "quick.jsonl").read_text().splitlines()[0]
    return str(json.loads(first)["input"])


PLANTED: list[tuple[str, str, list[Any]]] = [
    ("role", "sft", [{"messages": [{"role": "user", "content": "me"}]}]),
    ("empty", "sft", [asked("hello", "  ")]),
    ("duplicates", "sft", [asked("one more", "the same"), asked("One MORE!", "the same.")]),
    ("identical", "dpo", [pair("hello", "the same", "the same ")]),
    ("identical", "dpo", [pair("hello", "It is the SAME", "it  is the same")]),
    ("end lost", "sft", [asked("hello", LONG)]),
    ("schema", "sft", [{"text": "all of it"}]),
    ("control tokens", "sft", [asked("stop<|end|><|assistant|>", "hello there")]),
]


@pytest.mark.parametrize(("name", "method", "rows"), PLANTED, ids=[each[0] for each in PLANTED])
def test_rows_that_would_be_trained_in_silence_are_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, method: str, rows: list[Any],
) -> None:  # fmt: skip
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    limit = {"check": {"near": 1.0, "truncated": 0.5}, "max_length": 64}
    said = refused(project, capsys, rows, method, **limit)
    assert f": {name}: " in said
    assert "rows.jsonl: line 4" in said or "rows.jsonl:4" in said  # where it stands
    assert "genai finetune check" in said


def test_a_row_of_the_evals_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    assert ": leaks: " in refused(project, capsys, [asked(frozen(project), "hello there")])


RECIPES: list[tuple[str, str, dict[str, Any]]] = [
    ("no marks", "marks no {% generation %}", {"base": "unmarked", "mask": "assistant"}),
    ("all masked", ": nothing trained: 40 of 40", {"base": "unfilled", "mask": "assistant"}),
    ("random base", "random weights learns nothing", {"tuning": {"kind": "lora"}}),
    ("misspelt", "`maks`", {"maks": "all"}),
    ("old name", "use `max_length`", {"max_seq_length": 512}),
    ("text of the prompt", "mask", {"mask": None}),
    ("hub", "HF_HUB_OFFLINE is set", {"base": "org/model", "weights": "pretrained"}),
    (
        "one text",
        "`formatting_func` is not a setting; use `data, with rows of messages`",
        {"formatting_func": "mine.render"},
    ),
    ("transform", "`with_transform` is not a setting; use `data,", {"with_transform": "mine.cut"}),
    ("no end", ": stop token: the tokenizer has no eos_token", {"base": "endless"}),
    ("other prompt", ": prefix: 40 of 40 prompts change when the answer", {"base": "shifted"}),
    (
        "4 bits",
        "`tuning.kind: qlora` needs a GPU and bitsandbytes; use `lora` or `auto`",
        {"weights": "pretrained", "tuning": {"kind": "qlora"}},
    ),
    ("no folder", "is no folder; run the recipe that makes it", {"base": ".genai/none"}),
]


@pytest.mark.parametrize(
    ("says", "changes"), [each[1:] for each in RECIPES], ids=[each[0] for each in RECIPES]
)
def test_recipes_that_cannot_give_what_they_promise_are_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    says: str, changes: dict[str, Any],
) -> None:  # fmt: skip
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert says in refused(project, capsys, [], **changes)


def test_an_answer_of_which_the_template_leaves_nothing_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    rows = [asked("hello", "let me see</think>")]  # a template that drops what was thought
    said = refused(project, capsys, rows, base="thinking")
    assert ": short answers: 1 of 41 answers are shorter than 2 tokens" in said
    assert "rows.jsonl:41" in said


@pytest.mark.parametrize("fault", ["form", "bytes"])
def test_a_prompt_whose_examples_cannot_be_read_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    broken = project.root / "prompts" / "broken.md"
    broken.parent.mkdir()
    broken.write_bytes(b"---\nid: broken\n" if fault == "form" else b"---\nid: \xff\xfe\n---\n")
    try:
        said = refused(project, capsys, [])
    finally:
        shutil.rmtree(broken.parent)
    assert ": leaks: 1 of " in said
    assert "not compared: prompts/broken.md" in said


def test_what_is_not_looked_for_and_what_looks_alike_is_said(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    assert main(["finetune", "check"]) == 0  # the shipped recipe, of rows from a template
    said = capsys.readouterr().out
    assert "warn  near duplicates  near copies are not looked for, here or in the evals" in said
    write_lines(
        project.state / "rows.jsonl", [*clean("dpo"), pair("hello", "no; it is", "no, it is")]
    )
    given = {**demo_recipe("quick", "dpo"), "base": BASE}
    given["data"][0]["path"] = ".genai/rows.jsonl"
    (project.root / "configs" / "alike.yaml").write_text(yaml.safe_dump(given))
    assert main(["finetune", "check", "alike"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"warn  same words +1 of 41 pairs differ in punctuation alone", said)
    assert "rows.jsonl:41" in said


def test_what_is_trained_is_green_on_a_terminal(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    monkeypatch.delenv("NO_COLOR", raising=False)
    write_lines(project.state / "rows.jsonl", clean("sft"))
    given = {**demo_recipe("quick", "sft"), "base": BASE}
    given["data"][0]["path"] = ".genai/rows.jsonl"
    (project.root / "configs" / "green.yaml").write_text(yaml.safe_dump(given))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["finetune", "check", "green"]) == 0
    said = capsys.readouterr().out
    assert "number 0 is red<|end|><|assistant|>\x1b[32mthe 0th one is<|end|>\x1b[0m" in said
    assert re.search(r"\x1b\[32mpass\x1b\[0m  leaks", said)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["finetune", "check", "green"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_an_end_that_is_padding_too_is_said(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    given = {**demo_recipe("quick", "sft"), "base": "unpadded"}
    (project.root / "configs" / "unpadded.yaml").write_text(yaml.safe_dump(given))
    assert main(["finetune", "check", "unpadded"]) == 0
    assert "warn  pad token        it is the end token" in capsys.readouterr().out
