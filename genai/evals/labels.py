"""Label answers by hand so that a judge can be held to people: sample, two labellers, a third.

The sample is random and the same for everybody: the cases whose hash with the seed is smallest, so
a larger sample holds the smaller one. Two people label it without seeing each other or the judge.
Where they differ a third one, as blind, decides. Who skips says that the case cannot be told.
`evals/labels/<suite>.jsonl` holds a line a label; a later one of the same person replaces it.
"""

import hashlib
import os
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from genai import stats
from genai.errors import CaseError
from genai.evals.baseline import find_run, runs_of
from genai.evals.case import Case
from genai.evals.report import Report
from genai.evals.scorers.known import known_scorers
from genai.evals.store import Scores, read_log
from genai.evals.suite import load_suite
from genai.evals.trial import Trial

_ENOUGH = 60  # 50 must be left once those that cannot be told are out


class Label(msgspec.Struct, frozen=True):
    """One person's word on one answer; `label` is None where it cannot be told."""

    case: str
    metric: str
    label: bool | None
    labeller: str
    at: str
    answer_hash: str


@dataclass(frozen=True, slots=True)
class Item:
    """An answer to label, with what one must see to judge it.

    `expected` are the accepted answers, for a metric that compares with them.
    """

    case: str
    question: str
    answer: str
    contexts: tuple[str, ...]
    expected: tuple[str, ...]
    answer_hash: str


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next for one person, how many answers that is, and the sentence that says so."""

    name: Literal["label", "adjudicate", "wait_second", "wait_third", "done"]
    left: int
    sentence: str


def labels_path(evals: Path, suite: str) -> Path:
    """Say where the labels of a suite are: `evals/labels/<suite>.jsonl`."""
    return evals / "labels" / f"{suite}.jsonl"


def read_labels(path: Path) -> list[Label]:
    """Give the labels of a file, oldest first; none where there is none. Raises `CaseError`."""
    if not path.exists():
        return []
    decode = msgspec.json.Decoder(Label).decode
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            try:
                found.append(decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise CaseError(f"evals/labels/{path.name}: line {number}: {error}; mend the line"
                                ) from error  # fmt: skip
    return found


def _person(name: str) -> str:
    """Ada and ada are one person, and cannot be their own second labeller."""
    return name.strip().casefold()


def _word(
    said: Sequence[bool | None],
) -> tuple[Literal["open", "disputed", "settled"], bool | None]:
    """Say where one answer stands, from its labels in the order the people came."""
    if len(said) < 2:
        return "open", None
    if said[0] == said[1]:
        return "settled", said[0]
    return ("settled", said[2]) if len(said) > 2 else ("disputed", None)


class Labelling:
    """The labelling of one metric on the answers of one run.

    `items` is the sample and `trials` what the task gave for it, `rule` what a pass means.
    `unanswered` are the cases of the run that gave no answer to label, `changed` those whose case
    is another one by now.
    """

    def __init__(
        self, runs: Path, evals: Path, suite: str, metric: str, *, run: str = "",
        count: int | None = _ENOUGH, seed: int = 0,
    ) -> None:  # fmt: skip
        """Draw the sample from a run (default: the newest).

        Without a `count` it is what has labels, which is random too, whatever the seed was.

        Raises:
            CaseError: no such run or metric, or nothing to label.
        """
        self.report = find_run(runs, suite, run)
        self.suite, self.metric = suite, metric
        self.path = labels_path(evals, suite)
        self.unanswered: frozenset[str] = frozenset()
        self.changed = 0
        loaded = load_suite(evals / f"{suite}.yaml")
        card = self.report.scorecard
        if metric not in loaded.metrics or card.metric(metric) is None:
            known = ", ".join(each.name for each in card.head.metrics)
            raise CaseError(f"evals/{suite}.yaml: run {self.report.run} has no `{metric}`; it has"
                            f" {known}")  # fmt: skip
        applies = {row.case for row in card.rows if card.cell(row, metric).missing != "-"}
        cases = {case.id: case for case in loaded.cases if case.id in applies}
        among: Collection[str] = cases
        if count is None:
            among = {each.case for each in read_labels(self.path) if each.metric == metric}
        size = len(among) if count is None else count
        self.trials = self._sample(cases, among, size, f"{seed}\n{metric}\n")
        settings = loaded.metrics[metric]
        scorer = known_scorers().get(settings.scorer or metric)
        compares = scorer is not None and "expected" in scorer.needs
        self.items = [_item(trial, compares) for trial in self.trials]
        if not self.items and count is None:
            raise CaseError(f"run {self.report.run}: no answer has a settled label for `{metric}`;"
                            f" label some: genai eval label {suite} --metric {metric}"
                            )  # fmt: skip
        if not self.items:
            raise CaseError(f"run {self.report.run}: holds no answer to label for `{metric}`; run"
                            " the suite again")  # fmt: skip
        doc = (scorer.score.__doc__ if scorer else "") or ""
        self.rule = _rule(settings.params) or doc.strip().partition("\n")[0]

    @staticmethod
    def choices(runs: Path) -> dict[str, list[Report]]:
        """Give the suites that have been run, each with its finished runs, newest first."""
        names = sorted(path.name for path in runs.glob("*") if path.is_dir())
        found = {name: runs_of(runs, name) for name in names}
        return {name: reports for name, reports in found.items() if reports}

    def _sample(
        self, cases: Mapping[str, Case], among: Container[str], count: int, salt: str
    ) -> list[Trial]:
        """Give the answers `among` whose key is smallest; only so many are ever in memory."""
        kept: dict[str, tuple[str, Trial]] = {}
        missing: set[str] = set()
        for path in sorted(self.report.folder.glob("log-*.jsonl")):
            for trial in read_log(path):
                if isinstance(trial, Scores) or trial.repeat or trial.case_id not in cases:
                    continue
                case = cases[trial.case_id]
                if trial.unit.rpartition(".")[0] != case.hash:
                    self.changed += 1
                    continue
                if trial.state in ("failed", "unmeasured"):
                    missing.add(case.id)
                    continue
                missing.discard(case.id)
                if case.id in among:
                    key = hashlib.sha256(f"{salt}{case.id}".encode()).hexdigest()
                    trial.case = case
                    kept[case.id] = key, trial
                    if len(kept) > 2 * count:
                        kept = dict(sorted(kept.items(), key=lambda each: each[1][0])[:count])
        self.unanswered = frozenset(missing)
        return [trial for _, trial in sorted(kept.values(), key=lambda each: each[0])[:count]]

    def _said(self) -> dict[str, dict[str, bool | None]]:
        """Give the labels of the sample by case and person, people in the order they came."""
        hashes = {item.case: item.answer_hash for item in self.items}
        found: dict[str, dict[str, bool | None]] = {item.case: {} for item in self.items}
        for each in read_labels(self.path):
            if each.metric == self.metric and hashes.get(each.case) == each.answer_hash:
                found[each.case][_person(each.labeller)] = each.label
        return found

    def queue(self, labeller: str) -> list[Item]:
        """Give what one person has to label now, in the order of the sample."""
        said = self._said()
        states = {case: _word(list(given.values()))[0] for case, given in said.items()}
        mine = [item for item in self.items if _person(labeller) not in said[item.case]]
        first = [item for item in mine if states[item.case] == "open"]
        return first or [item for item in mine if states[item.case] == "disputed"]

    def step(self, labeller: str) -> Step:
        """Say what comes next for one person."""
        said = self._said()
        states = [_word(list(given.values()))[0] for given in said.values()]
        queue = self.queue(labeller)
        waiting, disputed = states.count("open"), states.count("disputed")
        if queue and _word(list(said[queue[0].case].values()))[0] == "open":
            done = sum(_person(labeller) in given for given in said.values())
            sentence = f"{len(queue)} answers to label, {done} of {len(self.items)} done"
            return Step("label", len(queue), sentence)
        if queue:
            sentence = f"{len(queue)} answers on which two people differ: your word decides"
            return Step("adjudicate", len(queue), sentence)
        if waiting:
            sentence = f"{waiting} answers wait for a second person, who must not be you"
            return Step("wait_second", waiting, sentence)
        if disputed:
            sentence = f"{disputed} answers on which you differ wait for a third person"
            return Step("wait_third", disputed, f"{sentence}; {self.agreement_text()}")
        return Step("done", 0, self._summary())

    def save(self, item: Item, label: bool | None, labeller: str) -> None:
        """Append one label; None says that it cannot be told. Raises `CaseError`."""
        if not labeller.strip():
            raise CaseError("a label has a person behind it; give the labeller's name")
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        given = Label(item.case, self.metric, label, labeller.strip(), at, item.answer_hash)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(file, msgspec.json.encode(given) + b"\n")
            finally:
                os.close(file)
        except OSError as error:
            raise CaseError(f"evals/labels/{self.path.name}: cannot be written ({error}); mend its"
                            " rights or free space") from error  # fmt: skip

    def agreement(self) -> stats.Agreement | None:
        """Compare the first two people on the answers that both could tell; None without any."""
        pairs = [list(given.values())[:2] for given in self._said().values() if len(given) > 1]
        told = [(a, b) for a, b in pairs if a is not None and b is not None]
        if not told:
            return None
        return stats.agreement([a for a, _ in told], [b for _, b in told])

    def agreement_text(self) -> str:
        """Say how far the two people agree, and what follows where they do not."""
        found = self.agreement()
        if found is None:
            return "agreement unknown: no answer has two labels"
        if found.kappa is None or found.low is None:
            return f"agreement undefined: all {found.n} labels are the same"
        weak = ""
        if found.low < 0.4:
            weak = "; too little to hold a judge to: write the rule down more exactly, label again"
        return (
            f"kappa {found.kappa:.2f} (95 % {found.low:.2f} to {found.high:.2f}, n {found.n}){weak}"
        )

    def verdicts(self) -> dict[str, bool]:
        """Give the word that stands by case, without those that cannot be told."""
        words = {case: _word(list(given.values()))[1] for case, given in self._said().items()}
        return {case: word for case, word in words.items() if word is not None}

    def people(self) -> list[str]:
        """Give the names behind the labels of the sample."""
        return sorted({name for given in self._said().values() for name in given})

    def _summary(self) -> str:
        words = [_word(list(given.values()))[1] for given in self._said().values()]
        good, bad = words.count(True), words.count(False)
        unclear = len(words) - good - bad
        more = "" if good + bad >= 50 else f"; a judge needs 50, label {50 - good - bad} more"
        return (
            f"all {len(words)} answers are labelled: {good} pass, {bad} fail, {unclear} cannot be"
            f" told; {self.agreement_text()}{more}"
        )


def _rule(params: Mapping[str, Any]) -> str:
    """Give the words of a rubric and its criteria."""
    criteria = params.get("criteria") or ()
    listed = [criteria] if isinstance(criteria, str) else [str(each) for each in criteria]
    return " ".join(filter(None, (str(params.get("rubric") or ""), "; ".join(listed))))


def _item(trial: Trial, compares: bool) -> Item:
    case: Case = trial.case
    expected = tuple(str(each) for each in case.expectations) if compares else ()
    name = hashlib.sha256(trial.text.encode("utf-8", "replace")).hexdigest()[:16]
    talk = "\n\n".join(f"{turn.role}: {turn.content}" for turn in case.messages)
    return Item(case.id, case.input or talk, trial.text, trial.contexts, expected, name)
