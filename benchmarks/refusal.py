"""The questions nobody can answer: half the articles are left out, and refusing is right.

Four runs: the even or the odd articles are kept, and of all articles one half of the questions fits
the confidence and its threshold, the other half is scored. No question is scored by weights that
saw its article, and each is scored twice, once with its article and once without.
"""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from reading import Question, build

from genai.models import Embedder
from genai.rag.calibrate import Seen, best_threshold, cross_fit, fit
from genai.rag.confidence import Weights, look
from genai.rag.curve import aurc, balanced_accuracy, bootstrap, draw, risk_coverage


@dataclass(frozen=True)
class Refusals:
    """Each run's balanced accuracy at its own threshold, and all runs together.

    `rows` are (confidence above the run's threshold, has an answer, article): the threshold is
    taken off, so that the runs can be joined.
    """

    runs: list[float]
    rows: list[tuple[float, bool, int]]
    weights: Weights
    threshold: float

    @property
    def pooled(self) -> list[tuple[float, bool]]:
        """All runs' rows without their articles."""
        return [(above, answerable) for above, answerable, _ in self.rows]

    @property
    def accuracy(self) -> float:
        """The balanced accuracy of all runs together."""
        return balanced_accuracy(self.pooled, 0.0)

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval, by article."""
        return bootstrap(lambda rows: balanced_accuracy(rows, 0.0), self.pooled, self.articles)

    @property
    def articles(self) -> list[int]:
        """The article of each row."""
        return [article for _, _, article in self.rows]

    def cell(self) -> str:
        """Give the figure for the table."""
        low, high = self.interval
        return f"{self.accuracy:.3f} ({low:.3f} to {high:.3f})"

    def write(self, path: Path, name: str) -> None:
        """Write the risk-coverage curve as JSON and SVG; wrong is an answer without its article."""
        area, (low, high) = aurc(self.pooled), bootstrap(aurc, self.pooled, self.articles)
        shown = [(above + self.threshold, answerable) for above, answerable in self.pooled]
        curve = [[round(each, 4) for each in point] for point in risk_coverage(shown)]
        data = {
            "what": name, "balanced_accuracy": round(self.accuracy, 4),
            "interval": [round(each, 4) for each in self.interval],
            "runs": [round(each, 4) for each in self.runs], "aurc": round(area, 4),
            "aurc_interval": [round(low, 4), round(high, 4)],
            "weights_of_the_first_run": asdict(self.weights),
            "threshold_of_the_first_run": round(self.threshold, 4),
            "curve": curve[:: max(1, len(curve) // 100)],
        }  # fmt: skip
        path.with_suffix(".json").write_text(json.dumps(data) + "\n", encoding="utf-8")
        title = f"Half the articles left out, {name}: risk over coverage"
        svg = draw(shown, self.threshold, title, area, (low, high))
        path.with_suffix(".svg").write_text(svg, encoding="utf-8")


def refusals(
    articles: dict[str, str], asked: list[Question], embedder: Embedder, weight: float
) -> Refusals:
    """Leave half of the articles out, twice, and refuse by what other articles taught."""
    runs, rows, first = [], [], None
    for keep in (0, 1):
        seen = look_at(articles, asked, embedder, weight, keep)
        for half in (0, 1):
            learnt = [each for each in seen if int(str(each.cluster)) // 2 % 2 == half]
            scored = [each for each in seen if int(str(each.cluster)) // 2 % 2 != half]
            weights = fit(learnt)
            known = [each.answerable for each in learnt]
            threshold = best_threshold(list(zip(cross_fit(learnt), known, strict=True)))
            above = [(weights.confidence(each.signals) - threshold, each.answerable)
                     for each in scored]  # fmt: skip
            runs.append(balanced_accuracy(above, 0.0))
            rows += [
                (*row, int(str(each.cluster))) for row, each in zip(above, scored, strict=True)
            ]
            first = first or (weights, threshold)
    if first is None:
        raise AssertionError("four runs were made")
    return Refusals(runs, rows, *first)


def look_at(
    articles: dict[str, str], asked: list[Question], embedder: Embedder, weight: float, keep: int
) -> list[Seen]:
    """Search the even (0) or the odd (1) articles for every question; give what is seen of each."""
    kept = {
        name: text for number, (name, text) in enumerate(articles.items()) if number % 2 == keep
    }
    with tempfile.TemporaryDirectory() as folder:
        index, _ = build(Path(folder), kept, embedder)
        index.dense_weight = weight
        seen = []
        for question in asked:
            hits = index.search(question.text, 6)
            held = question.document in kept
            article = int(question.document.partition(".")[0])
            seen.append(Seen(look(question.text, hits, index.idf), held, held, article))
        index.close()
    return seen
