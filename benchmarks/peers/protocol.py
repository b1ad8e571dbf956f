"""What the retrieval peers share: material from stdin, one embedder, the times, one JSON answer.

A peer is a class made with a folder and an encoder: `sync(articles)` gives how many passages it
holds on disk, `search(question)` the ten best as (article, start, end).
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# none of them may call home, and their own folder would hide packages of the same names
os.environ.update(HAYSTACK_TELEMETRY_ENABLED="False", ANONYMIZED_TELEMETRY="False")
sys.path = [each for each in sys.path if Path(each or ".").resolve() != Path(__file__).parent]


BATCH = 1_000_000  # characters: Chroma takes 5,461 passages at once, and two peers send it all


def batches(articles: dict[str, str]) -> Iterator[dict[str, str]]:
    """Give the articles in parts that Chroma takes."""
    part: dict[str, str] = {}
    for name, text in articles.items():
        part[name] = text
        if sum(map(len, part.values())) > BATCH:
            yield part
            part = {}
    if part:
        yield part


class Encoder:
    """The static embedder that ours uses, so that all else is what differs; it counts."""

    def __init__(self, path: str) -> None:
        from model2vec import StaticModel

        self._model = StaticModel.from_pretrained(path)
        self.count = 0

    def __call__(self, texts: list[str]) -> list[list[float]]:
        """Give a vector a text."""
        self.count += len(texts)
        found: list[list[float]] = self._model.encode(texts, show_progress_bar=False).tolist()
        return found


def run(make: Callable[[Path, Encoder], Any]) -> None:
    """Sync twice, ask every question, print what came of it."""
    given = json.load(sys.stdin)
    encoder = Encoder(given["model"])
    encoder(["warm"])
    with tempfile.TemporaryDirectory() as folder:
        peer = make(Path(folder), encoder)
        start, own = time.perf_counter(), time.process_time()
        passages = peer.sync(given["articles"])
        first, first_cpu = time.perf_counter() - start, time.process_time() - own
        before, start, own = encoder.count, time.perf_counter(), time.process_time()
        again = peer.sync(given["articles"])
        second, second_cpu = time.perf_counter() - start, time.process_time() - own
        embedded = encoder.count - before
        peer.search("warm")
        found, took = [], []
        for question in given["questions"]:
            start = time.process_time()
            found.append(peer.search(question))
            took.append((time.process_time() - start) * 1000)
    answer = {
        "found": found, "passages": passages, "passages_again": again, "first": first,
        "first_cpu": first_cpu, "second": second, "second_cpu": second_cpu,
        "second_embedded": embedded, "passages_per_second": passages / first_cpu,
        "ms": statistics.median(took) if took else None,
    }  # fmt: skip
    print(json.dumps(answer))
