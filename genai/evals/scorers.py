"""What can be measured on one case without a model: a number, or None where it does not apply.

`1.0` and `0.0` are verdicts of a case; the report counts them. An outcome is what the task gave.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from genai.evals.case import Case, Gold, squeeze
from genai.types import Answer, Citation, Hit, Refusal, Reply

Outcome = Answer | Refusal | Reply | str


@dataclass(frozen=True, slots=True)
class Scored:
    """One case with what the task gave: an outcome, or why there is none."""

    case: Case
    outcome: Outcome | None
    seconds: float
    failure: str = ""
    unmeasured: str = ""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The passages the task retrieved, if it says so."""
        if isinstance(self.outcome, Answer):
            return self.outcome.hits
        return self.outcome.evidence if isinstance(self.outcome, Refusal) else ()

    @property
    def cost(self) -> Decimal | None:
        """Money spent on the case; None where unknown."""
        return (
            None
            if self.outcome is None or isinstance(self.outcome, str)
            else (self.outcome.cost.amount)
        )

    @property
    def refused(self) -> bool:
        """Whether the task declined."""
        return isinstance(self.outcome, Refusal)


Scorer = Callable[[Scored, Path], float | None]


def recall_at_k(scored: Scored, source: Path) -> float | None:
    """Share of the gold quotes that stand in the retrieved passages."""
    if not scored.case.gold:
        return None
    held = [_in_passages(gold, scored.hits) for gold in scored.case.gold]
    return float(any(held)) if scored.case.gold_any else sum(held) / len(held)


def _in_passages(gold: Gold, hits: tuple[Hit, ...]) -> bool:
    quote = squeeze(gold.quote)
    return any(
        quote in squeeze(hit.passage.text) for hit in hits if hit.passage.document == gold.document
    )


def answer_span_hit(scored: Scored, source: Path) -> float | None:
    """1 when a citation overlaps a gold quote, or the answer's text holds it."""
    if scored.case.expect != "answer":
        return None
    if not isinstance(scored.outcome, Answer):
        text = scored.outcome if isinstance(scored.outcome, str) else ""
        return float(any(squeeze(gold.quote) in squeeze(text) for gold in scored.case.gold))
    return float(
        any(
            _overlap(squeeze(gold.quote), squeeze(citation.quote))
            for gold in scored.case.gold
            for citation in scored.outcome.citations
            if citation.document == gold.document
        )
    )


def _overlap(one: str, other: str) -> bool:
    return one in other or other in one


def citation_valid(scored: Scored, source: Path) -> float | None:
    """1 when every citation quotes a retrieved passage and its source file, to the character.

    A file that is not plain text is checked through its passage alone.
    """
    if not isinstance(scored.outcome, Answer):
        return None
    passages = {hit.passage.id: hit.passage for hit in scored.outcome.hits}
    for citation in scored.outcome.citations:
        passage = passages.get(citation.passage_id)
        if passage is None:
            return 0.0
        start, end = citation.start - passage.start, citation.end - passage.start
        if passage.text[max(start, 0) : end] != citation.quote:
            return 0.0
        if not _in_source(citation, source):
            return 0.0
    return float(bool(scored.outcome.citations))


def _in_source(citation: Citation, source: Path) -> bool:
    path = source / citation.document
    if path.suffix not in (".md", ".txt") or not path.is_file():
        return True
    text = path.read_bytes().decode("utf-8-sig", "replace")
    return text[citation.start : citation.end] == citation.quote


def refusal_precision(scored: Scored, source: Path) -> float | None:
    """Of the refusals, 1 for each that was right to refuse."""
    return float(scored.case.expect == "refusal") if scored.refused else None


def refusal_recall(scored: Scored, source: Path) -> float | None:
    """Of the cases that should be refused, 1 for each that was."""
    return float(scored.refused) if scored.case.expect == "refusal" else None


def answer_rate(scored: Scored, source: Path) -> float | None:
    """Of the cases that should be answered, 1 for each that was."""
    return None if scored.case.expect == "refusal" else float(not scored.refused)


SCORERS: dict[str, Scorer] = {
    "recall_at_k": recall_at_k,
    "answer_span_hit": answer_span_hit,
    "citation_valid": citation_valid,
    "refusal_precision": refusal_precision,
    "refusal_recall": refusal_recall,
    "answer_rate": answer_rate,
}
# measured over the whole run, in dollars and seconds
AGGREGATES = ("cost_per_case", "latency_p95")
METRICS = (*SCORERS, *AGGREGATES)
