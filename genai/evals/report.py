"""What a run measured: each metric with its limit, interval, n and coverage."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as Xml

from genai.evals.case import Limit

State = Literal["pass", "fail", "unmeasured"]
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Lapse:
    """A case that lowers a metric: which, and what happened."""

    case: str
    question: str
    happened: str


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a run. `value` is None when nothing could be measured."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unmeasured: int
    limit: Limit
    lapses: tuple[Lapse, ...] = ()
    reason: str = ""

    @property
    def state(self) -> State:
        """`pass` only when measured and within its limit."""
        if self.value is None or self.unmeasured > 0.02 * (self.n + self.unmeasured):
            return "unmeasured"
        low = self.limit.min is None or self.value >= self.limit.min
        high = self.limit.max is None or self.value <= self.limit.max
        return "pass" if low and high else "fail"

    @property
    def shown_limit(self) -> str:
        """The limit in words."""
        parts = [f">= {self.limit.min:g}"] if self.limit.min is not None else []
        parts += [f"<= {self.limit.max:g}"] if self.limit.max is not None else []
        return " and ".join(parts)

    def words(self) -> str:
        """Say what was measured, and list the first cases that lower it."""
        value = "unmeasured" if self.value is None else f"{self.value:.4g}"
        between = f" (95 % {self.low:.3f} to {self.high:.3f})" if self.low is not None else ""
        head = f"{self.name} is {value}{between}, n {self.n}; the limit is {self.shown_limit}"
        if self.unmeasured:
            head += f"; {self.unmeasured} cases unmeasured: {self.reason}"
        lines = [f"  {lapse.case}: {lapse.question}\n    {lapse.happened}" for lapse in self.lapses]
        more = [f"  and {len(lines) - 10} more"] if len(lines) > 10 else []
        return "\n".join([head, *lines[:10], *more])


@dataclass(frozen=True, slots=True)
class Report:
    """A suite run on a task. `dataset` hashes the cases, `path` holds the row of every case."""

    suite: str
    dataset: str
    task: str
    cases: int
    seconds: float
    metrics: tuple[Metric, ...]
    path: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether every metric was measured and keeps its limit."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 all pass, 1 a limit is broken, 4 something is unmeasured."""
        states = {metric.state for metric in self.metrics}
        return 1 if "fail" in states else 4 if "unmeasured" in states else 0

    def metric(self, name: str) -> Metric:
        """Give one metric. Raises KeyError for a metric the suite does not have."""
        return {metric.name: metric for metric in self.metrics}[name]

    def text(self) -> str:
        """Give the table for a terminal, and the lapses of what failed."""
        rows = [("metric", "value", "95 % interval", "n", "unmeasured", "limit", "")]
        for m in self.metrics:
            between = "" if m.low is None else f"{m.low:.3f} to {m.high:.3f}"
            value = "-" if m.value is None else f"{m.value:.4g}"
            state = m.state.upper()
            row = (m.name, value, between, str(m.n), str(m.unmeasured), m.shown_limit, state)
            rows.append(row)
        widths = [max(len(row[column]) for row in rows) for column in range(7)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        head = (
            f"suite {self.suite} ({self.cases} cases, dataset {self.dataset}) on {self.task},"
            f" {self.seconds:.1f} s"
        )
        failed = [m.words() for m in self.metrics if m.state != "pass"]
        return "\n".join([head, *table, *failed])

    def junit(self, path: Path) -> None:
        """Write JUnit XML: one test case a metric; unmeasured is an error, never a skip."""
        states = [metric.state for metric in self.metrics]
        suite = Xml.Element(
            "testsuite",
            name=self.suite,
            tests=str(len(states)),
            failures=str(states.count("fail")),
            errors=str(states.count("unmeasured")),
            skipped="0",
            time=f"{self.seconds:.3f}",
        )
        for metric in self.metrics:
            case = Xml.SubElement(suite, "testcase", classname=self.suite, name=metric.name)
            properties = Xml.SubElement(case, "properties")
            for name in ("value", "low", "high", "n", "unmeasured", "shown_limit"):
                value = getattr(metric, name)
                Xml.SubElement(properties, "property", name=name, value=str(value))
            if metric.state != "pass":
                tag = "failure" if metric.state == "fail" else "error"
                problem = Xml.SubElement(case, tag, message=_FORBIDDEN.sub("?", metric.name))
                problem.text = _FORBIDDEN.sub("?", metric.words())
        path.parent.mkdir(parents=True, exist_ok=True)
        Xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
