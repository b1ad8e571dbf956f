"""Prompt files: roles come from the template alone, partials once, and the hash covers it all."""

import re
from pathlib import Path
from typing import Any

import pytest

from genai.errors import ConfigError, PromptError
from genai.prompts import Prompt, load_prompt, parse_prompt, prompt_names

ROOT = Path(__file__).parent.parent.parent
GOOD = """---
id: t/x
inputs:
  question: {trust: untrusted, max_length: 50000}
  passages: {trust: retrieved}
params: {temperature: 0}
---
@system
Be brief.
@user
{{passages}}
Q: {{question}}
"""
SHOTS = """---
id: t/x
inputs:
  question: {}
  count: {kind: int, trust: trusted, required: false, default: 1}
output: {type: object, required: [topic], properties: {topic: {type: string}}}
examples:
  - {inputs: {question: "What is {{a}}?"}, output: {topic: letters}}
  - {inputs: {question: "@system", count: 2}, output: '{"topic": "roles"}'}
---
@system
Name the topic.
@user
{{count}}: {{question}}
"""


def parsed(text: str, **partials: str) -> Prompt:
    def partial(name: str) -> str:
        if name not in partials:
            raise PromptError(f"no partial {name}")
        return partials[name]

    return parse_prompt(text, "prompts/t/x.md", partial)


def body(text: str, **partials: str) -> Prompt:
    return parsed(f"---\nid: t/x\n---\n{text}", **partials)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("---\nid", "id"), "must begin with front matter"),
        (("@system\n", ""), "must begin with a line `@system`"),
        (("Q: {{question}}", "Q"), "input `question` is never used"),
        (("{{question}}", "{{question}} {{other}}"), "`{{other}}` is not declared"),
        (("Be brief.", "Be {{question}}."), "`question` is untrusted and stands in the system"),
        (("Be brief.", "Be {{passages}}."), "`passages` is retrieved and stands in the system"),
        (("Q: ", "@assistant\nQ: "), "`question` is untrusted and stands in the assistant"),
        (("{{question}}", "{{question.text}}"), "`{{question.text}}` is no placeholder"),
        (("{{question}}", "{{question[0]}}"), "`{{question[0]}}` is no placeholder"),
        (("{{question}}", "{{#if question}}"), "`{{#if question}}` is no placeholder"),
        (("{{question}}", "{{{question}}}"), "`{{{question}}}` is no placeholder"),
        (("{{question}}", "{{question | upper}}"), "is no placeholder"),
        (("{{question}}", "{{__class__"), "`{{__class__` is no placeholder"),
    ],
)
def test_a_wrong_file_is_one_clear_error(write: Any, change: tuple[str, str], said: str) -> None:
    with pytest.raises(PromptError) as caught:
        load_prompt("t/x", write({"t/x.md": GOOD.replace(*change)}))
    assert said in str(caught.value)
    assert str(caught.value).startswith("prompts/t/x.md: ")


def test_a_misspelt_key_gets_a_suggestion(write: Any) -> None:
    with pytest.raises(ConfigError, match="did you mean `params`"):
        load_prompt("t/x", write({"t/x.md": GOOD.replace("params:", "parms:")}))


def test_a_key_given_twice_is_an_error(write: Any) -> None:
    folder = write({"t/x.md": GOOD.replace("temperature: 0", "temperature: 0, temperature: 1")})
    with pytest.raises(ConfigError, match="`temperature` twice"):
        load_prompt("t/x", folder)


@pytest.mark.parametrize("name", ["t/none", "../secret", "/etc/passwd", "partials/fence", "t/\0"])
def test_an_unknown_name_lists_the_known_ones(write: Any, name: str) -> None:
    folder = write({"t/x.md": GOOD, "partials/fence.md": "text", "../secret.md": GOOD})
    with pytest.raises(PromptError, match="no such prompt; known: t/x"):
        load_prompt(name, folder)


def test_a_file_that_is_no_text_or_has_another_id_is_named(write: Any) -> None:
    folder = write({"t/x.md": GOOD, "t/y.md": GOOD})
    with pytest.raises(PromptError, match=r"prompts/t/y\.md: `id` is 't/x'; it must be 't/y'"):
        load_prompt("t/y", folder)
    (folder / "t" / "x.md").write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(PromptError, match=r"prompts/t/x\.md: cannot be read"):
        load_prompt("t/x", folder)


def test_two_braces_can_be_written() -> None:
    assert body("@user\nWrite \\{{name}} here.").render()[0].text == "Write {{name}} here."


# -- partials ------------------------------------------------------------------------------------


def test_a_partial_is_put_in_once_at_load_with_its_variables() -> None:
    text = "---\nid: t/x\ninputs: {q: {}}\n---\n@user\n{{> ask}}, {{> ask}}\n"
    prompt = parsed(text, ask="say {{q}}{{> end}}\n", end="!")
    assert prompt.render(q="{{> end}}")[0].text == "say {{> end}}!, say {{> end}}!"
    assert prompt.partials == ("ask", "end")


def test_a_change_of_a_partial_changes_the_hash_unlike_in_dotprompt() -> None:
    text = "@user\nA {{> p}}."
    assert body(text, p="b").hash != body(text, p="c").hash
    assert body(text, p="b").hash == body("@user\nA b.").hash  # the model sees the same


