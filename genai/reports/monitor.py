"""Monitoring from the ledger alone: volume, money, times and outcomes, and what shaped them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from genai import stats
from genai.ledger import Ledger, Money
from genai.ledger.rollup import DIMENSIONS, Sums, day_name, sums
from genai.types import Action

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one group of questions or calls; shares with their 95 % interval.

    Times are seconds. `per_answer` is all money of the group divided by its answers; None where
    some of the money is unknown.
    """

    name: str
    calls: int
    answers: int
    refused: tuple[float, float, float] | None
    failed: tuple[float, float, float] | None
    money: Money
    p50: float | None
    p95: float | None
    p99: float | None
    ttft: float | None
    inter_token: float | None
    tokens: int
    cached: float | None
    retries: int
    reasons: Mapping[str, int]

    @property
    def per_answer(self) -> Decimal | None:
        """Money for one answer, failures and refusals included; None where it is not known."""
        if not self.answers or self.money.known < self.money.calls:
            return None
        return self.money.total / self.answers


@dataclass(frozen=True, slots=True)
class Monitor:
    """A period of the ledger. `whole` counts questions; `parts` counts their calls by kind.

    `guards` counts the texts that guards looked at, by place; its `reasons` are their decisions.
    """

    since: float
    until: float
    whole: Line
    days: tuple[Line, ...]
    models: tuple[Line, ...]
    groups: Mapping[str, tuple[Line, ...]]
    parts: Mapping[str, Line]
    thumbs: tuple[int, int]
    rolled_up: int = 0
    guards: tuple[Line, ...] = ()

    def markdown(self) -> str:
        """Give the figures as Markdown."""
        return markdown(self)

    def html(self) -> str:
        """Give the figures as one self-contained page."""
        from genai.reports.monitor_page import page

        return page(self)


