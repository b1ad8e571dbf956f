"""The evals page: what a run measured, and what changed against the baseline."""

import html
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import streamlit as st
from drawing import STYLE, clean

import genai

SHOWN = 20  # changed cases on one screen
UNITS = {"cost": "USD", "cost_per_case": "USD", "latency_p95": "s", "ttft": "s"}
REACH = 12.0  # margins to each side of no difference, at the most
CELLS = """
<style>
  .room { container-type: inline-size; }
  .cells { width: 100%; border-collapse: collapse; font-size: .92rem; }
  .cells th, .cells td { text-align: left; padding: .35rem .6rem .35rem 0; border: 0;
    border-bottom: 1px solid rgba(128, 128, 128, .35); }
  .cells td:first-child { overflow-wrap: anywhere; min-width: 6rem; }
  .cells th { font-weight: 600; white-space: nowrap; }
  .bar { display: block; position: relative; width: 9rem; height: 1.2rem; }
  .bar::before { content: ""; position: absolute; left: 0; right: 0; top: 50%; height: 1px;
    background: rgba(128, 128, 128, .7); }
  .bar span { position: absolute; top: 0; bottom: 0; }
  .bar .between { top: .4rem; bottom: .4rem; background: #4b86d6; min-width: 2px; }
  .bar .limit { border-left: 2px dashed #d0454f; }
  .bar .none { border-left: 2px solid rgba(128, 128, 128, .9); }
  @container (max-width: 720px) {
    .cells thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
      clip-path: inset(50%); }
    .cells, .cells tbody, .cells tr, .cells td { display: block; }
    .cells tr { border: 1px solid rgba(128, 128, 128, .5); border-radius: .5rem;
      padding: .4rem .7rem; margin: .5rem 0; }
    .cells td { border: 0; padding: .1rem 0; display: grid; grid-template-columns: 7rem 1fr;
      overflow-wrap: anywhere; }
    .cells td::before { content: attr(data-label); }
    .cells td:empty { display: none; }
  }
</style>
"""


def main() -> None:
    """Draw the page."""
    st.set_page_config("Evals", layout="wide")
    st.html(STYLE)
    st.html(CELLS)
    st.title("Evals")
    try:
        report = draw_choice()
        if report is None:
            return
        decision = draw_decision(report)
        draw_figures(report)
        draw_metrics(report)
        if decision is not None:
            draw_comparison(decision)
            draw_changes(report, decision)
        draw_slices(report)
    except genai.GenaiError as error:
        st.error(f"This cannot be shown. {clean(str(error))}")


def draw_choice() -> genai.Report | None:
    """Let the person choose a suite and one of its runs."""
    runs = genai.find_project().state / "runs"
    found: dict[str, list[genai.Report]] = {}
    for suite in sorted(folder.name for folder in runs.glob("*")):
        try:
            found[suite] = genai.runs_of(runs, suite)
        except genai.GenaiError as error:  # a damaged run of one suite hides no other suite
            st.error(f"{suite} cannot be shown. {clean(str(error))}")
    found = {suite: reports for suite, reports in found.items() if reports}
    if not found:
        st.info("No run yet. Run a suite and come back:")
        st.code("genai eval handbook", language=None)
        return None
    with st.container(horizontal=True, key="row"):
        suite = st.selectbox("Suite", list(found))
        names = {report.run: f"{report.run} on {report.task}" for report in found[suite]}
        run = st.selectbox("Run", list(names), format_func=lambda name: names[name])
    return next(report for report in found[suite] if report.run == run)


def draw_decision(report: genai.Report) -> genai.Decision | None:
    """Compare with a baseline and say the word."""
    folder = report.evals / "baselines" / report.suite
    names = sorted(path.stem for path in folder.glob("*.jsonl"))
    if not names and report.crashed:  # it would be refused as one
        st.info("This suite has no baseline yet.")
        return None
    if not names:
        st.info("This suite has no baseline yet. To take this run as one:")
        command = f"genai eval accept {report.suite} --run {report.run} --reason 'why it is good'"
        st.code(command, language=None, wrap_lines=True)
        return None
    first = names.index(report.baseline) if report.baseline in names else 0
    name = st.selectbox("Baseline", names, index=first) if len(names) > 1 else names[0]
    changed_at = (folder / f"{name}.jsonl").stat().st_mtime
    decision = compared(str(report.folder), report.at, name, changed_at, report)
    reason = f". {decision.reason}" if decision.reason else ""
    words = f"**{decision}** against {clean(name)}{clean(reason)}"
    show = {"PASS": st.success, "IMPROVED": st.success, "REGRESSION": st.error}
    show.get(str(decision), st.warning)(words)
    return decision


