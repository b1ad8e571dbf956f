"""Monitoring in words: the figures as tables, as Markdown and in Prometheus' text format."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from genai.errors import one_line
from genai.ledger.rollup import day_name
from genai.types import Action

if TYPE_CHECKING:
    from genai.reports.monitor import Line, Monitor

_Sample = tuple[dict[str, str], float | Decimal]
_DAY = 86_400
HEADS = (
    "", "questions", "answers", "refused", "failed", "cost", "per answer", "tokens", "cached",
    "replayed", "p50", "p95", "p99", "first token, p50 / p95", "between tokens, p50 / p95",
    "thumbs up / down", "guards",
)  # fmt: skip


def table(found: "Monitor") -> list[tuple[str, ...]]:
    """Give the whole and its days as rows of text, the head first."""
    return [HEADS, *map(row, (found.whole, *found.days))]


def row(line: "Line") -> tuple[str, ...]:
    """Give the figures of a line as text; what is unknown is a dash."""
    per = "-" if line.per_answer is None else f"${line.per_answer:.4f}"
    return (
        line.name, f"{line.calls:,}", f"{line.answers:,}", _percent(line.refused),
        _percent(line.failed), str(line.money), per, f"{line.tokens:,}",
        "-" if line.cached is None else f"{line.cached:.1%}", f"{line.replayed:,}",
        *map(_time, (line.p50, line.p95, line.p99)),
        f"{_time(line.ttft)} / {_time(line.ttft_p95)}",
        f"{_time(line.inter_token)} / {_time(line.inter_token_p95)}",
        " / ".join(f"{count:,}" for count in line.thumbs),
        ", ".join(f"{count:,} {name}" for name, count in line.verdicts.items()) or "-",
    )  # fmt: skip


def guard_table(found: "Monitor") -> list[tuple[str, ...]]:
    """Give what the guards decided at each place as rows of text, the head first."""
    known = [each.value for each in Action if any(each.value in g.reasons for g in found.guards)]
    rows = [("place", "texts", "allow", *known)]
    for each in found.guards:
        allowed = each.calls - sum(each.reasons.values())
        counts = (each.calls, allowed, *(each.reasons.get(name, 0) for name in known))
        rows.append((each.name, *(f"{count:,}" for count in counts)))
    return rows


def groups(found: "Monitor") -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Give each dimension that says something with its rows of text, the head first.

    A question may take a model several calls: its retries, and what rewrites or judges for it.
    """
    for title, lines in (("models", found.models), *found.groups.items()):
        if len(lines) > 1 or (lines and lines[0].name != "(none)"):
            heads = ("", "calls", *HEADS[2:]) if title == "models" else HEADS
            yield title, [heads, *map(row, lines)]


def _percent(share: tuple[float, float, float] | None) -> str:
    if share is None:
        return "-"
    value, low, high = share
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3g} s"


def markdown(found: "Monitor") -> str:
    """Give the figures as Markdown."""
    lines = ["# Monitoring", "", period(found), ""]
    lines += _markdown_table(table(found))
    for title, rows in groups(found):
        lines += ["", f"## {title}", "", *_markdown_table(rows)]
    if found.guards:
        lines += ["", "## Guards", "", *_markdown_table(guard_table(found))]
    if found.whole.reasons:
        lines += ["", "## Why not answered", ""]
        lines += [
            f"- {one_line(reason)}: {count:,}" for reason, count in found.whole.reasons.items()
        ]
    return "\n".join(lines) + "\n"


def period(found: "Monitor") -> str:
    """Give the period in words, and what is in none."""
    up, down = found.thumbs
    wrong = (
        f" {found.misdated:,} questions are left out: a wrong clock dated them before 2020 or after"
        " today."
        if found.misdated
        else ""
    )
    tried = (
        f" Eval runs asked {found.runs.calls:,} questions for {found.runs.money}; they are in no"
        " figure."
        if found.runs is not None and (found.runs.calls or found.runs.money.calls)
        else ""
    )
    first, last = (day_name(int(at // _DAY)) for at in (found.since, found.until))
    return (
        f"{first} to {last} (UTC): {found.whole.calls:,} questions, {up} thumbs up, {down} down."
        f" Percentiles are at most 1 % off, shares have their 95 % interval.{tried}{wrong}"
    )


def _markdown_table(rows: list[tuple[str, ...]]) -> list[str]:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(one_line(c).replace("|", "\\|") for c in cells) + " |"

    return [line(rows[0]), "|" + "---|" * len(rows[0]), *map(line, rows[1:])]


def prometheus(found: "Monitor") -> str:
    """Give the same figures in Prometheus' text format; what is unknown is left out.

    They are those of a period that moves, so each is a gauge. Models have families of their own;
    every other dimension is a label of `genai_group_*`.
    """
    families: dict[str, list[_Sample]] = {}
    for name, labels, value in _samples(found):
        if value is not None:
            families.setdefault(f"genai_{name}", []).append((labels, value))
    lines = []
    for name, samples in families.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _samples(found: "Monitor") -> Iterator[tuple[str, dict[str, str], float | Decimal | None]]:
    yield "misdated_questions", {}, found.misdated
    if found.runs is not None:
        yield "run_questions", {}, found.runs.calls
        yield "run_cost_dollars", {}, found.runs.money.total
    for reason, count in found.whole.reasons.items():
        yield "not_answered", {"reason": reason}, count
    yield from _figures("", found.whole, {}, "questions", "question_seconds")
    for line in found.models:
        yield from _figures("model_", line, {"model": line.name}, "calls", "call_seconds")
    for dimension, group in found.groups.items():
        for line in group:
            label = {"dimension": dimension, "value": line.name}
            yield from _figures("group_", line, label, "questions", "question_seconds")
    for line in found.guards:
        yield "guarded_texts", {"place": line.name}, line.calls
        for decision, count in line.reasons.items():
            yield "guard_decisions", {"place": line.name, "decision": decision}, count


def _figures(
    prefix: str, line: "Line", labels: dict[str, str], counted: str, timed: str
) -> Iterator[tuple[str, dict[str, str], float | Decimal | None]]:
    """Give every figure of a line, as the tables have them."""
    for name, value in (
        (counted, line.calls), ("answers", line.answers),
        ("refused_share", line.refused and line.refused[0]),
        ("failed_share", line.failed and line.failed[0]), ("cost_dollars", line.money.total),
        ("cost_unknown_calls", line.money.calls - line.money.known),
        ("dollars_per_answer", line.per_answer), ("tokens", line.tokens),
        ("cached_share", line.cached), ("replayed", line.replayed), ("retries", line.retries),
    ):  # fmt: skip
        yield prefix + name, labels, value
    for name, share, value in (
        (timed, "0.5", line.p50), (timed, "0.95", line.p95), (timed, "0.99", line.p99),
        ("first_text_seconds", "0.5", line.ttft), ("first_text_seconds", "0.95", line.ttft_p95),
        ("between_tokens_seconds", "0.5", line.inter_token),
        ("between_tokens_seconds", "0.95", line.inter_token_p95),
    ):  # fmt: skip
        yield prefix + name, {**labels, "quantile": share}, value
    for name, count in zip(("up", "down"), line.thumbs, strict=True):
        yield prefix + "feedback", {**labels, "thumb": name}, count
    for decision, count in line.verdicts.items():
        yield prefix + "verdicts", {**labels, "decision": decision}, count


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _number(value: float | Decimal) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else f"{value:.10g}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
