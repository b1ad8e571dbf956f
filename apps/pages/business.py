"""The business case: change an assumption and see what becomes of the value."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from drawing import STYLE, clean

import genai

SHARES = ("realisation", "escalated", "undetected", "success", "review")
UNITS = {  # of what a kill criterion may name; all else is money
    "payback": " months", "payback_discounted": " months", "break_even_volume": " cases a month",
    "positive": "", "roi": "", "irr": " a month", "bcr": "",
}  # fmt: skip


def main() -> None:
    """Draw the page."""
    st.set_page_config("Business case", layout="wide")
    st.html(STYLE)
    st.title("Business case")
    head = st.container()  # what comes out stands above what it is made of
    try:
        stated = case(())
        changes = draw_inputs(stated)
        report = case(tuple(sorted(changes.items())))
    except genai.GenaiError as error:
        head.error(f"The case cannot be worked out. {error}")
        return
    with head:
        st.markdown(clean(f"**{report.settings.title}:** {report.settings.decision}"))
        for warning in report.warnings:
            st.warning(f"No headline figure: {clean(warning)}.")
        draw_figures(report, stated if changes else None)
    draw_plots(report)
    draw_hosting(report)
    draw_kill(report)
    draw_register(report)
    draw_files(report)


@st.cache_data(ttl=60, max_entries=50, show_spinner="Working out the case ...")
def case(changes: tuple[tuple[str, float], ...]) -> genai.BusinessReport:
    """Work out the case, with some inputs set to a value."""
    return genai.business_case(dict(changes))


def draw_inputs(stated: genai.BusinessReport) -> dict[str, float]:
    """Offer every input; give those a person has changed."""
    changes = {}
    with st.expander("Change an assumption", expanded=True):
        with st.container(horizontal=True):  # as many in a row as the screen is wide
            for name, given in stated.inputs.items():
                top: dict[str, Any] = {"max_value": 1.0} if name in SHARES else {}
                st.session_state.setdefault(f"input-{name}", float(given.central))
                unit = given.unit(stated.settings.currency)
                said = f"{given.meaning}; {given.source or 'no source'}, {given.owner}"
                value = st.number_input(
                    name if unit == name else f"{name}, {unit}",
                    min_value=None if name == "revenue" else 0.0,  # it may be lost
                    key=f"input-{name}", width=190, format="%.4g", **top,
                    step=0.01 if name in SHARES else max(round(given.central / 20, 4), 0.001),
                    help=said.strip(" ,"),
                )  # fmt: skip
                if value != float(given.central):
                    changes[name] = float(value)
        if changes:
            st.markdown(clean(f"Changed: {', '.join(changes)}. A changed input is a single value."))
            st.button("Back to the stated assumptions", on_click=reset, args=(stated,))
    return changes


def reset(stated: genai.BusinessReport) -> None:
    """Set every input to what is stated."""
    for name, given in stated.inputs.items():
        st.session_state[f"input-{name}"] = float(given.central)


def draw_figures(report: genai.BusinessReport, stated: genai.BusinessReport | None) -> None:
    """Draw the value with its range, beside the stated case where something was changed."""
    unit, found, one = report.settings.currency, report.outlook, report.case

    delta = None if stated is None else f"{found.p50 - stated.outlook.p50:,.0f}"
    shown = []
    if not report.warnings:
        span = f"{found.p10 / 1000:,.0f} k to {found.p90 / 1000:,.0f} k"
        shown = [(f"Value, middle ({unit})", f"{found.p50:,.0f}", delta),
                 ("Chance of a gain", f"{found.positive:.1%}", None),
                 (f"P10 to P90 ({unit})", span, None)]  # fmt: skip
    shown += [
        (f"Value, single values ({unit})", f"{one.npv:,.0f}", None),
        *((name[0].upper() + name[1:], value, None) for name, value in report.key_figures()),
        (f"Mean of the worst 5 % ({unit})", f"{found.cvar5:,.0f}", None),
    ]
    with st.container(horizontal=True, gap="medium"):  # no figure is cut on a narrow screen
        for title, value, change in shown:
            st.metric(title, value, change, width="content")


def draw_plots(report: genai.BusinessReport) -> None:
    """Draw what moves the value, and the cash over time."""
    unit = report.settings.currency
    with st.container(horizontal=True, key="row"):  # as many in a row as the screen is wide
        left, right = st.container(), st.container()
    left.subheader("What moves it")
    swings = pd.DataFrame(
        [{"input": s.name, "low": min(s.low, s.high), "high": max(s.low, s.high),
          "worth knowing": s.worth} for s in report.outlook.swings]
    )  # fmt: skip
    if swings.empty:
        left.info("Every input is a single value.")
    else:
        left.altair_chart(
            alt.Chart(swings)
            .mark_bar()
            .encode(
                x=alt.X("low:Q", title=[f"net present value ({unit}),", "P10 to P90 of one input"],
                        axis=alt.Axis(format="~s"), scale=alt.Scale(zero=False)),
                x2="high:Q", y=alt.Y("input:N", sort=None, title=None),
                tooltip=["input", alt.Tooltip("low:Q", format=",.0f"),
                         alt.Tooltip("high:Q", format=",.0f"),
                         alt.Tooltip("worth knowing:Q", format=",.0f")],
            )
            .interactive(),
            width="stretch",
        )  # fmt: skip
    right.subheader("Over time")
    fan = pd.DataFrame(
        [{"month": n + 1, "P10": low, "P50": mid, "P90": high}
         for n, (low, mid, high) in enumerate(report.outlook.fan)]
    )  # fmt: skip
    base = alt.Chart(fan).encode(x=alt.X("month:Q", axis=alt.Axis(tickMinStep=1)))
    axis = alt.Axis(format="~s", title=f"cumulative cash ({unit})")
    band = base.mark_area(opacity=0.3).encode(y=alt.Y("P10:Q", axis=axis), y2="P90:Q")
    middle = base.mark_line().encode(
        y=alt.Y("P50:Q", axis=axis),
        tooltip=["month", *(alt.Tooltip(f"{p}:Q", format=",.0f") for p in ("P10", "P50", "P90"))],
    )
    right.altair_chart((band + middle).interactive(), width="stretch")


def draw_hosting(report: genai.BusinessReport) -> None:
    """Draw for which requests a month own GPUs are cheaper than the API."""
    if report.hosting():
        st.subheader("Buying or hosting")
    for line in report.hosting():
        st.markdown(clean(line))


def draw_kill(report: genai.BusinessReport) -> None:
    """Draw what ends the project, and whether it holds."""
    if not report.kill:
        return
    st.subheader("What ends it")
    for criterion, value, kept in report.kill:
        shown = "unknown"
        if value is not None:
            shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
            shown += UNITS.get(criterion.figure, f" {report.settings.currency}")
        word = "kept" if kept else "broken"
        st.markdown(clean(f"{criterion.words}: {shown}, {word}"))


def draw_register(report: genai.BusinessReport) -> None:
    """Draw who stands for each input."""
    st.subheader("Assumptions")
    st.dataframe(report.register(), hide_index=True)
    for each in report.remarks:
        st.warning(clean(f"{each}."))


def draw_files(report: genai.BusinessReport) -> None:
    """Offer the case as a page, a spreadsheet with live formulas, and figures."""
    files = st.container(horizontal=True)
    files.download_button("Download as HTML", report.html(), "business.html", "text/html")
    files.download_button("Download as JSON", report.json(), "business.json")
    try:
        files.download_button("Download as a spreadsheet", report.xlsx(), "business.xlsx")
    except genai.GenaiError as error:
        st.warning(f"No spreadsheet can be made. {error}")
    st.markdown(clean("; ".join(f"{name} {value}" for name, value in report.stamp.items())))


main()
