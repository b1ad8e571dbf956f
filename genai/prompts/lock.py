"""The prompt lock: which version of each prompt was evaluated, and what the eval said.

A prompt in the lock whose hash has changed has not been evaluated as it is: `genai check` fails
until a run passes and `genai prompt lock` writes its receipt.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field

from genai.config import Settings, parse_yaml, validate
from genai.errors import PromptError
from genai.project import write_whole
from genai.prompts.file import Prompt
from genai.prompts.labels import Labels
from genai.prompts.load import write_version

FILE = "prompts.lock"
_HEAD = "# Written by `genai prompt lock` after an eval has passed. Commit it with the prompts.\n"


class _Strict(Settings):
    model_config = ConfigDict(strict=True)


class Receipt(_Strict):
    """The run that a prompt passed; `dataset` hashes its cases, `at` is the day it was locked."""

    suite: str
    run: str
    dataset: str
    decision: Literal["PASS", "IMPROVED"]
    at: str


class Locked(_Strict):
    """A version that passed. `tokens` are those of its text, to see growth by."""

    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    tokens: int
    receipt: Receipt


class Lock(_Strict):
    """The whole of `prompts/prompts.lock`: the versions of each prompt, the newest last."""

    version: Literal[1] = 1
    prompts: dict[str, list[Locked]] = Field(default_factory=dict)

    def newest(self, name: str) -> Locked | None:
        """Give the version of a prompt that was locked last."""
        found = self.prompts.get(name)
        return found[-1] if found else None

    def find(self, name: str, hash_: str) -> Locked | None:
        """Give a version by its hash, or the first 12 digits of it."""
        found = (each for each in self.prompts.get(name, []) if each.hash.startswith(hash_))
        return next(found, None) if hash_ else None


def read_lock(folder: Path) -> Lock:
    """Read the lock of a prompts folder; an empty one where there is none. Raises `ConfigError`."""
    path = folder / FILE
    data: Any = parse_yaml(path.read_text("utf-8"), f"prompts/{FILE}") if path.is_file() else {}
    return validate(Lock, data or {}, f"prompts/{FILE}")


def write_lock(prompt: Prompt, tokens: int, receipt: Receipt, folder: Path) -> Path:
    """Lock a prompt as it is: keep the version for good, and its receipt; give the lock's path."""
    lock = read_lock(folder)
    entry = Locked(hash=prompt.sha256, tokens=tokens, receipt=receipt)
    rest = [each for each in lock.prompts.get(prompt.name, []) if each.hash != entry.hash]
    prompts = {**lock.prompts, prompt.name: [*rest, entry]}
    data = Lock(prompts=dict(sorted(prompts.items()))).model_dump(mode="json")
    write_version(prompt, folder)
    path = folder / FILE
    text = _HEAD + yaml.safe_dump(data, sort_keys=False, width=100)
    write_whole(path, text, PromptError)
    return path


def unproven(prompt: Prompt, lock: Lock) -> str:
    """Say how a locked prompt has moved away from its receipt; '' where it has not."""
    newest = lock.newest(prompt.name)
    if newest is None or newest.hash == prompt.sha256:
        return ""
    return (
        f"prompts/{prompt.name}.md: has changed since it was evaluated (locked {newest.hash[:12]},"
        f" now {prompt.hash}); run `genai eval {newest.receipt.suite}`, then"
        f" `genai prompt lock {prompt.name}`"
    )


def unproven_labels(labels: Labels, lock: Lock) -> list[str]:
    """Name each label and arm that points at a version without a receipt."""
    pins = [
        (f"label `{label}`", name, hash_)
        for label, versions in labels.labels.items()
        for name, hash_ in versions.items()
    ]
    pins += [
        (f"experiment `{experiment}`", *arm.split("@", 1))  # type: ignore[misc]
        for experiment, arms in labels.experiments.items()
        for arm in arms
    ]
    return [
        f"prompts/labels.yaml: {what} points at {name}@{hash_}, which has no receipt; run its"
        f" eval, then: genai prompt lock {name}"
        for what, name, hash_ in pins
        if lock.find(name, hash_) is None
    ]
