"""Make cases from documents and from what went wrong; a person reviews each before it counts.

A draft waits in `evals/<suite>.drafts.jsonl`. Accepting it moves it to `evals/<suite>.cases.jsonl`,
which the suite names under `files`, with the reviewer's name.
"""

import asyncio
import hashlib
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel

from genai import bridge
from genai.errors import CaseError, ModelError
from genai.evals import read
from genai.evals.case import Case, Gold, document_text, squeeze
from genai.evals.leaks import Known, tokens
from genai.evals.suite import Suite, load_suite
from genai.ledger.outcomes import Complaint
from genai.project import write_whole
from genai.prompts import Prompt
from genai.text.pii import find_pii
from genai.text.secrets import find_secrets
from genai.types import Passage, Reply

Ask = Callable[..., Awaitable[Reply]]
_WORDS = 25  # a shorter passage holds no fact worth asking for
_QUOTE = 20  # characters of a quote that can prove anything
_WAVE = 8  # questions asked for at once
_SELF = re.compile(r"\b(?:th(?:is|e) (?:passage|text|section|document|excerpt|author))\b", re.I)


class Question(BaseModel):
    """What the maker's model gives for one passage."""

    question: str
    quote: str


@dataclass
class Drafted:
    """New drafts, and how many were dropped for which reason."""

    drafts: list[Case] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """Say how many there are and why others were dropped."""
        why = "".join(f"; {count} dropped: {reason}" for reason, count in sorted(
            self.dropped.items()))  # fmt: skip
        return f"{len(self.drafts)} draft{'' if len(self.drafts) == 1 else 's'}{why}"


def from_documents(
    suite: Suite, passages: Sequence[Passage], ask: Ask, prompt: Prompt, *, count: int,
    model: str, seed: int = 0,
) -> Drafted:  # fmt: skip
    """Draft questions on a seeded random sample of passages, until there are `count`.

    A draft is kept only where its quote stands in the document, and where no case or draft of the
    suite asks nearly the same. `ask` is awaited with messages and a `schema`.

    Raises:
        ModelError: the model cannot be reached.
    """
    chosen = [each for each in passages if len(each.text.split()) >= _WORDS]
    random.Random(seed).shuffle(chosen)
    known = Known([*suite.cases, *read_drafts(suite)])
    texts = _Texts(suite.source)
    done = Drafted()

    async def all_() -> None:
        while chosen and len(done.drafts) < count:
            wave = [chosen.pop() for _ in range(min(_WAVE, len(chosen), count - len(done.drafts)))]
            replies = await asyncio.gather(*(_question(ask, prompt, each) for each in wave))
            for passage, reply in zip(wave, replies, strict=True):
                made = {"maker": "documents", "model": model, "prompt": prompt.id,
                        "passage": passage.id}  # fmt: skip
                problem = "the reply did not fit the schema"
                if reply is not None:
                    problem = _problem(reply, passage, texts)
                if problem or reply is None:
                    done.dropped[problem] += 1
                    continue
                gold = (Gold(document=passage.document, quote=squeeze(reply.quote)),)
                _keep(done, known, squeeze(reply.question), Path(passage.document).stem, made,
                      kind="answerable", gold=gold, cluster=_cluster(suite, passage))  # fmt: skip

    bridge.run(all_())
    return done


async def _question(ask: Ask, prompt: Prompt, passage: Passage) -> Question | None:
    try:
        reply = await ask(prompt.render(passage=[passage]), schema=Question, **prompt.params)
    except ModelError as error:
        if error.kind == "bad_reply":
            return None
        raise
    found: Question = reply.parsed
    return found


