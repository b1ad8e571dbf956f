"""Pseudonyms: stable, keyed, and turned back for nobody but the person who may see the value."""

import random
from pathlib import Path

import pytest

from genai.guards import Policy, PolicySettings, Pseudonyms
from genai.guards.pseudonyms import LONGEST
from genai.ledger import scope
from genai.types import Action

KEY = bytes(range(32))


def policy(table: Pseudonyms) -> Policy:
    entry = {"guard": "pii", "action": "pseudonymise", "on_error": "closed"}
    settings = PolicySettings.model_validate(
        {"question": [entry], "passage": [entry], "answer": [entry]}
    )
    return Policy(settings, pseudonyms=table)


def hidden(made: Policy, text: str, user: str = "ann", tenant: str = "t1") -> str:
    with scope(user=user, tenant=tenant):
        return made.apply(text, made.check(text, "question"))


def test_a_value_has_one_stand_in_over_turns_documents_and_pieces() -> None:
    made = policy(Pseudonyms(KEY))
    first = hidden(made, "I am ann@firm.com.")
    assert "ann@firm.com" not in first
    stand_in = first.removeprefix("I am ").removesuffix(".")
    assert hidden(made, "Ask ANN@firm.com, please, or ann@firm.com") == (
        f"Ask {stand_in}, please, or {stand_in}"
    )
    with scope(user="ann", tenant="t1"):
        passage = "The owner is ann@firm.com."
        assert stand_in in made.apply(passage, made.check(passage, "passage"))
        gate = made.gate("answer")
        out = "".join(gate.feed(letter) for letter in "Mail ann@firm.com today.") + gate.finish()
    assert out == f"Mail {stand_in} today."
    assert policy(Pseudonyms(KEY)).pseudonyms.hide("ann@firm.com", "email", "t1") == stand_in
    assert len(stand_in) <= LONGEST


def test_only_who_said_it_or_was_permitted_gets_it_back() -> None:
    table = Pseudonyms(KEY)
    made = policy(table)
    said = hidden(made, "I am ann@firm.com.")
    assert table.restore(said, "ann", "t1") == "I am ann@firm.com."
    for reader, tenant in (("bob", "t1"), ("ann", "t2"), ("", "t1"), ("bob", "t2")):
        assert table.restore(said, reader, tenant) == said
    table.permit("bob", "t1")
    assert table.restore(said, "bob", "t1") == "I am ann@firm.com."
    table.revoke("bob", "t1")
    assert table.restore(said, "bob", "t1") == said
    assert hidden(made, "I am ann@firm.com.", tenant="t2") != said


def test_what_looks_like_a_stand_in_is_hidden_too() -> None:
    table = Pseudonyms(KEY)
    made = policy(table)
    theirs = hidden(made, "I am ann@firm.com.").removeprefix("I am ").removesuffix(".")
    forged = hidden(made, f"What is {theirs}?", user="eve")
    assert theirs not in forged
    assert table.restore(forged, "eve", "t1") == f"What is {theirs}?"
    assert table.restore("[EMAIL_AAAAAAAAAA]", "ann", "t1") == "[EMAIL_AAAAAAAAAA]"


def test_restoring_a_stream_equals_restoring_the_whole() -> None:
    table = Pseudonyms(KEY)
    said = hidden(policy(table), "ann@firm.com and bob@firm.org [not one] [[ and ann@firm.com")
    whole = table.restore(said, "ann", "t1")
    assert "bob@firm.org" in whole
    for seed in range(40):
        chance = random.Random(seed)
        stream, out, at = table.restoring("ann", "t1"), "", 0
        while at < len(said):
            size = chance.randint(1, 12)
            out += stream.feed(said[at : at + size])
            at += size
        assert out + stream.finish() == whole


def test_a_value_that_holds_a_stand_in_is_not_looked_into() -> None:
    table = Pseudonyms(KEY)
    inner = table.hide("secret", "name", "t", "ann")
    outer = table.hide(f"x {inner} y", "note", "t", "ann")
    assert table.restore(outer, "ann", "t") == f"x {inner} y"


def test_the_file_holds_no_value_and_needs_the_key(tmp_path: Path) -> None:
    path = tmp_path / "hidden.db"
    name = Pseudonyms(KEY, path).hide("ann@firm.com", "email", "t", "ann")
    assert b"ann@firm" not in path.read_bytes()
    assert Pseudonyms(KEY, path).restore(name, "ann", "t") == "ann@firm.com"
    assert Pseudonyms(bytes(32), path).restore(name, "ann", "t") == name
    table = Pseudonyms(KEY, path)
    assert table.forget("t") == 1
    assert table.restore(name, "ann", "t") == name


def test_a_value_ends_with_its_time() -> None:
    table = Pseudonyms(KEY, days=-1)
    name = table.hide("ann@firm.com", "email", "t", "ann")
    assert table.restore(name, "ann", "t") == name


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")


def test_the_verdict_says_so() -> None:
    verdicts = policy(Pseudonyms(KEY)).check("I am ann@firm.com.", "question")
    assert verdicts[0].decision is Action.PSEUDONYMISE
    assert "ann@firm.com" not in verdicts[0].reason
