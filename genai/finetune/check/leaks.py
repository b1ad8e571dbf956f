"""Duplicates within the training rows, and eval texts that training would see.

A leak is sought in five ways, the surest first: the same text; the same words (case, punctuation
and white space aside); one word changed; nearly the same (see `near.py`); thirteen words in a row.
A file of evals that cannot be read fails the check, since what was not read was not compared.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genai.errors import GenaiError, shown
from genai.evals.suite import load_suite
from genai.finetune.check.near import Signatures, near_pairs, near_within, normalised
from genai.finetune.check.report import Finding, by_limit
from genai.finetune.data import Row, read_rows
from genai.finetune.recipe import Recipe, located
from genai.project import Project
from genai.prompts import load_prompt, prompt_names
from genai.prompts.render import unfenced

_RUN = 13  # words in a row
_FEW, _MANY = 5, 100  # words that a text must have, and may have, to be sought with one changed


@dataclass(frozen=True, slots=True)
class Text:
    """A text that training would see, or must not see, and where it stands."""

    where: str
    text: str


@dataclass
class Sets:
    """The texts of every set that a training row must not stand in, by name."""

    held: dict[str, list[Text]] = field(default_factory=dict)
    runs: dict[str, list[Text]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)  # the suite that gates, then `dev`


def held_out(recipe: Recipe, project: Project) -> Sets:
    """Read the suites that gate, the examples in prompts, and the files that the recipe holds out.

    A suite that only shows may be trained from; the two that the recipe names never are.
    """
    sets = Sets()
    suites = sorted((project.root / "evals").glob("*.yaml"))
    named = [located(project, recipe.evals.suite), located(project, recipe.evals.dev)]
    sets.named = [shown(path) for path in named]
    for path in dict.fromkeys([*named, *suites]):
        try:
            suite = load_suite(path)
        except GenaiError as error:
            sets.unread.append(str(error))
            continue
        if not suite.gating and path not in named:
            continue
        cases = suite.cases
        name = shown(path)
        sets.held.setdefault(name, []).extend(
            Text(f"{name} {case.id}", text) for case in cases for text in case.said
        )
        sets.runs.setdefault(name, []).extend(
            Text(f"{name} {case.id}", str(each)) for case in cases for each in case.expectations
        )
    prompts = project.root / "prompts"
    for name in prompt_names(prompts):
        try:
            prompt = load_prompt(name, prompts)
        except GenaiError as error:
            sets.unread.append(str(error))
            continue
        said = [s.text for _, segments in prompt.turns for s in segments]  # examples among them
        sets.held[f"prompts/{name}.md"] = [
            Text(f"prompts/{name}.md", line.strip())
            for text in said for line in {text, *text.splitlines()} if len(line.split()) >= _FEW
        ]  # fmt: skip
    for path in (located(project, each) for each in recipe.check.leak_files):
        _hold(sets, path, recipe.method)
    return sets


def _hold(sets: Sets, path: Path, method: str) -> None:
    """Read a file of rows that training must not hold, of whichever kind it is."""
    for kind in dict.fromkeys((method, "sft", "dpo", "kto")):
        try:
            rows = read_rows([path], kind)
        except GenaiError as error:
            problem = str(error)
            continue
        sets.held.setdefault(path.name, []).extend(each for row in rows for each in asked(row))
        for row in rows:
            for group in _groups(row):
                sets.groups.setdefault(group, f"{row.file}:{row.line}")
        return
    sets.unread.append(problem)


def asked(row: Row) -> Iterator[Text]:
    """Give what the user says in a row; the passages around it are documents."""
    where = f"{row.file}:{row.line}"
    if row.provenance.question:
        yield Text(where, row.provenance.question)
    for turn in row.prompt:
        if turn.role == "user":
            yield Text(where, unfenced(turn.content))


def _groups(row: Row) -> Iterator[str]:
    made = row.provenance
    yield from (f"user {each}" for each in (made.user_key,) if each)
    yield from (f"group {each}" for each in (made.group,) if each)


class Index:
    """The texts of training, by their words, ready to be looked up."""

    def __init__(self, rows: Sequence[Row], near: float) -> None:
        self.near = near
        self._exact: dict[str, str] = {}
        self._same: dict[str, str] = {}
        for row in rows:
            for each in asked(row):
                self._exact.setdefault(each.text, each.where)
                self._same.setdefault(normalised(each.text), each.where)
        self._unique = list(self._same)
        self.signatures = Signatures(self._unique) if near < 1 else None

    def where(self, place: int) -> str:
        """Say where the text at a place of the signatures stands."""
        return self._same[self._unique[place]]

    def find(self, sought: Sequence[Text]) -> list[str]:
        """Give a line for every sought text that training holds."""
        found: dict[int, str] = {}
        texts = [normalised(each.text) for each in sought]
        for place, (each, text) in enumerate(zip(sought, texts, strict=True)):
            if each.text in self._exact:
                found[place] = f"is {self._exact[each.text]}"
            elif text and text in self._same:
                found[place] = f"is, case and punctuation aside, {self._same[text]}"
        if self.signatures is not None and len(found) < len(texts):
            for place, where in self._one_word(texts).items():
                found.setdefault(place, f"is, but for one word, {where}")
            left = [place for place in range(len(texts)) if place not in found and texts[place]]
            near = near_pairs(
                self.signatures, Signatures([texts[place] for place in left]), self.near
            )
            for at, (other, share) in near.items():
                found[left[at]] = f"is nearly ({share:.0%}) {self.where(other)}"
        return [f"{sought[place].where} {line}" for place, line in sorted(found.items())]

    def _one_word(self, texts: Sequence[str]) -> dict[int, str]:
        """Find texts that differ by one word, by the keys of a text with each word left open."""
        keys: dict[int, list[int]] = {}
        for place, text in enumerate(texts):
            for key in _open_keys(text):
                keys.setdefault(key, []).append(place)
        found: dict[int, str] = {}
        for text, where in self._same.items() if keys else ():
            for key in _open_keys(text):
                for place in keys.get(key, ()):
                    found.setdefault(place, where)
        return found


def _open_keys(text: str) -> list[int]:
    """Give a key for each word of a text, over all the others."""
    words = text.split()
    if not _FEW <= len(words) <= _MANY:
        return []
    heads, tails = [0], [0]
    for word in words:
        heads.append(hash((heads[-1], word)))
    for word in reversed(words):
        tails.append(hash((tails[-1], word)))
    count = len(words)
    return [hash((heads[at], tails[count - 1 - at], at, count)) for at in range(count)]


def duplicates(rows: Sequence[Row], index: Index, limit: float) -> list[Finding]:
    """Find rows that come again, and prompts that come again with nearly the same words."""
    first: dict[tuple[str, ...], str] = {}
    again = []
    for row in rows:
        key = tuple(normalised(each) for each in (*(t.content for t in row.prompt), *row.answers))
        where = f"{row.file}:{row.line}"
        if key in first:
            again.append(f"{where} is {first[key]}")
        first.setdefault(key, where)
    found = [by_limit("duplicates", again, len(rows), limit, "rows come again", "remove them")]
    if index.signatures is not None:
        near = near_within(index.signatures, index.near)
        lines = [f"{index.where(a)} is nearly {index.where(b)}" for a, (b, _) in near.items()]
        found.append(Finding("near duplicates", "info", f"{len(near)} prompts are nearly another",
                             len(near), len(rows), tuple(sorted(lines)[:20])))  # fmt: skip
    else:
        found.append(Finding("near duplicates", "warn", "near copies are not looked for, here or"
                             " in the evals (`check.near: 1`); 0.8 finds them"))  # fmt: skip
    return found


def leaks(rows: Sequence[Row], index: Index, sets: Sets, recipe: Recipe) -> list[Finding]:
    """Compare training with all that is held out, and the suite that gates with `dev`."""
    near = recipe.check.near < 1
    lines = [f"not compared: {each}" for each in sets.unread]
    for texts in sets.held.values():
        lines += index.find(texts)
    for group, where in sets.groups.items():
        inside = next((row for row in rows if group in _groups(row)), None)
        if inside is not None:
            lines.append(f"{where} and {inside.file}:{inside.line} are of one {group}")
    sought = [each for texts in sets.runs.values() for each in texts]
    if near:
        sought += [each for texts in sets.held.values() for each in texts]
    lines += _runs(rows, sought)
    compared = sum(len(texts) for texts in sets.held.values())
    found = _leak_finding("leaks", lines, compared, f"{len(sets.held)} suites, prompts and files")
    return [found, _between(sets)]


def _between(sets: Sets) -> Finding:
    """Find questions that stand both in the set that chooses and in the suite that gates."""
    names = sets.named
    if not all(name in sets.held for name in names):
        return Finding("dev and suite", "fail", "one of them could not be read; see `leaks`", 0, 0)
    seen = {normalised(each.text): each.where for each in sets.held[names[0]]}
    lines = [
        f"{each.where} is {seen[normalised(each.text)]}"
        for each in sets.held[names[1]] if normalised(each.text) in seen
    ]  # fmt: skip
    return _leak_finding("dev and suite", lines, len(sets.held[names[1]]), names[0])


def _leak_finding(name: str, lines: Iterable[str], compared: int, against: str) -> Finding:
    found = tuple(dict.fromkeys(lines))
    if found:
        message = f"{len(found)} of {compared} texts of {against}; remove these rows"
        return Finding(name, "fail", message, len(found), compared, found[:20])
    return Finding(name, "pass", f"none of {compared} texts of {against}", 0, compared)


def _runs(rows: Sequence[Row], sought: Sequence[Text]) -> Iterator[str]:
    """Find thirteen words in a row of a sought text in what is trained."""
    keys: dict[tuple[str, ...], str] = {}
    for each in sought:
        words = normalised(each.text).split()
        for at in range(len(words) - _RUN + 1):
            keys.setdefault(tuple(words[at : at + _RUN]), each.where)
    starts = {key[0] for key in keys}
    for row in rows if keys else ():
        for text in (*(unfenced(turn.content) for turn in row.prompt), *row.answers):
            words = normalised(text).split()
            hits = (
                keys.get(tuple(words[at : at + _RUN]))
                for at in range(len(words) - _RUN + 1) if words[at] in starts
            )  # fmt: skip
            hit = next((each for each in hits if each), None)
            if hit:
                yield f"{hit} shares {_RUN} words in a row with {row.file}:{row.line}"
