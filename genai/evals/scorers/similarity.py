"""Scorers that say how near an answer is to an accepted one, by edits or by meaning."""

from genai.evals.scorers.answer import accepted, best, judged
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import CannotMeasure, Trial

_MOST_CELLS = 4_000_000_000  # of the table of distances: a second, as each bit is a cell


@judged(wrong=0.0, expected=True)
def edit_similarity(trial: Trial, tools: Tools) -> float:
    """Give 1 - Levenshtein distance / length of the longer text; two empty texts give 1.

    0 to 1, the best over the accepted answers; None without `expected`. Exact, by the bit-parallel
    table of Myers 1999 and Hyyro 2003. Unmeasured where the product of the two lengths, equal
    ends aside, is over 4e9 (1 MB against 4 kB): compare such texts by `rouge_l` or `chrf`.
    """
    return best(trial, lambda each: _edit_similarity(trial.text, each))


def _edit_similarity(one: str, other: str) -> float:
    longest = max(len(one), len(other))
    return 1 - _distance(one, other) / longest if longest else 1.0


def _distance(one: str, other: str) -> int:
    """Give the edits between two texts; the longer one is the bit row of the table."""
    long, short = _without_equal_ends(*((one, other) if len(one) >= len(other) else (other, one)))
    if not short:
        return len(long)
    if len(long) * len(short) > _MOST_CELLS:
        raise CannotMeasure(
            "scorer_error",
            f"edit_similarity: {len(long)} by {len(short)} characters are too many;"
            " use `rouge_l` or `chrf`",
        )
    where = _positions(long, set(short))
    top, full = len(long) - 1, (1 << len(long)) - 1
    up, down, distance = full, 0, len(long)  # bits: the column grows by one, shrinks by one
    for each in short:
        match = where[each]
        vertical = match | down
        match |= ((match & up) + up) ^ up
        grows = down | (full & ~(match | up))
        shrinks = up & match
        distance += (grows >> top & 1) - (shrinks >> top & 1)
        grows = (grows << 1 | 1) & full
        shrinks = shrinks << 1 & full
        up = shrinks | (full & ~(vertical | grows))
        down = grows & vertical
    return distance


def _without_equal_ends(long: str, short: str) -> tuple[str, str]:
    start = _common_start(long, short)
    long, short = long[start:], short[start:]
    end = _common_start(long[::-1], short[::-1])
    return long[: len(long) - end], short[: len(short) - end]


def _common_start(one: str, other: str) -> int:
    """Give the length of the common start, by halving: comparing slices is fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _positions(text: str, wanted: set[str]) -> dict[str, int]:
    """Give, per character, the integer whose bits are the places where the text has it."""
    found: dict[str, int] = {}
    characters = sorted(wanted)
    backwards = text[::-1]
    for start in range(0, len(characters), 255):
        some = characters[start : start + 255]
        codes = {ord(each): code for code, each in enumerate(some, start=1)}
        others = dict.fromkeys(map(ord, set(text) - set(some)), 0)
        row = backwards.translate({**others, **codes}).encode("latin-1")
        for code, each in enumerate(some, start=1):
            table = bytearray(b"0" * 256)
            table[code] = ord("1")
            found[each] = int(row.translate(bytes(table)), 2)
    return found


@judged(wrong=0.0, expected=True)
def semantic_similarity(trial: Trial, tools: Tools) -> float:
    """Give the cosine of the answer's and the accepted answer's vectors, by the suite's embedder.

    0 to 1 (a negative cosine is 0), the best over the accepted answers; None without `expected`.
    Unmeasured (`missing_field`) without an embedder. Static embedders see words, not negation.
    """
    if tools.embed is None:
        raise CannotMeasure("missing_field", "semantic_similarity needs an embedder")
    texts = [trial.text, *accepted(trial)]
    given, *wanted = tools.embed([each.encode("utf-8", "replace").decode() for each in texts])
    cosines = [
        float(sum(float(a) * float(b) for a, b in zip(given, row, strict=True))) for row in wanted
    ]
    return min(1.0, max(0.0, *cosines))


_EXPECTED = ("expected",)
ALL: tuple[Scorer, ...] = (
    Scorer("edit_similarity", edit_similarity, needs=_EXPECTED),
    Scorer("semantic_similarity", semantic_similarity, needs=(*_EXPECTED, "embed")),
)
