"""The chat. Start it with `genai app`; it answers from your documents and cites each sentence."""

import re
from typing import Any

import streamlit as st
from conversation import (
    Turn,
    clear,
    new_turn,
    new_version,
    open_chain,
    open_own,
    restore,
    save_uploads,
    session,
    talk,
    turns,
    upload_folder,
)
from drawing import PENDING, STYLE, clean, draw_outcome

import genai

EXAMPLES = [
    "Which documents can the index read?",
    "How many cases does an unpaired comparison need?",
    "When does fine-tuning pay?",
]
REASONS = ["wrong", "not in the source", "incomplete", "too long", "should have answered"]


def main() -> None:
    """Draw the page."""
    st.set_page_config("Ask the documents", layout="centered")
    st.html(STYLE)
    st.title("Ask the documents")
    try:
        config = genai.settings()
        own = draw_sidebar(config.chain.model)
        chain = open_own() if own else open_chain()
    except genai.GenaiError as error:
        st.error(f"The chat cannot start. {clean(str(error))}")
        return
    try:
        draw_talk(chain)
    except genai.GenaiError as error:
        st.error(f"The chat cannot go on. {clean(str(error))}")


def draw_talk(chain: genai.Chain) -> None:
    """Draw what was said, and take the next question."""
    draw_disclosure(chain)
    # the input comes first, so that its stop button is there while an answer is drawn
    typed = st.chat_input("Ask a question", submit_mode="stop", key="question")
    question = typed or st.session_state.pop("example", None)
    for turn in turns():
        draw_turn(turn, chain)
    examples = st.empty()  # emptied at once when a question comes
    if question:
        draw_turn(new_turn(question), chain)
    elif not turns() and chain.index.name == "handbook":  # the examples ask the handbook
        with examples.container():
            draw_examples()


def draw_disclosure(chain: genai.Chain) -> None:
    """Say what speaks, what it can do and what it cannot."""
    held = len(chain.index.documents())
    count = f"{held} document{'' if held == 1 else 's'}"
    what = "an AI system"
    if chain.model.name == "extractive":
        what = "an automatic system without an LLM: it quotes sentences"
    st.markdown(
        f"You are talking to {what}. It answers from {count}, cites every sentence, and says so"
        " when they do not hold the answer. It can pick the wrong sentence; open the source before"
        " you rely on it."
    )


def draw_sidebar(model: str) -> bool:
    """Draw the controls; say whether the person's own documents answer."""
    with st.sidebar:
        shown = re.sub("://[^/]*@", "://", model)  # an address may hold a password
        st.markdown(f"**Model:** `{shown}`")
        st.button("New chat", on_click=clear, width="stretch")
        if "cleared" in st.session_state:
            st.button("Restore the last chat", on_click=restore, width="stretch")
        st.divider()
        kinds = ["md", "html", "pdf", "docx", "txt", "csv"]
        files = st.file_uploader("Your own documents", kinds, accept_multiple_files=True)
        own = False
        if files:
            draw_upload(files)
            own = st.toggle("Answer from my documents", value=True)
            st.markdown("They stay on this machine, in an index of their own.")
    return own


def draw_upload(files: list[Any]) -> None:
    """Index the files once, and name those that could not be read."""
    key = tuple((file.file_id, file.name) for file in files)
    if st.session_state.get("uploaded") != key or not upload_folder().is_dir():
        with st.spinner("Reading ..."):
            st.session_state["upload"] = save_uploads(files)
        st.session_state["uploaded"] = key
    count, failed = st.session_state["upload"]
    st.success(f"{count} document{'' if count == 1 else 's'} ready.")
    for reason in failed:
        st.warning(clean(reason))


def draw_examples() -> None:
    """Offer three questions on the empty page."""
    st.markdown("For example:")
    for example in EXAMPLES:
        st.button(example, width="stretch", on_click=choose, args=(example,))


def choose(example: str) -> None:
    """Ask an example when the page is drawn next."""
    st.session_state["example"] = example


