"""Monitoring as one page: tables and small plots, self-contained, light and dark."""

import html
from collections.abc import Sequence

from genai.reports.monitor import Line, Monitor
from genai.reports.monitor_text import guard_table, period, row, table

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui;margin:0 auto;max-width:72rem;padding:1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8884;vertical-align:top}
td{font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1rem}
figure{margin:0}
svg{width:100%;height:auto}
.line{fill:none;stroke:#38a;stroke-width:2}
.axis{stroke:currentColor;opacity:.4}
"""
_W, _H = 320.0, 120.0


def page(found: Monitor) -> str:
    """Give the page. Nothing in it comes from outside, and no content of a call is on it."""
    rows = table(found)
    plots = "".join(
        _plot(title, found.days, value)
        for title, value in (
            ("questions a day", lambda line: float(line.calls)),
            ("95th percentile, seconds", lambda line: line.p95),
            ("refused, share", lambda line: line.refused and line.refused[0]),
            ("dollars a day", lambda line: float(line.money.total)),
        )
    )
    groups = "".join(
        f"<h2>{_e(title)}</h2>{_table([rows[0], *map(row, group)])}"
        for title, group in (("models", found.models), *found.groups.items())
        if len(group) > 1 or (group and group[0].name != "(none)")
    )
    reasons = [("reason", "questions"), *((r, f"{n:,}") for r, n in found.whole.reasons.items())]
    why = f"<h2>why not answered</h2>{_table(reasons)}" if len(reasons) > 1 else ""
    guards = f"<h2>guards</h2>{_table(guard_table(found))}" if found.guards else ""
    empty = "" if found.whole.calls else "<p>No question yet: ask one with genai ask.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">"
        f"<title>Monitoring</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>Monitoring</h1><p>{_e(period(found))}</p>{empty}<div class="plots">{plots}</div>'
        f"<h2>days</h2>{_table(rows)}{groups}{guards}{why}</main></body></html>"
    )


def _plot(title: str, days: Sequence[Line], value: object) -> str:
    points = [value(line) for line in days]  # type: ignore[operator]
    known = [each for each in points if each is not None]
    if len(known) < 2:
        return ""
    top = max(known) or 1.0
    step = (_W - 8) / (len(points) - 1)
    parts = " L".join(
        f"{4 + step * n:.1f} {_H - 4 - (_H - 24) * each / top:.1f}"
        for n, each in enumerate(points)
        if each is not None
    )
    return (
        f"<figure><figcaption>{_e(title)} (most {top:.3g})</figcaption>"
        f'<svg viewBox="0 0 {_W:g} {_H:g}" role="img" aria-label="{_e(title)}">'
        f'<line class="axis" x1="4" y1="{_H - 4}" x2="{_W - 4}" y2="{_H - 4}"/>'
        f'<path class="line" d="M{parts}"/></svg></figure>'
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_e(cell)}</th>' for cell in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{_e(cell)}</td>' for cell in cells)}</tr>" for cells in rows[1:]
    )
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{inner}</div>'


def _e(text: str) -> str:
    return html.escape(str(text))
