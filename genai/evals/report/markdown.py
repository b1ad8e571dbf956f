"""A run as Markdown, for the comment on a pull request or the summary of a job.

Text from a model is untrusted: answers stand in fences longer than any run of backticks in them,
and everything else is escaped, so that nothing is loaded, mentioned or led to.
"""

import html
import re
from collections.abc import Sequence

from genai.evals.gate import Comparison, Decision
from genai.evals.report.base import Measured, Report
from genai.evals.report.findings import (
    Changed,
    changed,
    command,
    findings,
    probability,
    verdict,
    visible,
)
from genai.evals.report.text import coverage, money, size_lines, slowest
from genai.project import git

_MOST = 60_000  # bytes; a comment of 65,536 characters is refused
_SIZES = ((20, 60), (10, 40), (5, 20), (0, 10))  # flipped cases and rows of a table, until it fits
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
_BREAK = "\u200b"  # has no width; what it splits is no mention, no reference and no address
_LIVE = re.compile(r"(?<=[@#])|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=mailto)(?=:)", re.IGNORECASE)
_STATES = {
    "pass": "PASS", "fail": "**FAIL**", "inconclusive": "undecided", "unmeasured": "**UNMEASURED**",
    "shown": "",
}  # fmt: skip


def marker(report: Report) -> str:
    """Give the hidden end of the first line by which a later run finds its own comment.

    It is the suite's name, behind the project's folder where that is not the whole repository.
    """
    folder = git(report.evals, "rev-parse", "--show-prefix").removesuffix("evals/")
    name = re.sub(r"[^A-Za-z0-9._-]|--+", "-", folder.replace("/", "-") + report.suite)
    return f"<!-- genai-evals:{name} -->"


def render(report: Report, decision: Decision | None) -> str:
    """Give the comment; its first line is the verdict and the hidden marker."""
    for cases, rows in _SIZES:
        text = _text(report, decision, cases, rows)
        if len(text.encode("utf-8", "replace")) < _MOST:
            break
    return text


def _text(report: Report, decision: Decision | None, cases: int, rows: int) -> str:
    word, reason = verdict(report, decision)
    against = f" against {_plain(decision.baseline)}" if decision else ""
    parts = [
        f"## {word}: suite {_plain(report.suite)}{against} {marker(report)}",
        _plain(reason, 600),
        *_problems(report, decision, reason),
    ]
    if decision is not None and decision.comparisons:
        parts.append(_table(_HEADS, [_compared(each) for each in decision.comparisons], rows))
    parts.append(_table(_LIMITS, [_measured(each) for each in report.metrics], rows))
    parts += _flips(changed(decision), cases)
    parts += ["- " + "\n- ".join(_figures(report, decision))]
    parts.append(f"To reproduce:\n\n{_fence(command(report, decision))}")
    if decision is None:
        parts.append("There is no baseline yet. To take this run as one:")
        parts.append(_fence(f"genai eval accept {report.suite} --reason 'why it is good'"))
    return "\n\n".join(part for part in parts if part) + "\n"


def _problems(report: Report, decision: Decision | None, said: str) -> list[str]:
    """List what is wrong besides the first reason, a line a metric."""
    every = [each for found in findings(report, decision).values() for each in found]
    lines = [
        f"- {each.word}: {_plain(each.reason, 300)}" + ("" if each.fails else " (does not fail)")
        for each in sorted(every, key=lambda each: not each.fails)
        if each.reason != said
    ]
    return ["\n".join(lines[:20])]


_HEADS = (
    "metric",
    "baseline",
    "candidate",
    "difference",
    "[L, U]",
    "q",
    "n",
    "coverage",
    "verdict",
)
_LIMITS = ("metric", "value", "95 % interval", "limit", "n", "unmeasured", "state")


def _compared(each: Comparison) -> Sequence[str]:
    word = f"**{each.word}**" if each.gate else "suspect" if each.suspect else "shown"
    name = _plain(each.metric)
    if each.before is None or each.after is None or each.low is None or each.high is None:
        return (name, "", "", "", "", "", str(each.n), coverage(each), word)
    low, high = each.bounds
    return (
        name, f"{each.before:.4g}", f"{each.after:.4g}", f"{each.after - each.before:+.3g}",
        f"[{low:+.3g}, {high:+.3g}]", probability(each.q), str(each.n),
        coverage(each), word,
    )  # fmt: skip


def _measured(each: Measured) -> Sequence[str]:
    value = "" if each.value is None else each.shown
    if each.labels:
        value = _plain(", ".join(f"{name} {count}" for name, count in each.labels.items()))
    between = "" if each.low is None else f"{each.low:.3g} to {each.high:.3g}"
    unmeasured = str(each.unmeasured)
    if each.unmeasured and each.reason:
        unmeasured += f": {_plain(each.reason)}"
    limit = html.escape(each.limit or ("no new failure" if each.hard else ""))
    return (_plain(each.name), value, between, limit, str(each.n), unmeasured, _STATES[each.state])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> str:
    lines = [heads, ["---"] * len(heads), *rows[:most]]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return text + (f"\n\nand {len(rows) - most} more metrics" if len(rows) > most else "")


def _flips(found: Sequence[Changed], most: int) -> list[str]:
    if not found:
        return []
    worse = sum(case.worse for case in found)
    title = f"{worse} worse and {len(found) - worse} better"
    shown = f", the first {most} of them" if len(found) > most else ""
    parts = [f"<details><summary>Changed cases: {title}{shown}</summary>"]
    for case in found[:most]:
        moved = ", ".join(
            f"{_plain(each.metric)} {each.before:.3g} to {each.after:.3g}"
            for each in case.changes[:5]
        )
        parts.append(f"**{_plain(case.case)}** ({moved})")
        if case.before or case.after:
            parts.append(_fence(f"before: {case.before[:600]}\nnow:    {case.after[:600]}"))
    return [*parts, "</details>"]


def _figures(report: Report, decision: Decision | None) -> list[str]:
    lines = [
        f"Spend: {money(report)}; p95: {slowest(report)}; {report.cases} cases in"
        f" {report.seconds:.1f} s",
        "Size: " + "; ".join(_plain(each, 400) for each in size_lines(report, decision)),
    ]
    lines.append(
        f"Dataset {report.dataset}, task {_plain(report.task)} ({report.variant}), run {report.run}"
    )
    return lines


def _plain(text: str, most: int = 120) -> str:
    """Give a text as one line that is only text, wherever Markdown is rendered."""
    flat = " ".join(visible(text).split())
    flat = flat if len(flat) <= most else flat[:most] + "..."
    return _LIVE.sub(_BREAK, _SPECIAL.sub(r"\\\1", html.escape(flat, quote=False)))


def _fence(text: str) -> str:
    """Give a text as a block of code that it cannot end."""
    text = visible(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
