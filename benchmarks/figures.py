"""The one form of a figure: what, reached, goal, met, beside, ratio; every results file has it.

`met` is read off the texts, so that it never contradicts them: a goal is `yes`, `equal` (of values
joined by `=`), or bounds as `<= 2 s`. Goals joined by `/` are held to the values joined by `/`, one
goal to all of them; those joined by `,` to the first number of the value, and where they end in
`x`, to the ratio. Words beside a bound are not judged; a goal without a bound is left open.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD = ("figure", "reached", "goal", "met", "beside", "ratio")
_GOAL = re.compile(r"([<>]=) ?(-?\d[\d,]*\.?\d*|\.\d+)(x?)")
_WANTED = re.compile(r"- (.+?): (\S+(?: \w+)?), wanted (.+): (?:met|MISSED)")
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)")


@dataclass(frozen=True)
class Figure:
    """A figure as it is printed, its unit in `what` or beside the number.

    `beside` is what the peer reached in the same run, `ratio` how far ours is from it.
    """

    what: str
    reached: str
    goal: str = ""
    beside: str = ""
    ratio: str = ""

    @property
    def met(self) -> str:
        """Say `yes` or `no`, or nothing where there is no goal that could be read."""
        if self.goal in ("yes", "equal"):
            parts = ["yes", self.reached] if self.goal == "yes" else self.reached.split(" = ")
            return "" if len(parts) < 2 else "yes" if len(set(parts)) == 1 else "no"
        goals, values = self.goal.split(" / "), self.reached.split(" / ")
        if len(goals) == 1:
            goals *= len(values)
        held = [
            _holds(sign, bound, (self.ratio or value) if times else value)
            for part, value in zip(goals, values, strict=False)
            for sign, bound, times in _GOAL.findall(part)
        ]
        if not held or None in held or len(goals) != len(values):
            return ""
        return "yes" if all(held) else "no"


def _holds(sign: str, bound: str, value: str) -> bool | None:
    found = _NUMBER.search(value)
    if found is None:
        return None
    reached, wanted = (float(text.replace(",", "")) for text in (found.group(), bound))
    return reached >= wanted if sign == ">=" else reached <= wanted


def table_of(figures: Iterable[Figure]) -> list[str]:
    """Give the lines of the table, its head first."""
    lines = [_line(HEAD), "|" + "---|" * len(HEAD)]
    for each in figures:
        row = (each.what, each.reached, each.goal, each.met, each.beside, each.ratio)
        lines.append(_line(row))
    return lines


def read(text: str) -> list[Figure]:
    """Give the figures of a results file, in order.

    A row of a table with another head is a figure whose value names each column; so is a line
    `- WHAT: VALUE, wanted GOAL: met`.
    """
    found: list[Figure] = []
    head: list[str] = []
    for line in text.splitlines():
        wanted = _WANTED.fullmatch(line)
        if wanted:
            found.append(Figure(*wanted.groups()))
        if not line.startswith("|"):
            head = []
            continue
        cells = [cell.strip() for cell in line[1:].rstrip()[:-1].split("|")]
        if not head:
            head = cells
        elif not line.startswith("|---"):
            found.append(_row(head, cells))
    return found


def _row(head: Sequence[str], cells: Sequence[str]) -> Figure:
    if tuple(head) == HEAD:
        return Figure(cells[0], cells[1], cells[2], cells[4], cells[5])
    said = [f"{name} {cell}" for name, cell in zip(head, cells, strict=False) if cell not in "-"]
    return Figure(f"{head[0]}: {cells[0]}", ", ".join(each.strip() for each in said[1:]))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
