"""Read a project's guard policy: with its log of verdicts and its stand-ins."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from genai.errors import ConfigError, shown
from genai.guards import Audit, Policy, Pseudonyms, load_policy
from genai.guards.judge import Ask
from genai.project import Project

KEY = "GENAI_PSEUDONYM_KEY"


def open_policy(project: Project, ask: Ask | None, path: Path | None = None) -> Policy:
    """Read the project's policy, or another file of the same form; `ask` asks its judge.

    Raises:
        ConfigError: names file, place, guard and cure.
        PromptError: a judge's prompt is not there or is wrong.
    """
    path = path or project.root / "configs" / "guards.yaml"
    policy = load_policy(
        path,
        ask=ask,
        pseudonyms=_pseudonyms(project.state / "pseudonyms.db", os.environ.get(KEY, "")),
        audit=Audit(project.state / "audit"),
    )
    for name in sorted(policy.judges):
        _check_judge(name, project.root / "prompts", shown(path))
    return policy


def _check_judge(name: str, prompts: Path, policy: str) -> None:
    """Refuse a judge's prompt that is not there or wants something else than the text."""
    from genai.prompts import load_prompt

    inputs = load_prompt(name, prompts).front.inputs
    wanted = {each for each, spec in inputs.items() if spec.required or each == "text"}
    if wanted != {"text"} or inputs["text"].kind != "passages":
        raise ConfigError(
            f"{policy}: the judge's prompt `{name}` must have `text: {{kind: passages}}` among its"
            f" inputs and need no other; it has {', '.join(inputs) or 'none'}"
        )


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
