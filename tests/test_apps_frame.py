"""What stands around every page, in a real browser: the names in the side bar, and the waiting."""

from collections.abc import Iterator

import pages
import pytest
from pages import running, screenshot
from playwright.sync_api import Browser, expect

from genai import project

pytestmark = pytest.mark.browser
browser = pages.browser
NAMES = {
    "Business case": "business", "Evals": "evals", "Labelling": "labelling",
    "Monitoring": "monitor", "Prompts": "prompts", "Review": "review", "Training": "training",
}  # fmt: skip
SLOW = {
    "monitor": ("genai.monitor(genai.open_ledger(), days=days)", "Adding up the calls ..."),
    "review": ("loop.refresh()", "Looking for answers to review ..."),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app of a project in which two pages take seconds."""
    folder = tmp_path_factory.mktemp("frame") / "project"
    project.init(folder)
    for name, (call, _) in SLOW.items():
        path = folder / "apps" / "pages" / f"{name}.py"
        text = path.read_text()
        assert call in text
        path.write_text(text.replace(call, f"(__import__('time').sleep(2), {call})[1]"))
    with running(folder) as found:
        yield found


def test_the_side_bar_names_every_page_as_its_title_does(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(f"{address}/prompts")
    bar = page.get_by_test_id("stSidebarNav")
    expect(bar.get_by_role("link")).to_have_text(["Chat", *NAMES])
    for title, name in NAMES.items():
        bar.get_by_role("link", name=title, exact=True).click()
        expect(page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()
        expect(page).to_have_url(f"{address}/{name}")
        expect(page).to_have_title(title)
    expect(page.get_by_text("No run yet.")).to_be_visible()
    screenshot(page, "side-bar")
    bar.get_by_role("link", name="Chat", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Ask the documents")).to_be_visible()
    expect(page).to_have_url(f"{address}/")
    page.close()


@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_page_that_works_for_seconds_says_what_it_does(
    browser: Browser, address: str, name: str
) -> None:
    page = browser.new_page()
    page.goto(f"{address}/{name}")
    spinner = page.get_by_test_id("stSpinner")
    expect(spinner).to_contain_text(SLOW[name][1], timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(spinner).to_have_count(0, timeout=60_000)
    assert page.get_by_test_id("stException").count() == 0
    page.close()