@st.cache_resource(max_entries=4, show_spinner="Comparing with the baseline ...")
def compared(
    folder: str, at: str, name: str, changed_at: float, _report: genai.Report
) -> genai.Decision:
    """Compare once for a run and a baseline as they are on disk."""
    return _report.against(name)


def draw_figures(report: genai.Report) -> None:
    """Draw size, money and time, and why a run ended early or measured nothing."""
    if report.stopped:
        st.warning(f"The run stopped early ({clean(report.stopped)}). Run it again to go on.")
    if report.crashed:
        st.error(f"The run measured nothing: {clean(report.crashed)}. Mend the task.")
    p95 = next((each.value for each in report.metrics if each.statistic == "p95"), None)
    spend = "unknown" if report.unknown_cost == report.trials else f"${report.cost.normalize():f}"
    with st.container(horizontal=True, gap="medium"):
        st.metric("Cases", f"{report.cases:,}", width="content")
        st.metric("Spend", spend, width="content")
        st.metric("Time, p95", "not measured" if p95 is None else f"{p95:.3g} s", width="content")
        st.metric("Tokens", f"{report.tokens:,}" if report.tokens else "unknown", width="content")
    if 0 < report.unknown_cost < report.trials:
        st.markdown(f"The cost of {report.unknown_cost} of {report.trials} trials is unknown.")


class Bar(NamedTuple):
    """An interval on a scale from `least` to `most`, with a limit and the place of no change."""

    low: float
    high: float
    least: float = 0.0
    most: float = 1.0
    limit: float | None = None
    none: float | None = None

    def html(self) -> str:
        """Draw it; its numbers stand beside it."""
        ends = [self.place(self.low), self.place(self.high)]
        width = ends[1] - ends[0]
        parts = [f'<span class="between" style="left:{ends[0]:.1f}%;width:{width:.1f}%"></span>']
        for name, value in (("limit", self.limit), ("none", self.none)):
            if value is not None:
                place = self.place(value)
                parts.append(f'<span class="{name}" style="left:{place:.1f}%"></span>')
        return f'<span class="bar" aria-hidden="true">{"".join(parts)}</span>'

    def place(self, value: float) -> float:
        """Give a value's place in percent."""
        inside = min(max(value, self.least), self.most)
        return 100 * (inside - self.least) / (self.most - self.least)


