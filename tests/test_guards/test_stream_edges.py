"""The edges of a stream: a guard that fails, one that marks everything, and who is told."""

import random
import string
from collections.abc import Sequence
from pathlib import Path

import pytest

from genai.guards import StreamGate, load_policy
from genai.guards.base import Entry, OnError, Scope
from genai.types import Action, Place, Span, Verdict

ROOT = Path(__file__).parent.parent.parent
TEXT = "Here is a word. " * 300  # of 16 characters each


class Fails:
    """Raises at every look."""

    name = "fails"
    scope: Scope = "span"
    quick = True

    def look(self, text: str, place: Place) -> Sequence[Span]:
        raise RuntimeError("broken")

    def explain(self, spans: Sequence[Span]) -> str:
        return ""


class Everything(Fails):
    """Marks all that it is shown."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def look(self, text: str, place: Place) -> Sequence[Span]:
        self.sizes.append(len(text))
        return [Span(0, len(text), "all")]


@pytest.mark.parametrize(
    ("on_error", "out", "decision"), [("closed", "", Action.BLOCK), ("open", TEXT, Action.FLAG)]
)
def test_a_guard_that_fails_stops_the_stream_where_it_is_closed_and_all_is_told_once(
    on_error: OnError, out: str, decision: Action
) -> None:
    told: list[tuple[Verdict, ...]] = []
    gate = StreamGate([Entry(Fails(), Action.REDACT, on_error)], "answer", done=told.append)
    assert gate.feed(TEXT) + gate.finish() + gate.finish() == out
    assert gate.stopped is (not out)
    assert gate.decision is decision
    assert told == [gate.verdicts]


@pytest.mark.parametrize(
    "last",
    ["\u0939\u0948\u0964", "\u0939\u0948\u0965", "\u06c1\u06d2\u06d4", "\u062f\u061f", "is."],
    ids=["Hindi", "Sanskrit", "Urdu", "Arabic", "English"],
)
def test_a_reply_leaves_by_its_sentences_in_any_script(last: str) -> None:
    gate = load_policy(ROOT / "configs" / "guards.yaml").gate("answer")
    text = f"{last[0] * 5} {last[0] * 8} {last[0] * 12} {last} " * 40
    out = [gate.feed(character) for character in text]
    out.append(gate.finish())
    assert "".join(out) == text
    assert len([piece for piece in out if piece]) > 3
    assert gate.most_held < len(text) / 2


def test_marks_over_every_end_cost_a_few_tries_each_twice_as_long() -> None:
    guard = Everything()
    gate = StreamGate([Entry(guard, Action.REDACT, "closed")], "answer")
    gate.feed(TEXT)
    # a part of half of 4,096 characters and more ends in a mark, with 64 beyond it
    assert guard.sizes[:7] == [
        48 + 64,
        112 + 64,
        224 + 64,
        448 + 64,
        896 + 64,
        1792 + 64,
        3584 + 64,
    ]


class Whole(Everything):
    """Needs the whole text, and marks it."""

    name = "whole"
    scope: Scope = "whole"


def test_without_guards_every_piece_leaves_at_once() -> None:
    told: list[tuple[Verdict, ...]] = []
    gate = StreamGate([], "answer", done=told.append)
    assert [gate.feed("Half a "), gate.feed("word"), gate.finish()] == ["Half a ", "word", ""]
    assert (gate.held, gate.feed("more"), told) == (0, "", [()])


def test_a_guard_of_the_whole_is_not_asked_about_a_text_that_was_stopped() -> None:
    whole = Whole()
    stops = Entry(Everything(), Action.BLOCK, "closed")
    gate = StreamGate([stops, Entry(whole, Action.REDACT, "closed")], "answer")
    assert gate.feed(TEXT) + gate.finish() == ""
    assert (gate.stopped, gate.decision, whole.sizes) == (True, Action.BLOCK, [])


def test_what_is_known_by_the_words_before_it_is_found_wherever_a_part_ends() -> None:
    policy = load_policy(ROOT / "configs" / "guards.yaml")
    prose = "The quick brown fox jumps over the lazy dog and goes home to rest. " * 5
    for led, value in (("Tel. ", "4155552671"), ("Password:\n", "Sommer2024xQ")):
        for length in range(0, len(prose), 3):
            text = f"{prose[:length]} {led}{value} thanks a lot for that. {prose}"
            assert value not in policy.apply(text, policy.check(text, "log")), length
        gate, text = policy.gate("log"), f"{prose} {led}{value} thanks. {prose}"
        out = "".join(map(gate.feed, text)) + gate.finish()
        assert out == policy.apply(text, policy.check(text, "log"))


@pytest.mark.parametrize("lines", [25, 50])  # keys of 2,048 and 4,096 bits
def test_no_line_of_a_private_key_leaves(lines: int) -> None:
    chance = random.Random(lines)
    signs = string.ascii_letters + string.digits + "+/"
    body = ["".join(chance.choices(signs, k=64)) for _ in range(lines)]
    whole = "\n".join([*body, "".join(chance.choices(signs, k=20)) + "=="])
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{whole}\n-----END RSA PRIVATE KEY-----"
    policy = load_policy(ROOT / "configs" / "guards.yaml")
    text = f"Here is my key, what is wrong with it?\n{key}\nThanks."
    out = policy.apply(text, policy.check(text, "log"))
    assert out.startswith("Here is my key, what is wrong with it?\n[secret]")
    assert out.endswith("[secret]\nThanks.")
    assert not any(line in out for line in whole.split("\n"))
