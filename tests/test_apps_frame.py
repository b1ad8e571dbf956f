"""What stands around every page, in a real browser: the names in the side bar, and the waiting."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pages
import pytest
from faults import faulty, reply
from pages import ask, running, screenshot, settled
from playwright.sync_api import Browser, Page, expect
from suites import judged, right

from genai import project

pytestmark = pytest.mark.browser
browser = pages.browser
NAMES = {
    "Business case": "business", "Evals": "evals", "Labelling": "labelling",
    "Monitoring": "monitor", "Prompts": "prompts", "Review": "review", "Training": "training",
}  # fmt: skip
TITLES = {name: title for title, name in NAMES.items()}
# what a page waits for: the file and the call that is made slow, and what is said meanwhile
SLOW = {
    "business": ("pages/business", "genai.business_case(dict(changes))", "Working out the case"),
    "chat": ("conversation", "genai.load()", "Opening the documents"),
    "evals": ("pages/evals", "_report.against(name)", "Comparing with the baseline"),
    "labelling": ("pages/labelling", "genai.Labelling(runs, evals, suite, metric, run=run,"
                  " count=count)", "Reading the run"),
    "monitor": ("pages/monitor", "genai.monitor(genai.open_ledger(), days=days)",
                "Adding up the calls"),
    "review": ("pages/review", "loop.refresh()", "Looking for answers to review"),
    "upload": ("conversation", "index.sync(folder)", "Reading"),
}  # fmt: skip


class Slow(NamedTuple):
    """The app of a project whose store and model answer once `gate` is set."""

    address: str
    gate: threading.Event


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    folder, gate = tmp_path_factory.mktemp("frame") / "project", threading.Event()

    def held(connection: socket.socket, request: bytes) -> bool:
        gate.wait(240)
        return reply()(connection, request)

    project.init(folder)
    shutil.rmtree(folder / "docs")  # one document is read at once
    (folder / "docs").mkdir()
    (folder / "docs" / "one.md").write_text("An index holds passages.")
    judged(folder, right)
    with faulty(held) as (url, _):
        wait = f"__import__('urllib.request').request.urlopen('{url}/wait').read()"
        for file, call, _ in SLOW.values():
            path = folder / "apps" / f"{file}.py"
            text = path.read_text()
            assert text.count(call) == 1
            path.write_text(text.replace(call, f"({wait}, {call})[1]"))
        model = f"openai/slow@{url}"
        with running(folder, GENAI_CHAIN_MODEL=model, OPENAI_API_KEY="k") as address:
            yield Slow(address, gate)


@contextmanager
def waiting(browser: Browser, slow: Slow, path: str) -> Iterator[Page]:
    """Open a page of the slow app; whatever it still waits for comes at the end."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(60_000)
    slow.gate.clear()
    page.goto(f"{slow.address}/{path}")
    try:
        yield page
    finally:
        slow.gate.set()
        page.close()


def test_the_side_bar_names_every_page_as_its_title_does(browser: Browser, tmp_path: Path) -> None:
    project.init(tmp_path / "project")
    with running(tmp_path / "project") as address:
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


@pytest.mark.parametrize("name", sorted(set(SLOW) - {"chat", "upload"}))
def test_a_page_that_waits_says_for_what_and_the_rest_stays_usable(
    browser: Browser, slow: Slow, name: str
) -> None:
    with waiting(browser, slow, name) as page:
        if name == "labelling":
            page.get_by_label("Your name").fill("Ada")
            page.get_by_label("Your name").press("Enter")
        spinner = page.get_by_test_id("stSpinner")
        expect(spinner).to_contain_text(f"{SLOW[name][2]} ...", timeout=60_000)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        bar = page.get_by_test_id("stSidebarNav")
        bar.get_by_role("link", name="Training").click()  # nobody has to wait for the end
        expect(page.get_by_text("No run yet.")).to_be_visible()
        slow.gate.set()
        bar.get_by_role("link", name=TITLES[name]).click()
        expect(page.get_by_role("heading", level=1, name=TITLES[name])).to_be_visible()
        settled(page, 0)
        expect(spinner).to_have_count(0)
        assert page.get_by_test_id("stException").count() == 0


def test_the_chat_says_what_it_waits_for_at_every_step(
    browser: Browser, slow: Slow, tmp_path: Path
) -> None:
    (tmp_path / "parking.txt").write_text("Visitors park on level three.")
    with waiting(browser, slow, "") as page:
        spinner = page.get_by_test_id("stSpinner")
        expect(spinner).to_contain_text("Opening the documents ...", timeout=60_000)
        expect(page.get_by_role("heading", name="Ask the documents")).to_be_visible()
        slow.gate.set()
        ready = page.get_by_text("You are talking to an AI system.")
        expect(ready).to_be_visible()
        slow.gate.clear()
        page.locator("input[type=file]").set_input_files(tmp_path / "parking.txt")
        expect(spinner.filter(has_text="Reading ...")).to_be_visible()
        expect(ready).to_be_visible()
        slow.gate.set()
        expect(page.get_by_text("1 document ready.")).to_be_visible()
        # of a question sent while another run ends Streamlit draws no stop button
        settled(page, 0)
        slow.gate.clear()
        ask(page, "Where do visitors park?", wait=False)
        answer = page.get_by_test_id("stChatMessage").last
        expect(answer.get_by_text("Answering ...")).to_be_visible()
        expect(page.get_by_test_id("stChatInputStopButton")).to_be_enabled()
        other = browser.new_page()  # somebody else does not wait
        other.goto(f"{slow.address}/training")
        expect(other.get_by_text("No run yet.")).to_be_visible(timeout=60_000)
        other.close()
        slow.gate.set()
        expect(page.locator(".meter")).to_be_visible()
        expect(answer.get_by_text("Answering ...")).to_have_count(0)
        assert page.get_by_test_id("stException").count() == 0
