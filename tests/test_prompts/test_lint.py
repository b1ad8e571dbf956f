"""Each lint rule has a prompt that breaks it and one that does not; SARIF says the same."""

import pytest
from sarif_log import check_sarif

from genai.prompts import Labels, Prompt, parse_prompt
from genai.prompts.lint import GROWTH, RULES, lint, text_of
from genai.prompts.lock import Lock, Locked, Receipt, unproven_labels
from genai.prompts.sarif import Result, sarif

GOOD = """---
id: t/x
inputs: {q: {}}
params: {temperature: 0.001, max_tokens: 100, seed: 7}
output: {type: object, required: [n], properties: {n: {type: integer}}}
examples:
  - {inputs: {q: one}, output: {n: 1}}
---
@system
Reply with JSON: a naïve Ἀθήνα, Москва, 東京 and e-mail me@example.org are fine.
@user
two
@assistant
{"n": 2}
@user
{{q}}
"""
RECEIPT = Receipt(suite="s", run="r", dataset="d", decision="PASS", at="2026-11-02")


def parsed(text: str) -> Prompt:
    return parse_prompt(text, "prompts/t/x.md", lambda name: pytest.fail(name))


def locked(prompt: Prompt, tokens: int | None = None) -> Lock:
    size = len(text_of(prompt)) if tokens is None else tokens
    return Lock(prompts={"t/x": [Locked(hash=prompt.sha256, tokens=size, receipt=RECEIPT)]})


def found(text: str, lock: Lock | None = None) -> list[tuple[str, str, str]]:
    prompt = parsed(text)
    results = lint(
        prompt, len, locked(prompt) if lock is None else lock,
        lambda said: [said] if "sk-live" in said else [],
        lambda _, tokens: f"{tokens} more cost a dollar",
    )  # fmt: skip
    assert all(each.file == "prompts/t/x.md" for each in results)
    assert all(each.message.startswith("prompts/t/x.md: ") for each in results)
    assert {each.rule for each in results} <= RULES.keys()
    return [(each.rule, each.level, each.message) for each in results]


def test_a_sound_prompt_has_no_finding() -> None:
    assert found(GOOD) == []
    theirs = "min_tokens: 1, max_new_tokens: 9, reasoning_format: raw, repetition_penalty: 1.1"
    assert found(GOOD.replace("seed: 7", f"seed: 7, {theirs}")) == []  # names of other providers


@pytest.mark.parametrize(
    ("change", "rule", "level", "said"),
    [
        (("output: {n: 1}}", "output: {n: one}}"), "example_breaks_schema", "error",
         "example 1 breaks `output`: n breaks `type`"),
        (("output: {n: 1}}", "output: 'n is 1'}"), "example_breaks_schema", "error",
         "example 1 breaks `output`: it is not JSON"),
        (("output: {n: 1}}", "output: {}}"), "example_breaks_schema", "error",
         "the top breaks `required`"),
        (('{"n": 2}', '{"m": 2}'), "example_breaks_schema", "error",
         "the assistant turn 3 breaks `output`"),
        (("type: integer", "type: whole"), "schema_wrong", "error", "`output`: the schema itself"),
        (("{type: integer}", "{$ref: 'http://127.0.0.1:9/x'}"), "schema_wrong", "error",
         "which is not in it"),
        (("temperature: 0.001", "temperature: 1e-3"), "number_as_text", "error",
         "`params.temperature` is the text '1e-3'"),
        (("temperature: 0.001", "temperature: hot"), "number_as_text", "error",
         "`params.temperature` is the text 'hot'"),
        (("seed: 7", "seed: '7'"), "number_as_text", "error", "`params.seed`"),
        (("seed: 7", "seed: 7, presence_penality: 1"), "misspelt_param", "error",
         "`params.presence_penality`: did you mean `presence_penalty`?"),
        (("max_tokens: 100, ", ""), "no_token_limit", "note", "no `max_tokens`"),
        (("Reply", "Re\u200bply"), "hidden_character", "error", "holds U+200B"),
        (("Reply", "\u202eReply"), "hidden_character", "error", "holds U+202E"),
        (("Reply", "Re\u200cply"), "hidden_character", "error", "holds U+200C"),
        (("Reply", "\u06cc\u200c\u200c\u06cc"), "hidden_character", "error", "holds U+200C"),
        (("Reply", "R\u0435ply"), "look_alike", "error", "mixes CYRILLIC and LATIN"),
        (("Reply", "<|im_start|> Reply"), "control_token", "error", "'<|im_start|>'"),
        (("Reply", "[INST] Reply"), "control_token", "error", "'[INST]'"),
        (("two", "@User"), "almost_a_role", "warning", "the line '@User' is text"),
        (("two", "System:"), "almost_a_role", "warning", "the line 'System:' is text"),
        (("two", " @user"), "almost_a_role", "warning", "the line '@user' is text"),
        (("@user\ntwo", "@user\ntwo\n@system\nagain"), "system_late", "warning", "put it first"),
        (("Reply", "sk-live Reply"), "secret", "error", "take it out"),
    ],
)  # fmt: skip
def test_each_rule_finds_its_mistake(
    change: tuple[str, str], rule: str, level: str, said: str
) -> None:
    assert GOOD.count(change[0]) == 1 or change[0] == "Reply"
    results = found(GOOD.replace(*change))
    assert [(each[0], each[1]) for each in results] == [(rule, level)]
    assert said in results[0][2]