def draw_turn(turn: Turn, chain: genai.Chain) -> None:
    """Draw a question and the version of its answer that is shown."""
    with st.chat_message("user"):
        st.markdown(clean(turn["question"]))
    with st.chat_message("assistant"):
        if not turn["versions"]:
            new_version(turn)
        version = turn["versions"][turn["shown"]]
        if version["state"] == "waiting":
            run(turn, version, chain)
        draw_version(turn, version)


def run(turn: Turn, version: dict[str, Any], chain: genai.Chain) -> None:
    """Stream one answer into its version.

    After a stop Streamlit raises at its next call, in `finally` too, so the text so far is kept in
    a plain dict and the stream is closed by ordinary code.
    """
    version["state"] = "running"
    place, pending = st.empty(), st.empty()
    pending.html(PENDING)
    with genai.scope(session=session()):  # so that asking again is seen as such
        pieces = chain.stream(talk(turn), feature="chat")
    try:
        while (piece := pieces.poll(0.1)) is None or isinstance(piece, str):
            if piece is not None:
                version["text"] += piece
            place.markdown(clean(version["text"]))
        version["outcome"] = piece
        version["state"] = "done"
    except genai.GenaiError as error:
        version["error"] = str(error)
        version["state"] = "failed"
    finally:
        if version["state"] == "running":
            version["state"] = "stopped"
        pieces.close()
    place.empty()
    pending.empty()


def draw_version(turn: Turn, version: dict[str, Any]) -> None:
    """Draw a finished, stopped or failed answer, and what can be done with it."""
    if version["text"]:
        st.markdown(clean(version["text"]))
    if version["state"] in ("stopped", "running"):
        st.html('<div class="state">Stopped. The text so far is kept.</div>')
    if version["state"] == "failed":
        st.error(clean(version["error"]))
    if version["outcome"] is not None:
        draw_outcome(version["outcome"])
    draw_actions(turn, version)


def draw_actions(turn: Turn, version: dict[str, Any]) -> None:
    """Offer another version, the other versions, and feedback."""
    key = turn["id"]
    with st.container(horizontal=True, vertical_alignment="center"):
        again = "Try again" if version["state"] in ("failed", "stopped") else "Regenerate"
        st.button(again, key=f"again-{key}", on_click=ask_again, args=(turn,))
        count = len(turn["versions"])
        if count > 1:
            st.button("Previous", key=f"back-{key}", on_click=show, args=(turn, -1))
            st.markdown(f"{turn['shown'] + 1} of {count}")
            st.button("Next", key=f"next-{key}", on_click=show, args=(turn, 1))
        if version["outcome"] is not None:
            st.feedback("thumbs", key=f"thumb-{key}-{turn['shown']}")
    thumb = st.session_state.get(f"thumb-{key}-{turn['shown']}")
    if version["outcome"] is not None and thumb is not None:
        draw_feedback(turn, version, bool(thumb))


def ask_again(turn: Turn) -> None:
    """Add a version; it is filled when the page is drawn."""
    new_version(turn)


def show(turn: Turn, step: int) -> None:
    """Show another version of an answer."""
    turn["shown"] = (turn["shown"] + step) % len(turn["versions"])


def draw_feedback(turn: Turn, version: dict[str, Any], good: bool) -> None:
    """Ask for a reason, and store the thumb; the turn itself only with the person's tick."""
    key = f"{turn['id']}-{turn['shown']}"
    if version.get("thanked"):
        st.markdown("Thank you. The thumb is stored with the call's number.")
        return
    with st.form(f"feedback-{key}"):
        reason = "" if good else (st.pills("What was wrong?", REASONS, key=f"why-{key}") or "")
        comment = st.text_area("Comment (kept only with the tick below)", key=f"comment-{key}")
        consent = st.checkbox("Store this question and answer, to improve it", key=f"tick-{key}")
        sent = st.form_submit_button("Send feedback")
    if sent:
        outcome = version["outcome"]
        question = outcome.trace.question or turn["question"]  # what a follow-up alone does not say
        genai.open_ledger().feedback(
            outcome.call_id,
            good,
            reason=reason,
            comment=comment,
            turn=(question, version["text"] or outcome.text),
            consent=consent,
        )
        version["thanked"] = True
        st.rerun()


main()