class _Texts:
    """The documents as a suite checks its quotes: the file's own text where it is plain text."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._read: dict[str, str | None] = {}

    def hold(self, document: str, quote: str) -> bool:
        """Say whether a quote may stand in a document."""
        if document not in self._read:
            path = self._source / document
            self._read[document] = document_text(path) if path.is_file() else ""
        text = self._read[document]
        return text is None or quote in text


def _problem(given: Question, passage: Passage, texts: _Texts) -> str:
    """Say why a question cannot be a case; empty where it can."""
    question, quote = squeeze(given.question), squeeze(given.quote)
    if not question or not quote:
        return "nothing to ask"
    if len(quote) < _QUOTE:
        return "the quote is too short"
    if quote not in squeeze(passage.text) or not texts.hold(passage.document, quote):
        return "the quote is not in the document"
    if _SELF.search(question):
        return "the question speaks of its passage"
    asked, said = " ".join(tokens(question)), " ".join(tokens(quote))
    return "the question gives the answer away" if said in asked else ""


def _cluster(suite: Suite, passage: Passage) -> str:
    """Group by document where the suite does; a suite without clusters stays so."""
    return passage.document if any(case.cluster for case in suite.cases) else ""


def _keep(
    done: Drafted, known: Known, question: str, stem: str, made: Mapping[str, Any], **fields: Any
) -> None:
    """Keep a draft unless a case asks nearly the same."""
    if known.find(question):
        done.dropped["a case asks nearly the same"] += 1
        return
    name = f"{stem}-{hashlib.sha256(question.encode()).hexdigest()[:8]}"
    case = Case(
        id=name, input=question, provenance={**made, "at": _now(), "reviewed": ""}, **fields
    )
    known.add(case)
    done.drafts.append(case)


def from_feedback(suite: Suite, complaints: Iterable[Complaint], *, count: int) -> Drafted:
    """Draft cases from thumbs down and failures, without personal data and secrets.

    What people asked is there only where the ledger stores it. Rules do not find names, so the
    reviewer reads each draft, and writes what should have come.
    """
    known = Known([*suite.cases, *read_drafts(suite)])
    done = Drafted()
    for each in complaints:
        if len(done.drafts) == count:
            break
        if not each.question.strip():
            done.dropped["the ledger holds no text of the call"] += 1
            continue
        made = {"maker": "feedback", "call": each.call_id, "why": each.why, "reason": each.reason}
        notes = {"said": scrub(each.answer)[:2000], "comment": scrub(each.comment)[:2000]}
        _keep(
            done, known, scrub(each.question).strip(), "feedback", made, tags=("feedback",),
            metadata={name: text for name, text in notes.items() if text},
        )  # fmt: skip
    return done


def scrub(text: str) -> str:
    """Give a text with secrets and personal data replaced by their kind, such as `[email]`."""
    for find in (find_secrets, find_pii):
        for span in reversed(find(text)):
            text = f"{text[: span.start]}{span.replacement}{text[span.end :]}"
    return text


# -- drafts and their review ----------------------------------------------------------------------


def drafts_path(suite: Suite) -> Path:
    """Say where the drafts of a suite wait: `evals/<suite>.drafts.jsonl`."""
    return suite.path.with_suffix(".drafts.jsonl")


def read_drafts(suite: Suite) -> list[Case]:
    """Give the drafts that wait for review."""
    path = drafts_path(suite)
    return read.from_file(path, f"evals/{path.name}") if path.exists() else []


def write_drafts(suite: Suite, drafts: Sequence[Case]) -> Path:
    """Write the drafts of a suite; with none left the file goes."""
    path = drafts_path(suite)
    _write(path, b"".join(msgspec.json.encode(each) + b"\n" for each in drafts))
    return path


def accept_drafts(suite: Suite, names: Sequence[str], reviewer: str) -> Suite:
    """Move reviewed drafts into the suite; give the suite as it is then.

    Raises:
        CaseError: nobody reviewed, no such draft, or the suite cannot be read with it; then
            nothing is changed.
    """
    drafts = {case.id: case for case in read_drafts(suite)}
    if not reviewer.strip():
        raise CaseError("a draft counts once somebody has read it: --reviewer NAME")
    for name in names:
        if name not in drafts:
            known = ", ".join([*drafts][:5]) or "none"
            raise CaseError(f"{drafts_path(suite).name}: has no draft `{name}`; drafts: {known}")
    moved = [_reviewed(drafts.pop(name), reviewer.strip()) for name in names]
    path = suite.path.with_suffix(".cases.jsonl")
    before = {each: each.read_bytes() if each.exists() else b"" for each in (path, suite.path)}
    kept = before[path] and before[path].rstrip(b"\n") + b"\n"
    _write(path, kept + b"".join(msgspec.json.encode(each) + b"\n" for each in moved))
    _name_file(suite, path.name)
    try:
        found = load_suite(suite.path)
        if len(found.cases) != len(suite.cases) + len(moved):
            raise CaseError(
                f"evals/{suite.path.name}: does not read {path.name}; add it to `files`"
            )
    except CaseError:
        for each, content in before.items():
            _write(each, content)
        raise
    write_drafts(suite, [*drafts.values()])
    return found


def _reviewed(case: Case, reviewer: str) -> Case:
    made = {**(case.provenance or {}), "reviewed": reviewer, "reviewed_at": _now()}
    return msgspec.structs.replace(case, provenance=made)


def _name_file(suite: Suite, name: str) -> None:
    """Name the file of cases in a suite that names none; the rest of the YAML stays as it is."""
    if not suite.settings.files:
        text = suite.path.read_text(encoding="utf-8").rstrip("\n")
        _write(suite.path, f"{text}\n\nfiles: [{name}]\n".encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file whole; an empty one goes."""
    if content:
        write_whole(path, content, CaseError)
    else:
        path.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
