"""The review page in a real browser: a thumb of the chat is edited and becomes a case."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pages
import pytest
from loops import SUITE
from pages import ask, fits, opened, settled, shown
from playwright.sync_api import Browser, Page, expect

from genai import project
from genai.finetune.data import read_rows
from genai.ledger import Ledger
from genai.loop import LoopSettings, Queue
from genai.types import Call, new_id

pytestmark = pytest.mark.browser
browser, axe, address = pages.browser, pages.axe, pages.address
Axe = Callable[[Page], list[str]]
NASTY = "<script>alert(1)</script> ![x](http://evil.test/p.png) [y](http://evil.test) "
PAIRS = [
    "Who may read the log of verdicts?", "Which colour has a drift alarm?",
    "Why is a retry a row of its own?", "Which file names the prices of tokens?",
    "What does a thumb store besides its number?",
]  # fmt: skip
BETTER = "The auditor alone may read it."
CHAT = "How should the percentiles of ten calls be read?"
ASKED = ["How long may a guest return a lamp?", "May I pay by cheque?", f"{NASTY} what is this?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own whose ledger keeps a turn with its person's tick."""
    target = tmp_path_factory.mktemp("review") / "project"
    project.init(target)
    settings = target / "configs" / "genai.yaml"
    settings.write_text(settings.read_text().replace("content: none ", "content: feedback "))
    (target / "configs" / "loop.yaml").write_text("cases: shop\n")
    (target / "evals" / "shop.yaml").write_text(SUITE)
    return target


def queue(folder: Path) -> Queue:
    ledger = Ledger(folder / ".genai" / "ledger.db", content="feedback")
    return Queue(ledger, LoopSettings())


def refreshed(folder: Path) -> Queue:
    found = queue(folder)
    found.refresh()
    return found


def complain(folder: Path, question: str, answer: str = "Within ten days of the sale.") -> None:
    held, name = queue(folder).ledger, new_id()
    held.record(Call(id=name, kind="chain", started_at=time.time(), seconds=0.1, outcome="ok"))
    held.feedback(name, False, reason="wrong", comment="no", turn=(question, answer), consent=True)
    held.flush()


def test_with_nothing_to_review_the_page_says_so(browser: Browser, address: str) -> None:
    for page in shown(browser, address, "review"):
        expect(page.get_by_text("Nothing to review.")).to_be_visible()


def test_a_thumb_of_the_chat_is_edited_and_becomes_a_case(
    browser: Browser, address: str, folder: Path
) -> None:
    for page in opened(browser, address):
        ask(page, CHAT)
        answer = page.get_by_test_id("stChatMessage").last
        thumbs = answer.get_by_test_id("stFeedback")
        thumbs.get_by_role("radio", name="Thumbs down").press("Space")
        page.get_by_text("Store this question and answer").click()
        page.get_by_role("button", name="Send feedback").click()
        expect(page.get_by_text("Thank you.")).to_be_visible()
    (item,) = refreshed(folder).items()
    assert (item.why, item.calls, item.consent) == (("thumb",), 1, "tick")
    assert item.session  # so that asking again is seen, where the ledger keeps the texts
    for page in shown(browser, address, "review"):
        expect(
            page.get_by_text("1 question to review. Enter your name in the side bar first.")
        ).to_be_visible()
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Your name").press("Enter")
        expect(page.get_by_text(CHAT)).to_be_visible()
        page.get_by_label("What should have come").fill(
            "Reason, evidence and next step. jo@acme.io"
        )
        page.get_by_role("button", name="Save what should have come").click()
        expect(page.get_by_text("To promote (1)")).to_be_visible()
        page.get_by_role("button", name="Make it a case").click()
        expect(page.get_by_text("It is the case shop/loop-")).to_be_visible()
    lines = (folder / "evals" / "shop.cases.jsonl").read_text().splitlines()
    case = json.loads(lines[-1])
    assert case["input"] == CHAT
    assert case["expected"] == "Reason, evidence and next step. [email]"
    assert case["provenance"]["reviewed"] == "Ada"


def test_a_thumb_of_the_chat_becomes_a_training_pair(
    browser: Browser, address: str, folder: Path
) -> None:
    for question in PAIRS:  # one session in seven is held out for good, and the page tells so
        if rejected := paired(browser, address, folder, question):
            break
    (row,) = read_rows([folder / ".genai/finetune/data/feedback-dpo.jsonl"], "dpo")
    assert row.provenance.question == question
    assert [turn.role for turn in row.prompt] == ["system", "user"]
    assert row.prompt[1].content.startswith("[1] <passage ")
    assert row.prompt[1].content.endswith(f"Question: {question}")
    assert row.answers[0].startswith(BETTER)
    assert row.answers[1] == rejected
    assert (row.provenance.reviewer, row.provenance.consent) == ("Ada", "tick")


