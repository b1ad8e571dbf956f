"""Fit the confidence to labelled questions, choose the threshold, and keep both with their proof.

The weights start from the settings' and move as far as the questions bear; each question is then
scored by weights fitted without its own document, so the threshold, the figures and the curve are
those of questions that were not learnt from.
"""

import asyncio
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.config import Config
from genai.errors import ConfigError, InputError, shown
from genai.evals import Suite, Tools, Trial
from genai.evals.case import Case
from genai.evals.scorers.rag import answer_span_hit
from genai.rag.confidence import SIGNALS, Signals, Weights
from genai.rag.curve import (
    aurc,
    balanced_accuracy,
    bootstrap,
    draw,
    risk_bound,
    risk_coverage,
)
from genai.types import Answer, Refusal

if TYPE_CHECKING:
    from genai.rag.chain import Chain
LEAST = 10  # questions with an answer, and without one
_FOLDS = 7
_NAMES = ("start", "sentence", "lead", "together", "drop")


@dataclass(frozen=True, slots=True)
class Seen:
    """One labelled question: what the chain saw, and whether what it would say is right.

    `cluster` groups questions that are learnt from together, such as those of one document.
    """

    signals: Signals | None
    answerable: bool
    right: bool
    cluster: Hashable


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights and threshold with their proof. `made_with` must equal what runs now."""

    index: str
    made_with: Mapping[str, str]
    weights: Weights
    threshold: float
    figures: Mapping[str, Any]
    svg: str = ""

    def write(self, path: Path) -> None:
        """Write `path` (JSON), and the curve beside it as SVG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "version": 1, "index": self.index, "made_with": dict(self.made_with),
            "threshold": self.threshold, "weights": asdict(self.weights),
            **{name: value for name, value in self.figures.items() if name != "curve"},
        }  # fmt: skip
        rows = ",\n  ".join(json.dumps(point) for point in self.figures["curve"])  # a line each
        head = json.dumps(data, indent=1).removesuffix("\n}")
        path.with_suffix(".svg").write_text(self.svg, encoding="utf-8")
        path.write_text(f'{head},\n "curve": [\n  {rows}\n ]\n}}\n', encoding="utf-8")

    def check(self, running: Mapping[str, str], path: Path) -> None:
        """Refuse a calibration that was made with something else. Raises `ConfigError`."""
        for name, now in running.items():
            if (made := self.made_with.get(name, "nothing")) != now:
                raise ConfigError(
                    f"{shown(path, 3)}: `{name}` was {made}, now it is {now}; run `genai index"
                    " calibrate` again or give `chain.min_confidence` a number"
                )


def calibration_path(root: Path, index: str) -> Path:
    """Say where the calibration of an index stands in a project."""
    return root / "configs" / "calibration" / f"{index}.json"


def read_calibration(path: Path) -> Calibration:
    """Read a calibration. Raises `ConfigError`: there is none, or it is not one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != 1:
            raise ValueError(f"version {data['version']}")
        weights = Weights(**{name: float(data["weights"][name]) for name in _NAMES})
        threshold, made_with = float(data["threshold"]), dict(data["made_with"])
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold {threshold}")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{shown(path, 3)}: is missing, but `chain.min_confidence` is `calibrated`; run `genai"
            " index calibrate --suite SUITE`"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{shown(path, 3)}: is not a calibration ({error}); run `genai index calibrate` again"
        ) from error
    return Calibration(data["index"], made_with, weights, threshold, {})


def made_with(suite: Suite, prompt: str, embedder: str, config: Config) -> dict[str, str]:
    """Name what a calibration depends on: data, prompt, model, embedder, search, signals.

    `prompt` and `embedder` are ids that hold a hash of their content.
    """
    chosen = config.chain
    search = f"{chosen.top_k} passages, dense weight {config.index.dense_weight:g}"
    return {
        "suite": f"{suite.name}@{suite.hash}",
        "prompt": prompt,
        "model": chosen.model,
        "embedder": embedder,
        "search": f"{search}, {chosen.queries} wordings, rerank {chosen.rerank}",
        "signals": SIGNALS,
    }


async def labelled(chain: "Chain", cases: Sequence[Case]) -> list[Seen]:
    """Ask a chain that lets every confidence through; what something else stops is left out.

    A guard, a model that says it has no answer, or a lack of support refuse at any threshold.
    """
    room = asyncio.Semaphore(chain.concurrency)

    async def one(case: Case) -> Seen | None:
        async with room:
            return await _label(chain, case)

    try:
        async with asyncio.TaskGroup() as group:  # where one fails, no other goes on
            asked = [group.create_task(one(case)) for case in cases]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [found for each in asked if (found := each.result()) is not None]


async def _label(chain: "Chain", case: Case) -> Seen | None:
    talk = [{"role": turn.role, "content": turn.content} for turn in case.messages]
    outcome = await chain.acall(talk or case.input)
    if isinstance(outcome, Refusal):
        return None
    wanted = case.expect == "answer"
    cluster = case.cluster or (case.gold[0].document if case.gold else case.id)
    return Seen(outcome.trace.signals, wanted, wanted and _hits_gold(case, outcome), cluster)


def _hits_gold(case: Case, outcome: Answer) -> bool:
    trial = Trial(unit=case.id, case_id=case.id, repeat=1, case=case)
    trial.text, trial.citations = outcome.text, outcome.citations
    found = answer_span_hit(trial, Tools())
    return found is None or found == 1.0


def fit(seen: Sequence[Seen], centre: Weights | None = None) -> Weights:
    """Fit a logistic sum to who has an answer; both kinds count alike, however many there are.

    With a `centre` the weights are held to it, so that few questions move them little. Newton's
    method; the penalty makes the optimum unique.
    """
    np = extras.load("numpy", "rag")
    rows = [[1.0, *asdict(each.signals or Signals()).values()] for each in seen]
    x, y = np.array(rows), np.array([each.answerable for each in seen], float)
    middle = np.array([getattr(centre, name) if centre else 0.0 for name in _NAMES])
    pull = np.diag([0.0 if centre is None else 1.0, *[1.0 if centre else 0.05] * (len(_NAMES) - 1)])
    share = y.mean()
    counts = np.where(y == 1, 0.5 / share, 0.5 / (1 - share))
    w = middle.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -500, 500)))
        slope = x.T @ (counts * (p - y)) + pull @ (w - middle)
        bend = (x * (counts * p * (1 - p))[:, None]).T @ x + pull + 1e-9 * np.eye(len(w))
        step = np.linalg.solve(bend, slope)
        w = w - step
        if float(np.abs(step).max()) < 1e-9:
            break
    return Weights(*(round(float(each), 4) for each in w))


def cross_fit(seen: Sequence[Seen], centre: Weights | None = None) -> list[float]:
    """Give each question's confidence by weights that were fitted without its cluster."""
    groups = sorted({each.cluster for each in seen}, key=str)
    fold = {group: number % _FOLDS for number, group in enumerate(groups)}
    scores = [0.0] * len(seen)
    for number in range(_FOLDS):
        rest = [each for each in seen if fold[each.cluster] != number]
        if len({each.answerable for each in rest}) < 2:
            rest = list(seen)  # the only questions of their kind
        weights = fit(rest, centre)
        for position, each in enumerate(seen):
            if fold[each.cluster] == number:
                scores[position] = weights.confidence(each.signals)
    return scores


