"""A reviewed item becomes a case of a suite or a training pair: scrubbed, with its provenance.

One item goes to one of the two, for what is tested must never be trained. Who is held out for good
gives cases and no pairs. Without consent or with personal data left nothing is written.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from genai import __version__
from genai.errors import InputError
from genai.evals import Suite, load_suite, make
from genai.evals.case import Case, Gold, squeeze
from genai.evals.leaks import Known, Source, find_leaks, read_texts, tokens
from genai.finetune.data import PreferenceRow, Provenance, Turn, row_hash
from genai.finetune.data.gather import EDIT_SHARE, HELD_OUT, Gathered
from genai.finetune.data.review import accept_drafts, add_drafts, data_path
from genai.finetune.data.split import side
from genai.loop.queue import Item, Queue
from genai.project import Project
from genai.text.marks import strip_marks
from genai.text.pii import find_pii
from genai.text.secrets import find_secrets
from genai.text.sentences import sentences
from genai.types import Message

_MARK = re.compile(r"\s*\[\d{1,3}\]")  # a citation stands for a passage of that day
_STAND_IN = re.compile(r"\[[a-z_]+\]")
_LEAST = 20  # characters of a sentence that can be looked for in the documents


Sent = Callable[[str, str], Sequence[Message]]


@dataclass(frozen=True, slots=True)
class Basis:
    """On what ground a text may be used, and what else looks at it.

    `consent` names a ground for turns that nobody ticked. `stops` gives the reason why a scrubbed
    text must not be kept, or nothing. `sent` renders again what the model of a call was sent, from
    the call's id and the question; `question_only` lets a pair be made of the question alone.
    """

    consent: str = ""
    stops: Callable[[str], str] = lambda _: ""
    sent: Sent | None = None
    question_only: bool = False


def to_case(queue: Queue, name: str, suite: Suite, trained: Path, basis: Basis) -> Suite:
    """Put an item's question and what should come of it into a suite; give the suite as it is then.

    `trained` is the file of training pairs that must not hold the question.

    Raises:
        InputError: no consent, personal data, the suite or the pairs have the question already.
    """
    with queue.promoting(name) as (item, done):
        consent = _consent(item, basis)
        case = _case(item, suite, consent, basis)
        done |= {"target": "case", "name": f"{suite.name}/{case.id}"}
        if any(each.id == case.id for each in suite.cases):
            return suite  # written by a promotion that was killed before its end
        if same := Known(suite.cases).find(case.input):
            raise InputError(f"{item.id}: {suite.name} asks nearly the same in `{next(iter(same))}`"
                             "; change that case, and reject this one")  # fmt: skip
        if trained.exists() and (leaks := find_leaks([case], read_texts(trained))):
            raise InputError(f"{item.id}: is trained on ({leaks[0].text()}), so it is no case")
        drafts = [each for each in make.read_drafts(suite) if each.id != case.id]
        make.write_drafts(suite, [*drafts, case])
        return make.accept_drafts(suite, [case.id], item.reviewer)


def _case(item: Item, suite: Suite, consent: str, basis: Basis) -> Case:
    question = _scrubbed(item, item.question, basis)
    fields: dict[str, Any] = {}
    if item.expect == "refusal" or (item.state == "accepted" and item.outcome == "refusal"):
        kind = "adversarial" if item.reason == "policy" else "unanswerable"
        fields = {"kind": kind, "expect": "refusal"}
    else:
        bare = strip_marks(item.answer, keep=lambda mark: not _MARK.fullmatch(mark))
        said = item.text if item.state == "edited" else bare
        expected = _scrubbed(item, said, basis)
        gold = _gold(suite, expected)
        fields = {"expected": expected, "gold": gold, **({"kind": "answerable"} if gold else {})}
    tags = dict.fromkeys(("production", *item.why, *filter(None, [item.label])))
    return Case(
        id=f"loop-{item.id}", input=question, tags=tuple(tags), **fields,
        provenance={
            "maker": "loop", "call": item.call_id, "at": item.day, "consent": consent,
            "user": item.user_key, "model": item.model, "prompt": item.prompt_id,
            "calls": item.calls, "scrubbed": f"genai {__version__}",
        },
    )  # fmt: skip


def _gold(suite: Suite, expected: str) -> tuple[Gold, ...]:
    """Find the sentences of the better answer that stand word for word in a document."""
    wanted = [squeeze(expected[start:end]) for start, end in sentences(expected)]
    wanted = [each for each in wanted if len(each) >= _LEAST]
    found: dict[str, Gold] = {}
    for path in sorted(suite.source.rglob("*.md")) + sorted(suite.source.rglob("*.txt")):
        text = squeeze(path.read_text(encoding="utf-8", errors="replace"))
        for each in wanted:
            if each not in found and each in text:
                found[each] = Gold(path.relative_to(suite.source).as_posix(), each)
    return tuple(found.values())


def to_pair(
    queue: Queue, name: str, project: Project, data: str, suites: Sequence[Suite], basis: Basis
) -> Path:
    """Put the better text over what was said, as a row for preference training; give its file.

    Raises:
        InputError: no consent, personal data, no edit, a person who is held out, or a suite has
            the question.
    """
    sent = _sent(queue.item(name), basis)  # before the transaction: to search writes rows too
    with queue.promoting(name) as (item, done):
        consent = _consent(item, basis)
        row = _row(item, consent, basis, sent)
        done |= {"target": "pair", "name": f"{data}/{row.id}"}
        if side(item.group, HELD_OUT):
            raise InputError(f"{item.id}: of a person who is held out and never trained on; promote"
                             " it to a case")  # fmt: skip
        texts = [Source(data, 0, text) for text in (row.provenance.question, *row.answers)]
        for suite in suites:
            if leaks := find_leaks(suite.cases, texts):
                raise InputError(f"{item.id}: {suite.name} tests it (case `{leaks[0].case}`), so it"
                                 " is never trained")  # fmt: skip
        path = data_path(project, data)
        if row.id not in _ids(path):
            add_drafts(project, data, "dpo", Gathered(rows=[row]))
            accept_drafts(project, data, "dpo", [row.id], item.reviewer)
        return path


def _row(
    item: Item, consent: str, basis: Basis, sent: Sequence[Message] | InputError
) -> PreferenceRow:
    if item.state != "edited" or not item.text:
        raise InputError(f"{item.id}: is {item.state} without a better text; a pair needs one")
    if item.outcome != "ok" or not item.answer.strip():
        raise InputError(
            f"{item.id}: the model said nothing that could be the worse answer; make it a case"
        )
    question, said, better = (
        _scrubbed(item, each, basis) for each in (item.question, item.answer, item.text)
    )
    changed = 1 - SequenceMatcher(None, said, better, autojunk=False).ratio()
    if not EDIT_SHARE[0] <= changed <= EDIT_SHARE[1]:
        what = "next to nothing" if changed < EDIT_SHARE[0] else "nearly everything"
        raise InputError(
            f"{item.id}: the edit changes {what} ({changed:.0%}); promote it to a case"
        )
    made = Provenance(
        source="feedback", events=(item.id,), call_id=item.call_id, prompt_id=item.prompt_id,
        model=item.model, created_at=item.at, user_key=item.user_key, group=item.group,
        consent=consent, detector=f"genai {__version__}", reviewer=item.reviewer,
        question=question,
    )  # fmt: skip
    row = PreferenceRow("", _prompt(item, question, basis, sent), better, said, made)
    return PreferenceRow(row_hash(row)[:16], row.prompt, better, said, made)


def _sent(item: Item, basis: Basis) -> Sequence[Message] | InputError:
    """Give what the model was sent, or why nobody can tell; nothing where it is not wanted."""
    agreed = item.consent or basis.consent.strip()
    if basis.question_only or not (item.prompt_id and agreed and item.text and item.question):
        return ()
    if basis.sent is None:
        return InputError(f"the prompt {item.prompt_id} stood around the question")
    try:
        return basis.sent(item.call_id, item.question)
    except InputError as error:
        return error


def _prompt(
    item: Item, question: str, basis: Basis, sent: Sequence[Message] | InputError
) -> tuple[Turn, ...]:
    """Give what the model was sent, scrubbed; the question where that is all, or is chosen."""
    if isinstance(sent, InputError):
        raise InputError(f"{item.id}: what the model was sent is not rendered again: {sent}; with"
                         " --question-only the question alone is trained") from sent  # fmt: skip
    turns = tuple(Turn(each.role, _clean(item, each.text, basis)) for each in sent)
    return turns or (Turn("user", question),)


def _ids(path: Path) -> set[str]:
    from genai.finetune.data import read_rows

    return {row.id for row in read_rows([path], "dpo")} if path.exists() else set()


def _consent(item: Item, basis: Basis) -> str:
    given = item.consent or basis.consent.strip()
    if not given:
        raise InputError(f"{item.id}: the person did not agree to its use; where there is another"
                         " ground, name it: --consent WHY")  # fmt: skip
    if not item.question.strip():
        raise InputError(f"{item.id}: the ledger no longer holds what was asked; reject it")
    return given


def _scrubbed(item: Item, text: str, basis: Basis) -> str:
    """Give a text without personal data and secrets, or refuse it."""
    return _clean(item, text.strip(), basis)


def _clean(item: Item, text: str, basis: Basis) -> str:
    clean = make.scrub(text)
    left = [span.kind for find in (find_pii, find_secrets) for span in find(clean)]
    why = f"still holds {left[0]}" if left else basis.stops(clean)
    if not tokens(_STAND_IN.sub("", clean)):
        why = "holds nothing but personal data"
    if why:
        raise InputError(f"{item.id}: a text {why}, so it is not kept; reject the item")
    return clean


def suites_of(evals: Path) -> list[Suite]:
    """Give every suite of a project, for one that cannot be read is one not looked at."""
    return [load_suite(path) for path in sorted(evals.glob("*.yaml"))]