def draw_table(rows: Sequence[Mapping[str, str | Bar]]) -> None:
    """Draw rows as a table; on a narrow screen each is a card."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in rows[0])
    lines = []
    for row in rows:
        cells = (
            f'<td data-label="{html.escape(name)}">'
            f"{cell.html() if isinstance(cell, Bar) else html.escape(cell)}</td>"
            for name, cell in row.items()
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "".join(lines)
    st.html(
        f'<div class="room"><table class="cells"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def number(value: float | None, signed: bool = False) -> str:
    """Give a number for a table; nothing where it is unknown."""
    return "" if value is None else f"{value:+.3g}" if signed else f"{value:.4g}"


def between(low: float | None, high: float | None, signed: bool = False) -> str:
    """Give an interval for a table."""
    return "" if low is None else f"{number(low, signed)} to {number(high, signed)}"


def named(metric: str) -> str:
    """Give a metric with the unit of its values; a share has none."""
    return f"{metric}, {UNITS[metric]}" if metric in UNITS else metric


def share(low: float | None, high: float | None, limit: float | None = None) -> str | Bar:
    """Draw an interval of shares; nothing for what is no share."""
    if low is None or high is None or low < 0 or high > 1:
        return ""
    return Bar(low, high, limit=limit)


def draw_metrics(report: genai.Report) -> None:
    """Draw each metric with its interval and limit."""
    st.subheader("Metrics and limits")
    draw_table(
        [
            {
                "metric": named(each.name),
                "value": number(each.value),
                "95 % interval": between(each.low, each.high),
                "from 0 to 1": share(each.low, each.high, each.min),
                "limit": each.limit or ("no new failure" if each.hard else ""),
                "n": str(each.n),
                "unmeasured": f"{each.unmeasured} {each.reason}".strip(),
                "state": each.state,
            }
            for each in report.metrics
        ]
    )


def draw_comparison(decision: genai.Decision) -> None:
    """Draw each metric against the baseline, with the bounds of the difference."""
    if not decision.comparisons:
        return
    st.subheader("Against the baseline")
    ends = [
        abs(bound) / each.margin
        for each in decision.comparisons
        for bound in (each.low, each.high)
        if bound is not None
    ]
    reach = min(max([1.5, *ends]) * 1.05, REACH)  # one scale for all rows
    draw_table(
        [
            {
                "metric": named(each.metric),
                "baseline": number(each.before),
                "now": number(each.after),
                "bounds": between(*each.bounds, signed=True) if each.low is not None else "",
                "in margins": ""
                if each.low is None or each.high is None
                else Bar(each.low / each.margin, each.high / each.margin, -reach, reach, -1.0, 0.0),
                "q": "" if each.q is None else "< 0.001" if each.q < 0.0005 else f"{each.q:.3f}",
                "n": str(each.n),
                "verdict": str(each.word) if each.gate else "suspect" if each.suspect else "shown",
            }
            for each in decision.comparisons
        ]
    )
    st.markdown(
        "The bounds hold the mean difference, more being better. A metric passes when its bar lies"
        f" right of the dashed line, the margin; a hard one when no case that passed before fails"
        f" now. The bar spans {reach:.1f} margins to each side; q is the p-value adjusted for all"
        " metrics, n the number of cases."
    )


def draw_slices(report: genai.Report) -> None:
    """Draw one metric over the groups of cases."""
    metrics = list(dict.fromkeys(each.metric for each in report.slices))
    if not metrics:
        return
    st.subheader("Slices")
    metric = st.selectbox("Metric of the slices", metrics)
    draw_table(
        [
            {
                "slice": each.tag,
                "value": number(each.value),
                "95 % interval": between(each.low, each.high),
                "from 0 to 1": share(each.low, each.high),
                "n": str(each.n),
            }
            for each in report.slices
            if each.metric == metric
        ]
    )


def draw_changes(report: genai.Report, decision: genai.Decision) -> None:
    """List the cases that changed in a metric, with both answers."""
    moved = {each.metric: each for each in decision.comparisons if each.flips}
    if not moved:
        return
    st.subheader("Changed cases")
    card = report.scorecard
    columns = st.columns(3)
    order = sorted(moved, key=lambda name: not moved[name].gate)
    each = moved[columns[0].selectbox("Metric", order)]
    ways = [f"{each.losses} worse", f"{each.gains} better"]
    worse = columns[1].selectbox("Verdict", ways, index=int(not each.losses)) == ways[0]
    flips = each.flips[: each.losses] if worse else each.flips[each.losses :]
    tags = {flip.case: row.tags for flip in flips if (row := card.row(flip.case)) is not None}
    choices = sorted({tag for found in tags.values() for tag in found})
    tag = columns[2].selectbox("Slice", ["all", *choices])
    chosen = [flip for flip in flips if tag in ("all", *tags.get(flip.case, ()))]
    start = 0
    if len(chosen) > SHOWN:
        pages = -(-len(chosen) // SHOWN)
        start = SHOWN * (int(st.number_input(f"Page of {pages}", 1, pages)) - 1)
    if not chosen:
        st.markdown("No case of this kind.")
    for flip in chosen[start : start + SHOWN]:
        title = f"{clean(flip.case)}: {number(flip.before)} to {number(flip.after)}"
        with st.expander(title, expanded=len(chosen) <= 3):
            sides = st.columns(2)
            for side, head, said in zip(
                sides, ("Before", "Now"), (flip.said_before, flip.said_after), strict=True
            ):
                side.markdown(f"**{head}**")
                text = html.escape(said or "not kept; the run is too large")
                side.html(f'<div class="quote">{text}</div>')


main()
