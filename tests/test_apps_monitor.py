"""The pages on monitoring and the business case, in a real browser."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pages
import pytest
from pages import metric, screenshot, settled, shown, unreachable
from playwright.sync_api import Browser, Locator, Page, expect

from genai.ledger import Ledger
from genai.reports.monitor import monitor
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus, Usage

pytestmark = pytest.mark.browser
browser, axe = pages.browser, pages.axe
folder, address = pages.folder, pages.address
Axe = Callable[[Page], list[str]]


@pytest.fixture(scope="module")
def week(folder: Path, address: str) -> Ledger:
    """A week of questions, one model without a price, one feature with a hostile name."""
    ledger, now = Ledger(folder / ".genai" / "ledger.db"), time.time()
    for n in range(300):
        at = now - 86_400 * (n % 7) - 60
        context = Context(
            feature="chat" if n % 3 else "<img src=x onerror=alert(1)>",
            prompt_id=f"rag/answer@{n % 2}",
            tenant=f"t{n % 4}", release="r1",
        )  # fmt: skip
        money = UNKNOWN_COST if n % 30 == 0 else Cost(Decimal("0.002"), CostStatus.PRICED)
        usage, model = Usage(900, 120, source="provider"), f"model-{n % 2}"
        ledger.record(
            Call(f"c{n:027x}", "chain", at, 1 + n % 9 / 3, "refusal" if n % 9 == 0 else "ok", model,
                 context, usage, money, reason="no_evidence" if n % 9 == 0 else "", ttft=0.4)
        )  # fmt: skip
        ledger.record(Call(f"m{n:027x}", "model", at, 1.0, "ok", model, context, usage, money))
    ledger.flush()
    return ledger


def test_an_empty_ledger_says_what_to_do(browser: Browser, address: str) -> None:
    for page in shown(browser, address, "monitor"):
        expect(page.get_by_text("No questions in this period.")).to_be_visible()


def test_the_page_shows_the_reports_figures(browser: Browser, address: str, week: Ledger) -> None:
    for page in shown(browser, address, "monitor"):
        expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(3)
        settled(page, 1500)
        found = monitor(week, days=30)
        assert found.whole.calls == 300
        expect(metric(page, "Questions")).to_have_text("300")
        expect(metric(page, "Time, p95")).to_have_text(f"{found.whole.p95:.2f} s")
        expect(metric(page, "Cost")).to_have_text("$0.5800")
        expect(metric(page, "Cost per answer")).to_have_text("unknown")
        expect(page.get_by_text("known for 290 of 300 calls.")).to_be_visible()
        expect(page.get_by_text("10 unpriced").first).to_be_visible()
        screenshot(page, "monitor-wide")
        page.get_by_test_id("stVegaLiteChart").first.hover()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download as PNG").first.click()
        assert Path(download.value.path()).read_bytes()[1:4] == b"PNG"
        with page.expect_download() as download:
            page.get_by_text("Download as HTML").click()
        text = Path(download.value.path()).read_text()
        assert "300 questions" in text
        assert "<img" not in text


def test_a_plot_zooms_and_goes_back(browser: Browser, address: str, week: Ledger) -> None:
    """Scrolling over a plot narrows its days, dragging moves them, two clicks bring all back."""
    for page in shown(browser, address, "monitor"):
        expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(3)
        settled(page, 1500)
        plot = page.get_by_test_id("stVegaLiteChart").first
        box = plot.bounding_box()
        assert box is not None
        whole, first = ticks(plot), plot.locator(".role-axis-label text").first.text_content() or ""
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, -400)
        expect(plot.locator("svg")).not_to_contain_text(first)
        assert ticks(plot) != whole
        page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(plot.locator("svg")).to_contain_text(first)
        assert ticks(plot) == whole


def ticks(plot: Locator) -> list[str]:
    """Give the labels of a plot's axes, sorted: their order in the page is that of drawing."""
    return sorted(plot.locator(".role-axis-label text").all_text_contents())


def test_one_feature_and_another_period_can_be_chosen(
    browser: Browser, address: str, week: Ledger
) -> None:
    for page in shown(browser, address, "monitor"):
        choose(page, "Only", "Features")
        choose(page, "Value", "chat")
        expect(page.get_by_test_id("stMetric").first).to_contain_text("200")
        choose(page, "Period (UTC days)", "Today")
        expect(page.get_by_test_id("stMetric").first).not_to_contain_text("200")


