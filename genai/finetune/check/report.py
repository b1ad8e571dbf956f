"""What a check found: a line a finding, the measured lengths, and a sample of what is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["pass", "warn", "fail", "info"]
_COLOURS = {"pass": "32", "warn": "33", "fail": "31", "info": "36"}
_SHOWN = 3  # examples of a finding


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `count` of `of` rows are concerned; `examples` say where, at most a few."""

    name: str
    state: State
    message: str
    count: int | None = None
    of: int | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of the sequences: `total` once cut; `trained` those with a loss, before any cut."""

    sequences: int
    total: int
    trained: int
    p50: int
    p99: int
    longest: int
    max_length: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A rendered sequence as pieces of text, each with whether it is trained."""

    where: str
    pieces: tuple[tuple[str, bool], ...]

    def text(self, colour: bool) -> str:
        """Show it; trained text is green, or stands between >> and << where there is no colour."""
        start, end = ("\x1b[32m", "\x1b[0m") if colour else (">>", "<<")
        shown = ((f"{start}{text}{end}" if trained else text) for text, trained in self.pieces)
        return f"{self.where}: {''.join(shown)}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The whole of a check. `rows` counts those that can be trained on."""

    recipe: str
    rows: int
    findings: tuple[Finding, ...]
    lengths: Lengths | None
    samples: tuple[Sample, ...]
    seconds: float

    @property
    def failed(self) -> list[Finding]:
        """The findings that stop a run."""
        return [each for each in self.findings if each.state == "fail"]

    def finding(self, name: str) -> Finding:
        """Give a finding by its name."""
        return next(each for each in self.findings if each.name == name)

    def text(self, *, colour: bool = False) -> str:
        """Give the report for a terminal."""
        lines = [sample.text(colour) for sample in self.samples]
        width = max((len(each.name) for each in self.findings), default=0)
        for each in self.findings:
            word: str = each.state
            word = f"\x1b[{_COLOURS[word]}m{word}\x1b[0m" if colour else word
            lines.append(f"{word}  {each.name:<{width}}  {each.message}")
            lines += [f"      {example}" for example in each.examples[:_SHOWN]]
            more = len(each.examples) - _SHOWN
            lines += [f"      and {more} more"] if more > 0 else []
        count = len(self.failed)
        word = f"{count} check{'s' * (count > 1)} failed" if count else "nothing stops this run"
        lines.append(f"{self.recipe}: {self.rows} rows in {self.seconds:.1f} s: {word}")
        return "\n".join(lines)

    def as_dict(self) -> Mapping[str, Any]:
        """Give the report as JSON values, without the samples' text."""
        found = asdict(self)
        del found["samples"]
        return {**found, "failed": [each.name for each in self.failed]}


def by_limit(
    name: str, found: Sequence[str], of: int, limit: float, what: str, cure: str
) -> Finding:
    """Make the finding of a count that may be at most a share of all rows."""
    count = len(found)
    share = count / of if of else 0.0
    failed = count > 0 and share > limit
    most = "none may be" if limit == 0 else f"at most {limit:.2%}"
    message = f"{count} of {of} {what}"
    if count:
        message += f" ({share:.2%}; {most})"
    if failed:
        message += f"; {cure}"
    return Finding(name, "fail" if failed else "pass", message, count, of, tuple(found[:20]))
