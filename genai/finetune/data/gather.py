"""Rows out of what was recorded: people's thumbs, edits and retries, and failed eval cases.

    a thumb                        kto    the prompt and the answer with its label
    an edit                        sft    the edit is what should have been said
                                   dpo    the edit is better than the answer
    a retry that was then liked    dpo    the later answer is better than the earlier one
    a failed eval case             sft    its accepted answer; dpo: better than what was said

An edit is a thumb with the reason `edit` whose comment is the better text. Nothing is taken from
who did not consent, and some people are held out for good: they never enter training.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from genai.errors import InputError
from genai.evals.report import Report
from genai.evals.store import Scores, read_log
from genai.evals.suite import Suite
from genai.finetune.data.heard import Heard, heard
from genai.finetune.data.rows import (
    LabelledRow,
    PreferenceRow,
    Provenance,
    Row,
    SftRow,
    Turn,
    row_hash,
)
from genai.finetune.data.split import side
from genai.text.pii import find_pii
from genai.text.secrets import find_secrets
from genai.types import Message

if TYPE_CHECKING:
    from genai.ledger import Ledger
Rebuild = Callable[[Heard], tuple[Turn, ...] | None]
HELD_OUT = 0.15  # share of people whose words become eval candidates and never training
_MOST = 5  # rows of one person, and rows of one prompt
EDIT_SHARE = (0.05, 0.9)  # share of a text an edit changes: less is a typo, more another answer


@dataclass
class Gathered:
    """Rows for review, rows of people who are held out, and what was dropped for which reason."""

    rows: list[Row] = field(default_factory=list)
    held_out: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """Say how many there are, and why others were dropped."""
        why = "".join(
            f"\n  {count} dropped: {each}" for each, count in sorted(self.dropped.items())
        )
        return f"{len(self.rows)} rows to review, {len(self.held_out)} held out for evals{why}"


def question_alone(call: Heard) -> tuple[Turn, ...] | None:
    """Give the question as the whole prompt, where no prompt file stood around it."""
    return None if call.prompt_id else (Turn("user", call.question),)


def question_only(call: Heard) -> tuple[Turn, ...] | None:
    """Give the question as the whole prompt, whatever stood around it: a person's decision."""
    return (Turn("user", call.question),)


def as_sent(sent: Callable[[str, str], Sequence[Message]]) -> Rebuild:
    """Give what the model was sent as the prompt; `sent` renders it from call id and question."""

    def rebuild(call: Heard) -> tuple[Turn, ...] | None:
        if not call.prompt_id:
            return question_alone(call)
        return tuple(Turn(m.role, m.text) for m in sent(call.call_id, call.question))

    return rebuild


def from_feedback(
    ledger: "Ledger", method: str, *, basis: str = "", rebuild: Rebuild = question_alone
) -> Gathered:
    """Make rows of what people said of answers.

    A turn that a person let be stored with the thumb has consent; `basis` names another ground for
    turns that the settings store anyway. `rebuild` gives the prompt that a call was asked with;
    None, or an `InputError` that says why, where nobody can tell any more.
    """
    calls = list(heard(ledger))
    done = Gathered()
    for row in _rows(calls, method, rebuild, done.dropped):
        given = row.provenance.consent or basis
        if not given:
            done.dropped["nobody consented"] += 1
            continue
        _keep(done, row, given)
    return _limited(done)


def _rows(
    calls: Sequence[Heard], method: str, rebuild: Rebuild, dropped: Counter[str]
) -> Iterator[Row]:
    for call, later in _with_retry(calls):
        if not call.question.strip() or not call.answer.strip():
            dropped["the ledger holds no text of the call"] += 1
            continue
        try:
            prompt = rebuild(call)
        except InputError as error:
            dropped[str(error)] += 1
            continue
        if prompt is None:
            dropped[f"the prompt of the call ({call.prompt_id}) cannot be rebuilt"] += 1
            continue
        made = _made(call)
        if method == "kto":
            yield LabelledRow("", prompt, call.answer, call.thumb, made)
            continue
        if call.edit:
            edited = replace(made, consent=made.consent or "tick")  # its text came with the tick
            yield from _edited(prompt, call, edited, method, dropped)
        elif method != "sft" and later is not None:
            both = replace(made, events=(*made.events, *later.events))
            both = replace(both, consent=both.consent and later.consent)
            yield PreferenceRow("", prompt, later.answer, call.answer, both)
        else:
            dropped["a thumb alone gives no better answer"] += 1


def _edited(
    prompt: tuple[Turn, ...], call: Heard, made: Provenance, method: str, dropped: Counter[str]
) -> Iterator[Row]:
    changed = 1 - SequenceMatcher(None, call.answer, call.edit, autojunk=False).ratio()
    if changed < EDIT_SHARE[0]:
        dropped["the edit changes next to nothing"] += 1
    elif changed > EDIT_SHARE[1]:
        dropped["the edit is another answer altogether"] += 1
    elif method == "sft":
        yield SftRow("", (*prompt, Turn("assistant", call.edit)), made)
    else:
        yield PreferenceRow("", prompt, call.edit, call.answer, made)


