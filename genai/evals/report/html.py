"""A run as one page that needs nothing else: no script, font or image from outside.

The page allows only the style and the script whose hashes it names, so nothing that a model wrote
can run or load. It holds aggregates and at most 500 changed cases, whatever the size of the suite.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from genai.evals.gate import Comparison, Decision
from genai.evals.report.bars import difference_bar, reach_of, share_bar, value_bar
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
from genai.evals.store import read_log
from genai.evals.trial import Trial

_CASES, _ROWS, _LAPSES, _LONG = 500, 300, 20, 2000
_TONES = {
    "PASS": "good", "IMPROVED": "good", "REGRESSION": "bad", "LIMIT_BROKEN": "bad", "BUDGET": "bad",
    "FAIL": "bad", "INCONCLUSIVE": "warn", "UNMEASURED": "warn", "CANNOT_COMPARE": "warn",
}  # fmt: skip
_STATES = {
    "pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "unmeasured": "UNMEASURED",
    "shown": "shown",
}  # fmt: skip


def render(report: Report, decision: Decision | None) -> str:
    """Give the page."""
    here = Path(__file__).parent
    style = (here / "page.css").read_text(encoding="utf-8")
    script = (here / "page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    word, reason = verdict(report, decision)
    body = [
        _head(report, decision, word, reason), _compared(decision), _measured(report),
        _flips(report, changed(decision)), _slices(report), _lapses(report),
        _figures(report, decision), _unmeasured(report), _again(report, decision),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(word)}: suite {_text(report.suite)}</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n<main>\n{''.join(body)}</main>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(value: object, most: int = _LONG) -> str:
    text = visible(str(value))
    return html.escape(text if len(text) <= most else text[:most] + " ...")


def _word(word: str) -> str:
    return f'<span class="word {_TONES.get(word, "")}">{_text(word)}</span>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: str = "") -> str:
    """Give a table of cells that are HTML already; on a narrow screen each row is a card."""
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    lines = []
    for row in rows[:_ROWS]:
        cells = zip(heads, row, strict=True)
        lines.append(
            "".join(
                f'<td{"" if label == heads[0] else _NUMBER} data-label="{label}">{cell}</td>'
                if cell
                else "<td></td>"
                for label, cell in cells
            )
        )
    more = f"<p>The first {_ROWS} of {len(rows)} rows.</p>" if len(rows) > _ROWS else ""
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    note = f'<p class="soft">{words}</p>' if words else ""
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>{note}{more}\n"


_NUMBER = ' class="number"'


def _head(report: Report, decision: Decision | None, word: str, reason: str) -> str:
    against = f" against {_text(decision.baseline)}" if decision else ""
    every = [each for found in findings(report, decision).values() for each in found]
    every.sort(key=lambda each: not each.fails)
    more = "".join(
        f"<li>{_word(each.word)} {_text(each.reason)}</li>"
        for each in every[:_LAPSES]
        if each.reason != reason
    )
    return (
        f"<header><h1>{_word(word)} suite {_text(report.suite)}{against}</h1>"
        f"<p>{_text(reason)}</p>{f'<ul>{more}</ul>' if more else ''}"
        f'<p class="soft">{report.cases} cases of dataset {_text(report.dataset)} on'
        f" {_text(report.task)} ({_text(report.variant)}), stage {_text(report.stage)}, run"
        f" {_text(report.run)}{f' of {_text(report.at)}' if report.at else ''}</p></header>\n"
    )


def _compared(decision: Decision | None) -> str:
    if decision is None or not decision.comparisons:
        return ""
    reach = reach_of(decision.comparisons)
    rows = [_comparison(each, reach) for each in decision.comparisons]
    heads = (
        "metric", "baseline", "now", "difference", "[L, U]", "in margins", "q", "n", "coverage",
        "verdict",
    )  # fmt: skip
    note = (
        "L and U bound the mean difference, one-sided at 95 % each. In the picture, which"
        f" spans {reach:.1f} margins to each side, better is to the right: the solid line is no"
        " difference, the dashed one the margin. A metric passes when its interval lies right of"
        " the dashed line; a hard one when no case that passed before fails now."
    )
    return f"<h2>Against the baseline</h2>\n{_table(heads, rows, note)}"


def _comparison(each: Comparison, reach: float) -> list[str]:
    word = str(each.word) if each.gate else "suspect" if each.suspect else "shown"
    last = [str(each.n), coverage(each), _word(word)]
    if each.before is None or each.after is None or each.low is None or each.high is None:
        return [_text(each.metric), *[""] * 6, *last]
    low, high = each.bounds
    return [
        _text(each.metric), f"{each.before:.4g}", f"{each.after:.4g}",
        f"{each.after - each.before:+.3g}", f"[{low:+.3g}, {high:+.3g}]",
        difference_bar(each, reach), _text(probability(each.q)), *last,
    ]  # fmt: skip


def _measured(report: Report) -> str:
    rows = [_metric(each) for each in report.metrics]
    heads = ("metric", "value", "95 % interval", "interval", "limit", "n", "unmeasured", "state")
    note = "The dashed line is the limit. No picture: the interval is unknown or reaches below 0."
    return f"<h2>Metrics and limits</h2>\n{_table(heads, rows, note)}"


def _metric(each: Measured) -> list[str]:
    value = "" if each.value is None else each.shown
    if each.labels:
        value = _text(", ".join(f"{name} {count}" for name, count in each.labels.items()), 300)
    between = "" if each.low is None else f"{each.low:.3g} to {each.high:.3g}"
    return [
        _text(each.name), value, between, value_bar(each),
        _text(each.limit or ("no new failure" if each.hard else "")), str(each.n),
        str(each.unmeasured), _word(_STATES[each.state]),
    ]  # fmt: skip


def _flips(report: Report, found: Sequence[Changed]) -> str:
    if not found:
        return ""
    shown = found[:_CASES]
    said = _said(report, {each.case for each in shown if not each.after})
    questions = {lapse.case: lapse.question for metric in report.metrics for lapse in metric.lapses}
    tags = _tags(report, shown)
    metrics = dict.fromkeys(change.metric for each in shown for change in each.changes)
    filters = "".join(
        f'<label>{name}<select name="{name}"><option value="">all</option>'
        f"{''.join(f'<option>{_text(each)}</option>' for each in values)}</select></label>"
        for name, values in (
            ("verdict", ("worse", "better")),
            ("metric", metrics),
            ("slice", sorted({tag for each in tags.values() for tag in each})),
        )
        if values
    )
    worse = sum(each.worse for each in found)
    rest = (
        f"<p>The first {_CASES} are shown. Every case is a line of"
        f" <code>{_text(_place(report) / 'scorecard.jsonl')}</code>, every answer one of"
        f" <code>{_text(_place(report) / 'log-*.jsonl')}</code>.</p>"
        if len(found) > _CASES
        else ""
    )
    articles = [_flip(each, tags[each.case], questions.get(each.case, ""), said) for each in shown]
    return (
        f"<h2>Changed cases</h2>\n<p>{worse} worse, {len(found) - worse} better.</p>{rest}"
        f'<fieldset id="filters" hidden>{filters}<span class="soft" id="count" role="status">'
        f"</span></fieldset>\n{''.join(articles)}"
    )


def _flip(each: Changed, tags: Sequence[str], question: str, said: Mapping[str, str]) -> str:
    verdicts = ["worse" if change.worse else "better" for change in each.changes]
    metrics = [change.metric for change in each.changes]
    data = {"verdict": verdicts, "metric": metrics, "slice": tags}
    attributes = "".join(f' data-{key}="{_data(values)}"' for key, values in data.items())
    moved = " ".join(
        f'<span class="word {"bad" if change.worse else "good"}">{_text(change.metric, 80)}'
        f" {change.before:.3g} to {change.after:.3g}</span>"
        for change in each.changes
    )
    sides = "".join(
        f"<div><h4>{side}</h4><pre>{_text(text) or 'not kept'}</pre></div>"
        for side, text in (("before", each.before), ("now", each.after or said.get(each.case, "")))
    )
    labels = "".join(f'<span class="tag">{_text(tag, 80)}</span>' for tag in tags)
    return (
        f"<article{attributes}><h3>{_text(each.case, 200)}</h3>"
        f"{f'<p>{_text(question, 500)}</p>' if question else ''}<p>{moved}</p>"
        f'{f"<p>{labels}</p>" if labels else ""}<div class="sides">{sides}</div></article>\n'
    )


def _data(values: Iterable[str]) -> str:
    return html.escape(json.dumps([visible(each)[:_LONG] for each in values]))


def _tags(report: Report, shown: Sequence[Changed]) -> Mapping[str, Sequence[str]]:
    card = report.scorecard
    rows = {each.case: card.row(each.case) for each in shown}
    return {case: row.tags[:20] if row else () for case, row in rows.items()}


def _said(report: Report, wanted: set[str]) -> dict[str, str]:
    """Give what was said now, from the log, where the run is too large for rows to keep it."""
    found: dict[str, str] = {}
    for path in sorted(report.folder.glob("log-*.jsonl")) if wanted else ():
        for line in read_log(path):
            if isinstance(line, Trial) and line.case_id in wanted:
                found[line.case_id] = line.words()
    return found


def _slices(report: Report) -> str:
    if not report.slices:
        return ""
    rows = [
        [
            _text(each.tag, 200), _text(each.metric),
            "" if each.value is None else f"{each.value:.3g}",
            "" if each.low is None else f"{each.low:.3g} to {each.high:.3g}",
            share_bar(each.low, each.value, each.high), f"{each.n} of {each.n + each.unmeasured}",
        ]
        for each in sorted(report.slices, key=lambda each: (each.tag, each.metric))
    ]  # fmt: skip
    heads = ("slice", "metric", "value", "95 % interval", "interval", "measured")
    return f"<h2>Slices</h2>\n{_table(heads, rows)}"


def _lapses(report: Report) -> str:
    blocks = []
    for metric in report.metrics:
        if not metric.lapses or metric.state == "shown" and not metric.gate:
            continue
        items = "".join(
            f"<li><strong>{_text(each.case, 200)}</strong>: {_text(each.question, 300)}<br>"
            f"{_text(each.happened, 400)}</li>"
            for each in metric.lapses[:_LAPSES]
        )
        shown = min(len(metric.lapses), _LAPSES)
        title = f"{_text(metric.name)}: the first {shown} of the cases that lower it"
        blocks.append(f"<details><summary>{title}</summary><ul>{items}</ul></details>\n")
    return f"<h2>Cases below the best</h2>\n{''.join(blocks)}" if blocks else ""


def _figures(report: Report, decision: Decision | None) -> str:
    resumed = {"from an earlier start": f"{report.resumed} trials"} if report.resumed else {}
    values = {
        "spend": money(report), "tokens": f"{report.tokens:,}" if report.tokens else "not reported",
        "p95": slowest(report), "time": f"{report.seconds:.1f} s",
        "trials": f"{report.trials:,}", **resumed,
    }  # fmt: skip
    blocks = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in values.items()
    )
    size = "".join(f"<li>{_text(each)}</li>" for each in size_lines(report, decision))
    return f"<h2>Cost and size</h2>\n<dl>{blocks}</dl>\n<ul>{size}</ul>\n"


def _unmeasured(report: Report) -> str:
    counts = [[_text(name), f"{count:,}"] for name, count in sorted(report.states.items())]
    counts += [
        [_text(f"reason {name}"), f"{count:,}"] for name, count in sorted(report.reasons.items())
    ]
    parts = [_table(("outcome", "trials"), counts)] if counts else []
    for metric in report.metrics:
        if metric.unmeasured:
            parts.append(
                f"<p>{_word('UNMEASURED')} {_text(metric.name)}: {metric.unmeasured} cases;"
                f" {_text(metric.reason, 400)}</p>\n"
            )
    return f"<h2>Outcomes</h2>\n{''.join(parts)}" if parts else ""


def _again(report: Report, decision: Decision | None) -> str:
    return (
        f"<h2>To reproduce</h2>\n<pre>{_text(command(report, decision))}</pre>\n"
        f'<p class="soft">The run is kept in <code>{_text(_place(report))}</code>.</p>\n'
    )


def _place(report: Report) -> Path:
    """Give the run's folder as seen from the project."""
    return Path(*report.folder.parts[-4:])
