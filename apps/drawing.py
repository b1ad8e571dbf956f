"""Draw answers, refusals and sources. Text from a model is untrusted and is cleaned first."""

import html
import re

import streamlit as st
from evidence import draw_evidence

import genai

# an image's address is sent to its server when it is drawn; a link can hide where it leads
_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?")
_LINK = re.compile(r"\[([^\]]*)\]\((?!#)[^)]*\)|\[([^\]]+)\]\[[^\]]*\]")
# `[name]: address`, in a quotation or a list too; with the colon escaped it is a text
_DEFINITION = re.compile(r"^([ \t>*+\d.)-]*\[(?:[^\]\\]|\\.)+\]):", re.MULTILINE)
_ADDRESS = re.compile(r"<(?:https?|mailto|data):[^>]*>", re.IGNORECASE)
# an address that stands alone: Streamlit would make a link of it
_BARE = re.compile(r"(?:https?://|www\.)[^\s`<>]*[^\s`<>.,;:!?)\]'\"*_]", re.IGNORECASE)
_CODE = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`)", re.DOTALL)
# where Markdown takes it for no code after all, a target like that of `f[name](event)` is harmless
_ELSEWHERE = re.compile(r"\]\((?=[^)]*(?:[:\\&<]|//))")
STYLE = """
<style>
  .quote mark { background: #ffe58a; color: #1c1c1c; padding: 0 .1em; }
  .quote { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5; font-size: .95rem; }
  .meter { font-size: .85rem; opacity: .85; margin: .25rem 0 .5rem; }
  .state { font-weight: 600; }
  .st-key-row > * { flex: 1 1 19rem !important; }
  .pending .after { display: none; }
  [data-test-script-state="notRunning"] .pending .after { display: inline; }
  [data-test-script-state="notRunning"] .pending .while { display: none; }
</style>
"""
# After a stop no code of ours may draw, so both words are there and the page's state chooses.
PENDING = (
    '<div class="state pending"><span class="while">Answering ...</span>'
    '<span class="after">Stopped. The text so far is kept.</span></div>'
)


def clean(text: str) -> str:
    """Give Markdown that loads nothing and leads nowhere: no images, no links, no raw HTML.

    Code keeps its characters, so that it can be copied; a link in it to elsewhere gets a space.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # each ends a line of Markdown
    parts = _CODE.split(_ADDRESS.sub("", _DEFINITION.sub(r"\1\\:", text)))
    parts[::2] = map(_prose, parts[::2])
    parts[1::2] = [_ELSEWHERE.sub("] (", part) for part in parts[1::2]]
    return "".join(parts)


def _prose(text: str) -> str:
    text = _LINK.sub(lambda found: found[1] or found[2] or "", _IMAGE.sub(r"\1", text))
    text = _BARE.sub(r"`\g<0>`", text.replace("](", "] ("))  # of brackets in brackets, too
    return html.escape(text, quote=False).replace("&amp;", "&").replace("$", "\\$")


def highlighted(passage: str, quote: str) -> str:
    """Give a passage as HTML with its quote marked; everything is escaped."""
    start = passage.find(quote)
    if start < 0:
        return html.escape(passage)
    end = start + len(quote)
    before, after = html.escape(passage[:start]), html.escape(passage[end:])
    return f"{before}<mark>{html.escape(quote)}</mark>{after}"


def place(document: str, heading: str, page: int | None) -> str:
    """Say where a passage stands."""
    where = f", page {page}" if page else (f", {heading.rpartition(' > ')[2]}" if heading else "")
    return f"{document}{where}".replace("[", "(").replace("]", ")")


def draw_outcome(outcome: genai.Answer | genai.Refusal) -> None:
    """Draw what came of a question: sources of an answer, or a refusal's reason and next step."""
    if isinstance(outcome, genai.Refusal):
        st.markdown(f"**Not answered.** {clean(outcome.message)}")
        st.markdown(f"**Next step:** {clean(outcome.next_step)}")
        for number, hit in enumerate(outcome.evidence[:3], start=1):
            where = place(hit.passage.document, hit.passage.heading, hit.passage.page)
            with st.expander(f"Nearest {number}: {where}"):
                st.html(f'<div class="quote">{html.escape(hit.passage.text)}</div>')
    else:
        if outcome.trace.ended:
            st.html(f'<div class="state">{html.escape(outcome.trace.ended)}</div>')
        passages = {hit.passage.id: hit.passage for hit in outcome.hits}
        for citation in outcome.citations:
            passage = passages[citation.passage_id]
            where = place(citation.document, passage.heading, citation.page)
            with st.expander(f"[{citation.number}] {where}"):
                st.html(f'<div class="quote">{highlighted(passage.text, citation.quote)}</div>')
    draw_evidence(outcome)
    draw_guards(outcome)
    draw_meter(outcome.call_id)


def draw_guards(outcome: genai.Answer | genai.Refusal) -> None:
    """Say what the guards changed or left out."""
    notes = dict.fromkeys(
        f"{verdict.place}: {verdict.decision.value} by `{verdict.guard}`. {verdict.reason}"
        for verdict in outcome.verdicts
        if verdict.decision is not genai.Action.BLOCK
    )
    if notes:
        with st.expander(f"Guards ({len(notes)})"):
            for note in notes:
                st.markdown(f"- {clean(note)}")


def draw_meter(call_id: str) -> None:
    """Show tokens, cost and seconds as the ledger holds them."""
    try:
        call = genai.open_ledger().call(call_id)
    except genai.GenaiError as error:  # the answer is there, and the next question has its turn
        st.error(f"What it took cannot be shown. {clean(str(error))}")
        return
    if call is None:
        return
    tokens = "tokens unknown"
    if call.input_tokens == 0:
        tokens = "no model was called"
    elif call.input_tokens is not None:
        counted = " (counted here)" if call.usage.source == "counted" else ""
        tokens = f"{call.input_tokens} + {call.output_tokens} tokens{counted}"
    cost = "cost unknown" if call.cost.amount is None else str(call.cost)
    if call.cost.status == genai.CostStatus.DECLARED_FREE:
        cost = "$0 (declared free)"
    words = f"{tokens} · {cost} · {call.seconds:.2f} s"
    st.html(f'<div class="meter" data-call="{html.escape(call_id)}">{html.escape(words)}</div>')
