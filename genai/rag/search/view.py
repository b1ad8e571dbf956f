"""What a search needs in memory of one state of an index: lengths, postings, vectors, filters.

BM25 is FTS5's own, term for term (Robertson's idf, k1 1.2, b 0.75, a word of several tokens is a
phrase), but over postings that stay in memory: FTS5 ranks a long posting list by two look-ups a
row, which at 100,000 passages costs tens of milliseconds a question.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.rag.search.where import Where, conditions
from genai.rag.store import Store
from genai.text.terms import phrases, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Scores = NDArray[np.float64]
_K1, _B = 1.2, 0.75
_MOST_POSTINGS = 10_000_000  # kept in memory, 12 bytes each
_MOST_MASKS = 64
_TIES = 4  # times the limit: so many equals of the last one found are looked at, then by id


class View:
    """One state of an index, as `state` names it; made once and searched by any thread."""

    def __init__(self, store: Store, state: str) -> None:
        np = extras.load("numpy", "rag")
        self.state = state
        self._store = store
        self._lock = threading.RLock()
        with store.snapshot():
            found = store.rows(
                "SELECT p.row, z.sz, d.number, p.quarantined FROM passage p"
                " JOIN fulltext_docsize z ON z.id = p.row JOIN document d ON d.path = p.document"
                " ORDER BY p.row"
            )
            self.kinds = store.kinds()
        n = len(found)
        self.rows: Rows = np.fromiter((each[0] for each in found), np.int64, n)
        lengths = np.fromiter((_tokens(each[1]) for each in found), np.float64, n)
        self._documents: Rows = np.fromiter((each[2] for each in found), np.int64, n)
        self._free: Mask = np.fromiter((not each[3] for each in found), np.bool_, n)
        mean = lengths.mean() if len(lengths) else 1.0
        self._norm = _K1 * (1 - _B + _B * lengths / max(mean, 1e-9))
        self._postings: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
        self._held = 0
        self._masks: OrderedDict[tuple[str, str | None], Any] = OrderedDict()
        self._matrix: Any = None
        self.idf = lru_cache(maxsize=100_000)(self._idf)

    def __len__(self) -> int:
        return len(self.rows)

    def places(self, rows: Sequence[int]) -> "Rows":
        """Give the place in this view of each row; rows it does not know are left out."""
        np = extras.load("numpy", "rag")
        wanted: Rows = np.asarray(rows, np.int64)
        if not len(self.rows):
            return wanted[:0]
        at = np.minimum(np.searchsorted(self.rows, wanted), len(self.rows) - 1)
        found: Rows = at[self.rows[at] == wanted]
        return found

    # -- filters ---------------------------------------------------------------------------------

    def allowed(self, where: Where | None, tenant: str | None) -> "Mask | None":
        """Say for each place whether the filter allows it; None if it allows all."""
        if where is None and tenant is None and self._free.all():
            return None
        key = (where.key if where else "", tenant)
        with self._lock:
            mask: Mask | None = self._masks.get(key)
            if mask is None:
                mask = self._masks[key] = self._mask(where, tenant)
                if len(self._masks) > _MOST_MASKS:
                    self._masks.popitem(last=False)
            self._masks.move_to_end(key)
        return mask

    def _mask(self, where: Where | None, tenant: str | None) -> "Mask":
        np = extras.load("numpy", "rag")
        asked = conditions(where, tenant, self.kinds)
        mask = ~self._free if where and where.quarantined else self._free
        if asked.document[0]:
            sql = f"SELECT d.number FROM document d WHERE {asked.document[0]}"
            numbers = [number for (number,) in self._store.rows(sql, asked.document[1])]
            chosen = np.zeros(int(self._documents.max(initial=0)) + 1, np.bool_)
            chosen[[number for number in numbers if number < len(chosen)]] = True
            mask = mask & chosen[self._documents]
        if asked.passage[0]:
            sql = f"SELECT p.row FROM passage p WHERE {asked.passage[0]}"
            inside = np.zeros(len(self), np.bool_)
            inside[self.places([row for (row,) in self._store.rows(sql, asked.passage[1])])] = True
            mask = mask & inside
        return mask

    # -- words -----------------------------------------------------------------------------------

    def match(self, question: str, limit: int, allowed: "Mask | None") -> dict[int, float]:
        """Full-text search: row -> BM25 score, larger is better; equals of the last are all in."""
        np = extras.load("numpy", "rag")
        asked = list(dict.fromkeys(words(question)))
        scores = np.zeros(len(self))
        for word, stems in zip(asked, phrases(asked), strict=True):
            if stems:
                places, weights = self._posting(word, stems)
                scores[places] += weights
        if allowed is not None:
            scores[~allowed] = 0.0
        return {row: s for row, s in self._top(scores, limit) if s > 0}

    def _posting(self, word: str, stems: Sequence[str]) -> tuple[Any, Any]:
        """Give the places that hold a word, and what it adds to the score of each."""
        np = extras.load("numpy", "rag")
        key = " ".join(stems)
        with self._lock:
            if key in self._postings:
                self._postings.move_to_end(key)
                return self._postings[key]
            rows = self._single(stems[0]) if len(stems) == 1 else self._phrase(stems)
            held, counts = np.unique(rows, return_counts=True)
            known = np.isin(held, self.rows, assume_unique=True)
            places = self.places(held).astype(np.int32)
            n, seen = len(self), len(held)
            idf = math.log((n - seen + 0.5) / (seen + 0.5)) if seen < n else 0.0
            idf = idf if idf > 0 else 1e-6
            often = counts[known]
            weights = (idf * often * (_K1 + 1) / (often + self._norm[places])).astype(np.float32)
            self._postings[key] = places, weights
            self._held += len(places)
            while self._held > _MOST_POSTINGS and len(self._postings) > 1:
                self._held -= len(self._postings.popitem(last=False)[1][0])
            return places, weights

    def _single(self, stem: str) -> Any:
        np = extras.load("numpy", "rag")
        found = self._store.rows("SELECT doc FROM instances WHERE term = ?", (stem,))
        return np.fromiter((row for (row,) in found), np.int64, len(found))

    def _phrase(self, stems: Sequence[str]) -> Any:
        """Give the row of each place where the stems follow one another in one column."""
        np = extras.load("numpy", "rag")
        starts: Any = None
        for number, stem in enumerate(stems):
            sql = "SELECT doc, col = 'text', offset FROM instances WHERE term = ?"
            found = self._store.rows(sql, (stem,))
            keys = np.fromiter(
                ((doc << 33) + (column << 32) + offset - number for doc, column, offset in found),
                np.int64, len(found),
            )  # fmt: skip
            starts = keys if starts is None else np.intersect1d(starts, keys, assume_unique=True)
        return starts >> 33

    def _idf(self, stem: str) -> float:
        n = len(self)
        with self._lock:
            posting = self._postings.get(stem)
        seen = len(posting[0]) if posting else int(
            self._store.value("SELECT doc FROM vocabulary WHERE term = ?", (stem,)) or 0
        )  # fmt: skip
        return math.log(1 + (n - seen + 0.5) / (seen + 0.5))

    # -- vectors ---------------------------------------------------------------------------------

    def nearest(self, vector: Any, limit: int, allowed: "Mask | None") -> dict[int, float]:
        """Give row -> cosine of the nearest passages, best first, by looking at each allowed."""
        np = extras.load("numpy", "rag")
        matrix = self._vectors(len(vector))
        if allowed is not None and 4 * np.count_nonzero(allowed) < len(self):
            near = np.full(len(self), -2.0)
            places = np.flatnonzero(allowed)
            near[places] = matrix[places] @ vector
        else:
            near = (matrix @ vector).astype(np.float64)
            if allowed is not None:
                near[~allowed] = -2.0
        return {row: score for row, score in self._top(near, limit) if score > -2}

    def warm(self, dimension: int) -> None:
        """Load the vectors before somebody waits for them."""
        self._vectors(dimension)

    def _vectors(self, dimension: int) -> Any:
        np = extras.load("numpy", "rag")
        with self._lock:
            if self._matrix is None:
                found = self._store.rows(
                    "SELECT p.row, v.data FROM passage p JOIN vector v ON v.id = p.id"
                )
                data = np.frombuffer(b"".join(data for _, data in found), np.float16)
                matrix = np.zeros((len(self), dimension), np.float32)
                known = np.isin([row for row, _ in found], self.rows)
                matrix[self.places([row for row, _ in found])] = data.reshape(-1, dimension)[known]
                self._matrix = matrix
            return self._matrix

    def _top(self, scores: "Scores", limit: int) -> list[tuple[int, float]]:
        np = extras.load("numpy", "rag")
        if len(scores) > limit:
            last = np.partition(scores, -limit)[-limit]
            best = np.flatnonzero(scores > last)
            ties = np.flatnonzero(scores == last)[: _TIES * limit]
            places = np.concatenate([best, ties])
        else:
            places = np.arange(len(scores))
        order = places[np.argsort(-scores[places], kind="stable")]
        return [(int(self.rows[place]), float(scores[place])) for place in order]


def _tokens(size: bytes) -> int:
    """Add up the token counts FTS5 keeps of a row: one SQLite varint a column."""
    total = value = 0
    for byte in size:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            total, value = total + value, 0
    return total
