"""One search of one generation: two lists of candidates, joined by their scores."""

from typing import TYPE_CHECKING

from genai import extras
from genai.errors import IndexUnusable, InputError
from genai.rag import vectors
from genai.rag.index.opened import Opened
from genai.rag.search import View, Where, fuse
from genai.types import Hit

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix
    from genai.rag.search.view import Mask

CANDIDATES = 50
HELD_BACK = Where(quarantined=True)
_FAR = 10  # times the candidates; no graph is asked for more, every vector is looked at instead
_TRIES = 3  # a writer may take a passage away between two looks


def find(
    opened: Opened,
    question: str,
    vector: "Matrix | None",
    *,
    weight: float,
    top_k: int,
    where: Where | None,
    tenant: str | None,
) -> list[Hit]:
    """Give the best passages, best first; without a vector by their words alone."""
    store = opened.store
    hits: list[Hit] = []
    for _ in range(_TRIES):
        view = opened.view()
        allowed = view.allowed(where, tenant)
        lexical = view.match(question, CANDIDATES, allowed)
        near = {} if vector is None else nearest(opened, view, vector, allowed)
        ids = store.ids_at([*{*lexical, *near}])
        lexical, near = _first(lexical, ids), _first(near, ids)
        # who was found by words alone has a nearest sentence too
        rows = [*{*lexical, *near}] if vector is not None else []
        dense = {} if vector is None else vectors.best_matches(vector, store.sentence_vectors(rows))
        fused = fuse(
            {ids[row]: score for row, score in lexical.items()},
            {ids[row]: score for row, score in dense.items()},
            weight,
        )
        place = {ids[row]: row for row in (*lexical, *dense)}
        best = [(place[key], each) for key, each in fused.items()][:top_k]
        found = store.at([row for row, _ in best])
        hits = [
            Hit(found[row], each.score, lexical.get(row), dense.get(row), each.z, each.ranks)
            for row, each in best
            if row in found
        ]
        if len(hits) == len(best):
            break
    return hits


def owner(opened: Opened, name: str, wanted: bool, tenant: str, around: str) -> str | None:
    """Give whose documents are seen; None where they belong to nobody.

    Raises:
        IndexUnusable: tenants are `wanted`, and it was built without.
        InputError: a tenant is missing, or one is named where there are none.
    """
    if wanted and not opened.tenants:
        raise IndexUnusable(
            f"index {name}: was built without tenants, `index.tenants` is true; run"
            " `genai index sync`"
        )
    if tenant and not opened.tenants:
        raise InputError(
            f"index {name}: has no tenants, so it cannot keep to {tenant!r}; set"
            " `index.tenants: true` and sync"
        )
    if opened.tenants and not (tenant or around):
        raise InputError(
            f"index {name}: has tenants, so a search must name one: give `tenant`, or"
            " search inside `genai.scope(tenant=...)`"
        )
    return (tenant or around) if opened.tenants else None


def nearest(
    opened: Opened, view: View, vector: "Matrix", allowed: "Mask | None"
) -> dict[int, float]:
    """Give the nearest passages: of the graph, or by looking at each where they are few."""
    np = extras.load("numpy", "rag")
    few = len(view) if allowed is None else int(np.count_nonzero(allowed))
    wanted = CANDIDATES if allowed is None else CANDIDATES * len(view) * 2 // max(few, 1)
    graph = opened.graph() if opened.has_graph() else None
    if (
        graph is None
        or wanted > _FAR * CANDIDATES
        or (allowed is not None and few < vectors.EXACT_BELOW)
    ):
        return view.nearest(vector, CANDIDATES, allowed)
    ids = graph.nearest(vector, wanted)
    rows = list(opened.store.rows_of(ids).values())
    if allowed is not None:
        places = view.places(rows)
        rows = [int(view.rows[place]) for place in places[allowed[places]]]
        if len(rows) < CANDIDATES:
            return view.nearest(vector, CANDIDATES, allowed)
    return {row: -float(rank) for rank, row in enumerate(rows[:CANDIDATES])}


def _first(scores: dict[int, float], ids: dict[int, str]) -> dict[int, float]:
    """Cut a list to the candidates, best first; equals by id, so that no order of files shows."""
    known = sorted((-score, ids[row], row) for row, score in scores.items() if row in ids)
    return {row: -score for score, _, row in known[:CANDIDATES]}
