"""Make variants of cases: changes that must leave the verdict, and ones that must turn it.

Every change is made by rule from a seed, offline, so that the same command gives the same file.
The variants are frozen in `evals/<suite>.variants.jsonl`; each keeps the hash of the case it was
made from, so that a changed case is noticed.
"""

import datetime
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec

from genai.errors import CaseError, shown
from genai.evals import edits, read
from genai.evals.case import Case, Variant
from genai.evals.edits import Words
from genai.evals.suite import Suite
from genai.project import write_whole


@dataclass(frozen=True, slots=True)
class Relation:
    """What a change does, and what must follow.

    `reviewed`: a rule cannot know that the meaning is kept (or turned), so a person must look at
    each variant before it may gate.
    """

    name: str
    expect: Literal["same", "changes"]
    does: str
    change: Callable[[Case, Random, Words], Case | None]
    reviewed: bool = False
    version: int = 1


_ALL = (
    Relation("typo", "same", "letters swapped, doubled or left out inside words", edits.typo),
    Relation("case", "same", "the question in lower case, or in upper case", edits.letter_case),
    Relation("whitespace", "same", "more spaces and line breaks", edits.whitespace),
    Relation("format", "same", "bold, a list item, a quotation, no final mark", edits.markup),
    Relation("paraphrase", "same", "the question inside a sentence", edits.paraphrase, True),
    Relation("names", "same", "the names of one group for those of another", edits.names),
    Relation("order", "same", "options or given passages in another order", edits.order),
    Relation("distractor", "same", "a passage on something else added", edits.distractor),
    Relation("fact_removed", "changes", "the sentences that hold the answer cut out",
             edits.fact_removed),
    Relation("negation", "changes", "a statement negated (English)", edits.negation, True),
    Relation("number", "changes", "a number moved", edits.number, True),
    Relation("date", "changes", "a date such as 2026-03-01 moved", edits.date, True),
)  # fmt: skip
RELATIONS: Mapping[str, Relation] = {each.name: each for each in _ALL}
# made by people or models elsewhere, and known here so that they too wait for a reviewer
_REVIEWED = {each.name for each in _ALL if each.reviewed} | {"language"}


@dataclass(frozen=True, slots=True)
class Made:
    """The variants of one relation, and the cases to which the change does not apply."""

    relation: str
    variants: tuple[Case, ...]
    without: tuple[str, ...] = field(default=(), repr=False)


def vary(
    suite: Suite, relation: str, *, seed: int = 1, count: int = 1, words: Words | None = None
) -> Made:
    """Make up to `count` variants of every case; for names, one a group.

    Raises:
        CaseError: an unknown relation, one that lacks its words, or a count below 1.
    """
    if count < 1:  # no variant would take the place of those that somebody has read
        raise CaseError(f"`count` is {count}; give 1 or more")
    rule = _rule(relation)
    words = words or Words()
    if relation == "names":
        edits.check_groups(words.groups)
        count = len(words.groups) - 1
    sources = sources_of(suite)
    if relation == "distractor":
        words = words.with_passages(sources)
    variants: list[Case] = []
    without = []
    for source in sources:
        found = _of(source, rule, seed, count, words)
        variants += found
        if not found:
            without.append(source.id)
    return Made(relation, tuple(variants), tuple(without))


def _rule(relation: str) -> Relation:
    if relation in RELATIONS:
        return RELATIONS[relation]
    close = difflib.get_close_matches(relation, RELATIONS, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(RELATIONS)}"
    raise CaseError(f"`{relation}` is not a relation; {hint}")


def _of(source: Case, rule: Relation, seed: int, count: int, words: Words) -> list[Case]:
    found: list[Case] = []
    seen = [_asked(source)]
    for number in range(1, count + 1):
        # a generator of its own: a case that comes or goes leaves the variants of others alone
        random = Random(f"{seed} {rule.name} {source.id} {number}")
        changed = rule.change(source, random, words.at(number))
        if changed is None or _asked(changed) in seen:
            continue
        seen.append(_asked(changed))
        found.append(
            msgspec.structs.replace(
                changed,
                id=f"{source.id}~{rule.name}-{number}",
                cluster=source.cluster or source.id,
                tags=(*source.tags, f"variant:{rule.name}"),
                variant=Variant(
                    of=source.id, relation=rule.name, expect=rule.expect, source=source.hash,
                    maker=f"genai {rule.name} {rule.version}, seed {seed}",
                ),
                provenance=None,
            )
        )  # fmt: skip
    return found


