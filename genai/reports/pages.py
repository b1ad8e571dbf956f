"""What every report that is one HTML page has: its frame, its tables, nothing from outside."""

import html
from collections.abc import Sequence

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui;margin:0 auto;padding:1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8884;vertical-align:top}
td{font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
svg{width:100%;height:auto}
"""


def frame(title: str, style: str, body: str) -> str:
    """Give the page: `body` is HTML, `style` the CSS that it needs besides."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">"
        f"<title>{escaped(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a table of texts, which scrolls by itself where it is wide."""
    if not rows:
        return "<p>None stated.</p>"
    top = "".join(f'<th scope="col">{escaped(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    inner = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{inner}</div>'


def escaped(text: object) -> str:
    """Give a text as it may stand in HTML."""
    return html.escape(str(text))


def _cell(text: str) -> str:
    return f"<td>{escaped(text)}</td>"
