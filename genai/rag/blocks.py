"""Blocks of a reply: code between fences is judged and shown whole, a table with its head."""

import re
from collections.abc import Iterable

from genai.rag.cite import whole_sentences

_FENCE = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^`\n]*\n(?P<code>.*?)(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_HEAD = re.compile(r"^[ \t]*\|.*\n[ \t]*\|[-:| \t]*$", re.MULTILINE)
_ROW = re.compile(r"(\|.*?)\s*\|((?: \[\d+\])+)", re.DOTALL)  # with its marks behind it


def whole_units(text: str, ended: bool) -> list[tuple[int, int]]:
    """Give the spans that no later text can change: sentences, and whole blocks."""
    blocks = [found.span() for form in (_FENCE, _HEAD) for found in form.finditer(text)]
    units: list[tuple[int, int]] = []
    for start, end in whole_sentences(text, ended):
        first = next((begin for begin, last in blocks if begin <= start < last), start)
        if units and units[-1][1] > first:
            units[-1] = (units[-1][0], end)
        else:
            units.append((start, end))
    if units and not ended:
        start, end = units[-1]
        last = max((last for begin, last in blocks if begin <= start < last), default=end)
        if text[end:last].strip():
            units.pop()  # the rest of its block is still to come
    return units


def is_head(unit: str) -> bool:
    """Say whether a unit is a table's head: it claims nothing without its rows."""
    return _HEAD.fullmatch(unit) is not None


def claim_of(unit: str) -> str:
    """Give what a unit claims, with its marks; brackets in code are none."""
    found = _FENCE.match(unit)
    return f"{found['code'].replace('[', ' ')}{unit[found.end() :]}" if found else unit


def marked(unit: str, judged: str, numbers: Iterable[int]) -> str:
    """Give a judged unit with its marks where they break no block."""
    found = _FENCE.match(unit)
    if found is None:
        row = _ROW.fullmatch(judged)
        return judged if row is None else f"{row[1]}{row[2]} |"
    code = found[0].rstrip()
    cut = found.end("code") == found.end()  # at the reply's limit, before its last fence
    marks = " ".join(f"[{number}]" for number in numbers)
    return f"{code}\n{found['fence']}\n\n{marks}" if cut else f"{code}\n\n{marks}"
