"""Reading benchmark: do we find the passage, the sentence, and the questions nobody can answer?

    python benchmarks/retrieval.py --data ../shared/data

Data: COVID-QA (deepset-ai, Apache-2.0), 98 articles and 1,380 questions with exact answer spans.
Full text alone, embeddings alone and both fused run over one index; the peer is LangChain's stock
in-memory vector store with its stock splitter, in its own environment (`.venv-peers/langchain`,
made on the first run), on the same embedder. Prints Markdown and writes it to
`benchmarks/results/retrieval.md`.
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
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import genai
from genai.models import make_embedder
from genai.models.extractive import Extractive
from genai.rag import Index
from genai.rag.search import confidence
from genai.stats import wilson
from genai.types import Hit

HERE = Path(__file__).parent
PEER = HERE / "peers" / "langchain_memory.py"
# a weight of 0 leaves full text alone; a very large one leaves the embeddings alone
WAYS = {"full text alone": 0.0, "embeddings alone": 1e6, "fused": 0.5}


@dataclass(frozen=True)
class Question:
    """A question, and where its answer stands."""

    text: str
    document: str
    start: int
    end: int


def read(data: Path) -> tuple[dict[str, str], list[Question]]:
    """Give the articles by file name, and the questions."""
    articles, questions = {}, []
    for number, article in enumerate(json.loads((data / "covid_qa.json").read_text())["data"]):
        name = f"{number:03}.txt"
        paragraph = article["paragraphs"][0]
        articles[name] = paragraph["context"]
        for asked in paragraph["qas"]:
            answer = asked["answers"][0]
            start = answer["answer_start"]
            end = start + len(answer["text"])
            questions.append(Question(asked["question"], name, start, end))
    return articles, questions


def build(folder: Path, articles: dict[str, str]) -> tuple[Index, float]:
    """Index articles as files; give the index and its passages a second."""
    documents = folder / "documents"
    documents.mkdir(parents=True)
    for name, text in articles.items():
        (documents / name).write_text(text, encoding="utf-8", newline="")
    embedder = make_embedder("static")
    embedder.encode(["warm"])
    index = Index(folder / "index", embedder)
    start = time.perf_counter()
    report = index.sync(documents)
    return index, report.passages / (time.perf_counter() - start)


def overlaps(question: Question, document: str, start: int, end: int) -> bool:
    return document == question.document and start < question.end and question.start < end


def ranks(found: Sequence[Sequence[tuple[str, int, int]]], asked: list[Question]) -> list[int]:
    """Give the rank of the first passage that holds the answer, 0 for none in ten."""
    return [
        next((n for n, span in enumerate(spans, 1) if overlaps(question, *span)), 0)
        for question, spans in zip(asked, found, strict=True)
    ]


def search_all(index: Index, asked: list[Question]) -> tuple[list[list[Hit]], float]:
    """Search every question; give the hits and the median milliseconds."""
    hits, took = [], []
    for question in asked:
        start = time.perf_counter()
        hits.append(index.search(question.text, 10))
        took.append((time.perf_counter() - start) * 1000)
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


def refusal(articles: dict[str, str], asked: list[Question], weight: float) -> float:
    """Half the articles are left out. The threshold comes from other articles' questions."""
    kept = {name: text for number, (name, text) in enumerate(articles.items()) if number % 2 == 0}
    with tempfile.TemporaryDirectory() as folder:
        index, _ = build(Path(folder), kept)
        index.dense_weight = weight
        rows = []
        for question in asked:
            hits = index.search(question.text, 6)
            score = confidence(question.text, hits, index.idf)
            if weight > 1:  # embeddings alone: the words of the question do not count
                score = max(hit.dense or 0.0 for hit in hits)
            number = int(question.document.partition(".")[0])
            rows.append((score, question.document in kept, number // 2 % 2 == 0))
        index.close()
    calibration = [(score, held) for score, held, first in rows if first]
    scored = [(score, held) for score, held, first in rows if not first]
    threshold = max((s for s, _ in calibration), key=lambda t: balanced(calibration, t))
    return balanced(scored, threshold)


def balanced(rows: list[tuple[float, bool]], threshold: float) -> float:
    held = [score >= threshold for score, answerable in rows if answerable]
    absent = [score < threshold for score, answerable in rows if not answerable]
    return (statistics.fmean(held) + statistics.fmean(absent)) / 2


def peer(articles: dict[str, str], asked: list[Question]) -> dict[str, list[int] | float]:
    """Run LangChain's stock store in its own environment."""
    python = HERE.parent / ".venv-peers" / "langchain" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        packages = ["langchain-core", "langchain-text-splitters", "model2vec", "numpy"]
        constraints = str(HERE.parent / "constraints.txt")
        line = [python, "-m", "pip", "install", "-q", "-c", constraints, *packages]
        subprocess.run(line, check=True)
    material = {
        "articles": articles,
        "questions": [question.text for question in asked],
        "model": str(Path(genai.__file__).parent / "models" / "static"),
    }
    done = subprocess.run(
        [python, PEER], input=json.dumps(material), capture_output=True, text=True, check=True
    )
    answer: dict[str, list[int] | float] = json.loads(done.stdout)
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


def table(articles: dict[str, str], asked: list[Question]) -> list[str]:
    lines = [
        "| way | recall@1 (95 %) | recall@5 | MRR@10 | answer sentence | refusal balanced accuracy"
        " | passages/s | query ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        index, rate = build(Path(folder), articles)
        for name, weight in WAYS.items():
            index.dense_weight = weight
            index.search("warm")
            found, milliseconds = search_all(index, asked)
            spans = [[(h.passage.document, h.passage.start, h.passage.end) for h in hits]
                     for hits in found]  # fmt: skip
            lines.append(
                line(
                    name,
                    [
                        *quality(ranks(spans, asked)),
                        f"{sentence_hit(asked, found):.3f}",
                        f"{refusal(articles, asked, weight):.3f}",
                        f"{rate:.0f}",
                        f"{milliseconds:.1f}",
                    ],
                )
            )
        index.close()
    theirs = peer(articles, asked)
    cells = [*quality(ranks(theirs["found"], asked)), "-", "-"]  # type: ignore[arg-type]
    lines.append(
        line(
            "LangChain in-memory store",
            [*cells, f"{theirs['passages_per_second']:.0f} (memory only)", f"{theirs['ms']:.1f}"],
        )
    )
    return lines


def main(options: argparse.Namespace) -> int:
    articles, asked = read(options.data)
    asked = asked[: options.questions]
    versions = ", ".join(f"{name} {version(name)}" for name in ("chromadb", "model2vec", "numpy"))
    lines = [
        "# Retrieval on a public reading set",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}. COVID-QA:"
        f" {len(articles)} articles, {len(asked)} questions. Command:"
        " `python benchmarks/retrieval.py --data DATA`.",
        "",
        *table(articles, asked),
        "",
        "A hit is a passage that overlaps the answer's span. The answer sentence is the first one"
        " that the embedded default model quotes. For refusals every second article is left out;"
        " the threshold is chosen on the questions of one half of the articles and scored on the"
        " other half. The peer keeps everything in memory and finds no sentence and refuses"
        " nothing.",
    ]
    text = "\n".join(lines)
    print(text)
    if options.questions is None:
        (HERE / "results" / "retrieval.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with covid_qa.json")
    parser.add_argument("--questions", type=int, help="the first N questions only, for a try")
    sys.exit(main(parser.parse_args()))
