"""The one-page summary of a business case: self-contained, light and dark, nothing from outside."""

from typing import TYPE_CHECKING

from genai.reports.business import plots
from genai.reports.business.register import HEADS
from genai.reports.pages import escaped, frame, table

if TYPE_CHECKING:
    from genai.reports.business.report import BusinessReport
_STYLE = """
body{max-width:60rem}
.warn{border-left:4px solid #c60;padding-left:.7rem}
.axis{fill:none;stroke:currentColor;opacity:.5}
.band{fill:#38a;opacity:.25}
.middle{fill:none;stroke:#38a;stroke-width:2}
.bar{fill:#38a}
"""


def page(report: "BusinessReport") -> str:
    """Give the one-page summary: the decision, its range, what matters, and who stands for it."""
    s, case, found = report.settings, report.case, report.outlook
    middle = f"{found.p50:,.0f} ({found.p10:,.0f} to {found.p90:,.0f})"
    head = [("value, middle (P10 to P90)", middle),
            ("chance of a gain", f"{found.positive:.1%}"),
            ("mean of the worst 5 %", f"{found.cvar5:,.0f}"),
            ("value, single values", f"{case.npv:,.2f}"),
            ("benefit per case", f"{case.benefit_per_case:,.4f}"),
            *report.key_figures(),
            ("perfect knowledge is worth", f"{found.evpi:,.0f}")]  # fmt: skip
    if report.warnings:
        head = head[3:]
    warn = "".join(
        f'<p class="warn">No headline figure: {escaped(w)}.</p>' for w in report.warnings
    )
    kill = table(("criterion", "now", ""), [
        (c.words, "unknown" if v is None else f"{v:.4g}", "kept" if ok else "BROKEN")
        for c, v, ok in report.kill])  # fmt: skip
    register = table(HEADS, [list(row.values()) for row in report.register()])
    remarks = "".join(f'<p class="warn">{escaped(each)}.</p>' for each in report.remarks)
    flow = table(("month", "benefit", "variable", "fixed", "compliance", "net", "cumulative"), [
        (str(m.number), *map(_whole, (m.benefit, m.variable, m.fixed, m.compliance, m.net,
                                      m.cumulative)))
        for m in case.months])  # fmt: skip
    hosting = "".join(f"<p>{escaped(line)}</p>" for line in report.hosting())
    if report.bands:
        most = max(start for start, _ in report.bands) * 1.3
        hosting = plots.bands(report.bands, most).svg() + hosting
    hosting = f"<h2>Buying or hosting</h2>{hosting}" if hosting else ""
    tied = "".join(
        f"<p>Drawn together: {escaped(pair)}, rank correlation {share:g}.</p>"
        for pair, share in s.correlations.items()
    )
    stamp = table(("what it rests on", ""), list(report.stamp.items()))
    return frame(
        s.title, _STYLE,
        f"<h1>{escaped(s.title)}</h1><p>{escaped(s.decision)}</p>{warn}"
        f"<p>Amounts in {escaped(s.currency)}, {s.months} months, {found.draws:,} draws, seed"
        f" {found.seed}.</p>{table(('figure', 'value'), head)}"
        f"<h2>What moves it</h2>{report.plot('tornado').svg()}"
        f"<h2>Over time</h2>{report.plot('fan').svg()}"
        f"<h2>How sure it is</h2>{report.plot('curve').svg()}{hosting}<h2>What ends it</h2>{kill}"
        f"<h2>Assumptions</h2>{register}{remarks}{tied}<h2>Cash flow</h2>{flow}"
        f"{stamp}",
    )  # fmt: skip


def _whole(value: float) -> str:
    return f"{value:,.0f}"
