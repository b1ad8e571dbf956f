"""The improvement loop on the project's parts: its ledger, evals, guards and index."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from genai import project as projects
from genai.errors import InputError
from genai.guards.base import STOPS
from genai.loop import Loop, load_loop
from genai.project import Project
from genai.rag import Chain
from genai.rag.aide import Aide
from genai.rag.turn import Tally
from genai.types import Call, Context, Hit, Message
from genai.wiring.chain import load
from genai.wiring.guards import load_guards
from genai.wiring.parts import model, open_ledger
from genai.wiring.trials import evaluate

_FOUND = ("passages", "quarantined", "topic", "retrieval_score", "confidence")  # tags of a search


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
        sent=Sent(found),
    )


class _Passages:
    """Searches again for what an answer was made from; the chain is opened on first use."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._chain: Chain | None = None

    def __call__(self, call: Call, question: str) -> Sequence[Hit] | None:
        """Give the passages; None where they are no longer those that the call's row tells of."""
        if self._chain is None:
            self._chain = _unasked(self._project)
        chain, asked = self._chain, call.context
        if (chain.index.revision, chain.config.hash) != (asked.index_revision, asked.config_hash):
            return None
        try:
            _, hits, tags = chain.rendered(question, Context(tenant=asked.tenant))
        except InputError:
            return None
        return hits if _same(call, tags) else None


class Sent:
    """Renders again what the model of a call was sent; the chain is opened on first use.

    Nothing is asked and no row is recorded. What the row says of its passages must be found again,
    for another prompt is not the one that a person judged the answer to.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._chain: Chain | None = None

    def __call__(self, call_id: str, question: str) -> tuple[Message, ...]:
        """Give the messages.

        Raises:
            InputError: prompt or index have changed since, or the passages are not found again.
        """
        ledger = open_ledger(self._project)
        call = ledger.call(call_id)
        if call is None or call.kind != "chain":
            raise InputError("a prompt that no chain made stood around the question")
        chain, asked = self._opened(), call.context
        for what, then, now in (
            ("prompt", asked.prompt_id, chain.prompt.id),
            ("index revision", asked.index_revision, chain.index.revision),
        ):
            if then != now:
                raise InputError(f"the {what} was {then or 'unknown'} and is now {now}")
        first = next((row for row in ledger.children(call_id) if row.kind == "model"), None)
        if first is not None and first.context.prompt_id != asked.prompt_id:
            raise InputError(f"{first.context.prompt_id} had a model change question or passages")
        messages, _, tags = chain.rendered(question, Context(tenant=asked.tenant))
        if not _same(call, tags):
            raise InputError("the search finds other passages than it found then")
        return messages

    def _opened(self) -> Chain:
        if self._chain is None:
            self._chain = _unasked(self._project)
        return self._chain


def _unasked(project: Project) -> Chain:
    """Open the project's chain without the steps that ask a model; it records no row."""
    made = load(project, model=model("extractive"))
    rerank = None if isinstance(made.steps.rerank, Aide) else made.steps.rerank
    return Chain(
        model=made.model, prompt=made.prompt, index=made.index, guards=made.guards,
        config=made.config, tally=Tally(_unrecorded),
        steps=replace(made.steps, rewrite=None, queries=None, rerank=rerank),
    )  # fmt: skip


def _same(call: Call, tags: Mapping[str, str | float]) -> bool:
    return all(call.tags.get(name) == tags.get(name) for name in _FOUND)


def _unrecorded(call: Call, **_: str) -> None:
    """Keep no row of it."""


def _stops(project: Project) -> Callable[[str], str]:
    """Say why the guards of the place `log` would not let a text be kept."""
    policy = load_guards(project)

    def why(text: str) -> str:
        verdicts = policy.check(text, "log")
        if policy.combine(verdicts) not in STOPS:
            return ""
        return f"is stopped by {', '.join(v.guard for v in verdicts if v.decision in STOPS)}"

    return why
