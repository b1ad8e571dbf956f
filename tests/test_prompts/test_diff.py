"""Two prompts by what they mean: what changed, what breaks the program, what it costs."""

import json
from decimal import Decimal

import pytest
from sarif_log import check_sarif

from genai.prompts import Prompt, parse_prompt
from genai.prompts.diff import Comparison, compare

OLD = """---
id: t/x
models: [m]
inputs:
  q: {max_length: 100}
  tone: {kind: enum, enum: [plain, warm], trust: trusted, required: false, default: plain}
params: {temperature: 0, max_tokens: 100}
output:
  type: object
  required: [topic, sure]
  properties:
    topic: {type: string, enum: [a, b]}
    sure: {type: boolean}
    why: {type: array, items: {type: string}}
examples: [{inputs: {q: one}, output: {topic: a, sure: true}}]
---
@system
Be {{tone}}.
Name the topic.
@user
{{q}}
"""


def parsed(text: str) -> Prompt:
    return parse_prompt(text, "prompts/t/x.md", lambda name: f"text of {name}")


def compared(text: str, *changes: tuple[str, str]) -> Comparison:
    new = text
    for change in changes:
        assert change[0] in new, change
        new = new.replace(*change)
    return compare(
        parsed(text), parsed(new), count=len, model="m", price=lambda n: Decimal(n) / 1_000_000
    )


def test_a_change_of_words_for_people_is_none() -> None:
    found = compared(OLD, ("id: t/x", "id: t/x\ndescription: new words"))
    assert found.changes == ()
    assert found.exit_code == 0
    assert "no changes, none breaking" in found.text()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ([("q: {max_length: 100}", "q: {max_length: 90}")],
         "! variable q.max_length: 100 -> 90 (values that fitted are refused)"),
        ([("q: {max_length: 100}", "q: {kind: json, max_length: 100}")],
         '! variable q.kind: "text" -> "json" (callers pass another kind)'),
        ([("q: {max_length: 100}", "q: {trust: trusted, max_length: 100}")],
         '! variable q.trust: "untrusted" -> "trusted" (text that was not trusted is trusted now)'),
        ([("  tone:", "  new: {trust: trusted}\n  tone:"), ("Name", "{{new}} Name")],
         "! variable new: text, trusted, required (callers do not pass it yet)"),
        ([("enum: [plain, warm]", "enum: [plain]")],
         "! variable tone.enum: [\"plain\", \"warm\"] -> [\"plain\"] ('warm' is refused now)"),
        ([("required: [topic, sure]", "required: [topic]")],
         "! schema sure: required -> optional (readers may miss the field)"),
        ([("    sure: {type: boolean}\n", ""), ("topic, sure]", "topic]"),
          ("a, sure: true", "a")],
         '! schema sure: {"type": "boolean"} -> nothing (readers miss the field)'),
        ([("enum: [a, b]", "enum: [a, b, c]")],
         '! schema topic.enum: ["a", "b"] -> ["a", "b", "c"] (readers meet the new value c)'),
        ([("items: {type: string}", "items: {type: integer}")],
         "! schema why.items.type: string -> integer (replies have another form)"),
        ([("id: t/x", "id: t/x\nmax_chars: 5000")],
         "! bound max_chars: 1000000 -> 5000 (turns that fitted are refused)"),
    ],
)  # fmt: skip
def test_what_breaks_the_program_says_why(changes: list[tuple[str, str]], line: str) -> None:
    found = compared(OLD, *changes)
    assert line in found.text().split("\n")
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ([("q: {max_length: 100}", "q: {max_length: 200}")], "~ variable q.max_length: 100 -> 200"),
        ([("enum: [plain, warm]", "enum: [plain, warm, dry]")], "~ variable tone.enum: "),
        ([("  tone:", "  new: {trust: trusted, required: false}\n  tone:"),
          ("Name", "{{new}} Name")], "+ variable new: "),
        ([("tone: {kind: enum, enum: [plain, warm], trust: trusted, required: false, default: "
           "plain}", "tone: {kind: enum, enum: [plain, warm], trust: trusted, required: false, "
           "default: warm}")], '~ variable tone.default: "plain" -> "warm"'),
        ([("    sure:", "    more: {type: string}\n    sure:")], "+ schema more: "),
        ([("enum: [a, b]", "enum: [a]")], '~ schema topic.enum: ["a", "b"] -> ["a"]'),
        ([("temperature: 0", "temperature: 0.7")], "~ parameter temperature: 0 -> 0.7"),
        ([("max_tokens: 100", "max_tokens: 100, seed: 7")], "+ parameter seed: 7"),
        ([(", max_tokens: 100", "")], "- parameter max_tokens: 100 -> nothing"),
        ([("q: one", "q: two")], "~ example 1 new, 1 gone: 1 of them -> 1 of them"),
        ([("models: [m]", "models: [m, n]")], "~ model models: m -> m, n"),
        ([("Name the topic.", "{{> p}}")], "+ partial partials: p"),
        ([("@system\n", "@user\n")], "~ role turns: system user -> user user"),
        ([("@user\n{{q}}", "@user\nHi\n@assistant\nHo\n@user\n{{q}}")],
         "~ role turns: system user -> system user assistant user"),
        ([("Name the topic.", "Name the one topic.")], "~ text system turn 1: 1 line -> 1 line"),
    ],
)  # fmt: skip
def test_what_the_program_does_not_see_does_not_break_it(
    changes: list[tuple[str, str]], line: str
) -> None:
    found = compared(OLD, *changes)
    assert any(each.startswith(line) for each in found.text().split("\n")), found.text()
    assert found.exit_code == 0


