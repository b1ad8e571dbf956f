"""Prompts on the project's parts: versions and arms, lint, locks by eval, diffs with money."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from genai import project as projects
from genai.errors import GenaiError, InputError, MissingExtra, PromptError
from genai.evals import Report
from genai.evals.baseline import find_run, other_cases
from genai.models.base import count_tokens
from genai.project import Project
from genai.prompts import (
    Labels,
    Prompt,
    find_prompt,
    load_prompt,
    prompt_names,
    read_labels,
    revisions,
    set_label,
)
from genai.prompts.diff import CALLS, Comparison, compare, signed
from genai.prompts.lint import lint, text_of
from genai.prompts.load import VERSIONS
from genai.prompts.lock import Lock, Receipt, read_lock, unproven_labels, write_lock
from genai.prompts.sarif import Result
from genai.text.secrets import find_secrets
from genai.types import Usage
from genai.wiring.parts import open_ledger, prices, settings

_PASSED: dict[str, Literal["PASS", "IMPROVED"]] = {"PASS": "PASS", "IMPROVED": "IMPROVED"}


def prompt(name: str = "", *, experiment: str = "", user: str = "") -> Prompt:
    """Read a prompt: `rag/answer`, `rag/answer@production`, `rag/answer@ba286c04d1f7`.

    With `experiment`, an experiment of `prompts/labels.yaml`, the user's own arm of it.

    Raises:
        PromptError: no such prompt, version, label or experiment, or a mistake in the file.
    """
    folder = _folder()
    if bool(name) == bool(experiment):
        raise PromptError("a prompt has a name or comes from an experiment; give one of the two")
    return load_prompt(name or read_labels(folder).arm(experiment, user), folder)


def diff_prompts(before: str, after: str, *, model: str = "") -> Comparison:
    """Compare two prompts: names, pinned versions, files, or `REVISION:prompts/x.md`.

    `model` is whose price is taken: by default the first the prompt names, else the configured.

    Raises:
        PromptError: no such prompt, or a mistake in it.
    """
    project = projects.find_project()
    old, new = (find_prompt(each, project.root) for each in (before, after))
    model = model or _model_of(new)

    def price(tokens: int) -> Decimal | None:
        return prices().cost(model, Usage(tokens, source="counted")).amount

    file = after.rpartition(":")[2] if after.endswith(".md") else ""
    return compare(old, new, count=count_tokens, model=model, price=price, file=file)


def _model_of(read: Prompt) -> str:
    """Name whose price is taken: the first model that a prompt names, else the configured one."""
    hints = read.front.models
    return hints[0] if hints else settings().chain.model


def _money(read: Prompt, tokens: int) -> str:
    model = _model_of(read)
    cost = prices().cost(model, Usage(tokens, source="counted")).amount
    return f"input cost of {CALLS:,} calls of {model}: {signed(cost and CALLS * cost)}"


@dataclass(frozen=True, slots=True)
class Known:
    """A prompt of the project, with what is known of it.

    `problem` says why the file cannot be read; then there is no hash. `state` is `locked`,
    `changed` since its eval, or `new`, which was never locked.
    """

    name: str
    hash: str = ""
    tokens: int | None = None
    description: str = ""
    state: str = ""
    receipt: Receipt | None = None
    labels: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    problem: str = ""

    def versions(self) -> list[tuple[str, str]]:
        """Give what can be compared, newest first: a name for `diff_prompts`, and words for it."""
        root = projects.find_project().root
        pinned = [(f"{self.name}@{each}", f"locked {each}") for each in reversed(self.locked)]
        commits = [(name, f"commit {name.partition(':')[0]} of {day}")
                   for name, day in revisions(self.name, root)]  # fmt: skip
        return [(self.name, "the file as it is"), *pinned, *commits]


def known_prompts() -> list[Known]:
    """Give every prompt of the project, by name. Raises `ConfigError` for the lock or labels."""
    folder = _folder()
    lock, labels = read_lock(folder), read_labels(folder).labels
    found = []
    for name in prompt_names(folder):
        newest = lock.newest(name)
        at = tuple(
            f"{label}@{versions[name]}" for label, versions in labels.items() if name in versions
        )
        locked = tuple(each.hash[:12] for each in lock.prompts.get(name, []))
        try:
            read = load_prompt(name, folder)
        except GenaiError as error:
            found.append(Known(name, labels=at, locked=locked, problem=str(error)))
            continue
        same = newest is not None and newest.hash == read.sha256
        found.append(
            Known(
                name, read.hash, count_tokens(text_of(read)), read.front.description,
                "new" if newest is None else "locked" if same else "changed",
                newest.receipt if newest is not None and same else None, at, locked,
            )
        )  # fmt: skip
    return found


def lint_prompts(name: str = "") -> list[Result]:
    """Give what is wrong with one prompt, or with all, their labels and their lock."""
    folder = _folder()
    found, lock, labels = [], Lock(), Labels()
    try:
        lock = read_lock(folder)
        labels = read_labels(folder)
    except GenaiError as error:  # the prompts themselves are looked at all the same
        found.append(Result("unreadable", "error", str(error).partition(":")[0], str(error)))
    for each in [name] if name else prompt_names(folder):
        try:
            found += lint(load_prompt(each, folder), count_tokens, lock, find_secrets, _money)
        except MissingExtra as error:
            file = f"prompts/{each}.md"
            found.append(Result("unreadable", "error", file, f"{file}: not looked at, {error}"))
        except GenaiError as error:
            found.append(Result("unreadable", "error", f"prompts/{each}.md", str(error)))
    if not name:
        lines = unproven_labels(labels, lock)
        found += [Result("unproven_label", "error", "prompts/labels.yaml", each) for each in lines]
        found += _versions(lock, folder)
    return found


def _versions(lock: Lock, folder: Path) -> list[Result]:
    """See that every locked version is there and is what its hash says."""
    found = []
    file, known = "prompts/prompts.lock", prompt_names(folder)
    for name, versions in lock.prompts.items():
        for n, each in enumerate(versions):
            try:
                load_prompt(f"{name}@{each.hash[:12]}", folder)
            except GenaiError as error:
                said = f"{file}: `prompts.{name}.{n}.hash`: {error}"
                kept = folder / VERSIONS / f"{name}@{each.hash[:12]}.json"
                if name not in known and not kept.exists():
                    close = difflib.get_close_matches(name, known, n=1)
                    cure = f"did you mean `{close[0]}`?" if close else "take it out"
                    said = f"{file}: `prompts.{name}`: there is no such prompt; {cure}"
                found.append(Result("unreadable", "error", file, said))
    return list(dict.fromkeys(found))


def lock_prompts(names: Sequence[str], suite: str, run: str = "") -> list[str]:
    """Lock prompts by a run that passed; give a line for each that was locked.

    Without names: every prompt that the run used and that is not locked as it is.

    Raises:
        InputError: the run did not pass, was not of the whole suite, or did not use a prompt as it
            is now.
    """
    project = projects.find_project()
    folder = project.root / "prompts"
    report = find_run(project.state / "runs", suite, run)
    if other := other_cases(report):
        raise InputError(f"{other}, then lock")
    receipt = Receipt(
        suite=report.suite, run=report.run, dataset=report.dataset, decision=_passed(report),
        at=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    lines = []
    for name in names or prompt_names(folder):
        read = load_prompt(name, folder)
        newest = read_lock(folder).newest(name)
        if not _used(read, report, project):
            if names:
                raise InputError(
                    f"run {report.run} did not use {read.id}; run `genai eval {report.suite}` with"
                    " the prompt as it is now, then lock it"
                )
            continue
        if names or newest is None or newest.hash != read.sha256:
            write_lock(read, count_tokens(text_of(read)), receipt, folder)
            lines.append(f"{read.id} is locked by run {report.run}: {receipt.decision}")
    return lines


def _passed(report: Report) -> Literal["PASS", "IMPROVED"]:
    """Give the gate's word; a suite without a baseline passes by its limits alone."""
    decision = report.judged()
    code, word = report.exit_with(decision), "PASS" if decision is None else str(decision)
    if code == 0 and word in _PASSED:
        return _PASSED[word]
    why = f"its exit code is {code}" if word in _PASSED else f"the gate says {word}"
    raise InputError(
        f"run {report.run} of {report.suite} did not pass ({why}), so it locks nothing; see"
        f" genai eval {report.suite}"
    )


def _used(prompt: Prompt, report: Report, project: Project) -> bool:
    """Whether the ledger holds a call of the run that this very version was sent in."""
    return bool(open_ledger(project).calls(limit=1, run=report.run, prompt_id=prompt.id))


def label_prompt(label: str, name: str) -> str:
    """Point a label at a version, `name` or `name@hash`, that has a receipt; say what changed.

    Raises:
        InputError: the version has no receipt.
    """
    folder = _folder()
    read = load_prompt(name, folder)
    if read_lock(folder).find(read.name, read.sha256) is None:
        raise InputError(
            f"{read.id} has no receipt, so no label can point at it; run its eval, then:"
            f" genai prompt lock {read.name}"
        )
    before = set_label(label, read.name, read.hash, folder)
    return f"{label}: {read.name}@{before or 'nothing'} -> {read.id}"


def _folder() -> Path:
    return projects.find_project().root / "prompts"
