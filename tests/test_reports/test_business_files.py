"""What the business case is handed over as: page, register, sheets that recompute, plots, stamp."""

import html
import io
import json
import re
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import formulas
import openpyxl
import pytest
from PIL import Image
from worked import DRAWN, inputs, settings, stated

import genai
from genai.cli import main
from genai.errors import ConfigError
from genai.ledger import Ledger
from genai.loop import LoopSettings, Queue
from genai.loop.seen import online_scores
from genai.project import Project, init
from genai.reports.business import BusinessReport, business_report, inputs_of
from genai.reports.business.formula import case_of
from genai.reports.business.inputs import fixed
from genai.reports.monitor import monitor
from genai.reports.monitor_text import markdown
from genai.types import Call, Context, Cost, CostStatus

HOSTING = {
    "tokens_per_second": 1800, "utilisation": 0.6, "peak_to_mean": 3, "tokens_per_request": 400,
    "per_hour": 2.5, "overhead": 1500, "api_per_request": 0.001125,
}  # fmt: skip


def solved(path: Path) -> dict[str, Any]:
    """Recompute a workbook with a spreadsheet engine; give the result sheet by its first column."""
    model = formulas.ExcelModel().loads(str(path)).finish()
    cells = {str(name).upper(): cell for name, cell in model.calculate().items()}
    sheet = openpyxl.load_workbook(path)["Result"]
    found = {}
    for row in range(2, sheet.max_row + 1):
        name = f"'[{path.name.upper()}]RESULT'!B{row}"
        found[str(sheet.cell(row, 1).value)] = cells[name].value[0, 0]
    return found


FIGURES = {
    "net present value": "npv", "present value of benefits": "pv_benefits",
    "present value of costs": "pv_costs", "return on investment": "roi",
    "internal rate of return, monthly": "irr", "paid back after months": "payback",
    "discounted, paid back after months": "payback_discounted",
    "benefit per case": "benefit_per_case", "break-even, cases a month": "break_even_volume",
    "cost per success": "cost_per_success",
    "cost per case, errors and review included": "cash_cost_per_case",
    "cost per case, with human fallback": "cost_with_fallback",
}  # fmt: skip


def test_the_spreadsheet_recomputes_to_the_same_and_follows_a_changed_input(
    tmp_path: Path,
) -> None:
    given = settings(months=12, volume_growth=0.05, price_decline=0.2)
    report = business_report(given, inputs(**DRAWN), draws=100)
    report.write(tmp_path)
    path = tmp_path / "business.xlsx"
    found = solved(path)
    for name, figure in FIGURES.items():
        assert found[name] == pytest.approx(getattr(report.case, figure), abs=0.005), name
    assert found["internal rate of return, monthly"] == pytest.approx(report.case.irr, abs=1e-6)
    assert found["cumulative cash at the end"] == pytest.approx(
        report.case.months[-1].cumulative, abs=0.005
    )

    book = openpyxl.load_workbook(path)
    sheet = book["Inputs"]
    rows = {sheet.cell(row, 1).value: row for row in range(1, sheet.max_row + 1)}
    sheet.cell(rows["minutes"], 2).value = 9
    sheet.cell(rows["discount"], 2).value = 0.2
    book.save(path)
    values = {name: each.central for name, each in inputs(**DRAWN).items()} | {"minutes": 9.0}
    changed = case_of(given.model_copy(update={"discount": 0.2}), values)
    found = solved(path)
    for name, figure in FIGURES.items():
        assert found[name] == pytest.approx(getattr(changed, figure), abs=0.005), name
    assert changed.npv < report.case.npv - 100_000

    sheet.cell(rows["minutes"], 2).value = 1  # a case that never pays
    book.save(path)
    found = solved(path)
    assert found["paid back after months"] == "none"
    assert found["break-even, cases a month"] == "none"


