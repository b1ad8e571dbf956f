"""A small folder of documents, and embedders that need no model, for the tests of the index."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genai import project
from genai.models import Embedder
from genai.rag import Index

MARKDOWN = """# Budgets

A budget is a limit on money. It is set in `configs/genai.yaml`.

## Alerts

- An alert fires at 80 % of the budget.
- Nobody is paged at night.

| who | limit |
|---|---|
| a team | 40 euros |
"""


def small(folder: Path) -> Path:
    """Write two documents into a new folder."""
    folder.mkdir()
    (folder / "budgets.md").write_text(MARKDOWN, encoding="utf-8")
    (folder / "birds.txt").write_text(
        "Storks nest on chimneys.\n\nThe heron fishes at dawn.\n", encoding="utf-8"
    )
    return folder


def starter(folder: Path, **pages: str) -> Path:
    """Make a project of the starter whose handbook is these pages alone."""
    project.init(folder)
    for page in (folder / "docs").rglob("*"):
        if page.is_file():
            page.unlink()
    for name, text in pages.items():
        (folder / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def hashed(texts: Sequence[str]) -> Any:
    """Give each text eight numbers that depend on it alone, in every process the same."""
    rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=8) for text in texts]
    return np.asarray(rows, dtype=np.float32)


def cheap(texts: Sequence[str]) -> Any:
    """Give each text eight numbers that depend on it alone, at a microsecond a number."""
    seeds = np.array([zlib.crc32(text.encode()) for text in texts], np.uint64)[:, None]
    return ((seeds * (2654435761 + 2 * np.arange(8, dtype=np.uint64)) >> 8) % 1000).astype(
        np.float32
    ) - 500


def by_name(name: str) -> Embedder:
    """Open the embedder of `hashed` by its name, as a worker does."""
    return Embedder(name, hashed)


_WORDS = (
    "river bridge lamp paper engine valve copper winter garden ticket window battery ladder market"
    " signal kettle harbour quartz meadow piston ledger cotton anchor violin tunnel saddle beacon"
).split()


def many(folder: Path, documents: int, paragraphs: int = 3, seed: int = 1) -> Path:
    """Write documents of drawn words, each with a number of its own."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        lines = [f"# Part {number}"]
        for paragraph in range(paragraphs):
            drawn = " ".join(draw.choice(_WORDS, 60))
            lines.append(f"Serial {number}x{paragraph} says {drawn}.")
        (folder / f"{number:04}.md").write_text("\n\n".join(lines), encoding="utf-8")
    return folder


def current(index: Index) -> Any:
    """Give what is open of the generation that answers now."""
    opened = index._current()
    assert opened is not None
    return opened
