"""Keep the graph of a large index in step with its store, and measure what it misses."""

import random
from collections.abc import Sequence

from genai import extras
from genai.rag.index.opened import BEHIND, Opened
from genai.rag.search import View
from genai.rag.store import Store
from genai.rag.vectors import Graph, unpack

SAMPLE = 200  # questions asked of the graph and of exact search alike; fewer alarm by chance
RECALL_AT = 10
ALARM_BELOW = 0.99
_BATCH = 5000
_EQUAL = 1e-3  # in cosine; stored vectors are rounded to half of it


def add(opened: Opened, ids: Sequence[str]) -> None:
    """Put vectors in before their passages are, where the graph is already in use."""
    if opened.store.get("graph") and opened.wants_graph():
        if opened.store.get("graph") != BEHIND:
            opened.store.put(graph=BEHIND)
        _put(opened.store, opened.graph(), ids)


def keep(opened: Opened, revision: str) -> tuple[float | None, tuple[str, ...]]:
    """Make the graph hold the store's vectors; give its recall and what to be alarmed at."""
    store = opened.store
    if not opened.wants_graph():
        if store.get("graph"):
            store.put(graph="")  # it is behind from now on
        return None, ()
    count = store.count()
    mark = f"{revision} {count}"
    if store.get("graph") != mark or opened.graph().count() != count:
        graph = opened.graph()
        held, wanted = graph.ids(), store.ids()
        if store.get("graph") != BEHIND:
            store.put(graph=BEHIND)
        _put(store, graph, sorted(wanted - held))
        graph.delete(sorted(held - wanted))
        store.put(graph=mark, recall=f"{recall(store, opened.graph()):.4f}")
    found = float(store.get("recall") or 0)
    if found < ALARM_BELOW:
        return found, (
            f"the graph finds {found:.1%} of the {RECALL_AT} nearest passages, {ALARM_BELOW:.0%}"
            " is wanted; run `genai index verify --repair`",
        )
    return found, ()


def _put(store: Store, graph: Graph, ids: Sequence[str]) -> None:
    dimension = int(store.get("dimension") or 0)
    for first in range(0, len(ids), _BATCH):
        packed = store.vectors(ids[first : first + _BATCH])
        if packed:
            graph.upsert(list(packed), unpack(list(packed.values()), dimension))


def recall(store: Store, graph: Graph, seed: int = 0) -> float:
    """Give the share of the nearest passages that the graph finds too, over sampled sentences.

    What is as near as the last of them counts as one of them, for equal texts have no order.
    """
    np = extras.load("numpy", "rag")
    view = View(store, "")
    draw = random.Random(seed)
    rows = [int(row) for row in view.rows]
    chosen = draw.sample(rows, min(SAMPLE, len(rows)))
    dimension = int(store.get("dimension") or 0)
    found = wanted = 0
    for packed in store.sentence_vectors(chosen).values():
        sentences = unpack([packed], dimension)
        vector = sentences[draw.randrange(len(sentences))]
        if not vector.any():
            continue
        near = sorted(view.nearest(vector, RECALL_AT, None).values(), reverse=True)[:RECALL_AT]
        held = store.vectors(graph.nearest(vector, RECALL_AT))
        given = unpack(list(held.values()), dimension) @ vector
        found += min(int(np.count_nonzero(given >= near[-1] - _EQUAL)), len(near))
        wanted += len(near)
    return found / wanted if wanted else 1.0
