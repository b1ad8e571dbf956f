"""The changelog says what mended what: a line of the loop is written once, under what is next."""

import re
from collections.abc import Sequence
from pathlib import Path

_HEAD = "## Unreleased"
_GROWING = re.compile(r" \(a question of .*?, reviewed by .*?\)")  # what a line of the loop counts
_NEXT = re.compile(r"^## .*unreleased.*$", re.IGNORECASE | re.MULTILINE)


def add_lines(path: Path, lines: Sequence[str]) -> int:
    """Put lines that are not in the file yet under its heading "Unreleased"; give how many.

    A line whose question has been asked again, or marked for one more reason, is no other one.

    The heading is made where there is none: above the first other one, below the title.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else "# Changelog\n"
    known = _GROWING.sub("", text)
    new = [line for line in lines if _GROWING.sub("", line) not in known]
    if not new:
        return 0
    found = _NEXT.search(text)
    if found is None:
        first = re.search(r"^## ", text, re.MULTILINE)
        at = len(text) if first is None else first.start()
        text = f"{text[:at].rstrip()}\n\n{_HEAD}\n\n{text[at:]}"
        found = _NEXT.search(text)
    at = len(text) if found is None else found.end()
    rest = text[at:].lstrip("\n")
    gap = "\n" if rest and not rest.startswith("- ") else ""
    path.write_text(f"{text[:at]}\n\n" + "\n".join(new) + f"\n{gap}{rest}", encoding="utf-8")
    return len(new)
