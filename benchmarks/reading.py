"""What the reading benchmarks share: the articles, an index over them, and two embedders."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genai.models import Embedder
from genai.rag import Index

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers"
CACHE = HERE.parent / ".genai" / "minilm.npz"
WIDTH = 384
BATCH = 1024


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


def build(folder: Path, articles: dict[str, str], embedder: Embedder) -> tuple[Index, float]:
    """Index articles as files; give the index and its passages a processor second."""
    documents = folder / "documents"
    documents.mkdir(parents=True)
    for name, text in articles.items():
        (documents / name).write_text(text, encoding="utf-8", newline="")
    embedder.encode(["warm"])
    index = Index(folder / "index", embedder)
    start = time.process_time()
    report = index.sync(documents)
    return index, report.passages / (time.process_time() - start)


def peer_python(name: str) -> Path:
    """Give the Python of a peer's own environment, which `peers/install.py` makes and keeps."""
    subprocess.run([sys.executable, HERE / "peers" / "install.py", name], check=True)
    return PEERS / name / "bin" / "python"


class MiniLM:
    """all-MiniLM-L6-v2 in a process of its own; what it has embedded once is kept on disk."""

    def __init__(self) -> None:
        self._rows: dict[str, np.ndarray] = {}
        self._process: subprocess.Popen[bytes] | None = None
        if CACHE.is_file():
            with np.load(CACHE) as held:
                self._rows = dict(zip(held["keys"].tolist(), held["rows"], strict=True))

    def embedder(self) -> Embedder:
        """Give it as an embedder of ours."""
        return Embedder("all-MiniLM-L6-v2", self.encode)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give one row a text, asking only for what was never embedded."""
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True)
                   if key not in self._rows}  # fmt: skip
        parts = list(missing.items())
        for first in range(0, len(parts), BATCH):
            part = parts[first : first + BATCH]
            for (key, _), row in zip(part, self._ask([text for _, text in part]), strict=True):
                self._rows[key] = row.astype("float16")
            self._keep()
        return np.array([self._rows[key] for key in keys], "float32").reshape(len(texts), WIDTH)

    def _ask(self, texts: list[str]) -> np.ndarray:
        if self._process is None:
            line = [peer_python("minilm"), HERE / "peers" / "minilm.py"]
            self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        sent, given = self._process.stdin, self._process.stdout
        if sent is None or given is None:
            raise AssertionError("both ends are pipes")
        sent.write(json.dumps(texts).encode() + b"\n")
        sent.flush()
        wanted = len(texts) * WIDTH * 4
        raw = given.read(wanted)
        if len(raw) < wanted:
            raise SystemExit("MiniLM ended early; its message is above")
        return np.frombuffer(raw, "float32").reshape(len(texts), WIDTH)

    def _keep(self) -> None:
        """Write at once: half an hour of work should survive an end by force."""
        CACHE.parent.mkdir(exist_ok=True)
        beside = CACHE.with_suffix(".new.npz")
        np.savez(beside, keys=np.array([*self._rows]), rows=np.array([*self._rows.values()]))
        beside.replace(CACHE)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait(30)
