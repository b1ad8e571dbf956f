"""Only what is consented to and scrubbed is promoted, once, and to one side."""

import json
from pathlib import Path
from typing import Any

import pytest
from loops import SUITE, open_queue, say, suite

from genai.errors import InputError
from genai.evals import Suite, load_suite, make
from genai.finetune.data import read_rows
from genai.finetune.data.review import data_path
from genai.finetune.data.split import side
from genai.loop import Queue
from genai.loop.promote import Basis, to_case, to_pair
from genai.project import Project

ASKED = "How long may I return a lamp?"
SAID = "A lamp may be returned within ten days."
BETTER = "A lamp may be returned within thirty days."
FREE = next(f"user{n}" for n in range(99) if not side(f"user{n}", 0.15))
HELD = next(f"user{n}" for n in range(99) if side(f"user{n}", 0.15))


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr("genai.ledger.store.pseudonym", lambda folder, user: user)
    suite(tmp_path)
    return open_queue(tmp_path)


def add(queue: Queue, question: str = ASKED, word: str = "edit", **given: Any) -> str:
    """Put a decided item into the queue; give its id."""
    text = given.pop("text", BETTER if word == "edit" else "")
    given.setdefault("user", FREE)
    say(queue.ledger, given.pop("name", "a"), question, given.pop("answer", SAID),
        value=given.pop("value", False), **given)  # fmt: skip
    queue.refresh()
    (item,) = queue.items()
    queue.review(item.id, word, "Ada", text=text)  # type: ignore[arg-type]
    return item.id


def root(queue: Queue) -> Path:
    return queue.ledger.path.parent.parent


def case(queue: Queue, name: str, basis: Basis = Basis(), **given: Any) -> Suite:  # noqa: B008
    loaded = load_suite(root(queue) / "evals" / "shop.yaml")
    trained = data_path(Project(root(queue), root(queue) / ".genai"), "feedback-dpo")
    return to_case(queue, name, loaded, trained, basis)


def pair(queue: Queue, name: str, basis: Basis = Basis()) -> Path:  # noqa: B008
    project = Project(root(queue), root(queue) / ".genai")
    suites = [load_suite(root(queue) / "evals" / "shop.yaml")]
    return to_pair(queue, name, project, "feedback-dpo", suites, basis)


def test_an_edit_becomes_a_case_with_what_should_have_come_and_where_it_came_from(
    queue: Queue,
) -> None:
    name = add(queue, reason="wrong")
    found = case(queue, name)
    (made,) = [each for each in found.cases if each.id == f"loop-{name}"]
    assert (made.input, made.expected, made.expect) == (ASKED, BETTER, "answer")
    assert made.tags == ("production", "thumb")
    held = made.provenance or {}
    assert (held["call"], held["consent"], held["user"]) == ("a", "tick", FREE)
    assert (held["reviewed"], held["at"]) == ("Ada", "2027-01-15")
    assert "shop.cases.jsonl" in (root(queue) / "evals" / "shop.yaml").read_text()
    item = queue.item(name)
    assert (item.state, item.target, item.name) == ("promoted", "case", f"shop/loop-{name}")


def test_a_better_text_that_stands_in_a_document_is_gold(queue: Queue) -> None:
    (root(queue) / "docs" / "returns.md").write_text(f"# Returns\n\nHello. {BETTER} Bye.\n")
    found = case(queue, add(queue))
    made = found.cases[-1]
    assert (made.kind, made.gold[0].document, made.gold[0].quote) == (
        "answerable", "returns.md", BETTER,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "given", "kind", "expect"),
    [
        ("accept", {}, None, "answer"),
        ("accept", {"outcome": "refusal", "why": "no_evidence"}, "unanswerable", "refusal"),
        ("accept", {"outcome": "refusal", "why": "policy"}, "adversarial", "refusal"),
        ("refuse", {}, "unanswerable", "refusal"),
    ],
)
def test_the_decision_says_what_the_case_expects(
    queue: Queue, word: str, given: dict[str, Any], kind: str | None, expect: str
) -> None:
    made = case(queue, add(queue, word=word, answer=f"{SAID} [1][2]", **given)).cases[-1]
    assert (made.kind, made.expect) == (kind, expect)
    assert made.expected == (SAID if expect == "answer" else None)


def test_personal_data_and_secrets_are_gone_from_case_and_pair(queue: Queue) -> None:
    mail, key = "jo.hill@acme.io", "sk-proj-" + "aB3dE5fG7hJ9kL1m" * 3
    text = f"Write to {mail} about it and use {key} for the door."
    name = add(queue, f"Where is the lamp of {mail}?", text=text, answer=f"Ask {mail} and others.")
    path = pair(queue, name)
    assert mail not in path.read_text()
    assert key not in path.read_text()
    assert "[email]" in path.read_text()
    other = add(queue, f"May {mail} return a chair?", name="b", text=f"Yes, {mail} may.")
    case(queue, other)
    assert mail not in (root(queue) / "evals" / "shop.cases.jsonl").read_text()