@pytest.mark.parametrize("word", ["\u0645\u06cc\u200c\u062e\u0648", "\u0915\u094d\u200d\u092f"])
def test_a_joiner_in_a_persian_or_hindi_word_is_spelling(word: str) -> None:
    assert found(GOOD.replace("Reply", word)) == found(GOOD)


def test_growth_is_measured_against_the_locked_version() -> None:
    prompt = parsed(GOOD)
    size = len(text_of(prompt))
    fits, grown = int(size / (1 + GROWTH)) + 1, int(size / (1 + GROWTH)) - 1
    assert found(GOOD, locked(prompt, fits)) == []
    ((rule, level, said),) = found(GOOD, locked(prompt, grown))
    assert (rule, level) == ("token_growth", "warning")
    assert f"has {size} tokens, {size / grown - 1:+.0%} on the locked {grown}" in said
    assert said.endswith(f"; {size - grown} more cost a dollar")


def test_a_prompt_that_changed_since_its_eval_is_an_error_and_a_new_one_a_note() -> None:
    old = parsed(GOOD.replace("two", "three"))
    ((rule, level, said),) = found(GOOD, locked(old))
    assert (rule, level) == ("unproven", "error")
    assert f"locked {old.hash}, now {parsed(GOOD).hash}" in said
    assert "run `genai eval s`, then `genai prompt lock t/x`" in said
    assert [each[:2] for each in found(GOOD, Lock())] == [("not_locked", "note")]


def test_an_older_locked_version_is_not_enough() -> None:
    old, now = parsed(GOOD.replace("two", "three")), parsed(GOOD)
    entries = [
        Locked(hash=each.sha256, tokens=len(text_of(each)), receipt=RECEIPT) for each in (now, old)
    ]
    assert found(GOOD, Lock(prompts={"t/x": entries}))[0][0] == "unproven"
    assert found(GOOD, Lock(prompts={"t/x": entries[::-1]})) == []


def test_a_label_or_arm_without_a_receipt_is_named() -> None:
    prompt = parsed(GOOD)
    labels = Labels(
        labels={"production": {"t/x": prompt.hash, "t/y": "0" * 12}},
        experiments={"e": {prompt.id: 1.0, "t/x@000000000000": 0.0}},
    )
    lines = unproven_labels(labels, locked(prompt))
    assert [line.partition(", which")[0] for line in lines] == [
        "prompts/labels.yaml: label `production` points at t/y@000000000000",
        "prompts/labels.yaml: experiment `e` points at t/x@000000000000",
    ]


def test_findings_as_sarif() -> None:
    given = [
        Result("secret", "error", "prompts/a.md", "x"), Result("look_alike", "error", "b.md", "y"),
        Result("secret", "error", "prompts/c d.md", "z"),
    ]  # fmt: skip
    results = check_sarif(sarif(given, RULES, "0.1.0"))
    assert [each["ruleId"] for each in results] == ["secret", "look_alike", "secret"]
    assert results[2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == (
        "prompts/c%20d.md"
    )
    assert check_sarif(sarif([], RULES, "0.1.0")) == []
