"""What production shows is queued once, decided once, and never lost."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from loops import NOW, open_queue, say

from genai.errors import ConfigError, InputError
from genai.loop import Item, Queue, load_loop
from genai.types import Call, Context

ASKED = "How long may I return a lamp?"


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return open_queue(tmp_path)


def only(queue: Queue, *states: str) -> Item:
    (item,) = queue.items(*states)
    return item


def test_a_thumb_down_with_its_turn_is_an_item_with_all_that_was_said(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, "Ten days.", value=False, reason="wrong", comment="it is 30")
    assert (queue.refresh().new, queue.refresh().new) == (1, 0)
    item = only(queue)
    assert (item.why, item.consent, item.calls) == (("thumb",), "tick", 1)
    assert (item.question, item.answer, item.comment) == (ASKED, "Ten days.", "wrong: it is 30")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"value": False, "reason": "edit", "comment": "Thirty."}, ("edit",)),
        ({"value": True, "outcome": "refusal", "why": "low_support"}, ("refusal",)),
        ({"value": True, "outcome": "refusal", "why": "policy"}, ("guard",)),
        ({"value": True, "tags": {"support": 0.4}}, ("low_support",)),
        ({"value": False, "tags": {"support": 0.4}}, ("thumb", "low_support")),
        ({"value": True, "tags": {"support": 0.9}}, None),
        ({"value": False, "run": "an-eval"}, None),
    ],
)
def test_each_sign_of_trouble_is_seen_and_nothing_else(
    queue: Queue, given: dict[str, object], why: tuple[str, ...] | None
) -> None:
    say(queue.ledger, "a", ASKED, **given)
    queue.refresh()
    assert [item.why for item in queue.items()] == ([] if why is None else [why])


def test_who_asks_the_same_again_was_not_helped(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, value=True, session="s1")
    say(queue.ledger, "b", ASKED.upper(), value=True, session="s1", at=60)
    say(queue.ledger, "c", "What else?", value=True, session="s1", at=90)
    say(queue.ledger, "d", "What else?", value=True, session="s2", at=99)
    queue.refresh()
    item = only(queue)
    assert (item.call_id, item.why) == ("a", ("retry",))


def test_an_online_eval_under_its_limit_is_an_item(tmp_path: Path) -> None:
    queue = open_queue(tmp_path, online={"metrics": {"support": {"min": 0.5}}})
    for name, value in (("a", 0.2), ("b", 0.8)):
        say(queue.ledger, name, f"{ASKED} {name}", value=True)
        row = Call(
            id=f"e-{name}", kind="eval", started_at=NOW, seconds=0.0, outcome="ok",
            context=Context(parent_id=name, run="r"), tags={"suite": "online", "support": value},
        )  # fmt: skip
        queue.ledger.record(row)
    queue.refresh()
    assert (only(queue).call_id, only(queue).why) == ("a", ("online",))


def test_the_same_question_is_one_item_and_each_call_counts_once(queue: Queue) -> None:
    for number in range(3):
        say(queue.ledger, f"c{number}", f"{ASKED}{'!' * number}", value=False, at=number)
    say(queue.ledger, "other", "Where are you?", value=False, at=9)
    queue.refresh()
    queue.refresh()
    assert [(item.calls, item.priority) for item in queue.items()] == [(3, 6), (1, 4)]


def test_a_text_is_there_only_with_consent_and_the_rest_is_counted(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, value=False, consent=False, comment="secret")
    say(queue.ledger, "b", ASKED, outcome="refusal", why="no_evidence")
    found = queue.refresh()
    assert (found.new, found.blind) == (0, 2)
    assert "2 more have no stored text" in found.text()


def test_a_text_the_settings_store_is_nobodys_consent(tmp_path: Path) -> None:
    queue = open_queue(tmp_path, content="all")
    say(queue.ledger, "a", ASKED, outcome="refusal", why="no_evidence")
    queue.refresh()
    assert only(queue).consent == ""


def test_a_call_with_consent_stands_for_the_question(tmp_path: Path) -> None:
    open_queue(tmp_path, content="all")
    stored = open_queue(tmp_path, content="all")
    say(stored.ledger, "a", ASKED, outcome="refusal", why="no_evidence")
    stored.refresh()
    queue = open_queue(tmp_path)
    say(queue.ledger, "b", ASKED, "Ten days.", value=False, at=5)
    queue.refresh()
    assert (only(queue).call_id, only(queue).consent, only(queue).calls) == ("b", "tick", 2)


def test_a_decision_needs_a_person_a_text_where_it_edits_and_a_known_word(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, value=False)
    queue.refresh()
    name = only(queue).id
    for word, reviewer, text, problem in (
        ("accept", " ", "", "reviewer's name"),
        ("edit", "Ada", " ", "takes the text"),
        ("reject", "Ada", "a text", "takes the text"),
        ("aprove", "Ada", "", "no decision"),
    ):
        with pytest.raises(InputError, match=problem):
            queue.review(name, word, reviewer, text=text)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at most 40"):
        queue.review(name, "accept", "Ada", label="x" * 41)
    with pytest.raises(InputError, match="is no item"):
        queue.review("zzz", "accept", "Ada")
    assert only(queue).state == "open"


def test_a_decision_is_kept_scrubbed_and_can_be_taken_back(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, value=False)
    queue.refresh()
    name = only(queue).id
    item = queue.review(name, "edit", "Ada", text="Ask jo.hill@acme.io.", label="wrong")
    assert (item.state, item.text, item.label) == ("edited", "Ask [email].", "wrong")
    again = open_queue(queue.ledger.path.parent.parent)
    assert only(again, "edited").reviewer == "Ada"
    assert again.review(name, "reopen", "Bo").text == ""
    assert queue.review(name, "refuse", "Bo").expect == "refusal"


def test_of_two_reviewers_the_first_decides_and_the_second_is_told(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, value=False)
    queue.refresh()
    name, told = only(queue).id, []
    gate = threading.Barrier(8)

    def decide(who: str) -> None:
        mine = open_queue(queue.ledger.path.parent.parent)
        gate.wait()
        try:
            mine.review(name, "reject", who)
        except InputError as error:
            told.append(str(error))

    threads = [threading.Thread(target=decide, args=(f"r{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decided = only(queue, "rejected")
    assert len(told) == 7
    assert all(f"is rejected by {decided.reviewer} meanwhile" in each for each in told)


def test_a_decision_on_an_answer_that_is_no_longer_the_one_is_refused(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, value=False)
    queue.refresh()
    with pytest.raises(InputError, match="look again"):
        queue.review(only(queue).id, "accept", "Ada", call_id="another")


def test_a_decided_item_is_not_opened_again_but_counts(queue: Queue) -> None:
    say(queue.ledger, "a", ASKED, value=False)
    queue.refresh()
    queue.review(only(queue).id, "reject", "Ada")
    say(queue.ledger, "b", ASKED, value=False, at=5)
    assert queue.refresh().new == 0
    assert (only(queue, "rejected").calls, queue.items()) == (2, [])


KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from loops import open_queue
queue = open_queue(Path({folder!r}))
for item in queue.items():
    queue.review(item.id, "reject", "Ada")
    print(item.id, flush=True)
"""


