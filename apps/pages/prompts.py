"""The prompts page: two versions of a prompt side by side, by what their difference means."""

import html
from typing import Any

import streamlit as st
from drawing import STYLE, clean

import genai

LOOK = """
<style>
  .changes { list-style: none; margin: 0 !important; padding: 0 !important; }
  .changes > li { border-left: 4px solid rgba(128, 128, 128, .6); padding: .2rem 0 .2rem .8rem;
    margin: 0 0 .8rem !important; overflow-wrap: anywhere; }
  .changes > li.breaking { border-left-color: #d0454f; }
  .changes .kind { font-weight: 600; }
  .changes .side { font-family: monospace; font-size: .9rem; }
  .changes .why { font-weight: 600; }
  .words { font-family: monospace; font-size: .85rem; line-height: 1.5; margin: .3rem 0 0;
    white-space: pre-wrap; overflow-wrap: anywhere; }
  .words div { padding: 0 .4rem 0 1.6rem; text-indent: -1.2rem; min-height: 1.5em; }
  .words .new { background: rgba(46, 160, 67, .22); }
  .words .old { background: rgba(208, 69, 79, .22); }
</style>
"""
STATES = {
    "locked": "evaluated as it is",
    "changed": "changed since its eval",
    "new": "never evaluated and locked",
    "": "cannot be read",
}
SIGNS = {"+": "new", "-": "old"}


def main() -> None:
    """Draw the page."""
    st.set_page_config("Prompts", layout="wide")
    st.html(STYLE)
    st.html(LOOK)
    st.title("Prompts")
    try:
        known = {each.name: each for each in genai.known_prompts()}
        if not known:
            st.info("No prompt yet. Write one as prompts/TOPIC/NAME.md and come back.")
            return
        first = genai.settings().chain.prompt.partition("@")[0]
        names = sorted(known, key=lambda name: name != first)
        name = st.selectbox(
            "Prompt", names, format_func=lambda each: f"{each}: {STATES[known[each].state]}"
        )
        draw_prompt(known[name])
        before, after = draw_choice(known[name], names)
        draw_difference(before, after)
    except genai.GenaiError as error:
        st.error(f"This cannot be shown. {clean(str(error))}")


def draw_prompt(each: Any) -> None:
    """Say what the file holds now and what its eval said."""
    if each.problem:
        st.error(clean(each.problem))
        return
    words = [clean(each.description), f"`{each.name}@{each.hash}`, {each.tokens} tokens."]
    if each.receipt is not None:
        receipt = each.receipt
        words.append(
            f"{receipt.decision} in run {clean(receipt.run)} of {clean(receipt.suite)},"
            f" locked {receipt.at}."
        )
    if each.labels:
        words.append(f"Labels: {clean(', '.join(each.labels))}.")
    st.markdown(" ".join(words))
    if each.state != "locked":
        st.markdown("After a run has passed, lock the prompt:")
        st.code(f"genai prompt lock {each.name}", language=None)


def draw_choice(each: Any, names: list[str]) -> tuple[str, str]:
    """Let the person choose what to compare: versions of the prompt, or another one."""
    name = each.name
    found = dict(each.versions())
    pinned = [key for key in found if "@" in key]
    commits = [key for key in found if ":" in key]
    words = found | {other: f"the prompt {other}" for other in names if other != name}
    choices = list(words)
    # what the eval saw, or else the commit before the newest one
    start = (pinned if each.state == "changed" else commits[1:2] or pinned or commits or [name])[0]
    left, right = st.columns(2)
    before = left.selectbox(
        "Before", choices, index=choices.index(start), format_func=words.__getitem__,
        key=f"before-{name}",
    )  # fmt: skip
    after = right.selectbox("After", choices, format_func=words.__getitem__, key=f"after-{name}")
    return before, after


def draw_difference(before: str, after: str) -> None:
    """Draw the figures, then each change with what it breaks."""
    found = genai.diff_prompts(before, after)
    old, new = found.tokens
    breaks = sum(change.breaking for change in found.changes)
    with st.container(horizontal=True, gap="medium"):
        st.metric("Changes", len(found.changes), width="content")
        st.metric("Breaking", breaks, width="content")
        st.metric("Tokens", f"{old:,} to {new:,}", width="content")
        st.metric("Change of input cost, 1,000 calls", found.money(), width="content")
    st.markdown(
        f"Tokens are those of the template without its variables; the price is that of"
        f" `{found.model}`."
    )
    if not found.changes:
        st.success("For the model and for your program the two are the same.")
        return
    st.subheader("What changed")
    st.html(f'<ul class="changes">{"".join(map(item, found.changes))}</ul>')


def item(change: Any) -> str:
    """Give one change as HTML; all of it is escaped."""
    sides = [html.escape(each) or "nothing" for each in (change.before, change.after)]
    parts = [
        f'<span class="kind">{html.escape(change.rule)}</span> {html.escape(change.what)}',
        "" if change.lines else f'<div class="side">{sides[0]} &rarr; {sides[1]}</div>',
        f'<div class="why">Breaking: {html.escape(change.why)}</div>' if change.why else "",
        f'<div class="words">{"".join(map(line, change.lines))}</div>' if change.lines else "",
    ]
    return f"<li{' class=breaking' if change.breaking else ''}>{''.join(parts)}</li>"


def line(text: str) -> str:
    """Give one line of a turn; its sign says whether it is new or old."""
    kind = SIGNS.get(text[:1], "")
    return f"<div{f' class={kind}' if kind else ''}>{html.escape(text)}</div>"


main()
