"""The app in a real browser: its server, a page of it, and what must hold of every page."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from servers import free_port

from genai import project

expect.set_options(timeout=30_000)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
HEADINGS = {
    "business": "Business case", "evals": "Evals", "monitor": "Monitoring",
    "labelling": "Labelling", "prompts": "What changed", "review": "Review",
    "training": "Training",
}  # fmt: skip
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        assert "CI" not in os.environ, "no browser: install Debian's chromium"
        pytest.skip("no Chromium: apt install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own in which nothing has happened."""
    target = tmp_path_factory.mktemp("pages") / "project"
    project.init(target)
    return target


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "genai", "app", "--port", str(port)]
    log = folder / "app.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with running(folder) as found:
        yield found


def opened(browser: Browser, address: str, heading: str = "", **options: Any) -> Iterator[Page]:
    """Open a page, the chat or the one with this heading; no error and nothing foreign in it."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
    page = context.new_page()
    page.set_default_timeout(30_000)
    foreign: list[str] = []
    page.on("request", lambda r: foreign.append(r.url) if "127.0.0.1" not in r.url else None)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.goto(address)
    box = page.get_by_test_id("stChatInputTextArea")
    sign = page.get_by_role("heading", name=heading, exact=True) if heading else box
    expect(sign).to_be_visible(timeout=60_000)
    yield page
    assert page.get_by_test_id("stException").count() == 0
    context.close()
    assert not [url for url in foreign if not url.startswith(("data:", "blob:"))]


def shown(
    browser: Browser, address: str, name: str, width: int = 1600, scheme: str = "light"
) -> Iterator[Page]:
    """Open the page of this name beside the chat."""
    shape = {"width": width, "height": 1000}
    heading, path = HEADINGS[name], f"{address}/{name}"
    for page in opened(browser, path, heading, viewport=shape, color_scheme=scheme):
        settled(page, 0)
        yield page


def settled(page: Page, wait: int = 800) -> None:
    """Wait until nothing runs; charts are drawn a little after the page."""
    page.wait_for_timeout(200)  # until a click has reached the server
    expect(page.locator("[data-test-script-state=notRunning]")).to_have_count(1, timeout=60_000)
    page.wait_for_timeout(wait)


def ask(page: Page, question: str, *, wait: bool = True) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    expect(box).to_be_enabled(timeout=60_000)
    box.fill(question)
    box.press("Enter")
    if wait:
        settled(page, 0)
        expect(page.locator(".meter").last).to_be_visible(timeout=60_000)
        expect(box).to_be_enabled(timeout=60_000)


def fits(page: Page, name: str, axe: Callable[[Page], list[str]], cut: str = "[]") -> None:
    """Hold a page to every width, from wide to narrow; `cut` gives what does not fit its place."""
    for width in (1600, 900, 400):
        page.set_viewport_size({"width": width, "height": 1000})
        page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
        settled(page, 1200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(cut) == []
        screenshot(page, f"{name}-{width}")
        assert axe(page) == [], width
        assert unreachable(page) == [], width


REACHED = """() => {
    const at = document.activeElement;
    at.dataset.reached = "1";
    return at.tagName + at.innerText;
}"""
FORGET = "document.querySelectorAll('[data-reached]').forEach(each => delete each.dataset.reached)"
LEFT = """() => [...document.querySelectorAll("button, input, textarea, summary, a[href]")]
    .filter(each => each.checkVisibility({visibilityProperty: true, opacityProperty: true})
        && !each.disabled && !each.dataset.reached
        && !each.closest("[data-testid=stSelectbox], [data-testid=stNumberInput]")
            ?.querySelector("[data-reached]")  // the arrows of its field do the same
        && !each.closest("[role=radiogroup]")?.querySelector("[data-reached]"))  // arrows go on
    .map(each => each.ariaLabel || each.innerText || each.outerHTML.slice(0, 80))"""


def unreachable(page: Page) -> list[str]:
    """Press Tab through the page; give the controls that this did not reach."""
    page.evaluate(FORGET)
    left: list[str] = ["the end of the page"]
    for _ in range(300):
        page.keyboard.press("Tab")
        if page.evaluate(REACHED).startswith("BODY"):  # the next one begins again above
            left, before = page.evaluate(LEFT), left
            if left in ([], before):
                break
    return left


def metric(page: Page, name: str) -> Locator:
    found = page.get_by_test_id("stMetric").filter(has_text=name).first
    return found.get_by_test_id("stMetricValue")


def screenshot(page: Page, name: str) -> None:
    target = os.environ.get("GENAI_SCREENSHOTS")
    if target:
        page.screenshot(path=Path(target) / f"{name}.png")


@pytest.fixture(scope="module")
def axe() -> Callable[[Page], list[str]]:
    from axe_playwright_python.sync_playwright import Axe

    def check(page: Page) -> list[str]:
        options = {"runOnly": ["wcag2a", "wcag2aa"]}
        found = Axe().run(page, options=options).response["violations"]
        # Streamlit's own frame; ours is what stands in the main block
        return [
            f"{each['id']}: {node['html'][:120]}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    return check
