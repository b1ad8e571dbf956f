"""Reading benchmark: do we find the passage, the sentence, and the questions nobody can answer?

    python benchmarks/retrieval.py --data ../shared/data [--minilm]

Data: COVID-QA (deepset-ai, Apache-2.0), 98 articles and 1,380 questions with exact answer spans.
Full text alone, embeddings alone and both fused run over one index; `--minilm` adds the fusion with
all-MiniLM-L6-v2 (torch, in `.venv-peers/minilm`; half an hour the first time). Peers run on the
same articles in their own environments, made on the first run. Prints Markdown and writes it to
`benchmarks/results/retrieval.md`, and the refusals' risk-coverage curves beside it.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure, table_of
from reading import HERE, MiniLM, Question, build, peer_python, read
from refusal import Refusals, refusals

import genai
from genai.models import Embedder, make_embedder
from genai.models.extractive import Extractive
from genai.rag import Index
from genai.stats import clustered, wilson
from genai.types import Hit

RESULTS = HERE / "results"
# a weight of 0 leaves full text alone; a very large one leaves the embeddings alone
WAYS = {"full text alone": 0.0, "embeddings alone": 1e6, "fused": 0.5}
WITH_MINILM = "fused, all-MiniLM-L6-v2"
MINILM_WEIGHT = 1.0  # the stronger list counts as much as full text
# program in peers/, and what it is
PEERS_OF = {
    "langchain_memory": "LangChain in-memory store",
    "langchain_index": "LangChain `index()`, Chroma on disk",
    "llama_index": "LlamaIndex ingestion, Chroma on disk",
    "haystack": "Haystack pipeline, Chroma on disk",
}


def overlaps(question: Question, document: str, start: int, end: int) -> bool:
    return document == question.document and start < question.end and question.start < end


def ranks(found: Sequence[Sequence[tuple[str, int, int]]], asked: list[Question]) -> list[int]:
    """Give the rank of the first passage that holds the answer, 0 for none in ten."""
    return [
        next((n for n, span in enumerate(spans, 1) if overlaps(question, *span)), 0)
        for question, spans in zip(asked, found, strict=True)
    ]


def search_all(index: Index, asked: list[Question]) -> tuple[list[list[Hit]], float]:
    """Search every question; give the hits and the median milliseconds of the processor."""
    hits, took = [], []
    for question in asked:
        start = time.process_time()
        hits.append(index.search(question.text, 10))
        took.append((time.process_time() - start) * 1000)
    return hits, statistics.median(took)


def sentence_hit(asked: list[Question], found: list[list[Hit]]) -> float:
    """Give the share of questions whose first quoted sentence overlaps the answer."""
    extractive = Extractive(make_embedder("static").encode, most=1)
    good = 0
    for question, hits in zip(asked, found, strict=True):
        passages = [hit.passage for hit in hits[:6]]
        chosen = extractive.choose_spans(question.text, [p.text for p in passages])
        good += any(
            overlaps(
                question,
                passages[number - 1].document,
                passages[number - 1].start + start,
                passages[number - 1].start + end,
            )
            for number, start, end in chosen
        )
    return good / len(asked)


def peer(name: str, articles: dict[str, str], asked: list[Question]) -> dict[str, Any]:
    """Run a peer in its own environment, made on the first run."""
    material = {
        "articles": articles,
        "questions": [question.text for question in asked],
        "model": str(Path(genai.__file__).parent / "models" / "static"),
    }
    command = [peer_python(name), HERE / "peers" / f"{name}.py"]
    done = subprocess.run(command, input=json.dumps(material), stdout=subprocess.PIPE, text=True,
                          check=True)  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def line(name: str, cells: Sequence[object]) -> str:
    return f"| {name} | " + " | ".join(str(cell) for cell in cells) + " |"


def quality(ranked: list[int]) -> list[str]:
    n = len(ranked)
    first = sum(rank == 1 for rank in ranked)
    low, high = wilson(first, n)
    five = sum(0 < rank <= 5 for rank in ranked) / n
    mrr = sum(1 / rank for rank in ranked if rank) / n
    return [f"{first / n:.3f} ({low:.3f} to {high:.3f})", f"{five:.3f}", f"{mrr:.3f}"]


class Ours:
    """Our rows of the table, and what they are compared by."""

    def __init__(self, articles: dict[str, str], asked: list[Question]) -> None:
        self.articles, self.asked = articles, asked
        self.first: dict[str, list[float]] = {}
        self.refusals: dict[str, Refusals] = {}

    def row(self, name: str, index: Index, rate: float, embedder: Embedder, weight: float) -> str:
        """Measure one way of searching."""
        index.dense_weight = weight
        index.search("warm")
        found, milliseconds = search_all(index, self.asked)
        spans = [[(h.passage.document, h.passage.start, h.passage.end) for h in hits]
                 for hits in found]  # fmt: skip
        ranked = ranks(spans, self.asked)
        self.first[name] = [float(rank == 1) for rank in ranked]
        refused = "-"
        if weight < 1e3:  # embeddings alone have no words to refuse by
            self.refusals[name] = refusals(self.articles, self.asked, embedder, weight)
            refused = self.refusals[name].cell()
        cells = [f"{sentence_hit(self.asked, found):.3f}", refused]
        return line(name, [*quality(ranked), *cells, f"{rate:.0f}", f"{milliseconds:.1f}"])

    def compared(self, name: str, other: str, least: float) -> list[Figure]:
        """Say in points how much oftener one finds the passage first, article by article."""
        differences = [a - b for a, b in zip(self.first[name], self.first[other], strict=True)]
        articles = [question.document for question in self.asked]
        found = clustered(differences, articles, confidence=0.975)
        what = f"{name} against {other}, recall@1, points (95 %, paired, by article)"
        mean, low, high = (f"{100 * each:+.1f}" for each in (found.mean, found.low, found.high))
        if least > 0:
            return [Figure(what, f"{mean} ({low} to {high})", f">= {least}")]
        return [
            Figure(what, f"{mean} ({low} to {high})"),
            Figure(f"{name} against {other}, lower end of that interval", low, f">= {least}"),
        ]

    def decided(self) -> list[Figure]:
        """Give the figures that have a goal: the fusion and the refusals."""
        figures = self.compared("fused", "full text alone", -0.5)
        figures += self.compared("fused", "embeddings alone", -0.5)
        if WITH_MINILM in self.first:
            figures += self.compared(WITH_MINILM, "full text alone", 1.5)
        for name, each in self.refusals.items():
            goal = {"fused": ">= 0.77", WITH_MINILM: ">= 0.80"}.get(name, "")
            runs = ", ".join(f"{run:.3f}" for run in each.runs)
            what = f"refusals, {name}, balanced accuracy (95 %; four runs {runs})"
            figures.append(Figure(what, each.cell(), goal))
        return figures


def table(
    articles: dict[str, str], asked: list[Question], *, minilm: bool, write: bool
) -> list[str]:
    lines = [
        "| way | recall@1 (95 %) | recall@5 | MRR@10 | answer sentence | refusal balanced accuracy"
        " (95 %) | passages a processor second | query, processor ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ours = Ours(articles, asked)
    with tempfile.TemporaryDirectory() as folder:
        embedder = make_embedder("static")
        index, rate = build(Path(folder), articles, embedder)
        lines += [ours.row(name, index, rate, embedder, weight) for name, weight in WAYS.items()]
        index.close()
    if minilm:
        model = MiniLM()
        with tempfile.TemporaryDirectory() as folder:
            index, rate = build(Path(folder), articles, model.embedder())
            row = ours.row(WITH_MINILM, index, rate, model.embedder(), MINILM_WEIGHT)
            cells = row.split(" | ")  # its vectors come from a cache, so its times say nothing
            lines.append(" | ".join([*cells[:-2], "-", "- |"]))
            index.close()
        model.close()
    for program, label in PEERS_OF.items():
        theirs = peer(program, articles, asked)
        cells = [*quality(ranks(theirs["found"], asked)), "-", "-"]
        rate = f"{theirs['passages_per_second']:.0f}"
        lines.append(line(label, [*cells, rate, f"{theirs['ms']:.1f}"]))
    for name, each in ours.refusals.items():
        if name.startswith("fused") and write:
            each.write(RESULTS / f"refusal-{'minilm' if ',' in name else 'static'}", name)
    return [*lines, "", *table_of(ours.decided())]


def main(options: argparse.Namespace) -> int:
    articles, asked = read(options.data)
    asked = asked[: options.questions]
    versions = ", ".join(f"{name} {version(name)}" for name in ("chromadb", "model2vec", "numpy"))
    command = f"python benchmarks/retrieval.py --data DATA{' --minilm' if options.minilm else ''}"
    lines = [
        "# Retrieval on a public reading set",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}. COVID-QA:"
        f" {len(articles)} articles, {len(asked)} questions. Command: `{command}`.",
        "",
        *table(articles, asked, minilm=options.minilm, write=options.questions is None),
        "",
        "A hit is a passage that overlaps the answer's span. The answer sentence is the first one"
        " that the embedded default model quotes. For refusals half of the articles are left out,"
        " the even ones or the odd ones; weights and threshold are fitted to the questions of one"
        " half of all articles and scored on the other half, both ways, so four runs, and the"
        " figure is that of all of them together, its interval drawn by article. The curves stand"
        " in `refusal-*.svg` and `.json`. The peers search by the same static embedder, find no"
        " sentence and refuse nothing; the in-memory store writes nothing to disk.",
    ]
    text = "\n".join(lines)
    print(text)
    if options.questions is None:
        (RESULTS / "retrieval.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with covid_qa.json")
    parser.add_argument("--questions", type=int, help="the first N questions only, for a try")
    parser.add_argument("--minilm", action="store_true", help="also with all-MiniLM-L6-v2")
    sys.exit(main(parser.parse_args()))