def test_a_prompt_without_a_schema_has_nothing_for_readers_to_rely_on() -> None:
    free = OLD[: OLD.index("output:")] + OLD[OLD.index("---\n@system") :]
    with_schema, without = parsed(OLD), parsed(free)
    price = Decimal
    assert compare(with_schema, without, count=len, model="m", price=price).breaking
    back = compare(without, with_schema, count=len, model="m", price=price)
    assert not back.breaking
    assert "~ schema output: any text -> JSON" in back.text()


def test_the_words_of_a_turn_are_shown_line_by_line() -> None:
    found = compared(OLD, ("Name the topic.", "Name the one topic."))
    (change,) = found.changes
    assert change.lines == (" Be {{tone}}.", "-Name the topic.", "+Name the one topic.")
    assert "    +Name the one topic." in found.text()


def test_tokens_and_money_are_compared() -> None:
    found = compared(OLD, ("Name the topic.", "Name the one topic."))
    assert found.tokens[1] - found.tokens[0] == 4
    assert found.spend == Decimal("0.004")
    assert "input cost of 1,000 calls of m: +$0.004" in found.text()
    cheaper = compared(OLD, ("Name the topic.", "Name it."))
    assert "input cost of 1,000 calls of m: -$0.007" in cheaper.text()
    unknown = compare(parsed(OLD), parsed(OLD), count=len, model="m", price=lambda n: None)
    assert unknown.spend is None
    assert "input cost of 1,000 calls of m: unpriced" in unknown.text()


def test_the_same_as_json_and_sarif() -> None:
    found = compared(
        OLD, ("temperature: 0", "temperature: 1"), ("max_length: 100", "max_length: 9")
    )
    data = json.loads(found.json())
    assert data["breaking"] is True
    assert Decimal(data["spend"]) == 0
    assert [(each["rule"], each["breaking"]) for each in data["changes"]] == [
        ("variable", True), ("parameter", False),
    ]  # fmt: skip
    results = check_sarif(found.sarif("0.1.0"))
    assert [(each["ruleId"], each["level"]) for each in results] == [
        ("variable", "error"), ("parameter", "note"),
    ]  # fmt: skip
    assert results[0]["message"]["text"].startswith("variable q.max_length: 100 -> 9")


def test_json_and_sarif_say_the_change_in_tokens_and_in_money() -> None:
    found = compared(OLD, ("Name the topic.", "Name the one topic."))
    data = json.loads(found.json())
    before, after = data["tokens"]
    assert (after - before, data["spend"], data["model"]) == (4, "0.004", "m")
    assert Decimal(data["cost"][1]) - Decimal(data["cost"][0]) == Decimal("0.004")
    log = found.sarif("0.1.0")
    words, cost = check_sarif(log)
    assert (words["ruleId"], cost["ruleId"], cost["level"]) == ("text", "cost", "note")
    assert cost["message"]["text"] == (
        f"tokens of the template: {before} -> {after} (+4, {after / before - 1:+.1%});"
        " input cost of 1,000 calls of m: +$0.004"
    )
    facts = json.loads(log)["runs"][0]["properties"]
    assert (facts["tokens"], facts["calls"], facts["spend"]) == ([before, after], 1000, "0.004")
    (only,) = check_sarif(compared(OLD, ("temperature: 0", "temperature: 1")).sarif("0.1.0"))
    assert only["ruleId"] == "parameter"  # no more tokens, no word of money