def test_another_group_draws_its_table_behind_a_filter_too(
    browser: Browser, address: str, week: Ledger
) -> None:
    for page in shown(browser, address, "monitor"):
        page.set_viewport_size({"width": 1600, "height": 2400})  # to scroll closes an open list
        # a table is a picture; what it says to a screen reader stands inside
        table = page.get_by_test_id("stDataFrame").first.locator("canvas table")
        expect(table).to_contain_text("model-0")
        choose(page, "Group by", "Prompts")
        expect(table).to_contain_text("rag/answer@1")
        expect(table).not_to_contain_text("model-0")
        choose(page, "Only", "Features")
        choose(page, "Value", "chat")
        box, option = page.get_by_label("Group by"), page.get_by_role("option", name="Tenants")
        box.press("ArrowDown")  # by keyboard alone
        expect(option).to_be_visible()
        while option.get_attribute("data-focused") is None:
            box.press("ArrowDown")
            page.wait_for_timeout(200)
        box.press("Enter")
        found = monitor(week, days=30, where={"feature": "chat"}).groups["tenant"]
        for line in found:
            row = table.locator("tr").filter(has_text=line.name)
            expect(row.locator("[role=gridcell]").nth(1)).to_have_text(f"{line.calls}")
        assert sum(line.calls for line in found) == 200
        expect(metric(page, "Questions")).to_have_text("200")


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()
    settled(page, 1500)


def test_a_changed_assumption_moves_the_value(browser: Browser, address: str) -> None:
    for page in shown(browser, address, "business"):
        expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(2)
        settled(page, 1500)
        expect(metric(page, "Value, single values")).to_have_text("713,930")
        expect(metric(page, "Paid back after")).to_have_text("6.3 months")
        for name, value in (("Cost per success", "USD 0.0553"), ("Return on investment", "115.1%"),
                            ("Internal rate of return", "17.25%"),
                            ("Break-even, cases a month", "3,270")):  # fmt: skip
            expect(metric(page, name)).to_have_text(value)
        stamp = page.get_by_text("draws 10000; seed 20260; commit none")
        stated = stamp.inner_text()
        screenshot(page, "business-wide")
        box = page.get_by_label("minutes", exact=True)
        box.fill("6")
        box.press("Enter")
        expect(page.get_by_text("Changed: minutes.")).to_be_visible()
        settled(page, 1500)
        value = metric(page, "Value, single values")
        assert float(value.inner_text().replace(",", "")) < 300_000
        expect(stamp).not_to_have_text(stated)  # it ends the page: all above it is drawn anew
        with page.expect_download() as download:
            page.get_by_text("Download as JSON").click()
        figures = json.loads(Path(download.value.path()).read_text())
        assert figures["inputs"]["minutes"]["central"] == 6
        with page.expect_download() as download:
            page.get_by_text("Download as a spreadsheet").click()
        assert Path(download.value.path()).read_bytes()[:2] == b"PK"
        page.get_by_text("Back to the stated assumptions").click()
        expect(value).to_have_text("713,930")


CUT = """() => [...document.querySelectorAll(
        "[data-testid=stMetric] *, [data-testid=stDownloadButton] *")]
    .filter(each => each.scrollWidth > each.clientWidth && each.clientWidth)
    .map(each => each.innerText)"""
CUT_IN_PLOTS = """() => [...document.querySelectorAll("[data-testid=stVegaLiteChart] svg text")]
    .filter(each => {
        const [at, plot] = [each, each.closest("svg")].map(one => one.getBoundingClientRect());
        return at.left < plot.left - 4 || at.right > plot.right + 4;  // a line's own space
    })
    .map(each => each.textContent)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["monitor", "business"])
def test_narrow_light_and_dark_pages_pass_axe(
    browser: Browser, address: str, week: Ledger, name: str, scheme: str, axe: Axe
) -> None:
    for page in shown(browser, address, name, 400, scheme):
        settled(page, 1500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        screenshot(page, f"{name}-narrow-{scheme}")
        page.set_viewport_size({"width": 900, "height": 1000})
        settled(page, 1500)
        assert page.evaluate(CUT) == []
        assert page.evaluate(CUT_IN_PLOTS) == []
        page.set_viewport_size({"width": 1600, "height": 1000})
        settled(page, 1500)
        screenshot(page, f"{name}-{scheme}")
        assert axe(page) == []
        assert unreachable(page) == []
