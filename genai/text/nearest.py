"""Compare texts with example texts by meaning; the embedder is passed in."""

from collections.abc import Callable, Sequence
from typing import Any

from genai import extras

# texts in, one unit row a text out (a row of zeros for a text without words)
Embed = Callable[[Sequence[str]], Any]


class Nearest:
    """Example texts, embedded once on first use."""

    def __init__(self, examples: Sequence[str], embed: Embed) -> None:
        self._examples = tuple(examples)
        self._embed = embed
        self._rows: Any = None

    def __len__(self) -> int:
        return len(self._examples)

    def scores(self, texts: Sequence[str]) -> Any:
        """Give the cosine of every text (rows) with every example (columns)."""
        if self._rows is None:
            self._rows = self._embed(self._examples)
        return self._embed(texts) @ self._rows.T


class Boundary:
    """A line between two lists of example texts, found by ridge regression on first use.

    No weights are kept anywhere: the lists are all there is to it, and a few milliseconds.
    """

    _RIDGE = 1.0
    _SLOPE = 3.0

    def __init__(self, yes: Sequence[str], no: Sequence[str], embed: Embed) -> None:
        self._yes, self._no = tuple(yes), tuple(no)
        self._embed = embed
        self._fit: tuple[Any, float] | None = None

    def scores(self, texts: Sequence[str]) -> Any:
        """Give each text a score from 0 (like the `no` list) to 1 (like the `yes` list)."""
        np = extras.load("numpy", "rag")
        if self._fit is None:
            self._fit = self._line(np)
        weights, bias = self._fit
        return 1 / (1 + np.exp(-self._SLOPE * (self._embed(texts) @ weights + bias)))

    def _line(self, np: Any) -> tuple[Any, float]:
        rows = np.asarray(self._embed([*self._yes, *self._no]), np.float64)
        rows = np.hstack([rows, np.ones((len(rows), 1))])
        wanted = np.array([1.0] * len(self._yes) + [-1.0] * len(self._no))
        # both lists weigh the same, however long they are
        yes, no = len(self._yes), len(self._no)
        share = np.array([0.5 / yes] * yes + [0.5 / no] * no) * (yes + no)
        ridge = self._RIDGE * np.eye(rows.shape[1])
        ridge[-1, -1] = 0
        left = rows.T @ (rows * share[:, None]) + ridge
        solved = np.linalg.solve(left, rows.T @ (share * wanted))
        return solved[:-1].astype(np.float32), float(solved[-1])
