"""The improvement loop on the project's parts: its ledger, evals, guards and index."""

from collections.abc import Callable, Sequence

from genai import project as projects
from genai.guards.base import STOPS
from genai.loop import Loop, load_loop
from genai.project import Project
from genai.rag import Chain
from genai.types import Call, Hit
from genai.wiring.chain import load
from genai.wiring.guards import load_guards
from genai.wiring.parts import open_ledger
from genai.wiring.trials import evaluate


def open_loop(project: Project | None = None) -> Loop:
    """Open the loop: `refresh()`, `items()`, `review(...)`, `promote(...)`, `status()`.

    Raises:
        ConfigError: configs/loop.yaml has a mistake; names key and cure.
    """
    found = project or projects.find_project()
    return Loop(
        ledger=open_ledger(found),
        project=found,
        settings=load_loop(found.root / "configs" / "loop.yaml"),
        evaluate=evaluate,
        passages=_Passages(found),
        stops=_stops(found),
    )


class _Passages:
    """Searches again for what an answer was made from; the chain is opened on first use."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._chain: Chain | None = None

    def __call__(self, call: Call, question: str) -> Sequence[Hit] | None:
        """Give the passages; None where index or settings are no longer those of the call."""
        if self._chain is None:
            self._chain = load(self._project)
        chain, asked = self._chain, call.context
        if (chain.index.revision, chain.config.hash) != (asked.index_revision, asked.config_hash):
            return None
        return chain.index.search(question, chain.config.chain.top_k, context=asked)


def _stops(project: Project) -> Callable[[str], str]:
    """Say why the guards of the place `log` would not let a text be kept."""
    policy = load_guards(project)

    def why(text: str) -> str:
        verdicts = policy.check(text, "log")
        if policy.combine(verdicts) not in STOPS:
            return ""
        return f"is stopped by {', '.join(v.guard for v in verdicts if v.decision in STOPS)}"

    return why
