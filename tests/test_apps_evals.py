"""The evals page and the page of a run, in a real browser."""

import os
from collections.abc import Callable
from pathlib import Path

import pages
import pytest
from pages import fits, screenshot, settled, shown
from playwright.sync_api import Browser, Page, expect
from suites import judged, nasty, run, suite, wrong_below

pytestmark = pytest.mark.browser
browser, axe = pages.browser, pages.axe
folder, address = pages.folder, pages.address
TOO_WIDE = (
    "[...document.querySelectorAll('.cells')].filter(t => t.scrollWidth > t.parentNode.clientWidth)"
    ".map(t => t.innerText)"
)
Axe = Callable[[Page], list[str]]


def test_without_a_run_the_page_names_the_command(browser: Browser, address: str) -> None:
    for page in shown(browser, address, "evals"):
        expect(page.get_by_text("No run yet.")).to_be_visible()
        expect(page.get_by_text("genai eval handbook")).to_be_visible()


@pytest.fixture(scope="module")
def regressed(folder: Path, address: str) -> Path:
    """The same project after a baseline and a worse run whose answers are hostile."""
    judged(folder, nasty, wrong_below(62, "59"))
    return folder


def test_a_run_without_a_baseline_says_how_to_accept_it(
    browser: Browser, address: str, folder: Path
) -> None:
    report = run(suite(folder), wrong_below(3))
    for page in shown(browser, address, "evals"):
        expect(page.get_by_text("This suite has no baseline yet.")).to_be_visible()
        expect(page.get_by_text(f"genai eval accept sums --run {report.run}")).to_be_visible()
        expect(page.get_by_role("cell", name="0.95", exact=True).first).to_be_visible()


def test_the_decision_its_figures_and_both_answers_are_shown(
    browser: Browser, address: str, folder: Path
) -> None:
    report, decision = judged(folder, nasty)
    for page in shown(browser, address, "evals"):
        expect(page.get_by_text(f"{decision} against main. exact: 20 cases worse")).to_be_visible()
        row = page.get_by_role("row", name="REGRESSION")
        each = decision.comparisons[0]
        expect(row).to_contain_text(f"{each.low:+.3g} to {each.high:+.3g}")
        settled(page)
        screenshot(page, "evals-wide")
        page.get_by_text("s0: 1 to 0").click()
        expect(page.get_by_text("answered: <script>alert(1)</script>").first).to_be_visible()
        expect(page.get_by_text("answered: 1", exact=True).first).to_be_visible()
        assert page.locator("img[src*=evil]").count() == 0
        expect(page.get_by_test_id("stSelectbox").nth(1).locator("input")).to_have_value(
            f"{report.run} on nasty"
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_narrow_screens_and_passes_axe(
    browser: Browser, address: str, regressed: Path, axe: Axe, scheme: str
) -> None:
    for page in shown(browser, address, "evals", scheme=scheme):
        expect(page.get_by_text("Changed cases")).to_be_visible()
        fits(page, f"evals-{scheme}", axe, TOO_WIDE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_labelling_page_fits_and_passes_axe(
    browser: Browser, address: str, regressed: Path, axe: Axe, scheme: str
) -> None:
    for page in shown(browser, address, "labelling", scheme=scheme):
        expect(page.get_by_text("Enter your name in the side bar.")).to_be_visible()
        page.get_by_label("Your name").fill("Ada")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Cannot be told")).to_be_visible()
        fits(page, f"labelling-{scheme}", axe)


def test_answers_are_labelled_by_keyboard_alone(
    browser: Browser, address: str, regressed: Path
) -> None:
    for page in shown(browser, address, "labelling", 400):
        page.get_by_test_id("stExpandSidebarButton").click()
        page.get_by_label("Your name").fill("Ada")
        page.keyboard.press("Enter")
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
        expect(page.get_by_text("60 answers to label, 0 of 60 done")).to_be_visible()
        page.get_by_label("Your name").blur()
        settled(page, 0)  # a key counts once its button is drawn
        page.keyboard.press("p")
        expect(page.get_by_text("59 answers to label, 1 of 60 done")).to_be_visible()
        back = page.get_by_role("button", name="Back to the last one")
        expect(back).to_be_visible()
        settled(page, 0)
        page.keyboard.press("b")
        expect(back).to_have_count(0)
        settled(page, 0)
        page.keyboard.press("f")
        expect(back).to_be_visible()
        assert page.locator("img[src*=evil]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 900, 1600])
def test_the_page_of_a_run_filters_fits_and_passes_axe(
    browser: Browser, tmp_path: Path, axe: Axe, width: int, scheme: str
) -> None:
    report, decision = judged(tmp_path, nasty, lambda q: "1" if q.startswith("5") else nasty(q))
    report.save(tmp_path / "page.html", "html", decision)
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.goto((tmp_path / "page.html").as_uri())
    shown = page.locator("article:visible")
    expect(page.locator("#count")).to_have_text(f"{shown.count()} of {shown.count()} shown")
    whole = shown.count()
    page.get_by_label("slice").select_option("hard")
    assert 0 < shown.count() < whole
    page.get_by_label("verdict").select_option("worse")
    expect(page.locator("#count")).to_have_text(f"0 of {whole} shown")
    for name in ("slice", "verdict"):
        page.get_by_label(name).select_option("")
    expect(shown).to_have_count(whole)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if target := os.environ.get("GENAI_SCREENSHOTS"):
        page.screenshot(path=Path(target) / f"report-{width}-{scheme}.png")
    assert axe(page) == []
    assert said == []
    context.close()
