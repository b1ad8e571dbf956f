"""The loop of one project: look, review, promote, judge, and see where everything is."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from genai.evals import load_suite
from genai.finetune.data.review import data_path
from genai.ledger import Ledger
from genai.loop.changelog import add_lines
from genai.loop.online import Canaries, Evaluate, Scored, canary, score
from genai.loop.promote import Basis, Sent, suites_of, to_case, to_pair
from genai.loop.queue import Item, Queue, Refreshed, Word
from genai.loop.settings import LoopSettings
from genai.loop.status import Status, status
from genai.project import Project
from genai.types import Call, Hit

_DAY = 86_400


@dataclass
class Loop:
    """What production shows becomes review items, and those become cases and training pairs.

    `evaluate` runs a suite; `passages` searches again for what an answer was made from; `stops`
    says why a text must not be kept; `sent` renders again what the model of a call was sent.
    """

    ledger: Ledger
    project: Project
    settings: LoopSettings
    evaluate: Evaluate
    passages: Callable[[Call, str], Sequence[Hit] | None]
    stops: Callable[[str], str]
    sent: Sent
    queue: Queue = field(init=False)

    def __post_init__(self) -> None:
        """Open the queue."""
        self.queue = Queue(self.ledger, self.settings)

    def refresh(self) -> Refreshed:
        """Put into the queue what the ledger shows. Raises `LedgerUnusable`."""
        return self.queue.refresh()

    def items(self, *states: str) -> list[Item]:
        """Give the items in these states (default: open), what weighs most first."""
        return self.queue.items(*states)

    def review(
        self, name: str, word: Word, reviewer: str, *, text: str = "", label: str = "",
        call_id: str = "",
    ) -> Item:  # fmt: skip
        """Decide on an item: `accept`, `edit` with a text, `refuse`, `reject` or `reopen`.

        Raises:
            InputError: nobody's name, no text, or somebody else has decided meanwhile.
        """
        return self.queue.review(name, word, reviewer, text=text, label=label, call_id=call_id)

    def promote(
        self, name: str, to: str = "case", *, consent: str = "", question_only: bool = False
    ) -> Item:
        """Make an item a case of the suite or a training pair; give it as it is then.

        Raises:
            InputError: no consent, personal data, or the other side has the question.
        """
        basis = Basis(consent, self.stops, self.sent, question_only)
        evals, pairs = self.project.root / "evals", self.settings.pairs
        if to == "pair":
            to_pair(self.queue, name, self.project, pairs, suites_of(evals), basis)
        else:
            suite = load_suite(evals / f"{self.settings.cases}.yaml")
            to_case(self.queue, name, suite, data_path(self.project, pairs), basis)
        return self.queue.item(name)

    def score(self, days: float | None = None) -> Scored:
        """Judge a sample of what was answered. Raises `InputError` without a metric."""
        since = time.time() - (self.settings.days if days is None else days) * _DAY
        return score(
            self.ledger, self.project.root, self.project.state / "runs", self.settings.online,
            self.evaluate, self.passages, since,
        )  # fmt: skip

    def canary(self, *, now: bool = False) -> Canaries:
        """Ask the canaries, where they are due. Raises `CaseError`."""
        suite = load_suite(self.project.root / "evals" / f"{self.settings.canary.suite}.yaml")
        runs = self.project.state / "runs"
        return canary(suite, runs, self.settings.canary, self.evaluate, now=now)

    def status(self) -> Status:
        """Say where everything is, for how long, and what fixed what."""
        return status(self.queue, self.project)

    def write_changelog(self) -> int:
        """Write what fixed what into the project's CHANGELOG.md; give how many lines are new."""
        return add_lines(self.project.root / "CHANGELOG.md", self.status().changelog)
