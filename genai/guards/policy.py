"""The policy file: which guards look at which place, and what follows from what they find."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from genai import __version__, bridge
from genai.config import digest, read_settings
from genai.errors import ConfigError, shown
from genai.guards.audit import Audit
from genai.guards.base import Entry, Guard, apply, combine
from genai.guards.grounding import GroundedGuard, NeedsEvidence
from genai.guards.judge import Ask, JudgeGuard
from genai.guards.language import LanguageGuard
from genai.guards.lists import Lists
from genai.guards.pii import PiiGuard
from genai.guards.pseudonyms import Pseudonyms, StandInGuard
from genai.guards.schema import JsonGuard
from genai.guards.secrets import SecretsGuard
from genai.guards.settings import PLACES, GuardSettings, PolicySettings, check_settings
from genai.guards.sizes import CostGuard, LengthGuard
from genai.guards.stream import Replace, StreamGate
from genai.guards.topic import TopicGuard
from genai.guards.wording import RequestGuard, ToxicityGuard
from genai.ledger import current, merged, scope
from genai.text.nearest import Boundary, Embed
from genai.text.pii import DEFAULT_KINDS
from genai.types import Action, Place, Span, Verdict

_EVERY_DETECTOR = "key = 'k3Jx9QpL2vR8sT5w', GB82 WEST 1234 5698 7654 32, +1 415-555-2671"


class Policy:
    """The guards of every place. A place without guards allows everything."""

    def __init__(
        self,
        settings: PolicySettings,
        *,
        extra: Iterable[tuple[Place, Guard]] = (),
        lists: Lists | None = None,
        ask: Ask | None = None,
        pseudonyms: Pseudonyms | None = None,
        audit: Audit | None = None,
    ):
        """Make the guards a file names; `extra` adds guards of your own, blocking, closed.

        `ask` is the model of judge guards; `pseudonyms` are kept in memory, under a key of this
        process, where none are given.
        """
        said = settings.model_dump(mode="json")
        self.hash = digest(said)
        self._places = {place: digest([__version__, said[place]]) for place in PLACES}
        self.pseudonyms = pseudonyms or Pseudonyms()
        self._audit = audit
        parts = Parts(lists or Lists(), ask)
        self._entries: dict[Place, list[Entry]] = {
            place: [parts.entry(s) for s in getattr(settings, place)] for place in PLACES
        }
        for place, guard in extra:
            self._entries[place].append(Entry(guard, Action.BLOCK, "closed"))
        self._grounded = {
            place
            for place, entries in self._entries.items()
            if any(isinstance(entry.guard, NeedsEvidence) for entry in entries)
        }

    def place_hash(self, place: Place) -> str:
        """Name what looks at a place: other settings, or other rules of ours, have another."""
        return self._places[place]

    def gate(
        self,
        place: Place,
        *,
        evidence: Sequence[str] = (),
        call: str = "",
        ours: bool = False,
    ) -> StreamGate:
        """Make the gate for one text that comes in pieces.

        `evidence` are the passages that an answer must be grounded in, for the guard `grounded`.
        `call` is the id of the ledger row that the log of verdicts shall name.
        `ours` says that a model of ours wrote the text: the stand-ins in it are ours and stay.
        """
        entries = self._entries.get(place, [])
        if place in self._grounded:
            entries = [_given(entry, evidence) for entry in entries]
        done = None
        if self._audit is not None:
            audit, policy = self._audit, self.hash
            done = lambda verdicts: audit.write(verdicts, place, policy, call)  # noqa: E731
        changes = any(entry.action is Action.PSEUDONYMISE for entry in entries)
        # those of an answer are to be turned back
        if changes and not ours and place in ("question", "passage"):
            entries = [*entries, Entry(StandInGuard(), Action.PSEUDONYMISE, "closed")]
        return StreamGate(
            entries, place, replacement=self._pseudonym(place) if changes else None, done=done
        )

    def check(
        self,
        text: str,
        place: Place,
        *,
        evidence: Sequence[str] = (),
        call: str = "",
        ours: bool = False,
    ) -> tuple[Verdict, ...]:
        """Run all guards of a place on a whole text; one verdict each, in the file's order.

        A finding that stops the text stops the search too: what comes after it is not looked at.
        """
        gate = self.gate(place, evidence=evidence, call=call, ours=ours)
        with scope(parent_id=call or current().parent_id):  # a judge's call is part of that call
            gate.feed(text)
            gate.finish()
        return gate.verdicts

    async def acheck(
        self, text: str, place: Place, *, call: str = "", ours: bool = False
    ) -> tuple[Verdict, ...]:
        """Do what `check` does, in async code: what may wait for something waits in a thread."""
        if self.waits(place):
            return await bridge.aside(partial(self.check, text, place, call=call, ours=ours))
        return self.check(text, place, call=call, ours=ours)

    @property
    def judges(self) -> set[str]:
        """The prompts by which models judge, by name."""
        guards = [entry.guard for entries in self._entries.values() for entry in entries]
        return {guard.name for guard in guards if isinstance(guard, JudgeGuard)}

    def try_detectors(self) -> None:
        """Look at a text that needs every detector. Raises `MissingExtra`."""
        for place, entries in self._entries.items():
            for entry in entries:
                if isinstance(entry.guard, SecretsGuard | PiiGuard):
                    entry.guard.look(_EVERY_DETECTOR, place)

    def waits(self, place: Place) -> bool:
        """Say whether a guard of a place may wait for something, so that a thread is due."""
        return any(not entry.guard.quick for entry in self._entries.get(place, ()))

    @staticmethod
    def combine(verdicts: Iterable[Verdict]) -> Action:
        """Give the strongest decision."""
        return combine(verdicts)

    @staticmethod
    def apply(text: str, verdicts: Iterable[Verdict]) -> str:
        """Redact once, on the original."""
        return apply(text, verdicts)

    def _pseudonym(self, place: Place) -> Replace:
        who = merged(None)
        # who asks has said what the question holds; of a document they have said nothing
        scope, reader = who.tenant, who.user if place in ("question", "tool_call") else ""

        def replaced(span: Span, original: str) -> Span:
            return replace(
                span, replacement=self.pseudonyms.hide(original, span.kind, scope, reader)
            )

        return replaced


def _given(entry: Entry, evidence: Sequence[str]) -> Entry:
    if not isinstance(entry.guard, NeedsEvidence):
        return entry
    return replace(entry, guard=entry.guard.against(evidence))


class Parts:
    """Makes the guards that settings name."""

    def __init__(self, lists: Lists, ask: Ask | None) -> None:
        self._lists, self._ask = lists, ask
        self._embed = _shipped_embedder()

    def entry(self, settings: GuardSettings) -> Entry:
        """Make one guard with what follows from it."""
        guard = self._makers[settings.guard](self, settings)
        threshold = settings.threshold
        if threshold is None:
            threshold = getattr(guard, "threshold", 0.0)
        return Entry(guard, Action(settings.action), settings.on_error, settings.timeout, threshold)

    def _injection(self, settings: GuardSettings) -> Guard:
        from genai.guards.injection import InjectionGuard  # compiles hundreds of patterns

        if not settings.nearest:
            return InjectionGuard(None)
        return InjectionGuard(Boundary(self._lists.attacks(), self._lists.harmless(), self._embed))

    def _judge(self, settings: GuardSettings) -> Guard:
        if self._ask is None:
            raise ConfigError(
                f"configs/guards.yaml: the judge `{settings.prompt}` needs a model; set"
                " `evals.judge` or `chain.model` in configs/genai.yaml, or take the guard out"
            )
        return JudgeGuard(settings.prompt, self._ask)

    def _guardrails(self, settings: GuardSettings) -> Guard:
        from genai.guards.guardrails_ai import GuardrailsGuard

        return GuardrailsGuard(settings.validator, settings.params)

    _makers: Mapping[str, Callable[["Parts", GuardSettings], Guard]] = {
        "length": lambda self, s: LengthGuard(s.max_chars),
        "cost": lambda self, s: CostGuard(s.max_dollars or 0, s.dollars_per_million_tokens or 0),
        "secrets": lambda self, s: SecretsGuard(),
        "injection": lambda self, s: self._injection(s),
        "pii": lambda self, s: PiiGuard(s.kinds or DEFAULT_KINDS, s.region),
        "request": lambda self, s: RequestGuard(self._lists.requests(s.categories), self._embed),
        "toxicity": lambda self, s: ToxicityGuard(self._lists.toxicity(s.categories)),
        "topic": lambda self, s: TopicGuard(s.allow, s.deny, self._embed),
        "grounded": lambda self, s: GroundedGuard(),
        "json": lambda self, s: JsonGuard(s.json_schema),
        "language": lambda self, s: LanguageGuard(s.languages),
        "judge": lambda self, s: self._judge(s),
        "guardrails": lambda self, s: self._guardrails(s),
    }


def _shipped_embedder() -> Embed:
    loaded: list[Any] = []

    def embed(texts: Sequence[str]) -> Any:
        if not loaded:
            from genai.models import make_embedder

            loaded.append(make_embedder("static"))
        return loaded[0].encode(texts)

    return embed


def load_policy(
    path: Path,
    *,
    ask: Ask | None = None,
    pseudonyms: Pseudonyms | None = None,
    audit: Audit | None = None,
) -> Policy:
    """Read a policy file; a missing one is an error, for no guards at all must be written down.

    The lists that guards compare with are in the folder `guards` beside the file, else those of
    the starter. `audit` is used where the file says `audit: true`.

    Raises:
        ConfigError: names file, place, guard and cure.
    """
    settings = read_settings(PolicySettings, path)
    check_settings(settings, shown(path))
    return Policy(
        settings,
        lists=Lists(path.parent / "guards"),
        ask=ask,
        pseudonyms=pseudonyms,
        audit=audit if settings.audit else None,
    )