@pytest.mark.parametrize("promote", [case, pair])
def test_without_consent_nothing_is_written(tmp_path: Path, queue: Queue, promote: Any) -> None:
    stored = open_queue(tmp_path, content="all")
    name = add(stored, consent=False)
    with pytest.raises(InputError, match="did not agree to its use.*--consent WHY"):
        promote(stored, name)
    assert stored.item(name).state == "edited"
    assert not (tmp_path / "evals" / "shop.cases.jsonl").exists()
    promote(stored, name, Basis(consent="contract clause 7"))
    assert stored.item(name).state == "promoted"


@pytest.mark.parametrize("promote", [case, pair])
def test_what_cannot_be_scrubbed_is_refused(queue: Queue, promote: Any) -> None:
    name = add(queue)
    with pytest.raises(InputError, match="is stopped by names"):
        promote(queue, name, Basis(stops=lambda text: "is stopped by names"))
    assert queue.item(name).state == "edited"
    empty = add(queue, "jo.hill@acme.io", name="b")
    with pytest.raises(InputError, match="nothing but personal data"):
        promote(queue, empty)


def test_a_text_the_ledger_has_forgotten_is_refused(queue: Queue) -> None:
    from genai.ledger.retention import retain

    name = add(queue)
    retain(queue.ledger, content_days=-1)
    with pytest.raises(InputError, match="no longer holds what was asked"):
        case(queue, name)


def test_a_pair_prefers_the_reviewers_text_and_names_both_people(queue: Queue) -> None:
    (row,) = read_rows([pair(queue, add(queue))], "dpo")
    assert row.answers == (BETTER, SAID)
    assert row.prompt[0].content == ASKED
    made = row.provenance
    assert (made.call_id, made.user_key, made.reviewer, made.consent) == ("a", FREE, "Ada", "tick")


def test_a_person_who_is_held_out_gives_cases_and_no_pairs(queue: Queue) -> None:
    name = add(queue, user=HELD)
    with pytest.raises(InputError, match="held out"):
        pair(queue, name)
    assert not data_path(Project(root(queue), root(queue) / ".genai"), "feedback-dpo").exists()
    assert case(queue, name).cases[-1].id == f"loop-{name}"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"word": "accept"}, "without a better text"),
        ({"word": "refuse"}, "without a better text"),
        ({"text": SAID}, "next to nothing"),
        ({"text": "???!!! zzz"}, "nearly everything"),
        ({"outcome": "refusal", "why": "no_evidence"}, "said nothing"),
        ({"prompt": "rag/answer@1"}, "--question-only"),
    ],
)
def test_what_is_no_pair_is_refused(queue: Queue, given: dict[str, Any], problem: str) -> None:
    name = add(queue, **given)
    with pytest.raises(InputError, match=problem):
        pair(queue, name)


def test_with_a_persons_word_the_question_alone_is_trained(queue: Queue) -> None:
    name = add(queue, prompt="rag/answer@1")
    (row,) = read_rows([pair(queue, name, Basis(question_only=True))], "dpo")
    assert row.prompt[0].content == ASKED


def test_what_is_tested_is_never_trained_and_the_other_way_round(queue: Queue) -> None:
    tested = add(queue, "When do you open in the morning")
    with pytest.raises(InputError, match="shop tests it"):
        pair(queue, tested)
    with pytest.raises(InputError, match="asks nearly the same in `hours`"):
        case(queue, tested)
    trained = add(queue, name="b")
    pair(queue, trained)
    with pytest.raises(InputError, match="is the pair"):
        case(queue, trained)
    again = add(queue, f"{ASKED} Please!", name="c")
    with pytest.raises(InputError, match="is trained on"):
        case(queue, again)


def test_a_promotion_that_was_killed_before_its_end_is_done_again_to_the_same(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = add(queue), add(queue, "Where is the chair?", name="b")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for promote, function, each in (
        (case, "genai.evals.make.accept_drafts", name),
        (pair, "genai.loop.promote.accept_drafts", other),
    ):
        module, _, attribute = function.rpartition(".")
        real = getattr(__import__(module, fromlist=[attribute]), attribute)
        with monkeypatch.context() as patched:
            patched.setattr(function, lambda *a, real=real: die(real(*a)))  # after it has written
            with pytest.raises(KeyboardInterrupt):
                promote(queue, each)
        assert queue.item(each).state == "edited"
        promote(queue, each)
        assert queue.item(each).state == "promoted"
    lines = (root(queue) / "evals" / "shop.cases.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"loop-{name}"]
    rows = data_path(Project(root(queue), root(queue) / ".genai"), "feedback-dpo")
    assert len(rows.read_text().splitlines()) == 1
    assert make.read_drafts(load_suite(root(queue) / "evals" / "shop.yaml")) == []


def test_an_open_or_rejected_item_is_not_promoted(queue: Queue) -> None:
    name = add(queue, word="reject")
    with pytest.raises(InputError, match="is rejected; accept or edit it first"):
        case(queue, name)
    assert SUITE == (root(queue) / "evals" / "shop.yaml").read_text()
