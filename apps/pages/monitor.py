"""Monitoring: what the ledger's daily sums say about volume, money, time and outcomes."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from drawing import STYLE, clean

import genai

ADDING = "Adding up the calls ..."
PERIODS = {"Today": 1, "7 days": 7, "30 days": 30, "90 days": 90, "A year": 366}
GROUPS = {
    "model": "Models", "prompt_id": "Prompts", "index_revision": "Index revisions",
    "release": "Releases", "config_hash": "Settings", "feature": "Features", "tenant": "Tenants",
}  # fmt: skip
COUNT = st.column_config.NumberColumn(format="localized")  # thousands are set apart


def main() -> None:
    """Draw the page."""
    st.set_page_config("Monitoring", layout="wide")
    st.html(STYLE)
    st.title("Monitoring")
    first, second, third = st.columns(3)
    days = PERIODS[first.selectbox("Period (UTC days)", list(PERIODS), index=2)]
    try:
        with st.spinner(ADDING):
            whole = genai.monitor(genai.open_ledger(), days=days)
        found = draw_filter(whole, days, second, third)
    except genai.GenaiError as error:
        st.error(f"The ledger cannot be read. {error}")
        return
    if not found.whole.calls:
        st.info("No questions in this period. Ask something in the chat, and come back.")
        if found.models:  # an index was made, a suite was run
            draw_groups(found)
        return
    draw_figures(found)
    draw_days(found.days)
    draw_groups(found)
    draw_guards(found)
    draw_reasons(found)
    draw_files(found)


def draw_filter(whole: genai.Monitor, days: int, one: Any, two: Any) -> genai.Monitor:
    """Keep to one value of a dimension, where a person asks for it."""
    names = {title: name for name, title in GROUPS.items() if lines(whole, name)}
    title = one.selectbox("Only", ["Everything", *names])
    if title not in names:
        return whole
    values = [line.name for line in lines(whole, names[title])]
    value = two.selectbox("Value", values)
    with st.spinner(ADDING):
        return genai.monitor(genai.open_ledger(), days=days, where={names[title]: value})


def lines(found: genai.Monitor, name: str) -> Sequence[Any]:
    """Give the lines of a dimension; those without a value are left out."""
    group = found.models if name == "model" else found.groups[name]
    return [line for line in group if line.name != "(none)"]


def seconds(value: float | None) -> str:
    """Give a time with its unit."""
    if value is None:
        return "unknown"
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def both(middle: float | None, high: float | None) -> str:
    """Give two percentiles of a time."""
    return "unknown" if middle is None else f"{seconds(middle)} / {seconds(high)}"


def percent(share: tuple[float, float, float] | float | None) -> str:
    """Give a share; of one with an interval, the share."""
    if share is None:
        return "unknown"
    return f"{share[0] if isinstance(share, tuple) else share:.1%}"


def draw_figures(found: genai.Monitor) -> None:
    """Draw the totals."""
    line = found.whole
    up, down = found.thumbs
    per = "unknown" if line.per_answer is None else f"${line.per_answer:.4f}"
    rows = (
        (("Questions", f"{line.calls:,}"), ("Answers", f"{line.answers:,}"),
         ("Refused", percent(line.refused)), ("Failed", percent(line.failed))),
        (("Time, p50", seconds(line.p50)), ("Time, p95", seconds(line.p95)),
         ("Time, p99", seconds(line.p99)),
         ("First text, p50 / p95", both(line.ttft, line.ttft_p95))),
        (("Cost", f"${line.money.total:.4f}"), ("Cost per answer", per),
         ("Tokens", f"{line.tokens:,}"), ("Read from a cache", percent(line.cached))),
        (("Thumbs up / down", f"{up} / {down}"), ("Retries", f"{line.retries:,}"),
         ("Answered from our cache", f"{line.replayed:,}"),
         ("Between tokens, p50 / p95", both(line.inter_token, line.inter_token_p95))),
    )  # fmt: skip
    for row in rows:
        with st.container(horizontal=True, gap="medium"):  # no figure is cut on a narrow screen
            for title, value in row:
                st.metric(title, value, width="content")
    st.markdown(clean(f"Cost: {line.money}, known for {line.money.known:,} of"
                      f" {line.money.calls:,} calls."))  # fmt: skip
    if found.runs is not None and found.runs.calls:
        st.markdown(clean(f"Eval runs asked {found.runs.calls:,} questions for"
                          f" {found.runs.money}; they are in no figure."))  # fmt: skip
    if found.misdated:
        st.warning(f"{found.misdated:,} questions are left out: a wrong clock dated them before"
                   " 2020 or after today.")  # fmt: skip
    if line.refused is not None and line.failed is not None:
        _, low, high = line.refused
        _, least, most = line.failed
        st.markdown(
            f"95 % intervals: refused {low:.1%} to {high:.1%}, failed {least:.1%} to {most:.1%}."
            " Percentiles are at most 1 % off."
        )


def draw_days(days: Sequence[Any]) -> None:
    """Draw the days: drag to move, scroll to zoom, the menu of a plot saves it."""
    table = pd.DataFrame(
        [
            {
                "day": pd.Timestamp(line.name), "answered": line.answers,
                "refused": round((line.refused or (0,))[0] * line.calls),
                "failed": round((line.failed or (0,))[0] * line.calls),
                "p50": line.p50, "p95": line.p95, "p99": line.p99,
                "dollars": float(line.money.total),
            }
            for line in days
        ]
    )  # fmt: skip
    if table.empty:
        return
    row = st.container(horizontal=True, key="row")  # as many in a row as the screen is wide
    for title, fields, unit in (
        ("Outcomes", ["answered", "refused", "failed"], "questions"),
        ("Time", ["p50", "p95", "p99"], "seconds"),
        ("Cost", ["dollars"], "US dollars"),
    ):
        column = row.container()
        column.subheader(title)
        long = table.melt("day", fields, "figure", unit)
        chart = (
            alt.Chart(long)
            .mark_line(point=True)
            .encode(
                x=alt.X("day:T", title="day (UTC)", axis=alt.Axis(format="%d %b", tickCount=5)),
                y=f"{unit}:Q",
                color=alt.Color(
                    "figure:N", title=None, sort=fields, legend=alt.Legend(orient="bottom")
                ),
                tooltip=[alt.Tooltip("day:T"), "figure:N", alt.Tooltip(f"{unit}:Q", format=".4g")],
            )
            .interactive()
        )
        column.altair_chart(chart, width="stretch")


@st.fragment  # another choice draws this table anew, and adds nothing up again
def draw_groups(found: genai.Monitor) -> None:
    """Draw one line a value of the dimension that a person chooses."""
    names = {title: name for name, title in GROUPS.items() if lines(found, name)}
    if not names:
        return
    st.subheader("Groups")
    name = names[st.selectbox("Group by", list(names))]
    st.dataframe(
        [
            {
                GROUPS[name]: line.name, "calls": line.calls, "answers": line.answers,
                "refused": percent(line.refused), "failed": percent(line.failed),
                "p50": seconds(line.p50), "p95": seconds(line.p95), "p99": seconds(line.p99),
                "first text, p50 / p95": both(line.ttft, line.ttft_p95),
                "between tokens, p50 / p95": both(line.inter_token, line.inter_token_p95),
                "tokens": line.tokens, "from a cache": percent(line.cached),
                "cost": str(line.money),
                "per answer": "unknown" if line.per_answer is None else f"${line.per_answer:.4f}",
                "thumbs up / down": f"{line.thumbs[0]:,} / {line.thumbs[1]:,}",
                "guards": ", ".join(f"{n:,} {word}" for word, n in line.verdicts.items()),
            }
            for line in lines(found, name)
        ],
        hide_index=True,
        column_config=dict.fromkeys(("calls", "answers", "tokens"), COUNT),
    )  # fmt: skip


def draw_guards(found: genai.Monitor) -> None:
    """Draw what the guards decided, place by place."""
    if found.guards:
        st.subheader("Guards")
        decisions = sorted({name for each in found.guards for name in each.reasons})
        st.dataframe(
            [
                {"place": each.name, "texts": each.calls,
                 **{name: each.reasons.get(name, 0) for name in decisions}}
                for each in found.guards
            ],
            hide_index=True,
            column_config=dict.fromkeys(("texts", *decisions), COUNT),
        )  # fmt: skip


def draw_reasons(found: genai.Monitor) -> None:
    """Draw why questions were not answered."""
    if found.whole.reasons:
        st.subheader("Why not answered")
        st.dataframe(
            [{"reason": name, "questions": n} for name, n in found.whole.reasons.items()],
            hide_index=True,
            column_config={"questions": COUNT},
        )


def draw_files(found: genai.Monitor) -> None:
    """Offer the report as a file."""
    with st.container(horizontal=True):
        st.download_button("Download as HTML", found.html(), "monitoring.html", "text/html")
        st.download_button(
            "Download as Markdown", found.markdown(), "monitoring.md", "text/markdown"
        )


main()
