"""The training page: the curves of a run while it goes on."""

from collections.abc import Mapping
from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st
from drawing import clean

import genai

EVERY = 2  # seconds between two looks at a run that goes on
DRAWN = 500  # points of a curve; more are thinned out
SAID = {"running": "Running", "stopped": "Stopped", "finished": "Finished"}


def main() -> None:
    """Draw the page."""
    st.set_page_config("Training", layout="wide")
    st.title("Training")
    runs = genai.find_project().state / "finetune" / "runs"
    found = sorted(runs.glob("*/curves.jsonl"), key=lambda path: -path.stat().st_mtime)
    if not found:
        st.info("No run yet. Start one and come back:")
        st.code("genai finetune run", language=None)
        return
    names = [path.parent.name for path in found]
    folder = runs / st.selectbox("Run", names, key="run")
    try:
        state = genai.read_curves(folder).state
    except genai.GenaiError as error:
        st.error(f"This run cannot be shown. {clean(str(error))}")
        return
    st.fragment(draw, run_every=EVERY if state == "running" else None)(folder, state)


def draw(folder: Path, state: str) -> None:
    """Draw a run as it is now; once it has ended, the page stops looking."""
    try:
        curves = genai.read_curves(folder)
    except genai.GenaiError:  # begun anew this moment
        return
    if curves.state != state:
        st.rerun()
    draw_figures(curves)
    draw_curves(curves)
    st.markdown(
        "These are the trainer's numbers, and the task score is that of the dev set. Neither"
        " promotes a model; the gate does:"
    )
    st.code(f"genai finetune compare {curves.name}", language=None, wrap_lines=True)


def draw_figures(curves: genai.Curves) -> None:
    """Draw where the run is and what it says now."""
    step, score = int(curves.lines[-1]["step"]), curves.last(f"dev/{curves.metric}")
    figures = {
        "State": SAID[curves.state],
        "Step": f"{step:,} of {curves.steps:,}",
        "Time left": left(curves) if curves.state == "running" else "",
        "Loss": number(curves.last("loss")),
        "Margin": number(curves.last("rewards/margins")),
        f"Task score, {curves.metric}": number(score),
    }
    with st.container(horizontal=True, gap="medium"):
        for name, value in figures.items():
            if value:
                st.metric(name, value, width="content")


def left(curves: genai.Curves) -> str:
    """Say how long the rest takes at the pace since the last start."""
    timed = [each for each in curves.lines if "seconds" in each]
    starts = [n for n in range(1, len(timed)) if timed[n]["seconds"] < timed[n - 1]["seconds"]]
    first, last = timed[starts[-1] if starts else 0], timed[-1]
    done = last["step"] - first["step"]
    seconds = last["seconds"] - first["seconds"]
    if done <= 0 or seconds <= 0:
        return "unknown"
    return f"{seconds / done * (curves.steps - last['step']):,.0f} s"


def number(value: float | None) -> str:
    """Give a figure; nothing where the run has none."""
    return "" if value is None else f"{value:.3f}"


def draw_curves(curves: genai.Curves) -> None:
    """Draw each figure over the steps, all to one scale of steps."""
    kinds = {
        "Loss": "loss",
        f"Task score, {curves.metric}": f"dev/{curves.metric}",
        "Margin of chosen over rejected": "rewards/margins",
        "Log-probability of the chosen": "logps/chosen",
    }
    shown = {title: name for title, name in kinds.items() if curves.last(name) is not None}
    columns = list(st.columns(2))
    for place, (title, name) in enumerate(shown.items()):
        if place == 2:  # a row at a time, so that a narrow screen keeps the order
            columns = list(st.columns(2))
        column = columns[place % 2]
        column.subheader(title)
        column.altair_chart(chart(points(curves.lines, name), curves.steps), width="stretch")


def points(lines: tuple[Mapping[str, float], ...], name: str) -> pd.DataFrame:
    """Give a figure's values, thinned to what a screen can show; first and last are kept."""
    found = [{"step": each["step"], "value": each[name]} for each in lines if name in each]
    every = -(-len(found) // DRAWN)
    return pd.DataFrame([*found[:-1:every], found[-1]])


def chart(table: pd.DataFrame, steps: int) -> alt.Chart:
    """Give the plot of one figure; a run of few logs shows its points."""
    x = alt.X("step:Q", scale=alt.Scale(domain=[0, steps]), axis=alt.Axis(tickMinStep=1))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    shown: alt.Chart = (
        alt.Chart(table, height=260)
        .mark_line(point=len(table) < 40)
        .encode(x=x, y=y, tooltip=["step:Q", alt.Tooltip("value:Q", format=".4g")])
    )
    return shown


main()
