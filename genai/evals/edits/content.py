"""Changes of the content: names, order, passages, and the fact that makes the answer.

A task sees the input and the turns alone, so given passages count only where they stand in them.
Negation is by English grammar.
"""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

import msgspec

from genai.errors import CaseError
from genai.evals.case import Case, squeeze
from genai.evals.edits.base import (
    Words,
    asking,
    everywhere,
    facts_of,
    holds,
    in_strings,
    places_of,
    rewritten,
    seen,
    texts_of,
)
from genai.text.sentences import sentences

_OPTION = re.compile(r"^[ \t]*\(?([A-Za-z])[.):][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_REFERS = re.compile(r"\babove\b|\bbelow\b|\b[A-Z] (?:and|or) [A-Z]\b", re.IGNORECASE)
_LABELLED = re.compile(r"(\(?)([A-Za-z])([.):]{0,2})(?:\s+(.*))?", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)*(?![\w-])")
_DATE = re.compile(r"(?<![\w-])\d{4}-\d{2}-\d{2}(?![\w-])")
_AUXILIARY = re.compile(r"(?<=\w )(is|are|was|were|can|could|will|would|should|must|may)\b")
_NEGATION = re.compile(r"\b(can)not\b|\b(can|won|\w+n)['\u2019]t\b|\s(?:not|never)\b")
_TRIES = 50


def check_groups(groups: Mapping[str, Sequence[str]]) -> None:
    """Refuse groups that cannot be swapped. Raises `CaseError`."""
    example = "--group women=Anna,Maria --group men=Otto,Karl"
    if len(groups) < 2:
        raise CaseError(f"`names` needs two groups or more: {example}")
    if len({len(words) for words in groups.values()}) > 1 or not all(groups.values()):
        raise CaseError(f"`names` needs as many words in each group: {example}")
    words = [word for each in groups.values() for word in each]
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        raise CaseError(f"`names`: {twice[0]!r} stands twice; a word belongs to one group")


def names(case: Case, random: Random, words: Words) -> Case | None:
    """Swap the words of the first group that is named with those of another."""
    places = {}
    everything = "\n".join(texts_of(case))
    for group, members in words.groups.items():
        hits = [hit.start() for hit in _any_of(members).finditer(everything)]
        if hits:
            places[group] = min(hits)
    if not places:
        return None
    own = min(places, key=places.__getitem__)
    others = [group for group in words.groups if group != own]
    if words.turn > len(others):
        return None
    other = others[words.turn - 1]
    pairs = list(zip(words.groups[own], words.groups[other], strict=True))
    swap = dict(pairs) | {b: a for a, b in pairs}
    pattern = _any_of(list(swap))

    def swapped(text: str) -> str:
        return pattern.sub(lambda hit: swap[hit[0]], text)

    known = {"group": other, "source_group": own} if len(places) == 1 else {}
    return msgspec.structs.replace(
        rewritten(case, swapped),
        contexts=tuple(map(swapped, case.contexts)),
        expected=in_strings(case.expected, swapped),
        metadata={**(case.metadata or {}), **known} or None,
    )


def _any_of(members: Sequence[str]) -> re.Pattern[str]:
    longest = sorted(members, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")


def order(case: Case, random: Random, words: Words) -> Case | None:
    """Turn the options of a choice under their labels, or the passages that are given."""
    options = list(_OPTION.finditer(case.question))
    labels = [each[1] for each in options]
    if len(labels) >= 2 and ord(labels[0]) in (65, 97):
        in_a_row = all(ord(label) == ord(labels[0]) + n for n, label in enumerate(labels))
        if in_a_row and not any(_REFERS.search(each[2]) for each in options):
            return _turned_options(case, options, random.randrange(1, len(options)))
    given = [each for each in case.contexts if each]
    if len(set(given)) < 2 or not seen(case, given):
        return None
    step = random.randrange(1, len(given))
    turned = given[step:] + given[:step]
    pattern = re.compile("|".join(re.escape(each) for each in sorted(given, key=len, reverse=True)))
    place = dict(zip(given, turned, strict=True))
    changed = rewritten(case, lambda text: pattern.sub(lambda hit: place[hit[0]], text))
    return msgspec.structs.replace(changed, contexts=tuple(turned))


def _turned_options(case: Case, options: Sequence[re.Match[str]], step: int) -> Case:
    text, count, labels_lower = case.question, len(options), options[0][1].islower()
    moved: dict[str, tuple[str, str]] = {}  # old label -> new label, its text
    for n in reversed(range(count)):
        source = options[(n + step) % count]
        moved[source[1]] = (options[n][1], source[2])
        text = text[: options[n].start(2)] + source[2] + text[options[n].end(2) :]

    def relabelled(expected: str) -> str:
        hit = _LABELLED.fullmatch(expected.strip())
        lower = hit is not None and hit[2].islower()
        old = "" if hit is None else hit[2].lower() if labels_lower else hit[2].upper()
        if hit is None or old not in moved:
            return expected
        label, said = moved[old]
        label = label.lower() if lower else label.upper()
        if hit[4] is not None and squeeze(hit[4]) != squeeze(said):
            return expected
        return f"{hit[1]}{label}{hit[3]}" + (f" {hit[4]}" if hit[4] is not None else "")

    changed = asking(case, text)
    return msgspec.structs.replace(changed, expected=in_strings(case.expected, relabelled))


def distractor(case: Case, random: Random, words: Words) -> Case | None:
    """Add a passage of another case: among the given ones, else before the question."""
    own = {case.id, case.cluster, *(gold.document for gold in case.gold)}
    facts = facts_of(case)
    for _ in range(_TRIES if words.passages else 0):
        key, passage = random.choice(words.passages)
        strange = key not in own and not any(holds(fact, passage) for fact in facts)
        if strange and not any(passage in text for text in texts_of(case)):
            break
    else:
        return None
    given = [each for each in case.contexts if each]
    if not seen(case, given):
        return asking(case, f"{passage}\n\n{case.question}")
    at = random.choice(given)
    changed = rewritten(case, lambda text: text.replace(at, f"{at}\n\n{passage}", 1))
    place = case.contexts.index(at) + 1
    contexts = (*case.contexts[:place], passage, *case.contexts[place:])
    return msgspec.structs.replace(changed, contexts=contexts)


def fact_removed(case: Case, random: Random, words: Words) -> Case | None:
    """Cut the sentences that hold the answer out of the given passages."""
    facts = facts_of(case)
    if case.expect != "answer" or not facts or not seen(case, case.contexts):
        return None
    changed, contexts = case, []
    for context in case.contexts:
        rest = _without(context, facts)
        if rest != context:
            if not changed.messages and not changed.input.replace(context, rest).strip():
                return None  # there is nothing left to ask
            changed = _put(changed, context, rest)
        contexts.append(rest)
    if tuple(contexts) == case.contexts:
        return None
    return msgspec.structs.replace(changed, contexts=tuple(filter(None, contexts)))


def _put(case: Case, old: str, new: str) -> Case:
    return rewritten(case, lambda text: text.replace(old, new))


def _without(text: str, facts: Sequence[str]) -> str:
    places = [span for fact in facts for span in places_of(fact, text)]
    if not places:
        return text
    for start, end in reversed(sentences(text)):
        if any(start < b and a < end for a, b in places):
            text = text[:start] + text[end:].lstrip()
    return text.strip()


def negation(case: Case, random: Random, words: Words) -> Case | None:
    """Negate the statement that holds the answer, else the first one; or take a negation out."""
    texts = list(case.contexts) if seen(case, case.contexts) else [case.question]
    facts = facts_of(case) if texts[0] != case.question else []
    for text in texts:
        for start, end in sentences(text):
            said = text[start:end]
            if said.endswith("?") or (facts and not any(holds(fact, said) for fact in facts)):
                continue
            turned = _negated(said)
            if turned is not None:
                changed = _put(case, said, turned)
                contexts = tuple(each.replace(said, turned) for each in case.contexts)
                return msgspec.structs.replace(changed, contexts=contexts)
    return None


def _negated(said: str) -> str | None:
    if hit := _NEGATION.search(said):
        word = hit[1] or {"won": "will", "can": "can"}.get(hit[2] or "", (hit[2] or "")[:-1])
        return said[: hit.start()] + word + said[hit.end() :]
    if hit := _AUXILIARY.search(said):
        word = "cannot" if hit[1] == "can" else f"{hit[1]} not"
        return said[: hit.start()] + word + said[hit.end() :]
    return None


def number(case: Case, random: Random, words: Words) -> Case | None:
    """Move a number by one to nine: one of the answer where it is given, else any asked with."""

    def moved(token: str) -> str:
        whole = re.match(r"\d+", token)
        assert whole is not None
        return (
            str(int(whole[0]) + random.randrange(1, 10)).zfill(len(whole[0])) + token[whole.end() :]
        )

    return _moved(case, random, _NUMBER, moved)


def date(case: Case, random: Random, words: Words) -> Case | None:
    """Move a date written as 2026-03-01 by one to thirteen months."""

    def moved(token: str) -> str:
        try:
            day = datetime.date.fromisoformat(token)
            return (day + datetime.timedelta(days=random.randrange(30, 400))).isoformat()
        except (ValueError, OverflowError):
            return token

    return _moved(case, random, _DATE, moved)


def _moved(
    case: Case, random: Random, pattern: re.Pattern[str], move: Callable[[str], str]
) -> Case | None:
    pool = list(dict.fromkeys(hit for text in texts_of(case) for hit in pattern.findall(text)))
    facts = {hit for fact in facts_of(case) for hit in pattern.findall(fact)}
    chosen = [each for each in pool if each in facts]
    if not chosen and not seen(case, case.contexts):
        chosen = pool
    if not chosen:
        return None
    old = random.choice(chosen)
    new = move(old)
    return everywhere(
        case, lambda text: pattern.sub(lambda hit: new if hit[0] == old else hit[0], text)
    )
