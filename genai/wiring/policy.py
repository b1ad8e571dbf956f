"""Read a project's guard policy: with its log of verdicts and its stand-ins."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from genai.errors import ConfigError
from genai.guards import Audit, Policy, Pseudonyms, load_policy
from genai.guards.judge import Ask
from genai.project import Project

KEY = "GENAI_PSEUDONYM_KEY"


def open_policy(project: Project, ask: Ask | None, path: Path | None = None) -> Policy:
    """Read the project's policy, or another file of the same form; `ask` asks its judge.

    Raises:
        ConfigError: names file, place, guard and cure.
    """
    return load_policy(
        path or project.root / "configs" / "guards.yaml",
        ask=ask,
        pseudonyms=_pseudonyms(project.state / "pseudonyms.db", os.environ.get(KEY, "")),
        audit=Audit(project.state / "audit"),
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
