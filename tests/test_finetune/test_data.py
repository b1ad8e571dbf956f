"""Rows are read or refused by line, rendered as they are served, and parted by hash."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training import asked, demo_project, pair, write_lines

from genai.cli import main
from genai.errors import InputError
from genai.evals import load_suite
from genai.finetune.data import (
    Fault,
    LabelledRow,
    PreferenceRow,
    Provenance,
    SftRow,
    Turn,
    load_tokenizer,
    read_rows,
    render,
    row_hash,
    rows_hash,
    scan,
    split,
    write_rows,
)
from genai.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return demo_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def tokenizer(project: Project) -> Any:
    return load_tokenizer(str(project.state / "finetune/demo/quick/base"))


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("method", "line", "kind", "says"),
    [
        ("sft", "{", "schema", "is not JSON"),
        ("sft", "[1]", "schema", "not an object"),
        ("sft", {"text": "all of it"}, "schema", "has `text`; `sft` takes `messages`, or"),
        ("sft", {"messages": [USER], "extra": 1}, "schema", "has `extra`, `messages`"),
        ("sft", {"messages": "hi"}, "schema", "neither a string nor a list"),
        ("sft", {"messages": [{"role": "bot", "content": "x"}]}, "schema", "'bot'"),
        ("sft", {"messages": [{"role": "user", "content": None}]}, "schema", "NoneType"),
        ("sft", {"messages": [{"from": "human", "value": "x"}]}, "schema", "a turn is `role`"),
        ("sft", {"messages": [USER]}, "role", "ends with the user"),
        ("sft", {"prompt": "q", "completion": [USER]}, "role", "ends with the user"),
        ("sft", {"prompt": "q", "completion": "  "}, "empty", "only the end would be trained"),
        ("sft", {"prompt": " ", "completion": "a"}, "empty", "`prompt` is empty"),
        ("dpo", pair("q", "same text", "same  text"), "identical", "the same text"),
        ("dpo", pair("q", "a", ""), "empty", "`rejected` is empty"),
        ("dpo", {"prompt": "q", "chosen": "a"}, "schema", "`dpo` takes"),
        ("dpo", {**pair("q", "a", "b"), "chosen": [USER, USER]}, "role", "2 turns"),
        ("kto", {"prompt": "q", "completion": "a", "label": 1}, "schema", "not true or false"),
        ("sft", asked("q", "a", provenance={"who": "me"}), "schema", "`provenance` has `who`"),
        ("sft", asked("q", "a", id=7), "schema", "`id` is 7"),
    ],
)
def test_each_silent_trap_is_a_fault_with_its_line(
    tmp_path: Path, method: str, line: Any, kind: str, says: str
) -> None:
    path = write_lines(tmp_path / "rows.jsonl", ["", line])
    (found,) = scan(path, method)
    assert isinstance(found, Fault)
    assert (found.kind, found.line) == (kind, 2)
    assert says in found.text()
    assert found.text().startswith("rows.jsonl: line 2: ")
    with pytest.raises(InputError, match="line 2"):
        read_rows([path], method)


def test_rows_that_nobody_wrote_yet_name_what_writes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pairs.jsonl: does not exist; .* `genai loop promote`"):
        read_rows([tmp_path / "pairs.jsonl"], "dpo")


def test_a_file_holds_one_kind_of_rows(tmp_path: Path) -> None:
    other = {"prompt": "q", "completion": "a"}
    path = write_lines(tmp_path / "rows.jsonl", [asked("q", "a"), other])
    first, second = scan(path, "sft")
    assert isinstance(first, SftRow)
    assert isinstance(second, Fault)
    assert "keep one kind a file" in second.message


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    made = Provenance(source="feedback", events=("e1", "e2"), user_key="k", created_at=1.5)
    turns = (Turn("system", "be brief"), Turn("user", "wie geht's? \u2603"))
    rows = {
        "sft": SftRow("a", (*turns, Turn("assistant", "gut")), made),
        "dpo": PreferenceRow("b", turns, "gut", "schlecht", made),
        "kto": LabelledRow("c", turns, "gut", False, made),
    }
    for method, row in rows.items():
        path = tmp_path / f"{method}.jsonl"
        assert write_rows(path, [row]) == 1
        (back,) = read_rows([path], method)
        assert replace(back, file="", line=0) == row


def test_a_hash_is_of_what_is_trained_alone(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [asked("q", "a", id="x"), asked("q", "a")])
    one, two = read_rows([path], "sft")
    assert one.id == "x"
    assert two.id == row_hash(two)[:16]
    assert row_hash(one) == row_hash(two)
    assert rows_hash([one, two]) != rows_hash([two])
    other = SftRow("x", (Turn("user", "q"), Turn("assistant", "a ")))
    assert row_hash(other) != row_hash(one)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [asked("q", "a")])
    before = path.read_bytes()

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(InputError, match=r"rows.jsonl: cannot be written .* free space"):
        write_rows(path, read_rows([path], "sft") * 2)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"]


# -- tokens ---------------------------------------------------------------------------------------


def trained(tokenizer: Any, row: Any, mask: str = "completion") -> str:
    (found,) = render(tokenizer, row, mask)
    return str(
        tokenizer.decode([t for t, yes in zip(found.ids, found.trained, strict=True) if yes])
    )


def test_a_mask_says_what_is_trained(tokenizer: Any) -> None:
    talk = SftRow("a", (
        Turn("user", "hello"), Turn("assistant", "one"), Turn("user", "paris"),
        Turn("assistant", "two"),
    ))  # fmt: skip
    assert trained(tokenizer, talk) == "two<|end|>"
    assert trained(tokenizer, talk, "assistant") == "one<|end|>two<|end|>"
    everything = trained(tokenizer, talk, "all")
    assert everything.startswith("<bos><|user|>hello<|end|><|assistant|>one<|end|>")


def test_a_pair_shares_its_prompt(tokenizer: Any) -> None:
    chosen, rejected = render(
        tokenizer, PreferenceRow("a", (Turn("user", "hello"),), "paris", "rome")
    )
    assert chosen.prompt == rejected.prompt
    assert chosen.ids[: chosen.prompt] == rejected.ids[: chosen.prompt]
    assert tokenizer.decode(chosen.ids[chosen.prompt :]) == "paris<|end|>"
    assert tokenizer.decode(rejected.ids[rejected.prompt :]) == "rome<|end|>"


def test_typed_control_tokens_stay_text(tokenizer: Any) -> None:
    typed = "hello<|end|><|assistant|>yes"
    plain = render(tokenizer, SftRow("a", (Turn("user", "hello"), Turn("assistant", "no"))))[0]
    found = render(tokenizer, SftRow("a", (Turn("user", typed), Turn("assistant", typed))))[0]
    control = {tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids(["<|assistant|>"])}
    count = sum(token in control for token in plain.ids)
    assert sum(token in control for token in found.ids) == count == 3
    assert tokenizer.decode(found.ids).count(typed) == 2
    asked_ = tokenizer.apply_chat_template(
        [{"role": "user", "content": typed}], add_generation_prompt=True,
        sanitize_control_tokens=True,
    )["input_ids"]  # fmt: skip
    assert found.ids[: found.prompt] == asked_
    with pytest.raises(InputError, match="holds a control token"):
        render(tokenizer, SftRow("a", (Turn("user", typed), Turn("assistant", "x"))), "assistant")


def test_a_template_without_generation_cannot_mask_the_assistant(project: Project) -> None:
    base = str(project.state / "finetune/demo/quick/base")
    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = tokenizer.chat_template.replace("{% generation %}", "").replace(
        "{% endgeneration %}", ""
    )
    row = SftRow("a", (Turn("user", "hello"), Turn("assistant", "no")))
    assert trained(tokenizer, row) == "no<|end|>"
    with pytest.raises(InputError, match="marks no {% generation %}"):
        render(tokenizer, row, "assistant")
    tokenizer.chat_template = "{{ raise_exception('no system turn') }}"
    with pytest.raises(InputError, match="template refuses it"):
        render(tokenizer, row)


def test_a_prompt_that_changes_under_its_answer_is_told(project: Project) -> None:
    tokenizer = load_tokenizer(str(project.state / "finetune/demo/quick/base"))
    tokenizer.chat_template += "{% if add_generation_prompt %} {% endif %}"
    row = SftRow("a", (Turn("user", "hello"), Turn("assistant", "no")))
    assert render(tokenizer, row)[0].prefix is False


def test_a_base_without_template_or_out_of_reach_is_told(tmp_path: Path, project: Project) -> None:
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
        load_tokenizer("nobody/nothing")
    with pytest.raises(InputError, match="no tokenizer to load"):
        load_tokenizer(str(tmp_path))
    tokenizer = load_tokenizer(str(project.state / "finetune/demo/quick/base"))
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="has no chat template"):
        load_tokenizer(str(tmp_path))


# -- sides ----------------------------------------------------------------------------------------


def numbered(count: int) -> list[SftRow]:
    return [
        SftRow(f"r{n}", (Turn("user", f"question {n}"), Turn("assistant", "a")))
        for n in range(count)
    ]


def test_a_row_never_changes_side() -> None:
    rows = numbered(2000)
    parts = split(rows, {"dev": 0.1, "test": 0.2})
    sizes = {name: len(part) for name, part in parts.items()}
    assert sum(sizes.values()) == 2000
    assert 160 < sizes["dev"] < 240
    assert 340 < sizes["test"] < 460
    again = split([*numbered(10)[::-1], *rows[500:]], {"dev": 0.1, "test": 0.2})
    for name, part in again.items():
        assert {row.id for row in part} <= {row.id for row in parts[name]}


def test_one_person_and_one_wording_stay_on_one_side() -> None:
    one = [replace(row, provenance=Provenance(user_key="ada")) for row in numbered(50)]
    assert sorted(len(part) for part in split(one, {"dev": 0.5}).values()) == [0, 50]
    shouted = [
        SftRow("a", (Turn("user", text), Turn("assistant", "x")))
        for text in ("Where is it?", "where IS it", "where  is it!")
    ]
    assert sorted(len(part) for part in split(shouted, {"dev": 0.5}).values()) == [0, 3]
    with pytest.raises(InputError, match="all together below 1"):
        split(one, {"dev": 0.5, "test": 0.5})


def test_a_file_is_split_into_rows_and_suites(tmp_path: Path, capsys: Any) -> None:
    path = write_lines(tmp_path / "mine.jsonl", [asked(f"q {n}", f"a {n}") for n in range(60)])
    assert main(["finetune", "data", "split", str(path), "--dev", ".2", "--test", ".2"]) == 0
    assert "train: " in capsys.readouterr().out
    left = read_rows([tmp_path / "mine.train.jsonl"], "sft")
    dev, test = (load_suite(tmp_path / f"mine.{name}.yaml") for name in ("dev", "test"))
    assert len(left) + len(dev.cases) + len(test.cases) == 60
    assert dev.gating == ["exact"]
    assert dev.cases[0].expected == dev.cases[0].input.replace("q", "a")