def test_a_kill_loses_no_decision_that_was_made(tmp_path: Path, queue: Queue) -> None:
    for number in range(400):
        say(queue.ledger, f"c{number}", f"Question number {number}?", value=False)
    assert queue.refresh().new == 400
    code = KILLED.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path))
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
        said += process.stdout.read().split()
    rejected = {item.id for item in queue.items("rejected")}
    assert 20 <= len(said) < 400
    assert set(said) <= rejected
    assert len(rejected) - len(said) <= 1
    assert len(queue.items()) == 400 - len(rejected)


def test_what_the_ledger_forgets_the_queue_no_longer_shows(queue: Queue) -> None:
    from genai.ledger.retention import retain

    say(queue.ledger, "a", ASKED, "Ten days.", value=False, comment="hm")
    queue.refresh()
    retain(queue.ledger, content_days=-1)
    item = only(queue)
    assert (item.question, item.answer, item.comment) == ("", "", "")


def test_a_mistake_in_the_settings_names_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "loop.yaml"
    for text, problem in (
        ("low_suport: 1", "did you mean `low_support`"),
        ("online: {metrics: {support: {show: true}}}", "what is a failure"),
        ("online: {spend: lots}", "online.spend"),
        ("[1]", "mapping"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=problem):
            load_loop(path)