def monitor(
    ledger: Ledger, *, days: int = 30, now: float | None = None,
    where: Mapping[str, str] | None = None,
) -> Monitor:  # fmt: skip
    """Bring the sums in step and give the figures of the last `days` UTC days.

    `where` keeps to a value of a dimension: `{"feature": "chat"}`.
    """
    new = ledger.roll_up()
    until = time.time() if now is None else now
    since = (int(until // _DAY) - days + 1) * _DAY

    def of(by: tuple[str, ...], kind: str) -> dict[tuple[object, ...], Sums]:
        return sums(ledger.database, by, kind=kind, since=since, until=until, where=where)

    spent = of((), "model").get((), Sums())
    parts = {kind: _line(kind, of((), kind).get((), Sums())) for kind in ("model", "embedding")}
    by_day = of(("day",), "model")
    return Monitor(
        since, until, _line("all", of((), "chain").get((), Sums()), spent),
        tuple(
            _line(day_name(int(str(day))), each, by_day.get((day,), Sums()))
            for (day,), each in sorted(of(("day",), "chain").items())
        ),
        tuple(_line(str(name), each) for (name,), each in sorted(of(("model",), "model").items())),
        {
            name: tuple(
                _line(str(value) or "(none)", each)
                for (value,), each in sorted(of((name,), "chain").items())
            )
            for name in DIMENSIONS[1:]
        },
        {kind: line for kind, line in parts.items() if line.calls},
        ledger.thumb_counts(since), new,
        tuple(
            _line(str(name).removeprefix("guards/"), each)
            for (name,), each in sorted(of(("model",), "guard").items())
        ),
    )  # fmt: skip


def _line(name: str, own: Sums, spent: Sums | None = None) -> Line:
    """Make the figures of a group; money and tokens are those of the calls made for it."""
    paid = own if spent is None else spent
    answers = own.outcomes.get("ok", 0)
    tokens = paid.input_tokens + paid.output_tokens
    return Line(
        name, own.calls, answers, _share(own, "refusal"), _share(own, "error"), paid.money,
        own.percentile(0.5), own.percentile(0.95), own.percentile(0.99),
        paid.percentile(0.5, "ttft"), paid.percentile(0.5, "itl_mean"), tokens,
        paid.cached / paid.input_tokens if paid.input_tokens else None, paid.retries,
        dict(sorted(own.reasons.items(), key=lambda each: -each[1])),
    )  # fmt: skip


def _share(own: Sums, outcome: str) -> tuple[float, float, float] | None:
    if not own.calls:
        return None
    count = own.outcomes.get(outcome, 0)
    return count / own.calls, *stats.wilson(count, own.calls)


_HEADS = ("", "questions", "answers", "refused", "failed", "cost", "per answer", "p50", "p95",
          "first token")  # fmt: skip


def table(found: Monitor) -> list[tuple[str, ...]]:
    """Give the whole and its days as rows of text, the head first."""
    return [_HEADS, *(row(line) for line in (found.whole, *found.days))]


def row(line: Line) -> tuple[str, ...]:
    """Give the figures of a line as text; what is unknown is a dash."""
    per = "-" if line.per_answer is None else f"${line.per_answer:.4f}"
    return (
        line.name, f"{line.calls:,}", f"{line.answers:,}", _percent(line.refused),
        _percent(line.failed), str(line.money), per, _time(line.p50), _time(line.p95),
        _time(line.ttft),
    )  # fmt: skip


def guard_table(found: Monitor) -> list[tuple[str, ...]]:
    """Give what the guards decided at each place as rows of text, the head first."""
    known = [each.value for each in Action if any(each.value in g.reasons for g in found.guards)]
    rows = [("place", "texts", "allow", *known)]
    for each in found.guards:
        allowed = each.calls - sum(each.reasons.values())
        counts = (each.calls, allowed, *(each.reasons.get(name, 0) for name in known))
        rows.append((each.name, *(f"{count:,}" for count in counts)))
    return rows


def _percent(share: tuple[float, float, float] | None) -> str:
    if share is None:
        return "-"
    value, low, high = share
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3g} s"


def markdown(found: Monitor) -> str:
    """Give the figures as Markdown."""
    lines = ["# Monitoring", "", _period(found), ""]
    lines += _markdown_table(table(found))
    for title, group in (("Models", found.models), *found.groups.items()):
        if len(group) > 1 or (group and group[0].name != "(none)"):
            lines += ["", f"## {title}", "", *_markdown_table([_HEADS, *map(row, group)])]
    if found.guards:
        lines += ["", "## Guards", "", *_markdown_table(guard_table(found))]
    if found.whole.reasons:
        lines += ["", "## Why not answered", ""]
        lines += [f"- {reason}: {count:,}" for reason, count in found.whole.reasons.items()]
    return "\n".join(lines) + "\n"


def _period(found: Monitor) -> str:
    up, down = found.thumbs
    first, last = (day_name(int(at // _DAY)) for at in (found.since, found.until))
    return (
        f"{first} to {last} (UTC): {found.whole.calls:,} questions, {up} thumbs up, {down} down."
        " Percentiles are at most 1 % off, shares have their 95 % interval."
    )


def _markdown_table(rows: list[tuple[str, ...]]) -> list[str]:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(rows[0]), "|" + "---|" * len(rows[0]), *map(line, rows[1:])]


def prometheus(found: Monitor) -> str:
    """Give the same figures in Prometheus' text format; what is unknown is left out.

    They are those of a period that moves, so each is a gauge.
    """
    whole, up_down = found.whole, zip(("up", "down"), found.thumbs, strict=True)
    families: dict[str, list[tuple[dict[str, str], float | Decimal | None]]] = {
        "genai_questions": [({}, whole.calls)],
        "genai_answers": [({}, whole.answers)],
        "genai_refused_share": [({}, whole.refused and whole.refused[0])],
        "genai_failed_share": [({}, whole.failed and whole.failed[0])],
        "genai_question_seconds": _quantiles(whole, {}),
        "genai_first_text_seconds": [({"quantile": "0.5"}, whole.ttft)],
        "genai_dollars_per_answer": [({}, whole.per_answer)],
        "genai_not_answered": [({"reason": r}, count) for r, count in whole.reasons.items()],
        "genai_feedback": [({"value": name}, count) for name, count in up_down],
    }
    for line in found.models:
        label = {"model": line.name}
        for name, value in (
            ("genai_calls", line.calls), ("genai_tokens", line.tokens),
            ("genai_cost_dollars", line.money.total),
            ("genai_cost_unknown_calls", line.money.calls - line.money.known),
            ("genai_retries", line.retries),
        ):  # fmt: skip
            families.setdefault(name, []).append((label, value))
        families.setdefault("genai_call_seconds", []).extend(_quantiles(line, label))
    for line in found.guards:
        families.setdefault("genai_guarded_texts", []).append(({"place": line.name}, line.calls))
        families.setdefault("genai_guard_decisions", []).extend(
            ({"place": line.name, "decision": name}, count) for name, count in line.reasons.items()
        )
    lines = []
    for name, samples in families.items():
        known = [(labels, value) for labels, value in samples if value is not None]
        lines += [f"# TYPE {name} gauge"] if known else []
        lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in known]
    return "\n".join(lines) + "\n"


def _quantiles(
    line: Line, labels: dict[str, str]
) -> list[tuple[dict[str, str], float | Decimal | None]]:
    values = (("0.5", line.p50), ("0.95", line.p95), ("0.99", line.p99))
    return [({**labels, "quantile": share}, value) for share, value in values]


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _number(value: float | Decimal) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else f"{value:.10g}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