def _asked(case: Case) -> object:
    return case.input, case.messages


def sources_of(suite: Suite) -> list[Case]:
    """Give the cases that are not variants."""
    return [case for case in suite.cases if case.variant is None]


def variants_path(suite: Suite) -> Path:
    """Say where the variants of a suite are frozen: beside it."""
    return suite.path.with_name(f"{suite.path.stem}.variants.jsonl")


def frozen(suite: Suite) -> list[Case]:
    """Give the variants that stand in the file, whether the suite lists it yet or not."""
    path = variants_path(suite)
    return read.from_file(path, shown(path)) if path.is_file() else []


def freeze(suite: Suite, made: Made) -> int:
    """Write a relation's variants in place of its earlier ones; give how many are new or changed.

    A reviewer's name is kept where the variant is the same as before.
    """
    before = {case.id: case for case in frozen(suite)}
    others = [case for case in before.values() if _relation(case) != made.relation]
    kept, fresh = [], 0
    for case in made.variants:
        old = before.get(case.id)
        same = old is not None and _plain(old) == _plain(case)
        fresh += not same
        kept.append(old if same and old is not None else case)
    _write(variants_path(suite), [*others, *kept])
    return fresh


def review(suite: Suite, reviewer: str, ids: Sequence[str]) -> int:
    """Note who has looked at variants; give how many. Raises `CaseError` for an unknown id."""
    cases = frozen(suite)
    known = {case.id for case in cases}
    for each in ids:
        if each not in known:
            close = difflib.get_close_matches(each, known, n=1)
            hint = f"did you mean `{close[0]}`?" if close else "make it first: genai eval vary"
            raise CaseError(f"{shown(variants_path(suite))}: no variant `{each}`; {hint}")
    if not reviewer.strip():
        raise CaseError("a review needs the name of who looked: --review NAME CASE...")
    _write(
        variants_path(suite),
        [_reviewed(case, reviewer) if case.id in ids else case for case in cases],
    )
    return len(set(ids))


def _reviewed(case: Case, reviewer: str) -> Case:
    assert case.variant is not None
    variant = msgspec.structs.replace(case.variant, reviewer=reviewer)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    provenance = {"reviewed": today} if reviewer else None
    return msgspec.structs.replace(case, variant=variant, provenance=provenance)


def _plain(case: Case) -> Case:
    assert case.variant is not None
    variant = msgspec.structs.replace(case.variant, reviewer="", maker="")
    return msgspec.structs.replace(case, variant=variant, provenance=None)


def _write(path: Path, cases: Sequence[Case]) -> None:
    ordered = sorted(cases, key=lambda case: _relation(case))  # stable: cases keep their order
    encode = msgspec.json.Encoder().encode
    write_whole(path, b"".join(encode(case) + b"\n" for case in ordered), CaseError)


def stale(suite: Suite) -> list[str]:
    """Give a line for every variant whose source case has changed or gone.

    It looks at the frozen file and at what the suite lists.
    """
    sources = {case.id: case for case in sources_of(suite)}
    cases = {case.id: case for case in (*frozen(suite), *suite.cases) if case.variant is not None}
    problems = []
    for case in cases.values():
        variant: Any = case.variant
        source = sources.get(variant.of)
        if source is not None and source.hash == variant.source:
            continue
        what = "is no longer in the suite" if source is None else "has changed since"
        problems.append(
            f"{shown(suite.path)}: variant `{case.id}`: its source `{variant.of}` {what}; make it"
            f" again: genai eval vary {suite.path.stem} --relation {variant.relation}"
        )
    return problems


def check_variants(suite: Suite) -> None:
    """Refuse a suite with a stale variant. Raises `CaseError` that names the first."""
    problems = stale(suite)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CaseError(problems[0] + more)


def unreviewed(cases: Sequence[Case]) -> list[Case]:
    """Give the variants that may not gate before a person has looked at them."""
    return [
        case
        for case in cases
        if case.variant is not None
        and case.variant.relation in _REVIEWED
        and not case.variant.reviewer
    ]


def _relation(case: Case) -> str:
    return case.variant.relation if case.variant is not None else ""
