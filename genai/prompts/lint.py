"""Look at a prompt that can be read, and say what is likely to go wrong with it.

What makes a prompt unusable (a variable that is missing or never used, an untrusted one in the
system turn, a partial in a ring) is an error when the file is read; what is here can be run, and
should not be.
"""

import difflib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from genai.prompts.file import Prompt, reply_text
from genai.prompts.lock import Lock, Locked, unproven
from genai.prompts.sarif import Level, Result
from genai.prompts.schema import misfit

GROWTH = 0.10  # share of more tokens than in the locked version that is worth a word
RULES = {
    "unreadable": "the file cannot be used at all",
    "example_breaks_schema": "a few-shot reply does not fit the reply schema",
    "schema_wrong": "the reply schema is not a JSON schema",
    "unproven": "the prompt has changed since its eval",
    "unproven_label": "a label or arm points at a version without a receipt",
    "secret": "the template holds a key, token or password",
    "number_as_text": "a parameter that looks like a number is a text in YAML",
    "misspelt_param": "a parameter is called nearly as a known one",
    "hidden_character": "the template holds characters that nobody sees",
    "look_alike": "a word mixes alphabets",
    "control_token": "the template holds a token that chat templates use for roles",
    "almost_a_role": "a line looks like a role and is none",
    "system_late": "a system turn stands after another turn",
    "token_growth": "the template has grown since it was locked",
    "no_token_limit": "the reply has no limit of tokens",
    "not_locked": "the prompt was never locked after an eval",
}
# between letters of Arabic and Indic scripts the two joiners are spelling
_JOINED = "\u0600-\u06ff\u0750-\u077f\u0900-\u0dff"
_HIDDEN = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
    f"|(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])"
)
_CONTROL = re.compile(
    r"<\|[a-z_]{2,30}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<<<\w+:\w+:\w+>>>"
)
_ALMOST = re.compile(
    r"^[ \t]*(?:@[ \t]*(?:system|user|assistant|tool|developer|assistent|human|ai)\b[ \t]*:?"
    r"|(?:system|user|assistant)[ \t]*:)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_PARAMS = (
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens",
    "seed", "stop", "presence_penalty", "frequency_penalty", "reasoning_effort", "verbosity",
    "logprobs", "top_logprobs", "service_tier", "response_format", "n", "min_p", "thinking",
)  # fmt: skip
_NUMBERS = ("temperature", "top_p", "top_k", "min_p", "seed", "n", "max_tokens")
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
Count = Callable[[str], int]


def lint(
    prompt: Prompt,
    count: Count,
    lock: Lock,
    secrets: Callable[[str], Sequence[object]],
    money: Callable[[Prompt, int], str],
) -> list[Result]:
    """Give the findings of a prompt.

    `count` counts tokens, `secrets` gives the keys and passwords found in a text, `money` says
    what so many more input tokens of the prompt cost.

    Raises:
        MissingExtra: the prompt has a reply schema and `jsonschema` is absent.
    """
    file = f"prompts/{prompt.name}.md"
    found = [
        *_replies(prompt), *_params(prompt), *_characters(prompt), *_roles(prompt),
        *_proof(prompt, lock.newest(prompt.name), count(text_of(prompt)), money),
    ]  # fmt: skip
    if secrets(text_of(prompt)):
        found.append(("secret", "error", "holds a key, token or password; take it out and revoke"))
    changed = unproven(prompt, lock)
    if changed:
        found.append(("unproven", "error", changed.partition(": ")[2]))
    return [Result(rule, level, file, f"{file}: {words}") for rule, level, words in found]


def text_of(prompt: Prompt) -> str:
    """Give all that the template says, examples too, without the variables."""
    return "\n".join("".join(segment.text for segment in segments) for _, segments in prompt.turns)


Found = Iterator[tuple[str, Level, str]]


