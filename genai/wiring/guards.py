"""Open a project's guards: with their log, their stand-ins, and the model that judges."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from genai import project as projects
from genai.errors import ConfigError
from genai.guards import Audit, Policy, Pseudonyms, combine, load_policy
from genai.guards.base import STOPS
from genai.guards.judge import Ask
from genai.ledger import merged
from genai.models import Model
from genai.project import Project
from genai.prompts import load_prompt
from genai.types import Context
from genai.wiring.parts import open_named, settings

KEY = "GENAI_PSEUDONYM_KEY"
_NO_LLM = "extractive"


def load_guards(project: Project | None = None, *, path: Path | None = None) -> Policy:
    """Read the project's guard policy, or another file of the same form.

    Verdicts are logged in `.genai/audit` where the file says so; stand-ins stay in
    `.genai/pseudonyms.db` where the variable `GENAI_PSEUDONYM_KEY` holds a key, else in memory.

    Raises:
        ConfigError: names file, place, guard and cure.
    """
    found = project or projects.find_project()
    return load_policy(
        path or found.root / "configs" / "guards.yaml",
        ask=_judge(found),
        pseudonyms=_pseudonyms(found.state / "pseudonyms.db", os.environ.get(KEY, "")),
        audit=Audit(found.state / "audit"),
    )


class Screen:
    """Says which passages are held back when they are read; the policy is read on first use."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._policy: Policy | None = None

    def stops(self, text: str) -> bool:
        """Say whether a passage must never be found."""
        return combine(self._held().check(text, "passage")) in STOPS

    def id(self) -> str:
        """Name the guards of passages: another name makes every passage looked at again."""
        return self._held().place_hash("passage")

    def _held(self) -> Policy:
        if self._policy is None:
            self._policy = load_guards(self._project)
        return self._policy


@lru_cache(maxsize=4)
def _pseudonyms(path: Path, key: str) -> Pseudonyms:
    """Open the table of stand-ins; one object a process."""
    if not key:
        return Pseudonyms()
    if len(key) < 32:
        raise ConfigError(
            f"{KEY}: has {len(key)} characters, 32 are needed; make one with"
            ' `python -c "import secrets; print(secrets.token_hex(32))"`'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return Pseudonyms(hashlib.sha256(key.encode()).digest(), path)


def _judge(project: Project) -> Ask | None:
    """Give the way to ask the judge model, None where no LLM is configured."""
    try:
        config = settings(project)
    except ConfigError:  # whoever reads the settings for their own sake says so
        return None
    name = config.evals.judge or config.chain.model
    if name == _NO_LLM:
        return None
    opened: list[Model] = []

    def ask(prompt: str, text: str) -> str:
        if not opened:
            opened.append(open_named(project, config, name))
        asked = load_prompt(prompt, project.root / "prompts")
        context = merged(Context(prompt_id=asked.id, feature="guard"))
        return opened[0](asked.render(text=text), context=context, **asked.params).text

    return ask