def _with_retry(calls: Sequence[Heard]) -> Iterator[tuple[Heard, Heard | None]]:
    """Give every call that somebody judged, and every one whose retry was liked, with the retry."""
    asked: dict[tuple[str, ...], list[Heard]] = defaultdict(list)
    for call in calls:
        asked[call.session or call.user_key or call.call_id, call.question, call.model,
              call.prompt_id].append(call)  # fmt: skip
    for same in asked.values():
        liked = [call for call in same if call.judged and call.thumb and not call.edit]
        for at, call in enumerate(same):
            better = liked[-1] if liked and liked[-1] in same[at + 1 :] else None
            better = None if call.judged and call.thumb else better
            if call.judged or better is not None:
                yield call, better


def _made(call: Heard) -> Provenance:
    return Provenance(
        source="feedback", events=call.events, call_id=call.call_id, prompt_id=call.prompt_id,
        model=call.model, created_at=call.at, user_key=call.user_key,
        group=call.session or call.user_key or call.call_id, consent=call.consent,
        question=call.question if call.prompt_id else "",
    )  # fmt: skip


def from_failures(report: Report, suite: Suite, method: str, metric: str) -> Gathered:
    """Make rows of the cases of a run that failed a metric and have an accepted answer.

    Raises:
        InputError: the suite gates: its cases must never be trained.
    """
    if suite.gating:
        raise InputError(
            f"evals/{suite.path.name}: {suite.gating[0]} gates, so its cases never enter training;"
            " copy them into a suite that only shows"
        )
    if report.scorecard.metric(metric) is None:
        known = ", ".join(each.name for each in report.scorecard.head.metrics)
        raise InputError(f"run {report.run}: has no metric `{metric}`; it has {known}")
    cards = {row.case: report.scorecard.cell(row, metric) for row in report.scorecard.rows}
    failed = {name for name, cell in cards.items() if cell.mean is not None and cell.mean < 1}
    cases = {case.id: case for case in suite.cases if case.id in failed}
    done = Gathered()
    for path in sorted(report.folder.glob("log-*.jsonl")):
        for trial in read_log(path):
            case = None if isinstance(trial, Scores) else cases.pop(trial.case_id, None)
            if case is None or isinstance(trial, Scores):
                continue
            gold = [each for each in case.expectations if isinstance(each, str)]
            if not gold or trial.state != "answered":
                done.dropped["no accepted answer, or nothing was said"] += 1
                continue
            prompt = tuple(Turn(turn.role, turn.content) for turn in case.messages)
            prompt = prompt or (Turn("user", case.input),)
            made = Provenance(
                source="evals", events=(case.id, report.run), call_id=trial.call_id,
                model=trial.model, group=case.cluster or case.id, consent=f"suite {suite.name}",
                licence=suite.settings.licence,
            )  # fmt: skip
            if method == "kto":
                row: Row = LabelledRow("", prompt, trial.text, False, made)
            elif method == "sft":
                row = SftRow("", (*prompt, Turn("assistant", gold[0])), made)
            else:
                row = PreferenceRow("", prompt, gold[0], trial.text, made)
            _keep(done, row, made.consent, hold=False)
    return done


def _keep(done: Gathered, row: Row, consent: str, *, hold: bool = True) -> None:
    from genai import __version__

    found = [
        span.kind
        for text in (*(turn.content for turn in row.prompt), *row.answers)
        for find in (find_pii, find_secrets)
        for span in find(text)
    ]
    if found:
        done.dropped[f"holds personal data or a secret ({found[0]})"] += 1
        return
    if isinstance(row, PreferenceRow) and row.chosen.split() == row.rejected.split():
        done.dropped["both answers are the same"] += 1
        return
    made = replace(row.provenance, consent=consent, detector=f"genai {__version__}")
    row = replace(row, id=row_hash(row)[:16], provenance=made)
    out = hold and side(made.user_key or made.group, HELD_OUT)
    (done.held_out if out else done.rows).append(row)


def _limited(done: Gathered) -> Gathered:
    """Keep a few rows of each person and each prompt, so that nobody speaks for all."""
    people: Counter[str] = Counter()
    prompts: Counter[str] = Counter()
    kept = []
    for row in _unique(done.rows):
        asked = hashlib.sha256(repr(row.prompt).encode("utf-8", "replace")).hexdigest()
        who = row.provenance.user_key
        if (who and people[who] >= _MOST) or prompts[asked] >= _MOST:
            done.dropped[f"more than {_MOST} rows of one person or prompt"] += 1
            continue
        people[who] += 1
        prompts[asked] += 1
        kept.append(row)
    done.rows = kept
    return done


def _unique(rows: Iterable[Row]) -> Iterator[Row]:
    seen: set[str] = set()
    for row in rows:
        if row.id not in seen:
            seen.add(row.id)
            yield row