def paired(browser: Browser, address: str, folder: Path, question: str) -> str:
    """Complain in a new session, mend the answer, make it a pair; give what was said at first."""
    for page in opened(browser, address):
        ask(page, question)
        settled(page)
        answer = page.get_by_test_id("stChatMessage").last
        thumbs = answer.get_by_test_id("stFeedback")
        thumbs.get_by_role("radio", name="Thumbs down").press("Space")
        page.get_by_text("Store this question and answer").click()
        page.get_by_role("button", name="Send feedback").click()
        expect(page.get_by_text("Thank you.")).to_be_visible()
    (item,) = refreshed(folder).items()
    for page in shown(browser, address, "review"):
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Your name").press("Enter")
        box = page.get_by_label("What should have come")
        box.fill(f"{BETTER} {item.answer[: len(item.answer) // 2]}")
        page.get_by_role("button", name="Save what should have come").click()
        page.get_by_role("button", name="Make it a training pair").last.click()
        done = page.get_by_text("It is the pair feedback-dpo/")
        expect(done.or_(page.get_by_text("of a person who is held out"))).to_be_visible()
        if done.count():
            return str(item.answer).strip()
    queue(folder).review(item.id, "reopen", "Ada")
    queue(folder).review(item.id, "reject", "Ada")
    return ""


def test_a_decision_can_be_taken_back_and_a_second_reviewer_is_told(
    browser: Browser, address: str, folder: Path
) -> None:
    complain(folder, ASKED[0])
    for page in shown(browser, address, "review"):
        page.get_by_label("Your name").fill("Bo")
        page.get_by_label("Your name").press("Enter")
        expect(page.get_by_text(ASKED[0])).to_be_visible()
        settled(page)
        page.get_by_role("button", name="Of no use").click()
        expect(page.get_by_text("Nothing to review.")).to_be_visible()
        page.get_by_role("button", name="Take the last decision back").click()
        expect(page.get_by_text("Nothing to review.")).to_have_count(0)
        expect(page.get_by_role("button", name="It is right")).to_be_visible()
        settled(page)
        (item,) = queue(folder).items()
        queue(folder).review(item.id, "reject", "Cy")
        page.get_by_role("button", name="It is right").click()
        expect(page.get_by_text("is rejected by Cy meanwhile")).to_be_visible()


def test_what_is_right_is_accepted_and_what_should_be_refused_gets_a_label(
    browser: Browser, address: str, folder: Path
) -> None:
    complain(folder, "When does the shop open?", "It opens at nine.")
    complain(folder, "What does the rival charge?", "Ten euros.")
    refreshed(folder)
    for page in shown(browser, address, "review"):
        page.get_by_label("Your name").fill("Di")
        page.get_by_label("Your name").press("Enter")
        expect(page.get_by_text("When does the shop open?")).to_be_visible()
        settled(page)
        page.get_by_role("button", name="It is right").click()
        expect(page.get_by_text("What does the rival charge?")).to_be_visible()
        settled(page)
        page.get_by_role("combobox", name="What was wrong").click()
        page.get_by_role("option", name="not in the source", exact=True).click()
        settled(page)
        page.get_by_role("button", name="Should be refused").click()
        expect(page.get_by_text("Nothing to review.")).to_be_visible()
    held = {item.question: item for item in queue(folder).items("accepted", "edited")}
    right = held["When does the shop open?"]
    assert (right.state, right.reviewer, right.label) == ("accepted", "Di", "")
    refused = held["What does the rival charge?"]
    assert (refused.state, refused.expect) == ("edited", "refusal")
    assert (refused.label, refused.reviewer) == ("not in the source", "Di")
    for item in (right, refused):
        queue(folder).review(item.id, "reopen", "Di")
        queue(folder).review(item.id, "reject", "Di")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_shows_no_markup_and_passes_axe(
    browser: Browser, address: str, folder: Path, axe: Axe, scheme: str
) -> None:
    if not queue(folder).items():
        complain(folder, ASKED[2], NASTY * 3)
        complain(folder, ASKED[1])
        queue(folder).refresh()
        other = next(item for item in queue(folder).items() if item.question == ASKED[1])
        queue(folder).review(other.id, "edit", "Ada", text="Yes, within ten days of the sale.")
    for page in shown(browser, address, "review", scheme=scheme):
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Your name").press("Enter")
        expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
        expect(page.get_by_label("What should have come")).to_be_visible()
        expect(page.get_by_role("button", name="Make it a case").last).to_be_visible()
        fits(page, f"review-{scheme}", axe)
        assert page.locator("img[src*=evil]").count() == 0
        assert page.locator("a[href*=evil]").count() == 0
