"""Open a project's guards, with the model that judges."""

from pathlib import Path
from typing import Any

from genai import project as projects
from genai.guards import Policy, combine
from genai.guards.base import STOPS
from genai.project import Project
from genai.wiring.parts import judge
from genai.wiring.policy import open_policy


def load_guards(
    project: Project | None = None, *, path: Path | None = None, record: Any = None
) -> Policy:
    """Read the project's guard policy, or another file of the same form.

    `record` takes the rows of its judges' calls instead of the ledger.

    Verdicts are logged in `.genai/audit` where the file says so; stand-ins stay in
    `.genai/pseudonyms.db` where the variable `GENAI_PSEUDONYM_KEY` holds a key, else in memory.

    Raises:
        ConfigError: names file, place, guard and cure.
    """
    found = project or projects.find_project()
    return open_policy(found, judge(found, record), path)


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