def best_threshold(rows: Sequence[tuple[float, bool]]) -> float:
    """Give the threshold of the best balanced accuracy; of equal ones the middle of the widest."""
    scores = sorted({score for score, _ in rows})
    cuts = [(a + b) / 2 for a, b in zip(scores, scores[1:], strict=False)] or scores
    gaps = dict(zip(cuts, [b - a for a, b in zip(scores, scores[1:], strict=False)], strict=False))
    return max(cuts, key=lambda cut: (balanced_accuracy(rows, cut), gaps.get(cut, 0.0)))


def threshold_at_risk(rows: Sequence[tuple[float, bool]], risk: float) -> float | None:
    """Give the loosest threshold up to which the risk is surely held; None if none holds it.

    Walks from strict to loose and stops at the first step, past those too few to tell, whose upper
    bound exceeds the risk.
    """
    found, n, wrong = None, 0, 0
    enough = next(n for n in range(1, 10**6) if risk_bound(0, n) <= risk)
    for coverage, share, score in risk_coverage(rows):
        n = round(coverage * len(rows))
        wrong = round(share * n)
        if n < enough:
            continue
        if risk_bound(wrong, n) > risk:
            break
        found = score
    return found


def calibrate(
    seen: Sequence[Seen],
    centre: Weights,
    *,
    index: str,
    made_with: Mapping[str, str],
    risk: float | None = None,
) -> Calibration:
    """Fit, choose the threshold, and measure both on questions that were not learnt from.

    Without `risk` the threshold is that of the best balanced accuracy.

    Raises:
        InputError: too few labelled questions of one kind, or none that holds the risk.
    """
    answerable = [each.answerable for each in seen]
    if min(answerable.count(True), answerable.count(False)) < LEAST:
        raise InputError(
            f"{answerable.count(True)} questions with an answer and {answerable.count(False)}"
            f" without one reached the threshold; label at least {LEAST} of each"
        )
    scores = cross_fit(seen, centre)
    asked = list(zip(scores, answerable, strict=True))
    answers = [(score, each.right) for score, each in zip(scores, seen, strict=True)]
    threshold = best_threshold(asked) if risk is None else threshold_at_risk(answers, risk)
    if threshold is None:
        raise InputError(
            f"no threshold holds a risk of {risk}: label more questions, or allow more risk"
        )
    threshold = round(threshold, 4)
    clusters = [each.cluster for each in seen]
    area, interval = aurc(answers), bootstrap(aurc, answers, clusters)
    kept = [right for score, right in answers if score >= threshold]
    figures = {
        "rule": "best balanced accuracy" if risk is None else f"risk at most {risk} (95 %)",
        "questions": len(seen),
        "answerable": answerable.count(True),
        "balanced_accuracy": _figure(lambda rows: balanced_accuracy(rows, threshold), asked,
                                     clusters),
        "answered": len(kept),
        "wrong": kept.count(False),
        "risk_bound": round(risk_bound(kept.count(False), len(kept)), 4) if kept else None,
        "aurc": {"value": round(area, 4), "low": round(interval[0], 4),
                 "high": round(interval[1], 4)},
        "curve": [[round(part, 4) for part in point] for point in risk_coverage(answers)],
    }  # fmt: skip
    title = f"Refusals of the index {index}: risk over coverage"
    svg = draw(answers, threshold, title, area, interval)
    return Calibration(index, made_with, fit(seen, centre), threshold, figures, svg)


def _figure(
    figure: Callable[[Sequence[tuple[float, bool]]], float],
    rows: Sequence[tuple[float, bool]],
    clusters: Sequence[Hashable],
) -> dict[str, float]:
    low, high = bootstrap(figure, rows, clusters)
    return {"value": round(figure(rows), 4), "low": round(low, 4), "high": round(high, 4)}
