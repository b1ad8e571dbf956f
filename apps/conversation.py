"""The conversation of a session: plain dicts, so that a stop can still write to them."""

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

import genai

Turn = dict[str, Any]
_KEPT = 24 * 3600  # seconds for which uploads are kept that nobody asks


def session() -> str:
    """Give this browser session its own name, for its uploads."""
    return str(st.session_state.setdefault("session", secrets.token_hex(6)))


def turns() -> list[Turn]:
    """Give the turns of the running conversation."""
    found: list[Turn] = st.session_state.setdefault("turns", [])
    return found


def new_turn(question: str) -> Turn:
    """Add a question with its first, empty version."""
    turn: Turn = {"id": secrets.token_hex(4), "question": question, "versions": [], "shown": 0}
    turns().append(turn)
    return turn


def new_version(turn: Turn) -> dict[str, Any]:
    """Add an empty version to a turn and show it."""
    version = {"text": "", "state": "waiting", "outcome": None, "error": "", "at": time.time()}
    turn["versions"].append(version)
    turn["shown"] = len(turn["versions"]) - 1
    return version


def talk(turn: Turn) -> list[dict[str, str]]:
    """Give the conversation up to a turn's question, as shown, for a follow-up is short."""
    said: list[dict[str, str]] = []
    for earlier in turns():
        said.append({"role": "user", "content": earlier["question"]})
        if earlier is turn:
            break
        version = earlier["versions"][earlier["shown"]]
        text = version["text"] or getattr(version["outcome"], "text", "")
        if text:
            said.append({"role": "assistant", "content": text})
    return said


def clear() -> None:
    """Begin a new conversation; the old one can be restored once."""
    if turns():
        st.session_state["cleared"] = st.session_state["turns"]
    st.session_state["turns"] = []


def restore() -> None:
    """Bring the conversation back that was cleared last."""
    st.session_state["turns"] = st.session_state.pop("cleared")


@st.cache_resource(show_spinner="Opening the documents ...")
def open_chain() -> genai.Chain:
    """Open the chain on the shared documents; an index that was never synced is synced first."""
    remove_old_uploads()
    chain = genai.load()
    if not chain.index.revision:
        chain.index.sync(genai.find_project().root / chain.config.index.documents)
    chain.index.warm()
    return chain


def open_own() -> genai.Chain:
    """Open the chain on this session's own documents, which are in use by that."""
    os.utime(upload_folder())
    return _opened(upload_index())


# what falls out closes when the last session lets go of it, and opens again when it is asked
@st.cache_resource(max_entries=8, show_spinner="Opening the documents ...")
def _opened(index: str) -> genai.Chain:
    chain = genai.load(chain__index=index)
    chain.index.warm()
    return chain


def upload_folder() -> Path:
    """Give the folder of this session's own documents."""
    return genai.find_project().state / "uploads" / session()


def remove_old_uploads() -> None:
    """Remove the documents that no session has used for a day, and their indexes."""
    state = genai.find_project().state
    for folder in (state / "uploads").glob("*"):
        with suppress(OSError):  # another app was faster, or may alone
            if time.time() - folder.stat().st_mtime > _KEPT:
                index = f"uploads-{folder.name}"
                _opened.clear(index)
                shutil.rmtree(state / "indexes" / index, ignore_errors=True)
                shutil.rmtree(folder)


def upload_index() -> str:
    """Give the name of this session's own index."""
    return f"uploads-{session()}"


def own_name(given: str, taken: set[str]) -> str:
    """Name a file after an uploaded one: no folder, nothing hidden, not too long, not `taken`."""
    path = Path(re.sub(r"[^\w.\- ]", "_", Path(given).name))
    stem = path.stem.lstrip(".").encode()[:150].decode(errors="ignore") or "document"
    name, number = stem + path.suffix, 2
    while name in taken:
        name, number = f"{stem} {number}{path.suffix}", number + 1
    return name


def save_uploads(files: list[Any]) -> tuple[int, list[str]]:
    """Index the given files apart from the shared documents.

    Returns:
        How many documents can be searched, and a sentence for each that cannot.
    """
    remove_old_uploads()
    folder = upload_folder()
    folder.mkdir(parents=True, exist_ok=True)
    names: set[str] = set()
    for file in files:
        name = own_name(file.name, names)
        names.add(name)
        (folder / name).write_bytes(file.getvalue())
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    index = open_own().index
    report = index.sync(folder)
    return len(index.documents()), [reason for _, reason in report.failed]