def _replies(prompt: Prompt) -> Found:
    """Check the replies that teach the form against the form itself."""
    schema = prompt.schema
    if schema is None:
        return
    said = [(f"example {n}", reply_text(each)) for n, each in enumerate(prompt.front.examples, 1)]
    last = len(prompt.body) - 1  # an assistant turn at the end is the start of the reply
    said += [
        (f"the assistant turn {at + 1}", "".join(s.text for s in segments))
        for at, (role, segments) in enumerate(prompt.body)
        if role == "assistant" and at != last and not any(s.slot for s in segments)
    ]
    for what, text in said or [("", "null")]:
        problem = _problem(schema, text)
        if problem.startswith("the schema"):
            yield "schema_wrong", "error", f"`output`: {problem}"
            return
        if problem and what:
            yield "example_breaks_schema", "error", f"{what} breaks `output`: {problem}; mend one"


def _problem(schema: dict[str, Any], text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not JSON"
    return misfit(schema, value)


def _params(prompt: Prompt) -> Found:
    for key, value in prompt.front.params.items():
        close = difflib.get_close_matches(key, _PARAMS, n=1, cutoff=0.9)  # not `min_tokens`
        if close and key not in _PARAMS and len(key) > 5:  # `top_a` is one of its own
            yield "misspelt_param", "error", f"`params.{key}`: did you mean `{close[0]}`?"
        if isinstance(value, str) and (key in _NUMBERS or _NUMBER.fullmatch(value)):
            yield (
                "number_as_text", "error",
                f"`params.{key}` is the text {value!r}; write a plain number, such as 0.001",
            )  # fmt: skip
    if not any(key in prompt.front.params for key in _LIMITS):
        yield "no_token_limit", "note", "no `max_tokens` in `params`; the reply may be any length"


def _characters(prompt: Prompt) -> Found:
    text = text_of(prompt)
    hidden = _HIDDEN.search(text)
    if hidden:
        code = f"U+{ord(hidden[0]):04X}"
        yield "hidden_character", "error", f"holds {code}, which nobody sees; take it out"
    for word in re.findall(r"[^\W\d_]{3,}", text):
        scripts = {_script(character) for character in word}
        if len(scripts) > 1:
            names = " and ".join(sorted(scripts))
            yield "look_alike", "error", f"the word {word!r} mixes {names} letters; type it anew"
            break
    control = _CONTROL.search(text)
    if control:
        yield (
            "control_token", "error",
            f"holds {control[0]!r}, which chat templates read as a role; say it in words",
        )  # fmt: skip


def _script(character: str) -> str:
    """Give the alphabet of a letter, of those whose letters look alike."""
    name = unicodedata.name(character, "").partition(" ")[0]
    return name if name in ("CYRILLIC", "GREEK") else "LATIN"


def _roles(prompt: Prompt) -> Found:
    for _, segments in prompt.body:
        almost = _ALMOST.search("".join(s.text or "\0" for s in segments))
        if almost:
            line = almost[0].strip()
            yield (
                "almost_a_role", "warning",
                f"the line {line!r} is text, not a role; write @system, @user or @assistant alone",
            )  # fmt: skip
            break
    roles = [role for role, _ in prompt.body]
    if "system" in roles[roles.count("system") :]:
        yield "system_late", "warning", "a system turn stands after others; put it first"


def _proof(
    prompt: Prompt, locked: Locked | None, tokens: int, money: Callable[[Prompt, int], str]
) -> Found:
    if locked is None:
        yield (
            "not_locked",
            "note",
            f"was never locked; after an eval: genai prompt lock {prompt.name}",
        )
        return
    if tokens > locked.tokens * (1 + GROWTH):
        yield (
            "token_growth", "warning",
            f"has {tokens} tokens, {tokens / locked.tokens - 1:+.0%} on the locked {locked.tokens};"
            f" {money(prompt, tokens - locked.tokens)}",
        )  # fmt: skip
