"""Draw the way to an answer: which passages were found, left out, used and cited, and why."""

import html
from typing import Any

import streamlit as st

import genai

LOOK = """
<style>
  .way { margin: .2rem 0 .8rem !important; padding: 0 !important; list-style: none; }
  .way > li { border-left: 4px solid rgba(128, 128, 128, .6); margin: 0 0 .5rem !important;
    padding: .1rem 0 .1rem .7rem; overflow-wrap: anywhere; font-size: .9rem; }
  .way > li.cited { border-left-color: #2ea043; }
  .way > li.quarantined { border-left-color: #d0454f; }
  .way .what { font-weight: 600; }
</style>
"""
SIGNALS = {
    "sentence": "one sentence says it",
    "lead": "the first document fits better than the others",
    "together": "the passages stand in one document",
    "drop": "the first passage stands out in full text",
}


def draw_evidence(outcome: genai.Answer | genai.Refusal) -> None:
    """Draw the trace of an outcome, closed until somebody wants to know."""
    trace = outcome.trace
    if trace is None or not trace.found:
        return
    used = sum(each.used for each in trace.found)
    cited = sum(bool(each.cited) for each in trace.found)
    left_out = len(trace.quarantined)
    title = f"Trace: {len(trace.found)} found, {left_out} quarantined, {used} used, {cited} cited"
    with st.expander(title):
        st.html(LOOK)
        st.html(f"<p>{html.escape(searched(trace))}</p>")
        rows = "".join(passage(each) for each in trace.found)
        st.html(f'<ul class="way">{rows}</ul>')
        st.html(f"<p>{html.escape(weighed(trace))}</p>")
        for line in [*judged(trace), *trace.notes]:
            st.html(f"<p>{html.escape(line)}</p>")


def searched(trace: Any) -> str:
    """Say what was searched: the question after guards and rewriting, and its other wordings."""
    others = ", ".join(f"\u201c{query}\u201d" for query in trace.queries[1:])
    return f"Searched: \u201c{trace.question}\u201d" + (f"; also {others}" if others else "") + "."


def passage(found: Any) -> str:
    """Give one passage with what became of it and the parts of its score."""
    what, kind = "found, not shown to the model", "found"
    if found.quarantined:
        what, kind = f"quarantined: {found.quarantined}", "quarantined"
    elif found.cited:
        numbers = "".join(f"[{number}]" for number in found.cited)
        what, kind = f"cited as {numbers}", "cited"
    elif found.used:
        what, kind = "used, not cited", "used"
    hit = found.hit
    where = hit.passage.heading.rpartition(" > ")[2]
    parts = [f"score {hit.score:.2f}"]
    parts += listed("full text", hit.bm25, hit.ranks[0])
    parts += listed("similarity", hit.dense, hit.ranks[1])
    parts += [] if found.rerank is None else [f"reranker {found.rerank:.2f}"]
    place = f"{hit.passage.document}{f', {where}' if where else ''}"
    return (
        f'<li class="{kind}"><span class="what">{html.escape(what)}</span><br>'
        f"{html.escape(place)}<br>{html.escape(', '.join(parts))}</li>"
    )


def listed(name: str, value: float | None, rank: int | None) -> list[str]:
    """Say what one list gave a passage, and where it stood there; nothing if it was not in it."""
    place = "" if rank is None else f" (rank {rank})"
    return [] if value is None else [f"{name} {value:.2f}{place}"]


def weighed(trace: Any) -> str:
    """Say how sure the search was, what it had to reach, and which signal spoke most for it."""
    relation = "reaches" if trace.confidence >= trace.threshold else "is below"
    said = f"Confidence {trace.confidence:.2f} {relation} the threshold {trace.threshold:.2f}."
    if trace.shares:
        best = max(trace.shares, key=trace.shares.__getitem__)
        said += f" What speaks most for it: {SIGNALS[best]}."
    return said


def judged(trace: Any) -> list[str]:
    """Say what became of the model's sentences, where not all of them were released."""
    withheld = [each.support for each in trace.sentences if each.state == "withheld"]
    stopped = sum(each.state == "stopped" for each in trace.sentences)
    lines = []
    if withheld:
        shown = ", ".join(f"{share:.2f}" for share in withheld)
        plural = "sentence" if len(withheld) == 1 else "sentences"
        lines.append(f"{len(withheld)} {plural} withheld as unsupported (support {shown}).")
    return [*lines, "A guard ended the answer."] if stopped else lines
