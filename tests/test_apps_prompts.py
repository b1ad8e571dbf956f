"""The prompts page, in a real browser: what an edit means, before it is evaluated."""

from collections.abc import Callable
from pathlib import Path

import pages
import pytest
from pages import fits, running, settled, shown
from playwright.sync_api import Browser, Page, expect

from genai import project
from genai.prompts import load_prompt
from genai.prompts.lock import Receipt, write_lock

pytestmark = pytest.mark.browser
browser, axe, address = pages.browser, pages.axe, pages.address
Axe = Callable[[Page], list[str]]
PROMPT = """---
id: rag/answer
description: Answer <b>boldly</b> ![x](http://evil.test/p.png).
inputs:
  question: {max_length: 8000}
  passages: {trust: retrieved}
params: {temperature: 0, max_tokens: 700}
output: {type: object, required: [text], properties: {text: {type: string}}}
---
@system
Answer from the passages.
<script>alert(1)</script>
@user
{{passages}}
Question: {{question}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose prompt was locked and edited since."""
    target = tmp_path_factory.mktemp("prompts") / "project"
    project.init(target)
    path = target / "prompts" / "rag" / "answer.md"
    path.write_text(PROMPT)
    receipt = Receipt(suite="handbook", run="r1", dataset="d", decision="PASS", at="2026-11-02")
    write_lock(load_prompt("rag/answer", target / "prompts"), 40, receipt, target / "prompts")
    edited = PROMPT
    for old, new in (
        ("{max_length: 8000}", "{max_length: 4000}"), ("temperature: 0", "temperature: 0.5"),
        ("required: [text]", "required: []"), ("the passages.", "the numbered passages alone."),
        ("alert(1)", "alert(2)"),
    ):  # fmt: skip
        assert old in edited
        edited = edited.replace(old, new)
    path.write_text(edited)
    return target


def test_an_edit_is_compared_with_what_its_eval_saw(browser: Browser, address: str) -> None:
    for page in shown(browser, address, "prompts"):
        changes = page.locator(".changes > li")
        expect(changes).to_have_count(4)
        breaking = page.locator(".changes > li.breaking")
        expect(breaking).to_have_count(2)
        expect(breaking.first).to_contain_text("variable question.max_length")
        expect(breaking.first).to_contain_text("8000 \u2192 4000")
        expect(breaking.first).to_contain_text("Breaking: values that fitted are refused")
        expect(breaking.last).to_contain_text("Breaking: readers may miss the field")
        words = page.locator(".words div")
        expect(words.first).to_have_text("-Answer from the passages.")
        expect(page.locator(".words .new").first).to_have_text(
            "+Answer from the numbered passages alone."
        )
        expect(page.locator(".words .new").last).to_have_text("+<script>alert(2)</script>")
        expect(page.get_by_text("genai prompt lock rag/answer")).to_be_visible()
        assert page.locator("img[src*=evil], main b").count() == 0


def test_the_same_version_on_both_sides_has_no_difference(browser: Browser, address: str) -> None:
    for page in shown(browser, address, "prompts"):
        page.get_by_label("Before").click()
        page.get_by_role("option", name="the file as it is").click()
        expect(page.get_by_text("the two are the same")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_passes_axe(
    browser: Browser, address: str, axe: Axe, scheme: str
) -> None:
    for page in shown(browser, address, "prompts", scheme=scheme):
        cut = (
            "[...document.querySelectorAll('.changes *')].filter(e => e.scrollWidth > "
            "e.parentNode.clientWidth + 1).map(e => e.innerText)"
        )
        fits(page, f"prompts-{scheme}", axe, cut)


def test_a_prompt_that_cannot_be_read_says_so(browser: Browser, tmp_path: Path) -> None:
    target = tmp_path / "project"
    project.init(target)
    (target / "prompts" / "rag" / "answer.md").write_text(PROMPT.replace("question}}", "q.x}}"))
    with running(target) as address:
        page = browser.new_page()
        page.goto(f"{address}/prompts")
        expect(page.get_by_text("is no placeholder").first).to_be_visible(timeout=60_000)
        assert page.get_by_test_id("stException").count() == 0
        page.close()


def test_no_page_breaks_over_a_mistake_in_the_settings(browser: Browser, tmp_path: Path) -> None:
    project.init(tmp_path)
    settings = tmp_path / "configs" / "genai.yaml"
    settings.write_text(settings.read_text().replace("top_k", "topk"))
    titles = {"": "Ask the documents", "evals": "Evals", "monitor": "Monitoring",
              "business": "Business case", "prompts": "Prompts", "labelling": "Labelling",
              "review": "Review", "training": "Training"}  # fmt: skip
    with running(tmp_path) as address:
        page = browser.new_page(viewport={"width": 400, "height": 900})
        for name, title in titles.items():
            page.goto(f"{address}/{name}")
            heading = page.get_by_role("heading", name=title, exact=True)
            expect(heading).to_be_visible(timeout=60_000)
            settled(page, 100)
            if name in ("", "monitor", "prompts", "review"):  # the others read no settings
                expect(page.get_by_text("did you mean top_k?")).to_be_visible()
            assert page.get_by_test_id("stException").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.close()