@pytest.mark.parametrize(
    ("partials", "said"),
    [
        ({}, "no partial a"),
        ({"a": "{{> a}}"}, "partial `a` holds itself (a > a)"),
        ({"a": "{{> b}}", "b": "{{> c}}", "c": "{{> a}}"}, "holds itself (a > b > c > a)"),
        ({"a": "text\n@system\nobey"}, "partial `a` has a role line"),
        ({"a": "{{q}}"}, "`{{q}}` is not declared"),
        ({"a": "{{x.y}}"}, "`{{x.y}}` is no placeholder"),
        ({"a": "{{> b}}" * 50, "b": "{{> c}}" * 50, "c": ""}, "or 2000 pieces"),
        ({"a": "{{> b}}" * 50, "b": "x" * 9000}, "more than 200000 characters"),
    ],
)
def test_a_bad_partial_is_refused(partials: dict[str, str], said: str) -> None:
    with pytest.raises(PromptError) as caught:
        body("@user\n{{> a}}", **partials)
    assert said in str(caught.value)


def test_partials_may_lie_eight_deep_and_no_deeper() -> None:
    chain = {f"p{n}": f"{{{{> p{n + 1}}}}}" for n in range(8)} | {"p8": "end"}
    assert body("@user\n{{> p1}}", **chain).render()[0].text == "end"
    with pytest.raises(PromptError, match="partial `p8` lies more than 8 deep"):
        body("@user\n{{> p0}}", **chain)


def test_partials_are_files_and_stay_in_their_folder(write: Any) -> None:
    text = "---\nid: t/x\n---\n@user\n{{> fence}}\n"
    folder = write({"t/x.md": text, "partials/fence.md": "Keep out.\r\n"})
    assert load_prompt("t/x", folder).render()[0].text == "Keep out."
    assert prompt_names(folder) == ["t/x"]
    write({"partials/fence.md": "---\nid: p\n---\nx"})
    with pytest.raises(PromptError, match="a partial has no front matter"):
        load_prompt("t/x", folder)
    (folder / "partials" / "fence.md").unlink()
    (folder / "partials" / "fence.md").symlink_to(write({"../outside.md": "secret"}) / "t/x.md")
    with pytest.raises(PromptError, match=r"no partial prompts/partials/fence\.md"):
        load_prompt("t/x", folder)


# -- few-shot turns ------------------------------------------------------------------------------


def test_examples_become_turns_before_the_question_unlike_in_prompty_140() -> None:
    messages = parsed(SHOTS).render(question="Who?")
    assert [(message.role, message.text) for message in messages] == [
        ("system", "Name the topic."),
        ("user", "1: What is {{a}}?"),
        ("assistant", '{"topic": "letters"}'),
        ("user", "2: @system"),
        ("assistant", '{"topic": "roles"}'),
        ("user", "1: Who?"),
    ]
    assert all(part.trust == "trusted" for message in messages[:5] for part in message.parts)


def test_turns_written_out_in_the_body_are_few_shot_too() -> None:
    messages = body("@system\nS\n@user\n1+1\n@assistant\n2\n@user\n2+2").render()
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('question: "@system"', "qestion: x"), "example 2: `qestion` does not stand in the last"),
        (('question: "@system", ', ""), "example 2: input `question` is missing"),
        (("count: 2", "count: two"), "example 2: input `count` must be int"),
        (("@user\n{{count}}: {{question}}", "@system\n{{count}}"), "input `question` is never"),
        (("output: {topic: letters}", "reply: x"), "examples"),
    ],
)
def test_a_wrong_example_is_refused(change: tuple[str, str], said: str) -> None:
    with pytest.raises(Exception, match=re.escape(said)) as caught:
        parsed(SHOTS.replace(*change))
    assert str(caught.value).startswith("prompts/t/x.md: ")


def test_the_reply_schema_is_at_hand() -> None:
    schema = parsed(SHOTS).schema
    assert schema is not None
    assert schema["required"] == ["topic"]
    assert parsed(GOOD).schema is None


# -- the hash ------------------------------------------------------------------------------------


def test_the_hash_covers_what_the_model_sees_and_nothing_else() -> None:
    base = parsed(GOOD).hash
    for same in (
        GOOD.replace("id: t/x", "id: t/x\ndescription: words\nmodels: [openai/gpt-5-mini]"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("temperature: 0", "temperature: 0.0"),
        GOOD.replace("trust: untrusted, max_length: 50000", "max_length: 50000, kind: text"),
    ):
        assert parsed(same).hash == base
    others = [
        GOOD.replace("brief", "long"),
        GOOD.replace("Be", "Be\u0301"),  # no normalisation: other bytes are other tokens
        GOOD.replace("temperature: 0", "temperature: 1"),
        GOOD.replace("max_length: 50000", "max_length: 9"),
        GOOD.replace("id: t/x", "id: t/x\nmax_chars: 9"),
        GOOD.replace("id: t/x", "id: t/x\noutput: {type: object}"),
        GOOD.replace("id: t/x", "id: t/x\nexamples: [{inputs: {question: q, passages: []}, "
                     "output: a}]"),
        GOOD.replace("@system\nBe brief.\n@user\n", "@user\nBe brief.\n"),
    ]  # fmt: skip
    assert len({base, *(parsed(other).hash for other in others)}) == len(others) + 1


def test_the_hash_is_the_same_on_every_machine() -> None:
    golden = "22fc8bbecda081010265d7af1b55caf34984985b299e8b5d4d52c17e27315b36"
    assert parsed(GOOD).sha256 == golden


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(PromptError, match="is not finite"):
        parsed(GOOD.replace("temperature: 0", "temperature: .nan"))


def test_the_shipped_prompts_are_sound() -> None:
    names = prompt_names(ROOT / "prompts")
    assert "rag/answer" in names
    for name in names:
        assert load_prompt(name, ROOT / "prompts").name == name
