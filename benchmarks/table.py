"""Put every figure of `benchmarks/results/*.md` into one table, `benchmarks/results/README.md`.

    python benchmarks/table.py

`make bench` calls it last. Dates, versions and commands are those that each file states.
"""

import re
from pathlib import Path

from figures import HEAD, Figure, read

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
RESULTS = Path(__file__).parent / "results"


def table(folder: Path = RESULTS) -> str:
    """Give the page of all figures, file by file, with what each was measured under."""
    figures: list[tuple[Path, str, Figure]] = []
    under = []
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if path.name == "README.md":
            continue
        stated = next((line for line in text.splitlines()[1:] if line.strip()), "")
        day = _DAY.match(stated)
        figures += [(path, day.group() if day else "", each) for each in read(text)]
        under.append(f"- [{path.stem}]({path.name}): {stated}")
    open_, missed = ([e for _, _, e in figures if e.goal and e.met == m] for m in ("", "no"))
    head = (*HEAD, "date", "file")
    lines = [
        "# Figures",
        "",
        f"Made by `python benchmarks/table.py` of the files beside it. {len(figures)} figures,"
        f" {sum(bool(e.goal) for _, _, e in figures)} with a goal; {len(missed)} goals are not met,"
        f" {len(open_)} cannot be read off the text.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for path, date, each in figures:
        row = (each.what, each.reached, each.goal, each.met, each.beside, each.ratio, date)
        lines.append("| " + " | ".join((*row, f"[{path.stem}]({path.name})")) + " |")
    return "\n".join([*lines, "", "## Measured under", "", *under, ""])


if __name__ == "__main__":
    (RESULTS / "README.md").write_text(table(), encoding="utf-8")
    print(RESULTS / "README.md")
