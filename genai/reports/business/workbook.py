"""The case as a spreadsheet with live formulas: change an input and everything follows."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from genai import extras
from genai.reports.business.formula import Case
from genai.reports.business.inputs import Basis, BusinessSettings, Input
from genai.reports.business.register import register

_FIRST = 4  # row of the first input


def workbook(
    settings: BusinessSettings, inputs: Mapping[str, Input], case: Case, remarks: Sequence[str] = ()
) -> bytes:
    """Give three sheets: inputs, cash flow, result. The result recomputes to the case."""
    package: Any = extras.load("openpyxl", "reports")
    book = package.Workbook()
    at = _inputs(book.active, settings, inputs)
    for each in remarks:
        book.active.append([f"remark: {each}"])
    last = _flow(book.create_sheet("Cash flow"), settings, at)
    _result(book.create_sheet("Result"), at, last, case)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _inputs(sheet: Any, settings: BusinessSettings, inputs: Mapping[str, Input]) -> dict[str, str]:
    sheet.title = "Inputs"
    sheet.append([settings.title])
    sheet.append([f"currency {settings.currency}"])
    sheet.append(["input", "value", "unit", "low", "high", "source", "owner", "date", "n"])
    at = {}
    for row, (name, each) in enumerate(inputs.items(), start=_FIRST):
        low, high = (each.a, each.c) if each.kind == "pert" else (None, None)
        sheet.append(
            [name, each.central, each.unit(settings.currency), low, high, each.source, each.owner,
             each.date, each.n]
        )  # fmt: skip
        at[name] = f"Inputs!$B${row}"
    for name, value in (
        ("discount", settings.discount), ("volume_growth", settings.volume_growth),
        ("price_decline", settings.price_decline),
    ):  # fmt: skip
        by = settings.basis.get(name, Basis())
        sheet.append([name, value, "a year", None, None, by.source, by.owner, by.date])
        at[name] = f"Inputs!$B${sheet.max_row}"
    for line in register(settings, inputs):
        if line["input"] in ("ramp", "hosting"):  # what no formula reads as one number
            who = (line["source"], line["owner"], line["date"])
            sheet.append([line["input"], line["value"], line["unit"], None, None, *who])
    for cell in (cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"):
        cell.data_type = "s"  # a person's words, such as `=12*2 from HR`: here nothing is computed
    sheet.column_dimensions["A"].width = 16
    sheet.column_dimensions["F"].width = 40
    return at


def _flow(sheet: Any, settings: BusinessSettings, at: Mapping[str, str]) -> int:
    sheet.append(
        ["month", "use", "benefit", "variable", "fixed", "compliance", "net", "discounted",
         "cumulative", "paid back", "discounted, cumulative", "discounted, paid back"]
    )  # fmt: skip
    build = f"=-{at['build']}"
    sheet.append([0, None, None, None, None, None, build, "=G2", "=G2", 0, "=H2", 0])
    freed, _ = _per_case(at)
    lost = _lost(at)
    rate = f"((1+{at['discount']})^(1/12)-1)"
    for month in range(1, settings.months + 1):
        row = month + 2
        ramp = settings.ramp[min(month, len(settings.ramp)) - 1]
        growth = f"(1+{at['volume_growth']})^((A{row}-1)/12)"
        price = f"(1-{at['price_decline']})^((A{row}-1)/12)"
        sheet.append(
            [
                month, f"={ramp}*{growth}", f"={at['volume']}*B{row}*{freed}",
                f"={at['volume']}*B{row}*({at['cost']}*{price}+{lost})", f"={at['fixed']}",
                f"={at['compliance']}", f"=C{row}-D{row}-E{row}-F{row}",
                f"=G{row}/(1+{rate})^A{row}", f"=I{row - 1}+G{row}", _paid(row, "I", "G"),
                f"=K{row - 1}+H{row}", _paid(row, "K", "H"),
            ]
        )  # fmt: skip
    return settings.months + 2


def _per_case(at: Mapping[str, str]) -> tuple[str, str]:
    """Give what a case frees and what it costs in cash, as formulas."""
    human = f"{at['minutes']}/60*{at['wage']}"
    freed = f"({at['realisation']}*{human}*(1-{at['escalated']})+{at['revenue']})"
    return freed, f"{at['cost']}+{_lost(at)}"


def _lost(at: Mapping[str, str]) -> str:
    return f"({at['undetected']}*{at['loss']}+{at['review']}*{at['review_cost']})"


def _payback(flow: str, total: str, paid: str, last: int) -> str:
    end = f"{flow}{total}{last}"
    return f'=IF({end}<0,"none",MAX({flow}{paid}2:{paid}{last}))'


def _paid(row: int, total: str, flow: str) -> str:
    """Give the month, with its part, in which a sum stops being negative; 0 in every other."""
    before, now = f"{total}{row - 1}", f"{total}{row}"
    return f"=IF(AND({before}<0,{now}>=0),A{row}-1-{before}/{flow}{row},0)"


def _result(sheet: Any, at: Mapping[str, str], last: int, case: Case) -> None:
    flow = "'Cash flow'!"
    rate = f"((1+{at['discount']})^(1/12)-1)"
    benefits = f"SUMPRODUCT({flow}C3:C{last}/(1+{rate})^{flow}A3:A{last})"
    running = "+".join(f"{flow}{column}3:{column}{last}" for column in "DEF")
    spending = f"SUMPRODUCT(({running})/(1+{rate})^{flow}A3:A{last})"
    freed, cash = _per_case(at)
    sheet.append(["figure", "value", "as computed by genai"])
    for name, formula, value in (
        ("net present value", f"=SUM({flow}H2:H{last})", case.npv),
        ("present value of benefits", f"={benefits}", case.pv_benefits),
        ("present value of costs", f"={at['build']}+{spending}", case.pv_costs),
        ("return on investment", "=(B3-B4)/B4", case.roi),
        ("cumulative cash at the end", f"={flow}I{last}", case.months[-1].cumulative),
        ("internal rate of return, monthly", f"=IFERROR(IRR({flow}G2:G{last},0.01),\"none\")",
         case.irr),
        ("paid back after months", _payback(flow, "I", "J", last), case.payback),
        ("discounted, paid back after months", _payback(flow, "K", "L", last),
         case.payback_discounted),
        ("benefit per case", f"={freed}-({cash})", case.benefit_per_case),
        ("break-even, cases a month", f"=IF(B10>0,({at['fixed']}+{at['compliance']})/B10,\"none\")",
         case.break_even_volume),
        ("cost per success", f"=IF({at['success']}>0,{at['cost']}/{at['success']},\"none\")",
         case.cost_per_success),
        ("cost per case, errors and review included", f"={cash}", case.cash_cost_per_case),
        ("cost per case, with human fallback",
         f"={at['cost']}+(1-{at['success']})*{at['minutes']}/60*{at['wage']}",
         case.cost_with_fallback),
    ):  # fmt: skip
        sheet.append([name, formula, "none" if value is None else value])
    sheet.column_dimensions["A"].width = 30
