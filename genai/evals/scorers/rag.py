"""Scorers of retrieval and refusal, without a model.

What counts as relevant is named by the case: passage ids (`relevant`, with grades where graded),
else the gold quotes. A passage is relevant to a quote that stands in it. Nothing relevant: the
scorer does not apply. A passage that comes twice keeps its first rank. A failed trial has found
nothing. Definitions: Manning, Raghavan and Schuetze, Introduction to Information Retrieval, ch. 8.
"""

import math
from collections.abc import Mapping
from typing import Literal

from genai.evals.case import Case, squeeze
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import Trial
from genai.types import Hit


def recall_at_k(trial: Trial, tools: Tools, k: int | None = None) -> float | None:
    """Give the share of what is relevant that the first `k` passages hold; all without `k`.

    0 to 1; None where nothing is relevant. With `gold_any` one quote is enough.
    """
    found = _ranking(trial)
    if found is None:
        return None
    wanted, ranks = found
    return len(set().union(*ranks[: _checked(k)])) / len(wanted)


def precision_at_k(trial: Trial, tools: Tools, k: int = 5) -> float | None:
    """Give the share of relevant passages among the first `k`; fewer than `k` count as misses.

    0 to 1; None where nothing is relevant.
    """
    found = _ranking(trial)
    return None if found is None else sum(map(bool, found[1][: _checked(k)])) / k


def hit_at_k(trial: Trial, tools: Tools, k: int = 5) -> float | None:
    """Give 1 when a relevant passage is among the first `k`, else 0.

    None where nothing is relevant.
    """
    found = _ranking(trial)
    return None if found is None else float(any(found[1][: _checked(k)]))


def mrr(trial: Trial, tools: Tools) -> float | None:
    """Give 1/rank of the first relevant passage, 0 without one; the mean over cases is the MRR.

    0 to 1; None where nothing is relevant.
    """
    found = _ranking(trial)
    if found is None:
        return None
    return next((1 / rank for rank, each in enumerate(found[1], start=1) if each), 0.0)


def average_precision(trial: Trial, tools: Tools) -> float | None:
    """Give the sum of precision@i over the ranks of relevant passages / count of what is relevant.

    0 to 1; None where nothing is relevant. What was not retrieved counts in the divisor. A quote
    counts at the first passage that holds it.
    """
    found = _ranking(trial)
    if found is None:
        return None
    wanted, ranks = found
    total, relevant = 0.0, 0
    seen: set[str] = set()
    for rank, each in enumerate(ranks, start=1):
        relevant += bool(each)
        total += len(each - seen) * relevant / rank
        seen |= each
    return total / len(wanted)


def ndcg_at_k(
    trial: Trial, tools: Tools, k: int = 10, gain: Literal["exponential", "linear"] = "exponential"
) -> float | None:
    """Give DCG@k over the DCG@k of the best order, DCG = sum of g / log2(rank + 1).

    0 to 1; None where nothing is relevant. g = 2^grade - 1 (Burges et al. 2005), or the grade
    itself with `gain: linear` (Jarvelin and Kekalainen 2002); without grades both are 0 or 1.
    Several quotes first met in one passage all count there, so the ratio is capped at 1.
    """
    found = _ranking(trial)
    if found is None:
        return None
    wanted, ranks = found
    if max(wanted.values()) > 1000:
        raise ValueError("a grade in `relevant` is over 1000; use grades such as 1, 2 and 3")
    gains = {key: grade if gain == "linear" else 2.0**grade - 1 for key, grade in wanted.items()}
    got: list[float] = []
    seen: set[str] = set()
    for each in ranks[: _checked(k)]:
        got.append(math.fsum(gains[key] for key in each - seen))
        seen |= each
    ideal = _dcg(sorted(gains.values(), reverse=True)[:k])
    return min(1.0, _dcg(got) / ideal)


def _dcg(gains: list[float]) -> float:
    return math.fsum(g / math.log2(rank + 1) for rank, g in enumerate(gains, start=1))


def _checked(k: int | None) -> int | None:
    if k is not None and k < 1:
        raise ValueError(f"`k` is {k}; it must be 1 or more")
    return k


def _ranking(trial: Trial) -> tuple[Mapping[str, float], list[set[str]]] | None:
    """Give what is relevant with its grades, and per rank what of it the passage holds."""
    case: Case = trial.case
    first: dict[str, Hit] = {}
    for hit in trial.hits:
        first.setdefault(hit.passage.id, hit)
    if case.relevant:
        wanted = {name: grade for name, grade in case.grades.items() if grade > 0}
        return (wanted, [{name} & wanted.keys() for name in first]) if wanted else None
    if not case.gold:
        return None
    quotes = [(gold.document, squeeze(gold.quote)) for gold in case.gold]
    ranks = [_quotes_in(hit, quotes) for hit in first.values()]
    if case.gold_any:
        return {"any": 1.0}, [{"any"} if each else set() for each in ranks]
    return {str(number): 1.0 for number in range(len(quotes))}, ranks


def _quotes_in(hit: Hit, quotes: list[tuple[str, str]]) -> set[str]:
    text = squeeze(hit.passage.text)
    return {
        str(number)
        for number, (document, quote) in enumerate(quotes)
        if document == hit.passage.document and quote in text
    }


def answer_span_hit(trial: Trial, tools: Tools) -> float | None:
    """Give 1 when a citation overlaps a gold quote, or an answer that cites nothing holds one.

    0 or 1; None where the case expects no answer or has no gold quote. A refusal and a failed
    trial give 0.
    """
    case: Case = trial.case
    if case.expect != "answer" or not case.gold:
        return None
    if trial.state != "answered":
        return 0.0
    if not trial.citations:
        text = squeeze(trial.text)
        return float(any(squeeze(gold.quote) in text for gold in case.gold))
    cited = [(each.document, squeeze(each.quote)) for each in trial.citations]
    return float(
        any(
            document == gold.document and _overlap(squeeze(gold.quote), quote)
            for gold in case.gold
            for document, quote in cited
        )
    )


def _overlap(one: str, other: str) -> bool:
    return bool(one and other) and (one in other or other in one)


def refusal_precision(trial: Trial, tools: Tools) -> float | None:
    """Of the refusals, give 1 for each that was right to refuse, 0 for the others.

    None where the task did not refuse.
    """
    return float(trial.case.expect == "refusal") if trial.state == "refused" else None


def refusal_recall(trial: Trial, tools: Tools) -> float | None:
    """Of the cases that should be refused, give 1 for each that was, 0 for the others.

    None where the case expects an answer. A failed trial gives 0: it did not refuse.
    """
    return float(trial.state == "refused") if trial.case.expect == "refusal" else None


def answer_rate(trial: Trial, tools: Tools) -> float | None:
    """Of the cases that should be answered, give 1 for each that was, 0 for the others.

    None where the case expects a refusal. A failed trial gives 0.
    """
    return None if trial.case.expect == "refusal" else float(trial.state == "answered")


_GOLD = ("gold",)
ALL: tuple[Scorer, ...] = (
    Scorer("recall_at_k", recall_at_k),
    Scorer("precision_at_k", precision_at_k),
    Scorer("hit_at_k", hit_at_k),
    Scorer("mrr", mrr),
    Scorer("average_precision", average_precision),
    Scorer("ndcg_at_k", ndcg_at_k),
    Scorer("answer_span_hit", answer_span_hit, needs=_GOLD),
    Scorer("refusal_precision", refusal_precision),
    Scorer("refusal_recall", refusal_recall),
    Scorer("answer_rate", answer_rate),
)