def tables(page: str) -> list[list[list[str]]]:
    """Give the tables of a page as rows of text."""
    return [
        [
            [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", table)
        ]
        for table in re.findall(r"<table>(.*?)</table>", page, re.S)
    ]


@pytest.fixture(scope="module")
def report() -> BusinessReport:
    given = settings(hosting=HOSTING, correlations={"minutes realisation": 0.3})
    return business_report(given, inputs(**DRAWN), draws=2000)


def test_the_register_names_who_stands_for_each_input(report: BusinessReport) -> None:
    (register,) = [each for each in tables(report.html()) if each[0][:2] == ["input", "value"]]
    others = ["discount", "ramp", "hosting"]
    assert [row[0] for row in register[1:]] == [*report.inputs, *others]
    by_name = {row[0]: row for row in register[1:]}
    assert by_name["minutes"][:4] == ["minutes", "12", "8 to 20", "minutes"]
    assert by_name["wage"][4:6] == ["s", "o"]
    assert "Drawn together: minutes realisation, rank correlation 0.3." in report.html()


def test_the_cash_flow_table_is_that_of_the_case(report: BusinessReport) -> None:
    (flow,) = [each for each in tables(report.html()) if each[0][0] == "month"]
    assert len(flow) == 1 + 24
    assert flow[1][5] == "2,010"
    assert flow[5][5] == "46,052"
    total = -180_000.0
    for row, month in zip(flow[1:], report.case.months, strict=True):
        _, benefit, variable, fixed, dues, net, cumulative = (
            float(c.replace(",", "")) for c in row
        )
        assert benefit - variable - fixed - dues == pytest.approx(net, abs=2)
        total += net
        assert cumulative == pytest.approx(total, abs=15)
        assert cumulative == round(month.cumulative)


def test_every_face_shows_what_it_returns_and_when(report: BusinessReport) -> None:
    figures = dict(report.key_figures())
    assert figures["cost per success"] == "USD 0.0553"
    assert figures["cost per case, errors and review included"] == "USD 0.6170"
    assert figures["cost per case, with human fallback"] == "USD 1.7700"
    assert figures["return on investment"] == "115.1%"
    assert figures["internal rate of return, monthly"] == "17.25%"
    assert figures["paid back after"] == "6.3 months"
    assert figures["paid back after, discounted"] == "6.5 months"
    assert figures["break-even, cases a month"] == "3,270"
    (head,) = [each for each in tables(report.html()) if each[0] == ["figure", "value"]]
    for name, value in figures.items():
        assert f"  {name}: {value}" in report.text().splitlines()
        assert [name, value] in head
    never = business_report(settings(), fixed(inputs(), minutes=1), draws=9)
    assert dict(never.key_figures())["paid back after"] == "never"
    assert "  break-even, cases a month: none" in never.text().splitlines()


def test_compliance_is_a_cost_of_its_own() -> None:
    values = {name: each.central for name, each in inputs().items()}
    whole = case_of(settings(), values)
    apart = business_report(settings(), fixed(inputs(), fixed=8000, compliance=1000), draws=9)
    assert apart.case.npv == whole.npv
    assert apart.case.break_even_volume == whole.break_even_volume
    (flow,) = [each for each in tables(apart.html()) if each[0][0] == "month"]
    assert flow[0][4] == "compliance"
    assert {row[4] for row in flow[1:]} == {"1,000"}
    sheet = openpyxl.load_workbook(io.BytesIO(apart.xlsx()))["Cash flow"]
    assert [cell.value for cell in sheet[1]][5] == "compliance"


def test_an_assumption_that_nobody_stands_for_or_that_is_old_is_named() -> None:
    said = {"source": "s", "owner": "o"}
    given = settings(
        inputs=stated(wage={"value": 36, "date": "2025-11-25", **said},
                      build={"value": 1, "date": "2025-11-27", **said}),
        basis={"discount": {**said, "date": "2026-01-01"}, "ramp": {"owner": "o"}},
        volume_growth=0.05, hosting=HOSTING,
    )  # fmt: skip
    found = business_report(given, inputs_of(given, {}), draws=9, today=date(2026, 11, 26))
    assert "`wage` is of 2025-11-25, more than a year ago; look at it again" in found.remarks
    assert "`minutes` has no date" in found.remarks
    assert "`ramp` has no source and no date" in found.remarks
    for name in ("volume_growth", "hosting"):
        assert f"`{name}` has no source and no owner and no date" in found.remarks
    assert not [n for n in ("discount", "build", "revenue") if f"`{n}`" in str(found.remarks)]
    cells = [row[0] for row in openpyxl.load_workbook(io.BytesIO(found.xlsx()))["Inputs"].values]
    for remark in found.remarks:
        assert f"  remark: {remark}" in found.text().splitlines()
        assert html.escape(remark) in found.html()
        assert f"remark: {remark}" in cells
    assert found.warnings == ()
    later = business_report(given, inputs_of(given, {}), draws=9, today=date(2027, 11, 26))
    assert len(later.remarks) > len(found.remarks)
    assert later.json() == found.json()  # the figures are no other on another day
    with pytest.raises(ValueError, match="did you mean `discount`"):
        settings(basis={"discont": said})


def test_the_tornado_shows_the_largest_swing_first(report: BusinessReport) -> None:
    swings = report.outlook.swings
    widths = [abs(each.high - each.low) for each in swings]
    assert widths == sorted(widths, reverse=True)
    drawn = report.plot("tornado").svg()
    bars = [float(width) for width in re.findall(r'class="bar"[^>]*width="([0-9.]+)"', drawn)]
    assert bars == sorted(bars, reverse=True)
    names = re.findall(r'text-anchor="end"[^>]*>([a-z_]+)<', drawn)
    assert names == [each.name for each in swings[:8]]
    assert names[:2] in (["minutes", "realisation"], ["realisation", "minutes"])
    ratio = widths[1] / widths[0]
    assert bars[1] / bars[0] == pytest.approx(ratio, abs=0.01)


def test_every_break_even_of_own_gpus_is_in_the_report(report: BusinessReport) -> None:
    lines = [
        "own GPUs: cheaper from 4,577,778 requests a month to 4,730,400",
        "own GPUs: cheaper from 6,200,000 requests a month to 7,095,600",
        "own GPUs: cheaper from 7,822,222 requests a month on",
    ]
    assert report.hosting() == lines
    for line in lines:
        assert line in report.text()
        assert f"<p>{line}</p>" in report.html()
    dear = business_report(settings(hosting=HOSTING | {"api_per_request": 1e-5}), inputs(), draws=9)
    assert dear.hosting() == ["own GPUs: at no number of requests a month cheaper than the API"]


def test_the_page_is_self_contained_and_inert_and_the_plots_are_pictures(tmp_path: Path) -> None:
    hostile = settings(title="=1+1 <script>alert(1)</script>", decision="Go & on?")
    paths = business_report(hostile, inputs(**DRAWN), draws=500).write(tmp_path)
    assert {path.name for path in paths} == {
        "business.json", "business.html", "business.xlsx",
        *(f"{plot}.{kind}" for plot in ("fan", "tornado", "curve") for kind in ("svg", "png")),
    }  # fmt: skip
    words = openpyxl.load_workbook(tmp_path / "business.xlsx")["Inputs"]["A"]
    assert {cell.data_type for cell in words} == {"s"}  # and none is a formula
    page = (tmp_path / "business.html").read_text()
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    for plot in ("fan", "tornado", "curve"):
        with Image.open(tmp_path / f"{plot}.png") as picture:
            assert picture.size[0] == 1920
            colours = {colour for _, colour in picture.getcolors(1 << 20) or ()}
        assert {(255, 255, 255), (51, 136, 170)} <= colours


# -- what a case rests on ------------------------------------------------------------------------

DAY = 86_400
ONLINE = "online: {share: 1, metrics: {judged: {min: 0.5}}}\ncases: shop\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Ten days of questions: a fifth refused, every second answer judged, some of them wrong."""
    init(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "loop.yaml").write_text(ONLINE)
    text = (tmp_path / "configs" / "business.yaml").read_text()
    for name in ("cost", "escalated", "undetected", "success", "review"):
        text = re.sub(rf"^  {name}: .*$", f"  {name}: {{measured: true}}", text, flags=re.M)
    (tmp_path / "configs" / "business.yaml").write_text(text)
    found = genai.find_project()
    write(Ledger(found.state / "ledger.db", content="all"), time.time() // DAY * DAY - 9 * DAY)
    return found


def write(ledger: Ledger, first: float) -> None:
    for n in range(200):
        at, outcome = first + DAY * (n % 10) + n, "refusal" if n % 5 == 0 else "ok"
        money = Cost(Decimal("0.05"), CostStatus.PRICED, snapshot=f"prices-{n % 2}")
        chain = Call(f"c{n:027x}", "chain", at, 0.1, outcome, "m")
        ledger.record(chain, question=f"How is number {n} counted?", answer="So.")
        ledger.record(Call(f"m{n:027x}", "model", at, 0.1, "ok", "m", cost=money))
        if outcome == "ok" and n % 2:
            tags = {"suite": "online", "case": chain.id, "judged": 0.2 if n % 40 == 1 else 0.9}
            ledger.record(Call(f"e{n:027x}", "eval", at + 9, 0.0, "ok", "recorded",
                               Context(parent_id=chain.id, run="r"), tags=tags))  # fmt: skip
    ledger.flush()
    queue = Queue(ledger, LoopSettings(days=90))
    queue.refresh()
    for item in queue.items()[:20]:
        queue.review(item.id, "reject", "Ada")


def test_success_undetected_errors_and_review_are_measured(project: Project) -> None:
    report = genai.business_case(draws=500)
    assert report.warnings == ()
    found = report.inputs
    answered, judged, wrong = 160, 80, 5
    assert found["escalated"].central == pytest.approx(0.2)
    assert found["success"].central == pytest.approx(0.8 * (judged - wrong) / judged)
    assert found["undetected"].central == pytest.approx(0.8 * wrong / judged)
    total = sum(found[name].central for name in ("success", "escalated", "undetected"))
    assert total == pytest.approx(1)
    assert (found["undetected"].n, answered) == (judged, 160)
    assert found["undetected"].source == "ledger, 10 days, 80 answers judged"
    assert found["review"].central == pytest.approx(20 / 200)
    assert {"success", "undetected", "review"} <= {n for n, i in found.items() if i.kind == "beta"}


def test_few_judged_answers_carry_no_headline(project: Project) -> None:
    ledger = Ledger(project.state / "ledger.db")
    with ledger.database.begin() as db:
        db.exec_driver_sql("DELETE FROM call WHERE kind = 'eval' AND rowid % 4 > 0")
    report = genai.business_case(draws=50)
    assert any(each.startswith("`undetected` rests on ") for each in report.warnings)
    with ledger.database.begin() as db:
        db.exec_driver_sql("DELETE FROM call WHERE kind = 'eval'")
    with pytest.raises(ConfigError, match="`inputs.undetected` is marked as measured"):
        genai.business_case(draws=50)


def test_the_stamp_says_what_the_case_rests_on(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    report = genai.business_case(draws=50, seed=3)
    stamp = report.stamp
    first, _, last = stamp["period"].partition(" to ")
    assert (stamp["coverage"], stamp["prices"]) == ("100.0% of calls", "prices-0, prices-1")
    assert re.fullmatch("[0-9a-f]{16}", stamp["ledger"])
    assert (stamp["seed"], stamp["draws"]) == ("3", "50")
    assert stamp["commit"] == "none"
    assert json.loads(report.json())["stamp"] == stamp
    assert stamp["ledger"] in report.html()
    assert genai.business_case(draws=50, seed=3).json() == report.json()

    assert main(["report", "business", "--draws", "50", "--from", last, "--to", last]) == 4
    out = capsys.readouterr().out
    assert f"period {last} to {last}" in out
    assert "20 questions are recorded; 30 are needed" in out
    assert main(["report", "business", "--from", last, "--to", first]) == 64
    ledger = Ledger(project.state / "ledger.db")
    ledger.record(Call("n" * 28, "chain", time.time(), 0.1, "ok", "m"))
    ledger.flush()
    assert genai.business_case(draws=50, seed=3).stamp["ledger"] != stamp["ledger"]


def test_days_and_blocks_are_those_of_the_ledgers_rows_in_every_time_zone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = set()
    for zone in ("UTC", "Asia/Singapore", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            shown = monitor(Ledger(project.state / "ledger.db"), days=10)
            said.add(genai.business_case(draws=50, seed=3).json() + "".join(markdown(shown)))
        finally:
            monkeypatch.delenv("TZ")
            time.tzset()
    assert len(said) == 1
    one = genai.business_case(draws=50, seed=3)
    assert one.inputs["cost"].blocks == ((1.0, 20.0),) * 10
    ledger = Ledger(project.state / "ledger.db")
    dear = Cost(Decimal(9), CostStatus.PRICED)
    ledger.record(Call("m" * 28, "model", time.time() // DAY * DAY, 0.1, "ok", "m", cost=dear))
    ledger.flush()
    two = genai.business_case(draws=50, seed=3)
    assert sorted(two.inputs["cost"].blocks) == [*((1.0, 20.0),) * 9, (10.0, 20.0)]
    assert two.outlook.curve != one.outlook.curve
    assert genai.business_case(draws=50, seed=3).json() == two.json()


def test_a_period_ends_before_its_last_moment_for_judged_answers_too(project: Project) -> None:
    ledger = Ledger(project.state / "ledger.db")
    first = next(call for call in ledger.calls(limit=10**9, kind="chain") if call.id.endswith("01"))
    ends = first.started_at, first.started_at + 1e-3
    assert [first.id in online_scores(ledger, 0.0, end) for end in ends] == [False, True]


def test_the_apps_page_shows_remarks_hosting_and_the_discounted_payback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit.testing.v1 import AppTest

    init(tmp_path)
    path = tmp_path / "configs" / "business.yaml"
    text = path.read_text().replace("owner: finance, date: 2026-11-01", "owner: finance")
    path.write_text(f"{text}\nhosting: {json.dumps(HOSTING)}\n")
    monkeypatch.chdir(tmp_path)
    apps = Path(genai.__file__).parent.parent / "apps"
    monkeypatch.syspath_prepend(str(apps))
    # the page becomes the main module, and a process started later would begin by running it
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    page = AppTest.from_file(str(apps / "pages" / "business.py"), default_timeout=60).run()
    assert not page.exception
    found = genai.business_case(draws=9)
    warned = [each.value.replace("\\", "") for each in page.warning]
    assert {"`wage` has no date.", "`hosting` has no source and no owner and no date."} <= {*warned}
    assert warned == [f"{each}." for each in found.remarks]
    written = [each.value.replace("\\", "") for each in page.markdown]
    assert len(found.hosting()) == 3
    assert {*found.hosting()} <= {*written}
    assert ("Paid back after, discounted", "6.5 months") in [
        (m.label, m.value) for m in page.metric
    ]
