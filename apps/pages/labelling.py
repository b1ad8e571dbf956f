"""The labelling page: one answer at a time, pass or fail, without what others or a judge said."""

import html
from typing import Any

import streamlit as st
from drawing import STYLE, clean

import genai


def main() -> None:
    """Draw the page."""
    st.set_page_config("Labelling", layout="centered")
    st.html(STYLE)
    st.title("Labelling")
    try:
        labelling, labeller = draw_choice()
        if labelling is not None and labeller:
            draw_step(labelling, labeller)
    except genai.GenaiError as error:
        st.error(f"This cannot be labelled. {clean(str(error))}")


def draw_choice() -> tuple[genai.Labelling | None, str]:
    """Let the person say who they are and what they label."""
    choices = genai.Labelling.choices(genai.find_project().state / "runs")
    if not choices:
        st.info("No run yet. Run a suite and come back:")
        st.code("genai eval handbook", language=None)
        return None, ""
    with st.sidebar:
        suite = st.selectbox("Suite", list(choices))
        runs = choices[suite]
        run = st.selectbox("Run", [report.run for report in runs])
        report = next(report for report in runs if report.run == run)
        metric = st.selectbox("Metric", [metric.name for metric in report.metrics])
        labeller = st.text_input("Your name").strip()
        count = int(st.number_input("Sample, answers", 10, 1000, 60, 10))
    if not labeller:
        st.info("Enter your name in the side bar. Two people label the same answers; a third"
                " decides where they differ.")  # fmt: skip
        return None, ""
    return opened(suite, metric, run, count), labeller


@st.cache_resource(max_entries=4, show_spinner="Reading the run ...")
def opened(suite: str, metric: str, run: str, count: int) -> genai.Labelling:
    """Draw the sample once; labels are read anew each time."""
    project = genai.find_project()
    runs, evals = project.state / "runs", project.root / "evals"
    return genai.Labelling(runs, evals, suite, metric, run=run, count=count)


def draw_step(labelling: genai.Labelling, labeller: str) -> None:
    """Show what comes next: an answer with its buttons, or whom it waits for."""
    step = labelling.step(labeller)
    total = len(labelling.items)
    queue = labelling.queue(labeller)
    st.progress(1 - len(queue) / total, text=clean(step.sentence))
    if labelling.rule:
        st.markdown(f"**{labelling.metric}:** {clean(labelling.rule)}")
    before = st.session_state.get("last_label")
    again = st.session_state.get("again", False) and before in labelling.items
    if again:
        draw_item(labelling, before, labeller)
    elif queue:
        draw_item(labelling, queue[0], labeller)
    else:
        st.success(clean(f"Nothing left for you. {step.sentence[:1].upper()}{step.sentence[1:]}."))
    if before in labelling.items and not again:
        st.button("Back to the last one", shortcut="b", on_click=back)


def draw_item(labelling: genai.Labelling, item: Any, labeller: str) -> None:
    """Draw a question, the passages and the answer, and take the label."""
    st.subheader("Question")
    st.html(f'<div class="quote">{html.escape(item.question)}</div>')
    if item.expected:
        st.subheader("Accepted answers")
    for text in item.expected:
        st.html(f'<div class="quote">{html.escape(text)}</div>')
    st.subheader("Answer")
    st.html(f'<div class="quote">{html.escape(item.answer)}</div>')
    with st.container(horizontal=True):
        for words, key, label in (("Pass", "p", True), ("Fail", "f", False),
                                  ("Cannot be told", "s", None)):  # fmt: skip
            given = (labelling, item, label, labeller)
            st.button(words, key=f"label-{key}", shortcut=key, on_click=save, args=given)
    if item.contexts:
        st.subheader("Passages the answer was made from")
    for number, text in enumerate(item.contexts, start=1):
        with st.expander(f"Passage {number}", expanded=number == 1):
            st.html(f'<div class="quote">{html.escape(text)}</div>')


def save(labelling: genai.Labelling, item: Any, label: bool | None, labeller: str) -> None:
    """Store a label; the page then shows the next answer."""
    try:
        labelling.save(item, label, labeller)
    except genai.GenaiError as error:
        st.error(clean(str(error)))
        return
    st.session_state["last_label"] = item
    st.session_state["again"] = False


def back() -> None:
    """Show the last answer once more, for another label."""
    st.session_state["again"] = True


main()
