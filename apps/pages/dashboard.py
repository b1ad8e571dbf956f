"""The dashboard: what the ledger says about volume, money, time and outcomes."""

import time

import altair as alt
import pandas as pd
import streamlit as st

import genai

PERIODS = {"Last 24 hours": 1, "Last 7 days": 7, "Last 30 days": 30, "Everything": 0}


def main() -> None:
    """Draw the page."""
    st.set_page_config("Dashboard", layout="wide")
    st.title("Dashboard")
    period = st.selectbox("Period", list(PERIODS), index=3)
    days = PERIODS[period]
    since = time.time() - 86_400 * days if days else 0.0
    try:
        ledger = genai.open_ledger()
        summary = ledger.summary(since)
        rows = ledger.by_day(since)
    except genai.GenaiError as error:
        st.error(f"The ledger cannot be read. {error}")
        return
    if not summary.questions and not summary.models:
        st.info("No calls in this period. Ask something in the chat, and come back.")
        return
    draw_figures(summary)
    draw_charts(rows)
    draw_models(summary)


def seconds(value: float | None) -> str:
    """Give a time with its unit."""
    return "unknown" if value is None else f"{value:.2f} s"


def draw_figures(summary: genai.Summary) -> None:
    """Draw the totals."""
    first = st.columns(4)
    first[0].metric("Questions", summary.questions)
    first[1].metric("Answers", summary.answers)
    first[2].metric("Refusals", summary.refusals)
    first[3].metric("Errors / stopped", f"{summary.errors} / {summary.cancelled}")
    second = st.columns(4)
    second[0].metric("p50", seconds(summary.p50))
    second[1].metric("p95", seconds(summary.p95))
    second[2].metric("p99", seconds(summary.p99))
    second[3].metric("First text, p50", seconds(summary.ttft_p50))
    third = st.columns(2)
    cost = summary.cost
    third[0].metric("Cost", f"${cost.total.normalize():f}")
    third[0].markdown(f"Cost of {cost.known} of {cost.calls} calls known.")
    third[1].metric("Tokens in / out", f"{summary.input_tokens:,} / {summary.output_tokens:,}")


def draw_charts(rows: list[genai.DayRow]) -> None:
    """Draw the days."""
    table = pd.DataFrame(
        [
            {
                "day": row.day.isoformat(),
                "questions": row.questions,
                "refusals": row.refusals,
                "errors": row.errors,
                "p50": row.p50,
                "p95": row.p95,
                "p99": row.p99,
                "dollars": float(row.cost.total),
            }
            for row in rows
        ]
    )
    left, middle, right = st.columns(3)
    for column, title, fields, unit in (
        (left, "Outcomes", ["questions", "refusals", "errors"], "count"),
        (middle, "Seconds", ["p50", "p95", "p99"], "seconds"),
        (right, "Cost per day", ["dollars"], "US dollars"),
    ):
        column.subheader(title)
        long = table.melt("day", fields, "figure", unit)
        chart = (
            alt.Chart(long)
            .mark_line(point=True)
            .encode(
                x=alt.X("day:O", title="day (UTC)", axis=alt.Axis(labelAngle=0)),
                y=f"{unit}:Q",
                color=alt.Color("figure:N", title=None, legend=alt.Legend(orient="bottom")),
            )
        )
        column.altair_chart(chart, width="stretch")


def draw_models(summary: genai.Summary) -> None:
    """Draw one row a model."""
    st.subheader("Models")
    st.dataframe(
        [
            {
                "model": row.model,
                "calls": row.calls,
                "errors": row.errors,
                "tokens in": row.input_tokens,
                "tokens out": row.output_tokens,
                "cost": str(row.cost),
                "p50": seconds(row.p50),
                "p95": seconds(row.p95),
            }
            for row in summary.models
        ],
        hide_index=True,
    )


main()
