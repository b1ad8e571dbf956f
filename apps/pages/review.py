"""The review page: what people complained of, one question at a time, and what becomes of it."""

import html
from typing import Any

import streamlit as st
from drawing import STYLE, clean

import genai

WHY = {
    "edit": "a person wrote a better answer",
    "thumb": "thumb down",
    "online": "an online eval failed",
    "low_support": "little support in the passages",
    "retry": "asked again",
    "refusal": "not answered",
    "guard": "stopped by a guard",
}
LABELS = ["wrong", "not in the source", "incomplete", "too long", "should have answered", "unsafe"]


def main() -> None:
    """Draw the page."""
    st.set_page_config("Review", layout="centered")
    st.html(STYLE)
    st.title("Review")
    try:
        loop = genai.open_loop()
        with st.spinner("Looking for answers to review ..."):
            found = loop.refresh()
        reviewer = draw_sidebar(loop)
        if problem := st.session_state.pop("problem", ""):
            st.error(clean(problem))
        if done := st.session_state.pop("done", ""):
            st.success(clean(done))
        items = loop.items()
        if items and reviewer:
            draw_item(loop, items[0], reviewer, len(items))
        elif items:
            st.info(f"{waiting(len(items))} Enter your name in the side bar first.")
        else:
            st.success("Nothing to review. A thumb down, a refusal or low support brings an"
                       " answer here.")  # fmt: skip
            if found.blind:
                calls = "1 call has" if found.blind == 1 else f"{found.blind} calls have"
                st.info(f"{calls} something to look at, but no text was kept. To keep the turns"
                        " that people agree to, set `ledger.content: feedback` in"
                        " configs/genai.yaml.")  # fmt: skip
        draw_decided(loop)
    except genai.GenaiError as error:
        st.error(f"This cannot be reviewed. {clean(str(error))}")


def waiting(count: int) -> str:
    """Say how many items are open."""
    return f"{count} question{'' if count == 1 else 's'} to review."


def draw_sidebar(loop: Any) -> str:
    """Ask who reviews; show where everything is."""
    with st.sidebar:
        reviewer = st.text_input("Your name", key="reviewer").strip()
        before = st.session_state.get("last_decision")
        if before and reviewer:
            st.button("Take the last decision back", on_click=decide,
                      args=(loop, before, "reopen", reviewer), width="stretch")  # fmt: skip
        stages = [stage for stage in loop.status().stages if stage.count]
        if stages:
            st.subheader("Stages")
        for stage in stages:
            age = "" if stage.oldest is None else f", oldest {stage.ages[0]}"
            st.markdown(f"{stage.name}: **{stage.count}**{age}")
    return reviewer


def draw_item(loop: Any, item: Any, reviewer: str, count: int) -> None:
    """Draw one question, what was said, and the decisions."""
    reasons = ", ".join(WHY.get(each, each) for each in item.why)
    often = "" if item.calls == 1 else f" Asked {item.calls} times."
    consent = "" if item.consent else " **The person did not agree to its use.**"
    st.markdown(f"{waiting(count)} This one: {clean(reasons)}.{often}{consent}")
    quoted("Question", item.question or "The ledger no longer holds it.")
    said = item.answer or ("Nothing was answered." if item.question else "")
    quoted("What was said", said)
    if item.comment:
        quoted("What the person says of it", item.comment)
    st.text_area("What should have come", item.wish or item.answer, key=f"text-{item.id}")
    label = st.selectbox("What was wrong", ["", *LABELS], key=f"label-{item.id}")
    given = (loop, item, reviewer)
    with st.container(horizontal=True):
        st.button("It is right", key="accept", on_click=decide,
                  args=(loop, item, "accept", reviewer))  # fmt: skip
        st.button("Save what should have come", key="edit", type="primary", on_click=save,
                  args=given)  # fmt: skip
        st.button("Should be refused", key="refuse", on_click=decide,
                  args=(loop, item, "refuse", reviewer, "", label or ""))  # fmt: skip
        st.button("Of no use", key="reject", on_click=decide,
                  args=(loop, item, "reject", reviewer))  # fmt: skip
    st.markdown("Read it for names: rules replace addresses, numbers and secrets, not names.")


def quoted(title: str, text: str) -> None:
    """Draw a text of somebody else; nothing in it is markup."""
    st.subheader(title)
    st.html(f'<div class="quote">{html.escape(text)}</div>')


def draw_decided(loop: Any) -> None:
    """List what is decided and can be promoted."""
    decided = loop.items("accepted", "edited")
    if not decided:
        return
    st.subheader(f"To promote ({len(decided)})")
    st.markdown("A case is tested in every run. A pair is trained on, with the prompt and the"
                " passages that the model was sent. A question is one or the other.")  # fmt: skip
    st.checkbox("Train on the question alone, where prompt or passages have changed since",
                key="alone")  # fmt: skip
    for item in decided:
        with st.container(border=True):
            st.markdown(f"**{clean(item.question[:200])}** {item.state} by {clean(item.reviewer)}")
            if item.text:
                st.html(f'<div class="quote">{html.escape(item.text)}</div>')
            with st.container(horizontal=True):
                st.button("Make it a case", key=f"case-{item.id}", on_click=promote,
                          args=(loop, item, "case"))  # fmt: skip
                st.button("Make it a training pair", key=f"pair-{item.id}", on_click=promote,
                          args=(loop, item, "pair"), disabled=not item.text)  # fmt: skip


def save(loop: Any, item: Any, reviewer: str) -> None:
    """Store the better text as it stands in the box now."""
    text = st.session_state[f"text-{item.id}"]
    if text.strip() == item.answer.strip():
        st.session_state["problem"] = "That is what was said: change it, or choose `It is right`."
        return
    decide(loop, item, "edit", reviewer, text, st.session_state[f"label-{item.id}"] or "")


def decide(loop: Any, item: Any, word: str, reviewer: str, text: str = "", label: str = "") -> None:
    """Store a decision; somebody else may have been faster, and then nothing is changed."""
    try:
        call_id = "" if word == "reopen" else item.call_id
        loop.review(item.id, word, reviewer, text=text, label=label, call_id=call_id)
    except genai.GenaiError as error:
        st.session_state["problem"] = str(error)
        return
    st.session_state["last_decision"] = None if word == "reopen" else item


def promote(loop: Any, item: Any, to: str) -> None:
    """Put an item into the suite or the training data. The reviewer has read the question."""
    try:
        made = loop.promote(item.id, to, question_only=st.session_state.get("alone", False))
        st.session_state["done"] = f"It is the {made.target} {made.name}."
    except genai.GenaiError as error:
        st.session_state["problem"] = str(error)


main()
